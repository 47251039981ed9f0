"""What a run promises, over the in-memory store and scripted sources."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import (
    CheckpointError,
    ConflictError,
    PermanentSourceError,
    PermanentStorageError,
    TransientSourceError,
    TransientStorageError,
)
from kasparro_core.model import SLICE_ROWS, FetchFacts, RecordQuery, Run, RunQuery, RunStatus, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

MAPPING = RecordMapping(source="scripted", kind="quote", key=["id"], value="price", occurred_at="at")


def rows(*ids: int, price: str = "1.5") -> list[dict[str, Any]]:
    return [{"id": str(i), "price": price} for i in ids]


class Bench:
    """One store with as many processes as a test asks for."""

    def __init__(self, store: Any = None) -> None:
        self.clock = SteppingClock()
        self.store = store or MemoryStore(self.clock.now)
        self.owners = MemoryOwners()
        self.told = Told()

    def runner(self, handle: MemoryHandle | None = None, **options: Any) -> Runner:
        handle = handle or MemoryHandle(self.owners)
        return Runner(self.store, handle, self.clock, {"lines": LinesDecoder()}, self.told, **options)

    async def keys(self) -> list[str]:
        async with self.store.begin(write=False) as work:
            return [stored.record.key for stored in await work.records.page(RecordQuery(), limit=10**6)]

    async def runs(self) -> list[Run]:
        async with self.store.begin(write=False) as work:
            return list(reversed(await work.runs.list(RunQuery(limit=1000))))

    async def cursor(self, partition: str = "") -> Any:
        async with self.store.begin(write=False) as work:
            checkpoint = await work.checkpoints.get("scripted", partition)
            return checkpoint.cursor if checkpoint else None


@pytest.fixture
def bench() -> Bench:
    return Bench()


def job(source: ScriptedSource, **options: Any) -> SourceJob:
    return SourceJob(source, MAPPING, **options)


async def test_a_run_loads_every_page_and_counts_every_item(bench: Bench) -> None:
    """All pages arrive, and fetched is the sum of the four outcomes."""
    source = ScriptedSource({"": [rows(1, 2), [*rows(3), {"price": "4"}]]})
    run = await bench.runner().run(job(source))
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED
    assert await bench.keys() == ["1", "2", "3"]
    counters = run.counters
    assert (counters.fetched, counters.inserted, counters.rejected, counters.batches) == (4, 3, 1, 2)
    assert counters.fetched == counters.inserted + counters.updated + counters.unchanged + counters.rejected


async def test_a_failed_run_keeps_what_it_committed_and_the_next_one_goes_on(bench: Bench) -> None:
    """Page 1 stays when page 2 fails; the next run asks for page 2 and not for page 1 again."""
    failing = PermanentSourceError("scripted: 404", source="scripted", code="http_404")
    source = ScriptedSource({"": [rows(1), failing]})
    run = await bench.runner().run(job(source))
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.FAILED, "http_404")
    assert run.counters.inserted == 1
    mended = ScriptedSource({"": [rows(1), rows(2)]})
    assert (await bench.runner().run(job(mended))).status is RunStatus.SUCCEEDED  # type: ignore[union-attr]
    assert mended.asked == [("", 1)]
    assert await bench.keys() == ["1", "2"]


async def test_a_failing_partition_leaves_the_others_alone(bench: Bench) -> None:
    """One of three partitions fails: the run is degraded, and the other two are complete."""
    failing = TransientSourceError("scripted: timeout", source="scripted", code="timeout")
    source = ScriptedSource({"a": [rows(1)], "b": [failing], "c": [rows(3)]})
    run = await bench.runner().run(job(source, parallel_partitions=3))
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.DEGRADED, "timeout")
    assert sorted(await bench.keys()) == ["1", "3"]
    async with bench.store.begin(write=False) as work:
        states = {state.partition: state.state for state in await work.partitions.list("scripted")}
    assert states == {"a": "ok", "b": "failed", "c": "ok"}


async def test_a_run_that_changes_nothing_is_unchanged(bench: Bench) -> None:
    """The same items a second time write nothing and end as `unchanged`."""
    source = ScriptedSource({"": [rows(1, 2)]})
    await bench.runner().run(job(source))
    again = await bench.runner().run(job(source), full=True)
    assert again is not None
    assert again.status is RunStatus.UNCHANGED
    assert (again.counters.fetched, again.counters.unchanged) == (2, 2)


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the product may catch it."""


