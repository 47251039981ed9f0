"""A value that the database refuses costs its row and nothing else: the row is rejected, the batch is written."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from typing import Any

import asyncpg
import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_adapters.sql import SqlStore
from kasparro_core.errors import PermanentStorageError, UnstorableError
from kasparro_core.model import Observation, PreparedRecord, RejectionQuery, Run, RunStatus, StoredRejection
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.keeping import Kept, Sight, keep
from kasparro_core.services.prepare import Slice
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner
from kasparro_core.testing.build import SOURCE, later, prepared, record, rejection, table

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price", title="name", symbol="symbol")


async def execute(url: str, *statements: str) -> None:
    """Run statements with the raw driver, as the owner of the database would."""
    if url.startswith("sqlite"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()
        return
    server = await asyncpg.connect(url)
    for statement in statements:
        await server.execute(statement)
    await server.close()


def dear(url: str) -> list[str]:
    """A rule that somebody gave `records`: no value above 1000."""
    if url.startswith("sqlite"):
        return [
            f"CREATE TRIGGER dear_{event.split()[0].lower()} BEFORE {event} ON records"
            " WHEN CAST(NEW.value AS REAL) > 1000 BEGIN SELECT RAISE(ABORT, 'too dear'); END"
            for event in ("INSERT", "UPDATE OF value")
        ]
    return ["ALTER TABLE records ADD CONSTRAINT too_dear CHECK (value <= 1000)"]


def undear(url: str) -> list[str]:
    """Takes the rule back."""
    if url.startswith("sqlite"):
        return ["DROP TRIGGER dear_insert", "DROP TRIGGER dear_update"]
    return ["ALTER TABLE records DROP CONSTRAINT too_dear"]


class Bench:
    """One process on one database."""

    def __init__(self, url: str) -> None:
        self.store = SqlStore(url)
        self.clock = SteppingClock()
        self.told = Told()
        self._handle = MemoryHandle(MemoryOwners())

    def _parts(self) -> tuple[Any, ...]:
        return self.store, self._handle, self.clock, {"lines": LinesDecoder()}, self.told

    async def run(self, pages: Sequence[Any], **options: Any) -> Run:
        run = await Runner(*self._parts()).run(self._job(pages), **options)
        assert run is not None
        return run

    async def replay(self) -> Run:
        return await Replayer(*self._parts()).replay(self._job([]))

    @staticmethod
    def _job(pages: Sequence[Any]) -> SourceJob:
        return SourceJob(ScriptedSource({"": list(pages)}), MAPPING, fail_rejected=1.0, max_rejected=1.0, history=True)

    async def rejections(self) -> list[StoredRejection]:
        async with self.store.begin(write=False) as work:
            return await work.rejections.list(RejectionQuery(limit=20_000))

    async def keys(self) -> set[str]:
        return set(await table(self.store, "scripted"))


@pytest.fixture
async def bench(database_url: str) -> AsyncIterator[Bench]:
    """A process, whose store is closed afterwards."""
    made = Bench(database_url)
    yield made
    await made.store.close()


def row(number: int, price: Any = 1, **fields: Any) -> dict[str, Any]:
    return {"id": f"{number:04d}", "price": str(price), **fields}


def prices(number: int, bad: set[int]) -> list[dict[str, Any]]:
    """Rows of which those of the given numbers are too dear."""
    return [row(n, 5000 if n in bad else n % 1000) for n in range(number)]


@pytest.mark.parametrize("bad", [{0}, {999}, {500}, {0, 1, 2, 998, 999}, set(range(0, 1000, 97))], ids=len)
async def test_a_refused_row_costs_itself_alone(bench: Bench, database_url: str, bad: set[int]) -> None:
    """Wherever the refused rows stand among 1,000: each is an exact rejection of stage `store`, all others are stored,
    and the counters add up."""
    await execute(database_url, *dear(database_url))
    run = await bench.run([prices(1000, bad), [row(2000)]])
    counters = run.counters
    assert (counters.fetched, counters.inserted, counters.rejected) == (1001, 1001 - len(bad), len(bad))
    assert await bench.keys() == {f"{n:04d}" for n in range(1000) if n not in bad} | {"2000"}
    refused = await bench.rejections()
    assert sorted(found.raw_index for found in refused) == sorted(bad)
    assert {(found.stage, found.code, found.state) for found in refused} == {("store", "constraint_violated", "open")}
    assert all("dear" in found.message for found in refused)
    assert {found.raw_id for found in refused} != {None}
    assert ("rejected", run.run_id, "", len(bad)) in bench.told.events


async def test_a_refused_row_loads_once_the_rule_is_gone(bench: Bench, database_url: str) -> None:
    """The payload has the item: a replay loads it without the network and resolves its rejection."""
    await execute(database_url, *dear(database_url))
    await bench.run([prices(20, {7})])
    again = await bench.replay()
    assert (again.counters.rejected, again.counters.unchanged) == (1, 19)
    assert [(found.state, found.times) for found in await bench.rejections()] == [("open", 1)]
    await execute(database_url, *undear(database_url))
    last = await bench.replay()
    assert (last.counters.inserted, last.counters.unchanged, last.counters.rejected) == (1, 19, 0)
    assert [found.state for found in await bench.rejections()] == ["resolved"]
    assert (await table(bench.store, "scripted"))["0007"].record.value == 5000


async def test_a_refused_change_leaves_the_record_as_it_was(bench: Bench, database_url: str) -> None:
    """An update that is refused keeps the stored state and leaves no version; its neighbours change."""
    await bench.run([[row(1), row(2), row(3)]])
    await execute(database_url, *dear(database_url))
    run = await bench.run([[], [row(1, 2), row(2, 5000), row(3, 2)]])
    assert (run.counters.updated, run.counters.rejected) == (2, 1)
    stored = await table(bench.store, "scripted")
    assert [stored[key].record.value for key in ("0001", "0002", "0003")] == [2, 1, 2]
    async with bench.store.begin(write=False) as work:
        kept = [len(await work.records.versions(found.record_id)) for found in stored.values()]
    assert sorted(kept) == [0, 1, 1]
    (refused,) = await bench.rejections()
    assert refused.raw_index == 1


async def test_two_rows_that_exclude_each_other(bench: Bench, database_url: str) -> None:
    """Under a unique index of the user's own the first of two rows is stored and the second rejected."""
    await execute(database_url, "CREATE UNIQUE INDEX one_symbol ON records (symbol)")
    rows = [row(n, symbol="BTC" if n in (3, 11) else f"S{n}") for n in range(16)]
    run = await bench.run([rows])
    assert (run.counters.inserted, run.counters.rejected) == (15, 1)
    (refused,) = await bench.rejections()
    assert (refused.raw_index, refused.key) == (11, "0011")


