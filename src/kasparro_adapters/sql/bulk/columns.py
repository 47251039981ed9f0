"""What both databases write, in one order of columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

from kasparro_adapters.sql.bulk.plan import Plan
from kasparro_adapters.sql.ordering import BOUND
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord

STATE = (
    "kind",
    "external_id",
    "title",
    "symbol",
    "value",
    "currency",
    "url",
    "occurred_at",
    "attributes",
    "content_hash",
    "raw_id",
    "raw_index",
    "run_id",
)
"""The columns that a record and its versions share."""


class RecordIds(Protocol):
    """Finds the ids of stored records."""

    async def record_ids(self, source: str, keys: Sequence[str]) -> Sequence[tuple[str, int]]:
        """Pairs of key and record_id."""
        ...


def bounded(prepared: PreparedRecord) -> Decimal | None:
    """The value of a record, which the core keeps far inside of what the databases can tell apart: further out asyncpg
    would write 0, and SQLite would sort it wrongly. Raises UnstorableError."""
    value = prepared.record.value
    if value and not -BOUND < value.adjusted() < BOUND:
        message = f"a number with the exponent {value.adjusted()} cannot be stored"
        error = UnstorableError(f"{message}.", code="value_out_of_range", reason=message, column="value")
        error.item = prepared
        raise error
    return value


def state_of(prepared: PreparedRecord, observation: Observation, value: Any, occurred_at: Any) -> tuple[Any, ...]:
    """The values of the STATE columns, with value and time in the database's own form."""
    record, content_hash, attributes, raw_index = prepared
    _, _, kind, external_id, title, symbol, _, currency, url, _, _ = record
    return (
        kind,
        external_id,
        title,
        symbol,
        value,
        currency,
        url,
        occurred_at,
        attributes,
        content_hash,
        observation.raw_id,
        raw_index,
        observation.run_id,
    )


async def record_ids_by_key(database: RecordIds, plan: Plan, source: str) -> Mapping[str, int]:
    """The ids of the plan's new records that leave versions in the same batch."""
    keys = list({version.prepared.record.key for version in plan.versions if version.record_id is None})
    return dict(await database.record_ids(source, keys)) if keys else {}
