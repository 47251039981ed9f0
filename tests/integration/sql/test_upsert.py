"""Upserts as the databases see them: the same as in memory, nothing for what is unchanged, safe beside others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from decimal import Decimal
from itertools import count
from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro_adapters.memory import MemoryStore
from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.bulk.postgres import _DIFFERING, _PIN
from kasparro_core.model import Observation, PreparedRecord, RecordQuery, UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, START, bring_in, later, observe, prepared, record, table

_numbers = count()


@pytest.fixture
async def store(database_url: str) -> AsyncIterator[SqlStore]:
    """A migrated store."""
    opened = SqlStore(database_url)
    yield opened
    await opened.close()


@st.composite
def _batches(draw: st.DrawFn) -> tuple[Any, ...]:
    """Records of few keys and few contents, so that everything happens: duplicates, edits back and forth, late ones."""
    item = st.tuples(st.sampled_from("abc"), st.integers(0, 3), st.none() | st.integers(0, 2), st.integers(0, 3))
    payload = st.none() | st.integers(1, 2)
    observed = st.tuples(st.integers(0, 3), payload, st.booleans(), st.booleans(), st.lists(item, max_size=8))
    return tuple(draw(st.lists(observed, min_size=1, max_size=5)))


async def _apply(store: Store, batch: Any, source: str) -> UpsertOutcome:
    seen, raw_id, history, by_occurrence, items = batch
    rows = [
        prepared(record(key, source=source, title=str(state), occurred_at=None if at is None else later(at)), raw_index)
        for key, state, at, raw_index in items
    ]
    observation = Observation(source, 1, raw_id, START + timedelta(hours=seen), history, by_occurrence)
    async with store.begin() as work:
        outcome = await work.records.upsert(rows, observation)
        await work.commit()
    return outcome


async def _everything(store: Store, source: str) -> Any:
    rows = await table(store, source)
    async with store.begin(write=False) as work:
        kept = {key: await work.records.versions(row.record_id) for key, row in rows.items()}
    states = {
        key: (row.record, row.raw_index, row.first_seen_at, row.updated_at, row.revision) for key, row in rows.items()
    }
    versions = {
        key: sorted((v.record.title or "", str(v.record.occurred_at), v.observed_at, v.raw_index) for v in found)
        for key, found in kept.items()
    }
    return states, versions


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
@given(_batches())
async def test_sets_leave_what_single_steps_in_memory_leave(store: SqlStore, batches: tuple[Any, ...]) -> None:
    """After each batch outcome, states, revisions and versions are those of the memory store, which takes one record
    after the other."""
    source = f"story-{next(_numbers)}"
    memory = MemoryStore()
    for batch in batches:
        assert await _apply(store, batch, source) == await _apply(memory, batch, source)
        assert await _everything(store, source) == await _everything(memory, source)


async def _assigned(work: Any) -> Any:
    """What a transaction has written so far: its number once it has written, or the count of changed rows."""
    session = work.records._session
    sql = "SELECT total_changes()" if session.dialect == "sqlite" else "SELECT pg_current_xact_id_if_assigned()::text"
    return (await session.driver_sql(sql)).scalar_one()


async def test_unchanged_records_write_nothing(store: SqlStore) -> None:
    """An upsert of what is stored already does not even make a writing transaction."""
    rows = [prepared(record(f"k{n}", value=Decimal(n)), n) for n in range(500)]
    await observe(store, *rows)
    async with store.begin() as work:
        before = await _assigned(work)
        outcome = await work.records.upsert(rows, Observation(SOURCE, 2, None, later(60), history=True))
        assert outcome == UpsertOutcome(unchanged=500)
        assert await _assigned(work) == before


async def test_older_records_without_history_write_nothing(store: SqlStore) -> None:
    """What was superseded before it came leaves the counter of changes alone, too."""
    await observe(store, record("k", title="new", occurred_at=later(9)))
    old = prepared(record("k", title="old", occurred_at=later(1)))
    async with store.begin() as work:
        before = await _assigned(work)
        assert await work.records.upsert([old], Observation(SOURCE, 2, None, later(60))) == UpsertOutcome(unchanged=1)
        assert await _assigned(work) == before


async def test_change_seqs_follow_the_order_of_the_batch(store: SqlStore) -> None:
    """New records get consecutive numbers in the order in which they were given, across slices."""
    await observe(store, *(record(f"k{n:05d}") for n in range(10_050)))
    rows = await table(store)
    numbers = [rows[key].change_seq for key in sorted(rows)]
    assert numbers == list(range(numbers[0], numbers[0] + 10_050))


@pytest.mark.postgres
@pytest.mark.parametrize("repeat", [True, False], ids=["same", "other"])
async def test_a_key_that_another_writer_is_inserting_is_waited_for(postgres_url: str, *, repeat: bool) -> None:
    """Two writers bring the same new key at once: the second waits for the first, then sees its record."""
    store = SqlStore(postgres_url)
    second_row = record("k", title="a" if repeat else "b")
    async with store.begin() as first:
        await bring_in(first, [record("k", title="a")])
        second = asyncio.create_task(observe(store, second_row, seen=later(1)))
        async with store.begin(write=False) as watcher:
            while not (await watcher.records._session.driver_sql(_WAITS)).scalar_one():
                assert not second.done()
                await watcher.records._session.driver_sql("SELECT pg_stat_clear_snapshot()")
        await first.commit()
    assert await second == (UpsertOutcome(unchanged=1) if repeat else UpsertOutcome(updated=1))
    assert (await table(store))["k"].record == second_row
    await store.close()


_WAITS = (
    "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'UPDATE change_counter%' AND wait_event_type = 'Lock'"
    " AND datname = current_database())"
)


@pytest.mark.postgres
@pytest.mark.slow
async def test_the_plans_stay_with_the_indexes(postgres_url: str) -> None:
    """Neither a look-up nor an update ever scans the records, however large the batch beside an unanalysed table."""
    store = SqlStore(postgres_url)
    rows = [prepared(record(f"k{n}", title="a"), n) for n in range(20_000)]
    await observe(store, *rows)
    async with store.begin() as work:
        bulk: Any = work.records._bulk
        await bulk.mark()
        scans = "SELECT seq_scan, seq_tup_read FROM pg_stat_xact_user_tables WHERE relname = 'records'"
        before = (await bulk._session.driver_sql(scans)).one()
        changed: Sequence[PreparedRecord] = [row._replace(content_hash=f"{row.raw_index:x}") for row in rows]
        outcome = await work.records.upsert(changed, Observation(SOURCE, 2, None, later(1), history=True))
        assert outcome == UpsertOutcome(updated=20_000)
        assert tuple((await bulk._session.driver_sql(scans)).one()) == tuple(before)
    await store.close()


async def test_a_page_goes_by_value_as_numbers(store: SqlStore) -> None:
    """The bound of a filter is a number on both databases, not a text."""
    values = ["-10", "-9.5", "0", "0.0000001", "9", "10", "123456789012345678901234567890"]
    await observe(store, *(record(text, value=Decimal(text)) for text in values), record("none"))
    async with store.begin(write=False) as work:
        found = await work.records.page(RecordQuery(min_value=Decimal("-9.50"), max_value=Decimal(10)))
    assert [row.record.key for row in found] == ["-9.5", "0", "0.0000001", "9", "10"]


async def test_searches_titles_without_regard_to_case_in_every_script(store: SqlStore) -> None:
    """`q` folds case as Unicode does, where the databases' own functions would know ASCII alone."""
    await observe(store, record("1", title="STRASSE Ärger"), record("2", title="Δοκιμή ς"), record("3"))
    for q, keys in {"straße": ["1"], "ärger": ["1"], "ΔΟΚΙΜΉ Σ": ["2"], "%": [], "e_": []}.items():
        async with store.begin(write=False) as work:
            assert [row.record.key for row in await work.records.page(RecordQuery(q=q))] == keys, q


@pytest.mark.postgres
async def test_a_source_that_the_planner_has_never_seen_is_looked_up_by_its_keys(postgres_url: str) -> None:
    """Statistics that know other sources alone must not lead through all rows of the new one, once for each key."""
    store = SqlStore(postgres_url)
    await observe(store, *(record(f"k{n}", source="known") for n in range(3000)), source="known")
    connection = await asyncpg.connect(postgres_url)
    await connection.execute("ANALYZE records")
    await observe(store, *(record(f"k{n}", source="new") for n in range(3000)), source="new")
    async with connection.transaction():
        await connection.execute(f"SELECT {_PIN}")
        plan = await connection.fetch(f"EXPLAIN {_DIFFERING}", "new", ["k1", "k2"], ["x", "y"])
    await connection.close()
    await store.close()
    ways = [row[0] for row in plan if "Index" in row[0] and "Cond" not in row[0]]
    assert ways
    assert all("uq_records_source" in way for way in ways), plan