class Breaking:
    """A store whose n-th write transaction fails: before its commit, or after it as when the answer is lost."""

    def __init__(self, store: MemoryStore, number: int, error: BaseException, *, after_commit: bool = False) -> None:
        self._store = store
        self._left = number
        self._error = error
        self._after = after_commit

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> Any:
        async with self._store.begin(write=write) as work:
            self._left -= write
            if write and self._left == 0:
                commit = work.commit

                async def broken() -> None:
                    if self._after:
                        await commit()
                    raise self._error

                work.commit = broken
            yield work


async def test_a_big_payload_is_resumed_from_the_store_and_not_from_the_upstream(bench: Bench) -> None:
    """Killed between two slices of one payload, the next run reads the stored payload; nothing is asked for twice."""
    total = 2 * SLICE_ROWS + 7
    source = ScriptedSource({"": [rows(*range(total)), rows(total)]})
    owner = MemoryHandle(bench.owners)
    dying = Bench(Breaking(bench.store, 3, Killed()))  # type: ignore[arg-type]
    dying.clock, dying.owners = bench.clock, bench.owners
    with pytest.raises(Killed):
        await dying.runner(owner).run(job(source))
    owner.die()
    assert len(await bench.keys()) == SLICE_ROWS
    source.asked.clear()
    run = await bench.runner().run(job(source))
    assert run is not None
    assert source.asked == [("", 1)]
    assert len(await bench.keys()) == total + 1
    assert (run.resumes, run.counters.inserted) == (1, total + 1 - SLICE_ROWS)
    assert await bench.cursor() == {"page": 2}


async def test_a_transient_fault_of_the_database_is_tried_again(bench: Bench) -> None:
    """A unit of work that failed before its commit is done once more, and counted once."""
    broken = Bench(Breaking(bench.store, 2, TransientStorageError("locked")))  # type: ignore[arg-type]
    run = await broken.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]})))
    assert run is not None
    assert (run.status, run.counters.inserted, run.counters.batches) == (RunStatus.SUCCEEDED, 2, 2)


async def test_a_commit_whose_answer_was_lost_is_not_done_twice(bench: Bench) -> None:
    """The connection breaks after COMMIT took effect: the run goes on, and nothing is counted twice."""
    lost = TransientStorageError("connection lost")
    broken = Bench(Breaking(bench.store, 2, lost, after_commit=True))  # type: ignore[arg-type]
    run = await broken.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]})))
    assert run is not None
    assert (run.status, run.counters.fetched, run.counters.inserted) == (RunStatus.SUCCEEDED, 2, 2)


async def test_a_lasting_fault_of_the_database_fails_the_run_and_is_raised(bench: Bench) -> None:
    """A full disk stops the run: it is marked failed, and the caller is told."""
    broken = Bench(Breaking(bench.store, 3, PermanentStorageError("disk full")))  # type: ignore[arg-type]
    with pytest.raises(PermanentStorageError, match="disk full"):
        await broken.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]})))
    (run,) = await bench.runs()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "storage_permanent")
    assert await bench.keys() == ["1"]