@pytest.mark.parametrize(("rows", "state"), [([5000, 5, 5000], "open"), ([5, 5000, 6, 7], "resolved")])
async def test_the_last_record_of_a_key_decides_whether_its_rejection_is_open(
    bench: Bench, database_url: str, rows: list[int], state: str
) -> None:
    """Of one key several times in a batch: open if the last was refused, resolved if it went in."""
    await execute(database_url, *dear(database_url))
    run = await bench.run([[row(1, price) for price in rows] + [row(2, 9000)]])
    assert run.counters.fetched == len(rows) + 1 == run.counters.rejected + run.counters.inserted + run.counters.updated
    assert {found.state for found in await bench.rejections() if found.key == "0001"} == {state}


async def test_every_row_refused(bench: Bench, database_url: str) -> None:
    """A rule that no row meets rejects them all, and the run ends and moves its position on."""
    await execute(database_url, *dear(database_url))
    run = await bench.run([prices(64, set(range(64)))])
    assert (run.counters.fetched, run.counters.rejected, run.counters.inserted) == (64, 64, 0)
    assert len(await bench.rejections()) == 64


async def test_a_rejection_whose_sample_is_refused_is_kept_without_it(bench: Bench, database_url: str) -> None:
    """The database takes no long samples: what was refused before is noted all the same, and the batch is written."""
    if database_url.startswith("sqlite"):
        rule = "CREATE TRIGGER short BEFORE INSERT ON rejections WHEN length(NEW.payload) > 80 BEGIN"
        await execute(database_url, f"{rule} SELECT RAISE(ABORT, 'too long'); END")
    else:
        await execute(database_url, "ALTER TABLE rejections ADD CHECK (length(payload) <= 80)")
    bad = {"id": "0003", "price": "no number", "name": "x" * 500}
    run = await bench.run([[row(1), {"price": "1", "name": "y" * 500}, row(2), {"price": "1"}]])
    assert (run.counters.inserted, run.counters.rejected) == (2, 2)
    long, short = sorted(await bench.rejections(), key=lambda found: found.raw_index)
    assert (long.raw_index, short.raw_index) == (1, 3)
    assert "left_out" in long.payload
    assert "refuses to keep the sample" in long.message
    assert short.payload == '{"price":"1"}'
    assert bad["id"] not in await bench.keys()


