"""A store that fails on purpose: what is left behind at each point."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from scripted import SteppingClock

from kasparro_adapters.chaos import ChaosStore, Faults, Point
from kasparro_adapters.memory import MemoryStore
from kasparro_core.errors import TransientStorageError
from kasparro_core.model import Trigger
from kasparro_core.ports import Store, UnitOfWork

AT = datetime(2024, 1, 1, tzinfo=UTC)


def chaotic(inner: Store, clock: SteppingClock | None = None, **given: Any) -> ChaosStore:
    return ChaosStore(inner, Faults(clock or SteppingClock(), **{"rate": 1.0, "latency": 0.0, "seed": 1, **given}))


async def write(work: UnitOfWork, source: str = "s") -> None:
    """What a run does in a unit of work, in little: ten uses of repositories."""
    lease = await work.leases.take(source, "", owner="me", ttl=60, seen=await work.leases.get(source, ""))
    for _ in range(4):
        run = await work.runs.start(source, Trigger.CLI, AT)
    await work.leases.attach(lease, run.run_id)
    known = await work.checkpoints.get(source, "")
    version = known.version if known else 0
    await work.checkpoints.save(source, "", {"n": 1}, expected_version=version, run_id=run.run_id, at=AT)


async def begun(store: Store, source: str = "s") -> None:
    async with store.begin() as work:
        await write(work, source)
        await work.commit()


async def versions(store: Store) -> dict[str, int]:
    async with store.begin(write=False) as work:
        return {found.source: found.version for found in await work.checkpoints.list()}


@pytest.mark.parametrize("point", [Point.STORAGE_CUT, Point.COMMIT_BEFORE])
async def test_before_the_commit_nothing_is_written(point: Point) -> None:
    """A cut inside the unit of work or in front of its commit rolls everything back and says what it was."""
    inner = MemoryStore()
    with pytest.raises(TransientStorageError, match=f"injected fault {point}, number 1 of source 's'") as raised:
        await begun(chaotic(inner, points=[point]))
    assert raised.value.code == "injected"
    assert await versions(inner) == {}


async def test_after_the_commit_everything_is_written() -> None:
    """The commit happened and the caller is told otherwise, as by a connection that breaks during COMMIT."""
    inner = MemoryStore()
    with pytest.raises(TransientStorageError, match=r"its answer was lost: injected fault commit\.after"):
        await begun(chaotic(inner, points=[Point.COMMIT_AFTER]))
    assert await versions(inner) == {"s": 1}


async def test_the_connection_breaks_at_any_use_and_stays_broken() -> None:
    """Over the seeds each of the first eight uses is hit; whoever goes on regardless meets the same error again."""
    places = set()
    for seed in range(60):
        store, uses = chaotic(MemoryStore(), points=[Point.STORAGE_CUT], seed=seed), 0
        with pytest.raises(TransientStorageError) as first:
            async with store.begin() as work:
                while True:
                    uses += 1
                    await work.checkpoints.get("s", "")
        places.add(uses)
        with pytest.raises(TransientStorageError) as again:
            await work.runs.get(1)
        with pytest.raises(TransientStorageError) as at_last:
            await work.commit()
        assert first.value is again.value is at_last.value
    assert places == set(range(1, 9))


async def test_a_short_unit_of_work_is_cut_before_its_commit(caplog: pytest.LogCaptureFixture) -> None:
    """One that uses less than the fault would let it is cut at the commit; each cut is told once."""
    for seed in range(30):
        inner, caplog.records[:] = MemoryStore(), []
        with pytest.raises(TransientStorageError, match=r"storage\.cut, number 1"):
            async with chaotic(inner, points=[Point.STORAGE_CUT], seed=seed).begin() as work:
                await work.checkpoints.save("s", "", {}, expected_version=0, run_id=None, at=AT)
                await work.commit()
        assert await versions(inner) == {}
        assert len(caplog.records) == 1


async def test_a_fault_that_is_never_reached_is_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """A unit of work that ends by itself before its connection breaks has met no fault."""
    told = 0
    for seed in range(20):
        caplog.clear()
        with pytest.raises((LookupError, TransientStorageError)) as raised:
            async with chaotic(MemoryStore(), points=[Point.STORAGE_CUT], seed=seed).begin() as work:
                await work.checkpoints.get("s", "")
                raise LookupError
        assert len(caplog.records) == isinstance(raised.value, TransientStorageError)
        told += len(caplog.records)
    assert 0 < told < 20


async def test_a_reader_is_cut_at_its_first_use() -> None:
    """A unit of work that only reads fails at once."""
    store = chaotic(MemoryStore(), points=[Point.STORAGE_CUT])
    async with store.begin(write=False) as work:
        with pytest.raises(TransientStorageError, match=r"storage\.cut, number 1\."):
            await work.runs.get(1)


async def test_each_source_has_numbers_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    """Whichever source writes first, the same commits of each are hit."""

    async def fates(order: list[str]) -> set[tuple[str, int]]:
        caplog.clear()
        store = chaotic(MemoryStore(), points=[Point.COMMIT_BEFORE], rate=0.5, seed=4)
        for source in order:
            try:
                await begun(store, source)
            except TransientStorageError:
                continue
        lines: list[Any] = caplog.records
        return {(line.source, line.number) for line in lines}

    by_turns = await fates(["a", "b"] * 10)
    assert by_turns == await fates(["b"] * 10 + ["a"] * 10)
    assert {source for source, _ in by_turns} == {"a", "b"}


async def test_latency_is_waited_and_changes_nothing() -> None:
    """A slow database is waited for in front of the unit of work and of the commit."""
    inner, clock = MemoryStore(), SteppingClock()
    await begun(chaotic(inner, clock, points=[Point.STORAGE_SLOW, Point.COMMIT_SLOW], latency=3.0))
    assert clock.slept == [3.0, 3.0]
    assert await versions(inner) == {"s": 1}


async def test_the_schema_is_never_hit() -> None:
    """Migrating and looking at the revision work at rate 1, so that a program can start."""
    store = chaotic(MemoryStore())
    assert await store.migrate() == await store.revision()
    await store.close()
