"""What is special about the store in memory; everything else is in the contract suites."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import RunQuery, ScheduleState, Trigger
from kasparro_core.ports import Liveness
from kasparro_core.testing.build import START, committed_run, observe, record, table


class Hand:
    """A clock that is moved by hand."""

    def __init__(self):
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now


async def test_leases_expire_by_the_clock_of_the_store():
    """The injected clock is the database's clock: a lease expires exactly when its time is over."""
    clock = Hand()
    store = MemoryStore(clock)
    async with store.begin() as work:
        await work.leases.take("s", "", owner="me", ttl=60, seen=None)
        await work.commit()
    for seconds, expired in [(59, False), (60, True), (61, True)]:
        clock.now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        async with store.begin(write=False) as work:
            assert (await work.leases.get("s", "")).expired is expired


async def test_schedules_fall_due_by_the_clock_of_the_store():
    """The injected clock is the database's clock: a slot is due exactly when its time has come."""
    clock = Hand()
    store = MemoryStore(clock)
    at = clock.now + timedelta(seconds=60)
    async with store.begin() as work:
        await work.schedules.add(ScheduleState("s", "every 1m", at, at))
        await work.commit()
    for seconds, due in [(59, 0), (60, 1), (61, 1)]:
        clock.now = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
        async with store.begin(write=False) as work:
            assert await work.schedules.now() == clock.now
            assert len(await work.schedules.due()) == due


async def test_a_reading_unit_of_work_cannot_write():
    """A write with write=False is a programming error, not lost work."""
    store = MemoryStore()
    async with store.begin(write=False) as work:
        with pytest.raises(RuntimeError, match="write=False"):
            await work.runs.start("s", Trigger.CLI, START)


async def test_an_ended_unit_of_work_cannot_write():
    """After the context is left, and after the commit, writing is a programming error."""
    store = MemoryStore()
    async with store.begin() as work:
        await work.commit()
        with pytest.raises(RuntimeError, match="has ended"):
            await work.runs.start("s", Trigger.CLI, START)
    with pytest.raises(RuntimeError, match="has ended"):
        await work.runs.start("s", Trigger.CLI, START)


async def test_a_second_commit_is_an_error():
    """commit() is said once per unit of work."""
    async with MemoryStore().begin() as work:
        await work.commit()
        with pytest.raises(RuntimeError, match="committed"):
            await work.commit()


async def test_one_writer_waits_for_another():
    """The second writer enters only after the first has left."""
    store, entered, leave = MemoryStore(), [], asyncio.Event()

    async def writer(name):
        async with store.begin():
            entered.append(name)
            await leave.wait()

    tasks = [asyncio.create_task(writer(name)) for name in ("one", "two")]
    await asyncio.sleep(0)
    assert entered == ["one"]
    leave.set()
    await asyncio.gather(*tasks)
    assert entered == ["one", "two"]


async def test_numbers_of_a_rolled_back_unit_of_work_are_given_again():
    """Ids have no gaps after a rollback: they are part of what is rolled back."""
    store = MemoryStore()
    async with store.begin() as work:
        await work.runs.start("s", Trigger.CLI, START)
    assert (await committed_run(store)).run_id == 1
    async with store.begin(write=False) as work:
        assert len(await work.runs.list(RunQuery())) == 1


async def test_what_was_handed_in_or_out_is_not_shared():
    """Changing a mapping that was given to the store, or that it gave, changes nothing in it."""
    store = MemoryStore()
    attributes, cursor = {"tags": ["a"]}, {"seen": [1]}
    await observe(store, record("k", attributes=attributes))
    async with store.begin() as work:
        await work.checkpoints.save("s", "", cursor, expected_version=0, run_id=None, at=START)
        await work.commit()
    attributes["tags"].append("b")
    cursor["seen"].append(2)
    (await table(store))["k"].record.attributes["tags"].append("c")
    async with store.begin(write=False) as work:
        (await work.checkpoints.get("s", "")).cursor["seen"].append(3)
        assert (await work.checkpoints.get("s", "")).cursor == {"seen": [1]}
    assert (await table(store))["k"].record.attributes == {"tags": ["a"]}


async def test_migration_is_a_formality():
    """The revision is the program's own, before and after."""
    store = MemoryStore()
    assert await store.revision() == await store.migrate() == await store.revision()


async def test_a_dead_handle_is_dead_to_everybody_and_stays_so():
    """die() is what SIGKILL is elsewhere: others see it at once, and its owner cannot go on."""
    owners = MemoryOwners()
    victim, witness = MemoryHandle(owners), MemoryHandle(owners)
    await victim.hold()
    assert await witness.judge(victim.owner) is Liveness.ALIVE
    victim.die()
    assert await witness.judge(victim.owner) is Liveness.DEAD
    with pytest.raises(PermanentStorageError):
        await victim.hold()


async def test_an_owner_of_another_registry_is_unknown():
    """What a registry never saw it does not judge."""
    stranger = MemoryHandle()
    await stranger.hold()
    assert await MemoryHandle().judge(stranger.owner) is Liveness.UNKNOWN