async def test_a_bug_in_a_source_is_raised_and_leaves_no_running_run(bench: Bench) -> None:
    """An exception outside the tree is not retried, not hidden, and the run does not stay `running`."""

    async def buggy(partition: str, number: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await bench.runner().run(job(ScriptedSource({"": [rows(1)]}, before_page=buggy)))
    (run,) = await bench.runs()
    assert (run.status, run.error_code) == (RunStatus.FAILED, "internal")


def _gate() -> tuple[asyncio.Event, asyncio.Event, Callable[[str, int], Any]]:
    """A hook that stops a source before its second page until it is let go."""
    reached, go_on = asyncio.Event(), asyncio.Event()

    async def hook(partition: str, number: int) -> None:
        if number == 1:
            reached.set()
            await go_on.wait()

    return reached, go_on, hook


async def test_a_source_that_runs_elsewhere_is_left_alone(bench: Bench) -> None:
    """While a live process runs it, a second run without waiting does nothing; afterwards it can run."""
    reached, go_on, hook = _gate()
    source = ScriptedSource({"": [rows(1), rows(2)]}, before_page=hook)
    first = asyncio.create_task(bench.runner().run(job(source)))
    await reached.wait()
    assert await bench.runner().run(job(ScriptedSource({"": [rows(9)]})), wait=False) is None
    go_on.set()
    assert (await first).status is RunStatus.SUCCEEDED  # type: ignore[union-attr]
    assert len(await bench.runs()) == 1


async def test_waiting_for_a_live_owner_ends_when_it_is_done(bench: Bench) -> None:
    """A second run waits for the first one's end and then runs; neither marks the other."""
    reached, go_on, hook = _gate()
    source = ScriptedSource({"": [rows(1), rows(2)]}, before_page=hook)
    first = asyncio.create_task(bench.runner(lease_ttl=10**6).run(job(source)))
    await reached.wait()
    second = asyncio.create_task(bench.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]}))))
    while "waiting" not in bench.told.kinds():
        await asyncio.sleep(0)
    go_on.set()
    assert [(await task).status for task in (first, second)] == [RunStatus.SUCCEEDED, RunStatus.UNCHANGED]  # type: ignore[union-attr]


async def test_a_dead_owner_is_taken_over_at_once_and_the_zombie_writes_nothing(bench: Bench) -> None:
    """The successor resumes where the dead run stopped, marks it interrupted, and fences its late commits off."""
    reached, go_on, hook = _gate()
    owner = MemoryHandle(bench.owners)
    source = ScriptedSource({"": [rows(1), rows(2, price="1")]}, before_page=hook)
    zombie = asyncio.create_task(bench.runner(owner, lease_ttl=10**6).run(job(source)))
    await reached.wait()
    while await bench.keys() != ["1"]:
        await asyncio.sleep(0)
    owner.die()
    successor = await bench.runner().run(job(ScriptedSource({"": [rows(1), rows(2, price="2")]})))
    go_on.set()
    with pytest.raises(ConflictError, match="Run 1 of source 'scripted' was taken over"):
        await zombie
    assert successor is not None
    assert (successor.status, successor.resumes) == (RunStatus.SUCCEEDED, 1)
    async with bench.store.begin(write=False) as work:
        assert [str(r.record.value) for r in await work.records.page(RecordQuery())] == ["1.5", "2"]


async def test_an_expired_lease_is_taken_over_although_its_owner_is_alive(bench: Bench) -> None:
    """A stopped owner (its handle is held) loses the source once its lease has run out, and writes nothing later."""
    reached, go_on, hook = _gate()
    source = ScriptedSource({"": [rows(1), rows(2)]}, before_page=hook)
    stopped = asyncio.create_task(bench.runner(lease_ttl=10**6).run(job(source)))
    await reached.wait()
    async with bench.store.begin() as work:
        lease = await work.leases.get("scripted", "")
        assert lease is not None
        await work.leases.renew(lease, ttl=-1.0)
        await work.commit()
    successor = await bench.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]})))
    go_on.set()
    with pytest.raises(ConflictError, match="was taken over"):
        await stopped
    assert successor is not None
    assert successor.resumes == 1
    assert [run.status for run in await bench.runs()] == [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]


