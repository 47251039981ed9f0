"""Records into PostgreSQL: look-ups through arrays, new records by COPY, changes by INSERT or UPDATE from arrays.

No statement grows with the batch: an array is one parameter. Nested loops over indexes are pinned: the planner cannot
know how small a batch is beside a table that it has not analysed yet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from kasparro_adapters.sql.bulk.columns import STATE, bounded, record_ids_by_key, state_of
from kasparro_adapters.sql.bulk.plan import KnownVersion, Plan, State, Suspect
from kasparro_adapters.sql.bulk.port import Refusal
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.types import instant
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord

_TYPES = {
    "value": "numeric",
    "occurred_at": "timestamptz",
    "attributes": "text",
    "raw_id": "bigint",
    "raw_index": "integer",
    "run_id": "bigint",
    "record_id": "bigint",
    "revision": "integer",
    "change_seq": "bigint",
}
_LINE = re.compile(r"COPY records, line (\d+)")
"""Where the server says which row of a COPY it refuses."""

_NEW = ("source", "key", *STATE, "updated_at", "title_folded", "first_seen_at", "revision", "change_seq")
_CHANGED = ("record_id", *STATE, "title_folded", "revision", "change_seq")
_VERSION = ("record_id", *STATE)


def _arrays(columns: Sequence[str]) -> str:
    """The columns as rows: `unnest($1::text[], $2::numeric[], ...) AS s(...)`."""
    types = (f"${n}::{_TYPES.get(name, 'text')}[]" for n, name in enumerate(columns, 1))
    return f"unnest({', '.join(types)}) AS s({', '.join(columns)})"


def _given(name: str) -> str:
    return "s.attributes::jsonb" if name == "attributes" else f"s.{name}"


def _list(items: Iterable[str]) -> str:
    return ", ".join(items)


_PIN = _list(f"set_config('enable_{way}', 'off', true)" for way in ("hashjoin", "mergejoin", "seqscan"))
_LAST = f"SELECT last_seq, {_PIN} FROM change_counter WHERE counter_id = 1"
_CLAIM = "UPDATE change_counter SET last_seq = last_seq + $1 WHERE counter_id = 1 RETURNING last_seq"
_DIFFERING = """
    SELECT s.position, r.record_id, r.content_hash, r.occurred_at, r.updated_at, r.raw_id, r.raw_index, r.gone_at
    FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS s(key, content_hash, position)
    LEFT JOIN LATERAL (SELECT * FROM records WHERE source = $1 AND key = s.key OFFSET 0) AS r ON true
    WHERE r.content_hash IS DISTINCT FROM s.content_hash OR r.gone_at IS NOT NULL
"""
_KNOWN = """
    SELECT v.record_id, v.content_hash, v.observed_at, v.raw_id, v.raw_index
    FROM unnest($1::bigint[], $2::text[], $3::timestamptz[], $4::integer[])
        AS s(record_id, content_hash, observed_at, raw_index)
    CROSS JOIN LATERAL (
        SELECT * FROM record_versions AS a WHERE a.record_id = s.record_id AND a.content_hash = s.content_hash
        UNION ALL
        SELECT * FROM record_versions AS b
        WHERE b.record_id = s.record_id AND b.observed_at = s.observed_at AND b.raw_index = s.raw_index
    ) AS v
"""
_IDS = """
    SELECT r.key, r.record_id FROM unnest($2::text[]) AS s(key)
    CROSS JOIN LATERAL (SELECT key, record_id FROM records WHERE source = $1 AND key = s.key OFFSET 0) AS r
"""
_REPLACE_VERSION = " ON CONFLICT (record_id, observed_at, raw_id, raw_index) DO UPDATE SET " + _list(
    f"{name} = excluded.{name}" for name in STATE if name != "raw_index"
)
_KEEP = (
    f"INSERT INTO record_versions (record_id, {_list(STATE)}, observed_at)"
    f" SELECT r.record_id, {_list(f'r.{name}' for name in STATE)}, r.updated_at"
    " FROM unnest($1::bigint[]) AS s(record_id) JOIN records AS r ON r.record_id = s.record_id" + _REPLACE_VERSION
)
_UPDATE = (
    f"UPDATE records AS r SET {_list(f'{name} = {_given(name)}' for name in (*STATE, 'title_folded', 'change_seq'))},"
    f" revision = r.revision + s.revision, updated_at = ${len(_CHANGED) + 1}::timestamptz,"
    f" gone_at = CASE WHEN r.gone_at > ${len(_CHANGED) + 1} THEN r.gone_at END"
    f" FROM {_arrays(_CHANGED)} WHERE r.record_id = s.record_id"
)
_RETURN = """
    UPDATE records AS r SET gone_at = NULL, change_seq = $1::bigint + s.n - 1
    FROM unnest($2::bigint[]) WITH ORDINALITY AS s(record_id, n) WHERE r.record_id = s.record_id
"""
_MARK_GONE = """
    UPDATE records AS r SET gone_at = $1, change_seq = $2::bigint + s.n - 1
    FROM unnest($3::bigint[]) WITH ORDINALITY AS s(record_id, n)
    WHERE r.record_id = s.record_id AND r.gone_at IS NULL RETURNING 1
