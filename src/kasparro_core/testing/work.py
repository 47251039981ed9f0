"""The contract of UnitOfWork and Store: one transaction, all or nothing."""

from __future__ import annotations

import asyncio
from typing import NoReturn

import pytest

from kasparro_core.errors import ConflictError, StorageError, UnstorableError
from kasparro_core.model import BatchRead, Counters, PartitionState, RejectionQuery, RunQuery, Validator
from kasparro_core.ports import Store, UnitOfWork
from kasparro_core.testing.build import (
    SOURCE,
    bring_in,
    committed_run,
    later,
    observe,
    payload,
    record,
    rejection,
    table,
)


class UnitOfWorkContract:
    """Transactions. Needs the fixtures `store` (migrated and empty) and `two_writers`.

    `two_writers` is True for a store that lets two writing units of work be open at once.
    """

    @pytest.fixture
    def two_writers(self) -> bool:
        """Most stores have one writer at a time; a suite for another kind overrides this fixture."""
        return False

    async def test_rolls_back_uncommitted_work_by_default(self, store: Store) -> None:
        """Leaving the context without a commit leaves nothing, of any repository."""
        async with store.begin() as work:
            raw_id = await _write_everything(work)
        await _assert_nothing(store, raw_id)

    async def test_commits_everything_at_once(self, store: Store) -> None:
        """After the commit all repositories show what was written."""
        async with store.begin() as work:
            raw_id = await _write_everything(work)
            await work.commit()
        async with store.begin(write=False) as work:
            assert await work.raw.get(raw_id) is not None
            assert len(await work.runs.list(RunQuery())) == 2
            assert len(await work.runs.reads(SOURCE)) == 1
            assert len(await work.rejections.list(RejectionQuery())) == 1
            assert len(await work.checkpoints.list()) == len(await work.partitions.list()) == 1
            assert list(await work.validators.load(SOURCE, "")) == ["h"]
            assert await work.leases.get(SOURCE, "") is not None
        assert list(await table(store)) == ["k"]

    async def test_rolls_back_when_an_error_passes_through(self, store: Store) -> None:
        """A programming error comes out as it is, and nothing of its unit of work stays."""

        async def fail() -> NoReturn:
            async with store.begin() as work:
                ids.append(await _write_everything(work))
                raise LookupError("a bug")

        ids: list[int] = []
        with pytest.raises(LookupError, match="a bug"):
            await fail()
        await _assert_nothing(store, ids[0])

    async def test_an_error_after_the_commit_takes_nothing_back(self, store: Store) -> None:
        """What is committed stays, whatever happens before the context is left."""
        with pytest.raises(LookupError):
            async with store.begin() as work:
                await bring_in(work, [record("k")])
                await work.commit()
                raise LookupError
        assert list(await table(store)) == ["k"]

    async def test_a_cancelled_unit_of_work_leaves_nothing_and_blocks_nobody(self, store: Store) -> None:
        """A task that is cancelled inside its unit of work rolls back, and the next writer goes on."""
        inside = asyncio.Event()

        async def wait_inside() -> None:
            async with store.begin() as work:
                await bring_in(work, [record("lost")])
                inside.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(wait_inside())
        await inside.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await observe(store, record("next"))
        assert list(await table(store)) == ["next"]

    async def test_a_writer_that_is_cancelled_while_it_waits_blocks_nobody(self, store: Store) -> None:
        """Giving up the wait for another writer leaves the store usable."""
        async with store.begin() as work:
            await bring_in(work, [record("first")])
            waiting = asyncio.create_task(observe(store, record("waiting")))
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            await work.commit()
        await observe(store, record("next"), seen=later(1))
        assert set(await table(store)) == {"first", "next"}

    async def test_nothing_is_visible_to_others_before_the_commit(self, store: Store) -> None:
        """A reader beside an open writer sees the last committed state, and is not blocked by it."""
        await observe(store, record("k", title="a"))
        async with store.begin() as work:
            await bring_in(work, [record("k", title="b"), record("new")], seen=later(1))
            during = await table(store)
            await work.commit()
        assert {key: row.record.title for key, row in during.items()} == {"k": "a"}
        assert {key: row.record.title for key, row in (await table(store)).items()} == {"k": "b", "new": None}

    async def test_a_reader_blocks_no_writer(self, store: Store) -> None:
        """While a unit of work that only reads is open, others commit."""
        await observe(store, record("k", title="a"))
        async with store.begin(write=False) as reader:
            assert await reader.records.count() == 1
            await observe(store, record("k", title="b"), seen=later(1))
        assert (await table(store))["k"].record.title == "b"

    async def test_the_next_unit_of_work_sees_what_was_committed(self, store: Store) -> None:
        """A commit is visible to whoever begins after it."""
        await observe(store, record("k"))
        async with store.begin() as work:
            assert await work.records.count() == 1

    async def test_units_of_work_of_many_tasks_all_come_through(self, store: Store) -> None:
        """Twenty tasks that write at once wait for one another; none fails, none is lost."""
        outcomes = await asyncio.gather(*(observe(store, record(f"k{n}"), record("shared")) for n in range(20)))
        assert sum(outcome.inserted for outcome in outcomes) == 21
        assert len(await table(store)) == 21

    async def test_counters_of_many_tasks_add_up(self, store: Store) -> None:
        """No addition to one run is lost when several tasks add at once."""
        run = await committed_run(store)

        async def add() -> None:
            async with store.begin() as work:
                await work.runs.add(run.run_id, Counters(fetched=1, inserted=1))
                await work.commit()

        await asyncio.gather(*(add() for _ in range(20)))
        async with store.begin(write=False) as work:
            counted = await work.runs.get(run.run_id)
        assert counted is not None
        assert counted.counters == Counters(fetched=20, inserted=20)

    async def test_a_failed_step_takes_its_unit_of_work_with_it(self, store: Store) -> None:
        """After a ConflictError the store goes on, and the unit of work left nothing."""
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await bring_in(work, [record("k")])
                await work.runs.add(999_999, Counters(fetched=1))
        await observe(store, record("next"))
        assert list(await table(store)) == ["next"]

    async def test_a_savepoint_takes_back_its_own_part_alone(self, store: Store) -> None:
        """When the database refuses a value inside one, what the body did is undone, the error goes on up, and the unit
        of work commits what was before, beside and after it."""
        async with store.begin() as work:
            await bring_in(work, [record("before", title="a")])
            async with work.savepoint():
                await bring_in(work, [record("kept")])
            with pytest.raises(UnstorableError, match="no"):
                async with work.savepoint():
                    await _write_everything(work)
                    await bring_in(work, [record("before", title="b"), record("lost")], seen=later(1))
                    raise UnstorableError("no")
            await bring_in(work, [record("after")], seen=later(1))
            await work.commit()
        rows = await table(store)
        assert {key: row.record.title for key, row in rows.items()} == {"before": "a", "kept": None, "after": None}
        assert len({row.change_seq for row in rows.values()}) == 3
        async with store.begin(write=False) as work:
            assert await work.leases.get(SOURCE, "") is None
            assert await work.checkpoints.list() == []

    async def test_another_error_in_a_savepoint_ends_the_unit_of_work_as_ever(self, store: Store) -> None:
        """A savepoint catches refused values alone: a lost lease in one leaves nothing of the whole unit of work."""
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await bring_in(work, [record("k")])
                async with work.savepoint():
                    await work.runs.add(999_999, Counters(fetched=1))
        assert await table(store) == {}

    async def test_a_savepoint_alone_commits_nothing(self, store: Store) -> None:
        """Leaving one is no commit."""
        async with store.begin() as work, work.savepoint():
            await bring_in(work, [record("k")])
        assert await table(store) == {}

    async def test_change_seq_is_in_commit_order(self, store: Store, *, two_writers: bool) -> None:
        """Whoever has read up to a change_seq misses no change that is committed later.

        Two units of work write at once; the one that commits second has only numbers above all that were visible
        before.
        """
        if not two_writers:
            await observe(store, record("a"))
            seen = max(row.change_seq for row in (await table(store)).values())
            await observe(store, record("b"))
            assert (await table(store))["b"].change_seq > seen
            return
        async with store.begin() as first, store.begin() as second:
            await bring_in(first, [record("a"), record("b")])
            other = asyncio.create_task(bring_in(second, [record("c"), record("d")]))
            # A store may let the second writer through, or hold it until the first commits: both are right.
            free, _ = await asyncio.wait({other}, timeout=0.2)
            winner, loser = (second, first) if free else (first, second)
            await winner.commit()
            seen = max(row.change_seq for row in (await table(store)).values())
            await other
            await loser.commit()
        rows = await table(store)
        late = {"a", "b"} if free else {"c", "d"}
        assert len(rows) == 4
        assert all(rows[key].change_seq > seen for key in late)