async def test_a_payload_that_is_refused_fails_the_run_and_leaves_its_position(bench: Bench, database_url: str) -> None:
    """Without its bytes a batch could not be looked into again: nothing of it is written, and the next run reads it."""
    if database_url.startswith("sqlite"):
        rule = "CREATE TRIGGER small BEFORE INSERT ON raw_batches WHEN NEW.record_count > 2 BEGIN"
        await execute(database_url, f"{rule} SELECT RAISE(ABORT, 'too many'); END")
    else:
        await execute(database_url, "ALTER TABLE raw_batches ADD CONSTRAINT small CHECK (record_count <= 2)")
    pages = [[row(1), row(2)], [row(3), row(4), row(5)]]
    with pytest.raises(PermanentStorageError):
        await bench.run(pages)
    assert await bench.keys() == {"0001", "0002"}
    undo = (
        "DROP TRIGGER small" if database_url.startswith("sqlite") else "ALTER TABLE raw_batches DROP CONSTRAINT small"
    )
    await execute(database_url, undo)
    run = await bench.run(pages)
    assert (run.status, run.counters.inserted) == (RunStatus.SUCCEEDED, 3)


async def _keep(work: UnitOfWork, rows: Sequence[PreparedRecord]) -> Kept:
    run = await work.runs.start(SOURCE, "cli", later(0))  # type: ignore[arg-type]
    sight = Sight("", Observation(SOURCE, run.run_id, None, later(0)), run.run_id)
    part = Slice(len(rows), len(rows), rows, (rejection(99),), ())
    return await keep(work, part, sight, careful=True)


ODD = [
    ("title", "a\0b", "text_unstorable"),
    ("key", "a\0b", "text_unstorable"),
    ("url", "http://x/\ud800", "text_unstorable"),
    ("key", "\udfff", "text_unstorable"),
    ("value", Decimal("1E+200000"), "value_out_of_range"),
    ("symbol", "".join(chr(0x4E00 + n % 5000) for n in range(4000)), "value_too_long"),
    ("attributes", {"text": "a\0b"}, "text_unstorable"),
]


@pytest.mark.parametrize(("field", "value", "code"), ODD, ids=lambda value: str(value)[:12])
async def test_what_the_core_did_not_foresee(database_url: str, field: str, value: Any, code: str) -> None:
    """Values that no mapping lets through, put in all the same: what a database cannot hold is rejected with its field
    and code, what it can hold is there as it was given, and the neighbours are stored either way."""
    store = SqlStore(database_url)
    content = record(**{"key": "odd", field: value})
    odd = PreparedRecord(content, "hash", canonical_json(content.attributes), 1)
    async with store.begin() as work:
        kept = await _keep(work, [prepared(record("a"), 0), odd, prepared(record("b"), 2)])
        await work.commit()
    stored = await table(store)
    assert {"a", "b"} <= set(stored)
    if kept.refused:
        (refused,) = kept.refused
        assert (refused.stage, refused.code, refused.index) == ("store", code, 1)
        if code == "text_unstorable":
            assert refused.path == field
        async with store.begin(write=False) as work:
            assert len(await work.rejections.list(RejectionQuery())) == 2
    else:
        assert stored[odd.record.key].record == odd.record
    assert len(kept.refused) + sum(kept.outcome) == 3
    await store.close()


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("change", "item", "code", "path"),
    [
        ("ALTER COLUMN title TYPE varchar(10)", {"name": "a title of more than ten"}, "value_too_long", "title"),
        ("ALTER COLUMN value TYPE numeric(6, 2)", {"price": "123456789"}, "value_out_of_range", "value"),
        ("ALTER COLUMN symbol SET NOT NULL", {"symbol": None}, "constraint_violated", "symbol"),
    ],
)
async def test_columns_that_somebody_narrowed(
    postgres_url: str, change: str, item: dict[str, Any], code: str, path: str
) -> None:
    """The server names the column of a new row that does not fit, and so does the rejection."""
    await execute(postgres_url, f"ALTER TABLE records {change}")
    bench = Bench(postgres_url)
    rows = [{**row(n), "name": "short", "symbol": "S", **(item if n == 5 else {})} for n in range(9)]
    run = await bench.run([rows])
    assert (run.counters.inserted, run.counters.rejected) == (8, 1)
    (refused,) = await bench.rejections()
    assert (refused.code, refused.path, refused.raw_index) == (code, path, 5)
    await bench.store.close()


