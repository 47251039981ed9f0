"""However a run is broken off, its ledger row gets an end and its source is free again."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from scripted import LinesDecoder, Page, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import PermanentSourceError, PermanentStorageError, TransientStorageError
from kasparro_core.model import PartitionState, RecordQuery, Run, RunQuery, RunStatus, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.claims import Claims
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
PAGES: list[Page] = [[{"id": "1", "price": "1"}], [{"id": "2", "price": "2"}]]


class Awaiting:
    """A store that is left and entered at each of its steps, as one behind a network is.

    `faults` stand for its write transactions from the first on: None, an error before the commit, (error,) after it, or
    [error] at the beginning.
    """

    def __init__(self, store: MemoryStore, faults: list[Any] | None = None) -> None:
        self._store = store
        self._faults = iter(faults or [])
        self.writers = self.most_writers = 0

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> Any:
        await asyncio.sleep(0)
        fault = next(self._faults, None) if write else None
        if isinstance(fault, list):
            raise fault[0]
        async with self._counted(write=write), self._store.begin(write=write) as work:
            if write:
                work.commit = self._commit(work.commit, fault)
            yield work
            await asyncio.sleep(0)

    @asynccontextmanager
    async def _counted(self, *, write: bool) -> Any:
        self.writers += write
        self.most_writers = max(self.most_writers, self.writers)
        try:
            yield
        finally:
            self.writers -= write

    @staticmethod
    def _commit(commit: Any, fault: Any) -> Any:
        async def slowly() -> None:
            await asyncio.sleep(0)
            if isinstance(fault, Exception):
                raise fault
            await commit()
            await asyncio.sleep(0)
            if fault is not None:
                raise fault[0]

        return slowly


class Bench:
    """One process on one store."""

    def __init__(self, faults: list[Any] | None = None) -> None:
        self.clock = SteppingClock()
        self.memory = MemoryStore(self.clock.now)
        self.store = Awaiting(self.memory, faults)
        self.handle = MemoryHandle(MemoryOwners())
        self.told = Told()

    def parts(self) -> tuple[Any, ...]:
        return self.store, self.handle, self.clock, {"lines": LinesDecoder()}, self.told

    async def run(self, source: Any = None, *, at_once: int = 1, **options: Any) -> Run | None:
        return await Runner(*self.parts()).run(job(source, at_once), **options)

    async def replay(self) -> Run:
        return await Replayer(*self.parts()).replay(job())

    async def runs(self) -> list[Run]:
        async with self.memory.begin(write=False) as work:
            return list(reversed(await work.runs.list(RunQuery())))

    async def keys(self) -> list[str]:
        async with self.memory.begin(write=False) as work:
            return [stored.record.key for stored in await work.records.page(RecordQuery())]

    async def states(self) -> dict[str, str]:
        async with self.memory.begin(write=False) as work:
            return {state.partition: state.state for state in await work.partitions.list()}


def job(source: Any = None, at_once: int = 1) -> SourceJob:
    return SourceJob(source or ScriptedSource({"": PAGES}), MAPPING, parallel_partitions=at_once)


async def _cancelled_after(turns: int, work: Any) -> bool:
    """Cancel a task after so many turns of the loop; False when it had ended before."""
    task = asyncio.ensure_future(work)
    for _ in range(turns):
        await asyncio.sleep(0)
    cancelled = task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return cancelled


@pytest.mark.parametrize("verb", ["run", "replay"])
async def test_cancelled_at_any_turn_it_leaves_no_run_running_and_the_source_free(verb: str) -> None:
    """Turn by turn through a whole run: cancelled there, the same process can run the source again at once."""
    for turns in range(10_000):
        bench = Bench()
        if verb == "replay":
            await bench.run()
        cancelled = await _cancelled_after(turns, getattr(bench, verb)())
        assert RunStatus.RUNNING not in [run.status for run in await bench.runs()], f"cancelled after {turns} turns"
        after = await bench.run(wait=False)
        assert after is not None, f"cancelled after {turns} turns"
        assert await bench.keys() == ["1", "2"]
        if not cancelled:
            return
    raise AssertionError("the run never ends")


async def test_a_claim_that_is_cancelled_while_it_commits_is_given_back() -> None:
    """The run that nobody will carry out is interrupted and its lease free."""
    bench = Bench()
    claims = Claims(bench.store, bench.handle, bench.clock, bench.told, 60.0)  # type: ignore[arg-type]
    turns = 0
    while not await bench.runs():
        await _cancelled_after(turns, claims.claim("scripted", Trigger.CLI, wait=False))
        turns += 1
    (run,) = await bench.runs()
    assert (run.status, run.error_code) == (RunStatus.INTERRUPTED, "cancelled")
    assert await claims.claim("scripted", Trigger.CLI, wait=False) is not None


async def test_the_end_of_a_run_is_tried_again() -> None:
    """A database that is locked for a moment when all is done does not leave the run `running`."""
    locked = TransientStorageError("locked")
    run = await Bench([None, None, None, locked, locked]).run()
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


async def test_an_end_whose_answer_was_lost_stands() -> None:
    """The connection breaks after the last COMMIT took effect: the run is what it was, and the source free."""
    bench = Bench([None, None, None, (TransientStorageError("connection lost"),)])
    run = await bench.run()
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert await bench.run(wait=False) is not None


async def test_a_lost_answer_is_asked_for_until_it_is_known() -> None:
    """The database is still away when the run looks whether its commit went through: it looks again."""
    bench = Bench([None, (TransientStorageError("connection lost"),), [TransientStorageError("still away")]])
    run = await bench.run()
    assert run is not None
    assert len([slept for slept in bench.clock.slept if slept < 1]) == 2
    assert (run.status, run.counters.fetched, run.counters.inserted) == (RunStatus.SUCCEEDED, 2, 2)


async def test_a_partition_listed_twice_is_read_once() -> None:
    """The same address twice in a list is one partition: two readers would take its checkpoint from one another."""

    class Twice(ScriptedSource):
        async def partitions(self) -> list[str]:
            return ["a", "a"]

    source = Twice({"a": PAGES})
    run = await Bench().run(source, at_once=2)
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert source.asked == [("a", 0), ("a", 1)]


async def test_the_partitions_of_a_run_take_turns_before_they_take_connections() -> None:
    """They write one after the other anyway, under one lease: a pool of connections is not used up by their waiting."""
    bench = Bench()
    await bench.run(ScriptedSource({str(n): PAGES for n in range(8)}), at_once=8)
    assert bench.store.most_writers == 1


async def test_a_checkpoint_that_was_moved_under_our_lease_fails_the_run() -> None:
    """A conflict without a successor gives the run an end; it does not wait for a takeover that never comes."""
    bench = Bench()

    async def meddle(_partition: str, number: int) -> None:
        if number == 1:
            async with bench.memory.begin() as work:
                at = bench.clock.now()
                await work.checkpoints.save("scripted", "", {}, expected_version=0, run_id=None, at=at)
                await work.commit()

    run = await bench.run(ScriptedSource({"": PAGES}, before_page=meddle))
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.FAILED, "conflict")


async def test_an_observer_that_fails_leaves_no_running_run() -> None:
    """Whoever watches the start may break; the run then has an end all the same."""
    bench = Bench()

    def broken(_run: Run) -> None:
        raise BrokenPipeError

    bench.told.run_started = broken  # type: ignore[method-assign]
    with pytest.raises(BrokenPipeError):
        await bench.run()
    assert [run.status for run in await bench.runs()] == [RunStatus.FAILED]


async def test_a_partition_that_was_not_read_keeps_its_state() -> None:
    """A run that is stopped half-way says nothing about what it did not finish."""
    bench = Bench()
    async with bench.memory.begin() as work:
        await work.partitions.save(PartitionState("scripted", "b", "failed", "404"))
        await work.commit()
    full = PermanentStorageError("disk full")
    with pytest.raises(PermanentStorageError):
        await bench.run(ScriptedSource({"a": PAGES[:1], "b": PAGES}, before_page=_raising("b", full)))
    assert await bench.states() == {"a": "ok", "b": "failed"}


def _raising(where: str, error: Exception) -> Any:
    async def hook(partition: str, _number: int) -> None:
        if partition == where:
            raise error

    return hook


@pytest.mark.parametrize("name", ["x" * 2_000, "caf\udce9.csv", "nul\0.csv"], ids=["long", "no-utf8", "nul"])
async def test_a_partition_whose_name_cannot_be_stored_fails_alone(name: str) -> None:
    """A file name that is not UTF-8 or an endless address is an error of that partition; the others are read."""
    source = ScriptedSource({name: PAGES, "b": PAGES})
    run = await Bench().run(source)
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.DEGRADED, "partition_name")
    assert {partition for partition, _ in source.asked} == {"b"}


async def test_the_heartbeat_makes_sure_of_the_handle() -> None:
    """A handle whose connection was lost is taken again while the run goes on, and a fault of it ends nothing."""
    bench = Bench()
    held: list[int] = []

    class Handle(MemoryHandle):
        async def hold(self) -> None:
            held.append(1)
            if len(held) == 3:  # the claim looks, and takes
                raise PermanentStorageError("unreachable")

    async def until_held(_partition: str, _number: int) -> None:
        while len(held) < 5:
            await asyncio.sleep(0)

    bench.handle, bench.clock.patience = Handle(), 1000.0
    run = await bench.run(ScriptedSource({"": PAGES}, before_page=until_held))
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


async def test_a_replay_that_cannot_note_its_end_raises_its_own_error() -> None:
    """The error of the replay comes out, with a note about the second one."""
    gone = PermanentStorageError("gone")
    bench = Bench([None, None, None, None, None, gone, gone])
    await bench.run()
    with pytest.raises(PermanentStorageError, match="gone") as raised:
        await bench.replay()
    assert "could not be given its end" in raised.value.__notes__[0]


async def test_a_failing_reader_beside_a_failing_writer_is_not_shouted_about(caplog: pytest.LogCaptureFixture) -> None:
    """When the database ends a partition, what its reader met meanwhile is beside the point."""
    bench = Bench([None, PermanentStorageError("disk full")])
    pages = [*PAGES[:1], PermanentSourceError("404", source="scripted")]
    with pytest.raises(PermanentStorageError, match="disk full"):
        await bench.run(ScriptedSource({"": pages}))
    assert caplog.records == []