class StoreContract:
    """The database as a whole. Needs a fixture `store`: migrated and empty."""

    async def test_migrating_again_changes_nothing(self, store: Store) -> None:
        """Migrating is safe to repeat, also at once, keeps the data and returns the revision."""
        await observe(store, record("k"))
        revisions = await asyncio.gather(store.migrate(), store.migrate())
        assert set(revisions) == {await store.revision()}
        assert list(await table(store)) == ["k"]

    async def test_closing_twice_is_fine(self, store: Store) -> None:
        """A store may be closed by everybody who thinks that he is the last."""
        await observe(store, record("k"))
        await store.close()
        await store.close()

    async def test_a_closed_store_begins_nothing(self, store: Store) -> None:
        """After close() a unit of work is a StorageError, not a new connection that nobody closes."""
        await store.close()
        with pytest.raises(StorageError):
            async with store.begin():
                pass


async def _write_everything(work: UnitOfWork) -> int:
    """One row in every table; returns the raw_id."""
    await bring_in(work, [record("k")])
    run = (await work.runs.list(RunQuery()))[0]
    second = await work.runs.start(SOURCE, run.trigger, later(1))
    raw_id = await work.raw.put(SOURCE, "", payload("everything"))
    await work.runs.add(second.run_id, Counters(fetched=1))
    read = BatchRead(second.run_id, "", 1, raw_id, None, None, later(1))
    await work.runs.record_read(read, counters=Counters(fetched=1))
    await work.rejections.add(SOURCE, "", second.run_id, raw_id, [rejection()], later(1))
    await work.checkpoints.save(SOURCE, "", {"n": 1}, expected_version=0, run_id=second.run_id, at=later(1))
    await work.partitions.save(PartitionState(SOURCE, ""))
    await work.validators.save(SOURCE, "", [Validator("h")])
    await work.leases.take(SOURCE, "", owner="me", ttl=60, seen=None)
    return raw_id


async def _assert_nothing(store: Store, raw_id: int) -> None:
    async with store.begin(write=False) as work:
        assert await work.records.count() == 0
        assert await work.raw.get(raw_id) is None
        assert await work.runs.list(RunQuery()) == []
        assert await work.runs.reads(SOURCE) == []
        assert await work.rejections.list(RejectionQuery()) == []
        assert await work.checkpoints.list() == []
        assert await work.partitions.list() == []
        assert await work.validators.load(SOURCE, "") == {}
        assert await work.leases.get(SOURCE, "") is None
