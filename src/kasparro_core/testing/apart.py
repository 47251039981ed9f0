"""The part of the RecordRepository contract about bringing in what a database takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kasparro_core.model import Observation, PreparedRecord, StoredRecord, UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.build import (
    SOURCE,
    begin_run,
    later,
    observe,
    payload,
    prepared,
    record,
    table,
    titles,
    versions,
)


class ApartContract:
    """`upsert_apart` where nothing is refused. Needs a fixture `store`: migrated and empty."""

    async def test_brings_in_apart_what_upsert_brings_in(self, store: Store) -> None:
        """New, changed, late and unchanged records, and keys given several times, leave what `upsert` leaves, with the
        same outcome and versions; nothing is refused, and numbers are not given twice."""
        for source in ("one", "two"):
            await observe(store, *(record(f"k{n}", source=source, title="a") for n in range(3)), source=source)
        outcome = await _apart(store, "one", _rows("one"))
        assert outcome == await observe(store, *_rows("two"), source="two", seen=later(1), history=True)
        assert outcome == UpsertOutcome(inserted=1, updated=3, unchanged=1)
        one, two = await table(store, "one"), await table(store, "two")
        assert _contents(one) == _contents(two)
        for key in one:
            assert titles(await versions(store, key, "one")) == titles(await versions(store, key, "two"))
        assert len({row.change_seq for row in (*one.values(), *two.values())}) == len(one) + len(two)

    async def test_nothing_brought_in_apart_is_nothing(self, store: Store) -> None:
        """No records, and records that are known, write nothing."""
        await observe(store, record("k", title="a"))
        before = await table(store)
        assert await _apart(store, SOURCE, []) == UpsertOutcome()
        assert await _apart(store, SOURCE, [prepared(record("k", title="a"))]) == UpsertOutcome(unchanged=1)
        assert await table(store) == before


async def _apart(store: Store, source: str, rows: Sequence[PreparedRecord]) -> UpsertOutcome:
    async with store.begin() as work:
        run = await begin_run(work, source)
        raw_id = await work.raw.put(source, "", payload(f"apart {source}"))
        seen = Observation(source, run.run_id, raw_id, later(1), history=True)
        outcome, refused = await work.records.upsert_apart(rows, seen)
        await work.commit()
    assert list(refused) == []
    return outcome


def _rows(source: str) -> list[PreparedRecord]:
    given = [("k0", "a"), ("k1", "b"), ("new", "x"), ("k2", "b"), ("k2", "c")]
    return [prepared(record(key, source=source, title=title), n) for n, (key, title) in enumerate(given)]


def _contents(rows: Mapping[str, StoredRecord]) -> dict[str, Any]:
    return {key: (row.record.title, row.revision, row.updated_at) for key, row in rows.items()}