async def test_a_bug_in_a_run_that_was_taken_over_stays_the_bug(bench: Bench) -> None:
    """The error that ended it is what its caller sees, with a note that its end could not be written."""

    async def taken_over_then_broken(_partition: str, _page: int) -> None:
        async with bench.store.begin() as work:
            lease = await work.leases.get("scripted", "")
            assert lease is not None
            await work.leases.renew(lease, ttl=-1.0)
            await work.commit()
        await bench.runner().run(job(ScriptedSource({"": [rows(1)]})))
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError) as caught:
        await bench.runner().run(job(ScriptedSource({"": [rows(1)]}, before_page=taken_over_then_broken)))
    assert any("Run 1 of source 'scripted' was taken over" in note for note in caught.value.__notes__)
    assert [run.status for run in await bench.runs()] == [RunStatus.INTERRUPTED, RunStatus.SUCCEEDED]


async def test_a_cancelled_run_is_marked_interrupted_and_can_be_resumed(bench: Bench) -> None:
    """Ctrl-C: the committed page stays, the ledger says interrupted, and the next run starts at once."""
    reached, _, hook = _gate()
    source = ScriptedSource({"": [rows(1), rows(2)]}, before_page=hook)
    task = asyncio.create_task(bench.runner().run(job(source)))
    await reached.wait()
    while await bench.keys() != ["1"]:
        await asyncio.sleep(0)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    (run,) = await bench.runs()
    assert run.status is RunStatus.INTERRUPTED
    after = await bench.runner().run(job(ScriptedSource({"": [rows(1), rows(2)]})), wait=False)
    assert after is not None
    assert after.status is RunStatus.SUCCEEDED


async def test_a_damaged_slice_position_names_partition_and_way_out(bench: Bench) -> None:
    """A checkpoint edited by hand fails the run with a sentence, and nothing is read from a wrong place."""
    async with bench.store.begin() as work:
        cursor = {"$slice": {"raw_id": "x"}}
        await work.checkpoints.save("scripted", "", cursor, expected_version=0, run_id=None, at=bench.clock.now())
        await work.commit()
    source = ScriptedSource({"": [rows(1)]})
    run = await bench.runner().run(job(source))
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.FAILED, CheckpointError.code)
    assert "state" in (run.error or "")
    assert source.asked == []


async def test_too_many_rejections_degrade_and_then_fail_a_run(bench: Bench) -> None:
    """The shares max_rejected and fail_rejected decide, from 20 items on."""
    bad: list[dict[str, Any]] = [{"price": str(n)} for n in range(6)]
    for good, expected in ((94, RunStatus.DEGRADED), (4, RunStatus.SUCCEEDED), (14, RunStatus.DEGRADED)):
        fresh = Bench()
        run = await fresh.runner().run(job(ScriptedSource({"": [[*rows(*range(good)), *bad]]})))
        assert run is not None
        assert run.status is expected
    run = await bench.runner().run(job(ScriptedSource({"": [[*rows(*range(14)), *bad]]}), fail_rejected=0.2))
    assert run is not None
    assert (run.status, run.error_code) == (RunStatus.FAILED, "rejected")


async def test_the_trigger_stands_in_the_ledger(bench: Bench) -> None:
    """What started a run is recorded with it."""
    run = await bench.runner().run(job(ScriptedSource({"": []})), trigger=Trigger.SCHEDULE)
    assert run is not None
    assert (await bench.runs())[0].trigger is Trigger.SCHEDULE


async def test_requests_that_failed_are_counted_too(bench: Bench) -> None:
    """A page that never came cost requests and retries: the ledger shows them."""
    failing = TransientSourceError("scripted: 503", source="scripted", code="http_503")
    failing.fetch = FetchFacts(bench.clock.now(), requests=5, retries=4, throttled=2, bytes_fetched=99)
    run = await bench.runner().run(job(ScriptedSource({"": [rows(1), failing]})))
    assert run is not None
    counters = run.counters
    assert (counters.requests, counters.retries, counters.throttled) == (6, 4, 2)
    assert counters.fetched == counters.inserted == 1