@pytest.mark.postgres
async def test_a_rule_that_is_checked_at_the_commit_costs_its_row_alone(postgres_url: str) -> None:
    """A foreign key that is deferred refuses nothing before the commit: in the careful attempt it is asked at once."""
    await execute(
        postgres_url,
        "CREATE TABLE known AS SELECT 'S' || generate_series(0, 63) AS symbol",
        "ALTER TABLE known ADD UNIQUE (symbol)",
        "ALTER TABLE records ADD FOREIGN KEY (symbol) REFERENCES known (symbol) DEFERRABLE INITIALLY DEFERRED",
    )
    bench = Bench(postgres_url)
    rows = [row(n, symbol="unknown" if n in (3, 40) else f"S{n}") for n in range(64)]
    run = await bench.run([rows, [row(99, symbol="S1")]])
    assert (run.status, run.counters.inserted, run.counters.rejected) == (RunStatus.SUCCEEDED, 63, 2)
    assert {(found.raw_index, found.code) for found in await bench.rejections()} == {
        (3, "constraint_violated"),
        (40, "constraint_violated"),
    }
    await bench.store.close()


async def test_sqlite_rejects_what_is_too_big_for_it(sqlite_url: str) -> None:
    """A text beyond SQLite's limit of length (lowered here) is one rejection, found among its neighbours."""
    store = SqlStore(sqlite_url)
    async with store.begin() as work:
        driver = await work._session.driver()
        await driver._execute(driver._conn.setlimit, sqlite3.SQLITE_LIMIT_LENGTH, 20_000)
        rows = [prepared(record(f"k{n}", title="x" * (30_000 if n == 13 else 3)), n) for n in range(40)]
        kept = await _keep(work, rows)
        await work.commit()
    (refused,) = kept.refused
    assert (refused.code, refused.index, kept.outcome.inserted) == ("value_too_long", 13, 39)
    assert len(await table(store)) == 39
    await store.close()


async def test_a_savepoint_does_not_catch_what_ends_a_transaction(sqlite_url: str) -> None:
    """A trigger that rolls the whole transaction back leaves nothing to go on with: the unit of work is over, and the
    rows before it are not committed one by one."""
    rule = "CREATE TRIGGER all_gone BEFORE INSERT ON records WHEN NEW.key = 'k2' BEGIN"
    await execute(sqlite_url, f"{rule} SELECT RAISE(ROLLBACK, 'never'); END")
    store = SqlStore(sqlite_url)
    with pytest.raises(PermanentStorageError, match=r"undid the whole transaction.*RAISE\(ABORT\)"):
        async with store.begin() as work:
            await _keep(work, [prepared(record(f"k{n}"), n) for n in range(4)])
            await work.commit()
    assert await table(store) == {}
    await store.close()


async def test_an_unstorable_value_outside_of_a_savepoint_ends_the_unit_of_work(database_url: str) -> None:
    """Swallowing it does not help: what follows it is refused, and nothing was written."""
    await execute(database_url, *dear(database_url))
    store = SqlStore(database_url)
    async with store.begin() as work:
        run = await work.runs.start(SOURCE, "cli", later(0))  # type: ignore[arg-type]
        observation = Observation(SOURCE, run.run_id, None, later(0))
        with pytest.raises(UnstorableError):
            await work.records.upsert([prepared(record("k", value=Decimal(5000)))], observation)
        with pytest.raises(RuntimeError, match="a statement of it failed"):
            await work.commit()
    assert await table(store) == {}
    await store.close()
