"""Whatever the order, the repetitions and the sizes of batches, and wherever a run is broken off: the same table."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Coroutine
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryStore
from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Counters, RecordQuery, Run, RunQuery, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

SINCE = 1_700_000_000
Observation = tuple[str, int]
"""An item and which of its states was seen; a higher one is newer, whenever it is seen."""

OBSERVATIONS = st.tuples(st.sampled_from("abcde"), st.integers(0, 4))
BATCHES = st.lists(st.lists(OBSERVATIONS, max_size=5), min_size=1, max_size=4)


class _Observer(Told):
    """Has the run cancelled once so many batches are committed."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1
        self.run: asyncio.Task[Any] | None = None

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        self.left -= 1
        if self.left == 0 and self.run is not None:
            self.run.cancel()


class Telling(RuleBasedStateMachine):
    """A source that tells of a few items again and again, in any order, and a table that has to come out the same."""

    def __init__(self, make: Callable[[], Store]) -> None:
        super().__init__()
        self._loop = asyncio.Runner()
        self._store = make()
        self._clock = SteppingClock()
        self._observer = _Observer()
        handle = MemoryHandle()
        decoders = {"lines": LinesDecoder()}
        self._runner = Runner(self._store, handle, self._clock, decoders, self._observer)
        self._replayer = Replayer(self._store, handle, self._clock, decoders, self._observer)
        self._source = ScriptedSource({"": []}, clock=self._clock)
        self._reached = 0

    @initialize(keep_raw=st.booleans(), ahead=st.booleans())
    def configure(self, keep_raw: bool, ahead: bool) -> None:
        """Payloads are kept or not, the next batch is read ahead or not."""
        rules: dict[str, Any] = {"source": self._source.name, "kind": "quote", "key": "id", "value": "v"}
        rules["occurred_at"] = {"field": "at", "unit": "s"}
        mapping = RecordMapping.model_validate(rules)
        self._job = SourceJob(self._source, mapping, history=True, keep_raw=keep_raw, read_ahead=ahead)

    def teardown(self) -> None:
        """Close what this story has opened."""
        self._await(self._store.close())
        self._loop.close()

    @rule(batches=BATCHES)
    def publish(self, batches: list[list[Observation]]) -> None:
        """The upstream has more to tell."""
        pages = [[{"id": key, "v": v, "at": SINCE + v} for key, v in batch] for batch in batches]
        self._source.pages[""].extend(pages)

    @rule(full=st.booleans())
    def run(self, full: bool) -> None:
        """A run to the end; a full one tells everything once more."""
        run = self._await(self._runner.run(self._job, full=full))
        assert run is not None
        assert run.status in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED)
        self._reached = len(self._source.pages[""])

    @rule(full=st.booleans(), batches=st.integers(1, 3))
    def run_that_is_broken_off(self, full: bool, batches: int) -> None:
        """A run that is cancelled at some commit, if it comes so far."""
        self._observer.left = batches
        self._await(self._broken_off(full))
        self._observer.left = -1

    @precondition(lambda self: self._reached)
    @rule()
    def replay(self) -> None:
        """What is stored is read again."""
        run = self._await(self._replayer.replay(self._job))
        assert run.status is RunStatus.UNCHANGED

    @precondition(lambda self: self._reached == len(self._source.pages[""]))
    @rule()
    def tell_the_same_again(self) -> None:
        """A full run over what is known writes nothing at all."""
        before = self._await(self._last_change())
        self.run(full=True)
        assert self._await(self._last_change()) == before

    @invariant()
    def the_table_is_that_of_what_was_told(self) -> None:
        """Each item once, in its newest state; the others are its versions; the ledger adds up."""
        current, versions, runs = self._await(self._stored())
        told = [(row["id"], row["v"]) for page in self._source.pages[""][: self._reached] for row in page]  # type: ignore[union-attr]
        assert current == {key: max(v for each, v in told if each == key) for key, _ in told}
        assert versions == sorted(set(told) - set(current.items()))
        assert sum(run.counters.inserted for run in runs) == len(current)
        for run in runs:
            assert run.status is not RunStatus.RUNNING
            assert run.counters.fetched == run.counters.inserted + run.counters.updated + run.counters.unchanged

    def _await(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._loop.run(work)

    async def _broken_off(self, full: bool) -> None:
        self._observer.run = asyncio.ensure_future(self._runner.run(self._job, full=full))
        await asyncio.wait([self._observer.run])
        async with self._store.begin(write=False) as work:
            position = await work.checkpoints.get(self._source.name, "")
        self._reached = max(self._reached, 0 if position is None else position.cursor["page"])

    async def _last_change(self) -> int:
        async with self._store.begin(write=False) as work:
            return await work.records.last_change()

    async def _stored(self) -> tuple[dict[str, int], list[Observation], list[Run]]:
        async with self._store.begin(write=False) as work:
            rows = await work.records.page(RecordQuery())
            earlier = [(row, version) for row in rows for version in await work.records.versions(row.record_id)]
            runs = await work.runs.list(RunQuery(limit=1000))
        current = {row.record.key: int(row.record.value or 0) for row in rows}
        return current, sorted((row.record.key, int(each.record.value or 0)) for row, each in earlier), runs


def _told(make: Callable[[], Store], examples: int) -> None:
    run_state_machine_as_test(
        lambda: Telling(make), settings=settings(max_examples=examples, stateful_step_count=12, deadline=None)
    )


def test_the_memory_store_holds_the_same_whatever_the_telling() -> None:
    """Any stories of publishing, running, breaking off, replaying and telling again."""
    _told(MemoryStore, max(100, settings.default.max_examples))


@pytest.mark.slow
def test_a_database_holds_the_same_whatever_the_telling(tmp_path: Path, sqlite_url: str) -> None:
    """The same stories on SQLite, each on a database of its own."""
    template = Path(sqlite_url.removeprefix("sqlite:///"))
    number = count()

    def make() -> Store:
        path = tmp_path / f"{next(number)}.db"
        shutil.copyfile(template, path)
        return SqlStore(f"sqlite:///{path.as_posix()}")

    _told(make, max(15, settings.default.max_examples // 4))