"""
_INSERT_VERSION = (
    f"INSERT INTO record_versions (record_id, {_list(STATE)}, observed_at)"
    f" SELECT s.record_id, {_list(map(_given, STATE))}, ${len(_VERSION) + 1}::timestamptz FROM {_arrays(_VERSION)}"
    + _REPLACE_VERSION
)


class PostgresBulk:
    """The BulkWriter of a READ COMMITTED transaction: each statement sees what others committed before it."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def mark(self) -> int:
        """The last change_seq; also pins the plans of this transaction."""
        return int((await self._session.driver_sql(_LAST)).one()[0])

    async def claim(self, count: int) -> int:
        """Take numbers; the row stays locked until the end, so nobody commits numbers out of order."""
        return int((await self._session.driver_sql(_CLAIM, (count,))).scalar_one()) - count

    async def differing(self, source: str, records: Sequence[PreparedRecord]) -> Mapping[str, State | None]:
        """Unchanged records never leave the server."""
        keys = [prepared.record.key for prepared in records]
        rows = await self._fetch(_DIFFERING, source, keys, [prepared.content_hash for prepared in records])
        return {keys[row[0] - 1]: None if row[1] is None else _stored(*row) for row in rows}

    async def known_versions(self, suspects: Sequence[Suspect]) -> Sequence[KnownVersion]:
        """Two index look-ups per suspect."""
        return [KnownVersion(*row) for row in await self._fetch(_KNOWN, *zip(*suspects, strict=True))]

    async def record_ids(self, source: str, keys: Sequence[str]) -> Sequence[tuple[str, int]]:
        """The ids of stored records."""
        return [(row[0], row[1]) for row in await self._fetch(_IDS, source, keys)]

    async def write(self, plan: Plan, observation: Observation, first_seq: int) -> None:
        """Stored states first, while they are still there; then new states, new records, other versions."""
        if plan.keep:
            await self._fetch(_KEEP, plan.keep)
        if plan.updates:
            await self._update(plan, observation, first_seq)
        first_seq += len(plan.updates)
        if plan.returns:
            await self._fetch(_RETURN, first_seq, plan.returns)
        if plan.inserts:
            await self._insert(plan, observation, first_seq + len(plan.returns))
        if plan.versions:
            await self._insert_versions(plan, observation)

    async def attempt(self, plan: Plan, observation: Observation, first_seq: int) -> Refusal | None:
        """In a savepoint, set by the driver: there may be one for each row, and this is the fastest way."""
        await self._say("SAVEPOINT attempt")
        try:
            await self.write(plan, observation, first_seq)
        except UnstorableError as error:
            self._session.forgive()
            await self._say("ROLLBACK TO SAVEPOINT attempt; RELEASE SAVEPOINT attempt")
            return Refusal(error)
        await self._say("RELEASE SAVEPOINT attempt")
        return None

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, first_seq: int) -> int:
        """By position in an array of the ids."""
        return len(await self._fetch(_MARK_GONE, at, first_seq, list(record_ids)))

    async def _update(self, plan: Plan, observation: Observation, first_seq: int) -> None:
        rows = (
            (update.record_id, *_state(update.prepared, observation), _folded(update.prepared), update.steps, seq)
            for seq, update in enumerate(plan.updates, first_seq)
        )
        await self._fetch(_UPDATE, *zip(*rows, strict=True), observation.observed_at)

    async def _insert(self, plan: Plan, observation: Observation, first_seq: int) -> None:
        source, seen_at = observation.source, observation.observed_at
        rows = [
            (source, prepared.record.key, *_state(prepared, observation), seen_at, _folded(prepared), seen_at, revision,
             seq)
            for seq, (prepared, revision) in enumerate(plan.inserts, first_seq)
        ]  # fmt: skip
        try:
            with self._session.guarded():
                driver = await self._driver()
                await driver.copy_records_to_table("records", records=rows, columns=_NEW)
        except UnstorableError as error:
            line = _LINE.search(str(getattr(error.__cause__, "context", None)))
            if line is not None and error.item is None:
                error.item = plan.inserts[int(line[1]) - 1][0]
            raise

    async def _insert_versions(self, plan: Plan, observation: Observation) -> None:
        ids = await record_ids_by_key(self, plan, observation.source)
        rows = (
            (record_id or ids[prepared.record.key], *_state(prepared, observation))
            for record_id, prepared in plan.versions
        )
        await self._fetch(_INSERT_VERSION, *zip(*rows, strict=True), observation.observed_at)

    async def _say(self, command: str) -> None:
        with self._session.guarded():
            driver = await self._driver()
            await driver.execute(command)

    async def _fetch(self, statement: str, *args: Any) -> Sequence[Any]:
        with self._session.guarded():
            driver = await self._driver()
            rows: Sequence[Any] = await driver.fetch(statement, *args)
            return rows

    async def _driver(self) -> Any:
        """asyncpg's connection. Outside a transaction its statements would commit one by one."""
        driver = await self._session.driver()
        if not driver.is_in_transaction():
            raise RuntimeError("bulk writes run inside a transaction only")
        return driver


def _stored(_position: int, record_id: int, digest: str, occurred_at: datetime | None, *place: Any) -> State:
    return State(record_id, digest, None if occurred_at is None else instant(occurred_at), *place)


def _state(prepared: PreparedRecord, observation: Observation) -> tuple[Any, ...]:
    return state_of(prepared, observation, bounded(prepared), prepared.record.occurred_at)


def _folded(prepared: PreparedRecord) -> str | None:
    title = prepared.record.title
    return None if title is None else title.casefold()
