"""What the simulation has found, each told by hand in its shortest form."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from processes import Gate, World, job
from scripted import EPOCH, LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryStore
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model import RecordQuery, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Liveness
from kasparro_core.services import prepare
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner


async def test_who_takes_over_as_its_first_deed_is_seen_alive() -> None:
    """A process that has claimed nothing yet resumes a dead run: it holds its handle from then on, so that nobody takes
    the run from it again."""
    world = World()
    dead, first, gate = world.process(), world.process(), Gate()
    await dead.desk.start([job("a", gate)], Trigger.SCHEDULE)
    await gate.reached.wait()
    await dead.die()
    second_gate = Gate()
    assert await first.recovery(job("a", second_gate)).look() == 1
    assert await world.process().handle.judge(first.handle.owner) is Liveness.ALIVE
    assert await world.process().recovery(job("a")).look() == 0
    for each in (gate, second_gate):
        each.opened.set()
    await first.idle()
    await dead.desk.stop(5.0)


class _Breaking(Told):
    """An observer that takes the database away when the first slice is committed."""

    store: MemoryStore | None = None

    def batch_committed(self, *_: Any) -> None:
        if self.store is not None:
            self.store._closed = True


async def test_a_full_run_that_was_broken_off_inside_a_payload_that_is_not_kept_begins_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its first slice put an older state of an item in place of the newer one further down: the next run must not go on
    behind the payload, where the position of the run before stood."""
    monkeypatch.setattr(prepare, "SLICE_ROWS", 2)
    store, clock, told = MemoryStore(), SteppingClock(), _Breaking()
    source = ScriptedSource({"": [[{"id": "1", "v": "1"}, {"id": "2", "v": "1"}, {"id": "1", "v": "2"}]]}, clock=clock)
    mapping = RecordMapping(source=source.name, kind="quote", key="id", value="v")
    log = SourceJob(source, mapping, keep_raw=False)
    runner = Runner(store, MemoryHandle(), clock, {"lines": LinesDecoder()}, told)
    await runner.run(log)
    told.store = store
    with pytest.raises(PermanentStorageError):
        await runner.run(log, full=True)
    told.store, store._closed = None, False
    assert await _stored(store) == {"1": "1", "2": "1"}
    await runner.run(log)
    assert await _stored(store) == {"1": "2", "2": "1"}


async def test_a_clock_that_was_set_back_hides_no_change() -> None:
    """What is read later was seen later, whatever the clock of its reader says: the newer state is not taken for an old
    one, which nobody would ask for again."""
    store = MemoryStore()
    for start, value in ((EPOCH, "1"), (EPOCH - timedelta(hours=1), "2"), (EPOCH - timedelta(hours=2), "3")):
        clock = SteppingClock(start)
        source = ScriptedSource({"": [[{"id": "1", "v": str(page)}] for page in range(1, int(value) + 1)]}, clock=clock)
        mapping = RecordMapping(source=source.name, kind="quote", key="id", value="v")
        log = SourceJob(source, mapping, history=True)
        await Runner(store, MemoryHandle(), clock, {"lines": LinesDecoder()}, Told()).run(log)
        assert await _stored(store) == {"1": value}
    async with store.begin(write=False) as work:
        (row,) = await work.records.page(RecordQuery())
        versions = await work.records.versions(row.record_id)
        reads = await work.runs.reads(row.record.source, after=0, limit=9)
    assert [version.observed_at for version in versions] == [read.observed_at for read in reversed(reads[:-1])]
    assert [read.observed_at for read in reads] == sorted({read.observed_at for read in reads})


async def _stored(store: MemoryStore) -> dict[str, str]:
    async with store.begin(write=False) as work:
        return {row.record.key: str(row.record.value) for row in await work.records.page(RecordQuery())}
