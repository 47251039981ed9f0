"""Short words for the contract suites: records, observations and what a store holds afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from kasparro_core.model import (
    Observation,
    PackedPayload,
    PreparedRecord,
    RawPayload,
    Record,
    RecordQuery,
    RecordVersion,
    Rejection,
    Run,
    Stage,
    StoredRecord,
    Trigger,
    UpsertOutcome,
    pack,
)
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.ports import Store, UnitOfWork

SOURCE = "contract"
"""The source of everything that does not name another one."""

START = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
"""An instant with microseconds."""


def later(seconds: float) -> datetime:
    """START and so many seconds."""
    return START + timedelta(seconds=seconds)


def record(key: str, *, source: str = SOURCE, kind: str = "quote", **fields: Any) -> Record:
    """A record with the given fields."""
    return Record(source=source, key=key, kind=kind, **fields)


def prepared(content: Record, raw_index: int = 0) -> PreparedRecord:
    """A record with a hash over all its fields."""
    text = canonical_json({**content._asdict(), "attributes": dict(content.attributes)})
    digest = hashlib.sha256(text.encode()).hexdigest()
    return PreparedRecord(content, digest, canonical_json(dict(content.attributes)), raw_index)


def payload(text: str, *, count: int = 1) -> PackedPayload:
    """A JSON payload, packed."""
    return pack(RawPayload(text.encode(), {"format": "json", "records": None}), count)


def rejection(number: int = 0, *, value: Any = None, key: str | None = None, **fields: Any) -> Rejection:
    """A refused item; one number is one identity."""
    given: dict[str, Any] = {
        "stage": Stage.NORMALIZE,
        "code": "decimal_invalid",
        "path": "price",
        "message": "expected a number, found 'x'",
        **fields,
    }
    return Rejection(payload={"n": number} if value is None else value, index=number, key=key, **given)


async def begin_run(work: UnitOfWork, source: str = SOURCE, started_at: datetime = START) -> Run:
    """A running run in this unit of work."""
    return await work.runs.start(source, Trigger.CLI, started_at)


async def committed_run(store: Store, source: str = SOURCE, started_at: datetime = START) -> Run:
    """A running run that everybody sees."""
    async with store.begin() as work:
        run = await begin_run(work, source, started_at)
        await work.commit()
    return run


async def bring_in(
    work: UnitOfWork,
    records: Sequence[Record | PreparedRecord],
    *,
    seen: datetime = START,
    history: bool = False,
    by_occurrence: bool = True,
    source: str = SOURCE,
    part: int = 0,
) -> UpsertOutcome:
    """Upsert with a run of their own, from the `part`-th payload of what was read at that instant; a plain record has
    its position as raw_index."""
    run = await begin_run(work, source, seen)
    raw_id = await work.raw.put(source, "", payload(f"{seen.isoformat()} {part}"))
    rows = [item if isinstance(item, PreparedRecord) else prepared(item, n) for n, item in enumerate(records)]
    observation = Observation(source, run.run_id, raw_id, seen, history=history, by_occurrence=by_occurrence)
    return await work.records.upsert(rows, observation)


async def observe(
    store: Store,
    *records: Record | PreparedRecord,
    seen: datetime = START,
    history: bool = False,
    by_occurrence: bool = True,
    source: str = SOURCE,
    part: int = 0,
) -> UpsertOutcome:
    """`bring_in` as one committed unit of work."""
    async with store.begin() as work:
        outcome = await bring_in(
            work, records, seen=seen, history=history, by_occurrence=by_occurrence, source=source, part=part
        )
        await work.commit()
    return outcome


async def table(store: Store, source: str = SOURCE) -> dict[str, StoredRecord]:
    """All committed records of a source by key."""
    found: dict[str, StoredRecord] = {}
    after: int | None = None
    async with store.begin(write=False) as work:
        while page := await work.records.page(RecordQuery(source=source), after=after):
            found.update((row.record.key, row) for row in page)
            after = page[-1].record_id
    return found


async def versions(store: Store, key: str, source: str = SOURCE) -> list[RecordVersion]:
    """The committed earlier versions of one record."""
    record_id = (await table(store, source))[key].record_id
    async with store.begin(write=False) as work:
        return await work.records.versions(record_id)


def titles(found: Sequence[RecordVersion]) -> list[str | None]:
    """What the titles of some versions are, in their order."""
    return [version.record.title for version in found]
