"""Refused items and a rule that is mended: what a replay, and a retry, leave is what a clean load would have left."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from mended import MENDED, WRONG, Mended, story

from kasparro_core.errors import ConfigurationError, TransientStorageError
from kasparro_core.model import RejectionQuery, RunQuery, RunStatus, Trigger
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Store
from kasparro_core.services.rejections import Retried, drop, retry, select
from kasparro_core.services.replay import Replayer
from kasparro_core.services.replay_scope import EVERYTHING, REFUSED, ReplayScope

STORIES = int(os.environ.get("KASPARRO_TEST_STORIES", "12"))


def row(key: str, cost: Any, price: Any = None, at: str = "2024-01-01", **more: Any) -> dict[str, Any]:
    """An item whose price is its cost, unless told."""
    return {"id": key, "cost": cost, "price": cost if price is None else price, "at": at, **more}


async def retried(bench: Mended, choice: Any, mapping: RecordMapping = MENDED) -> Retried:
    """Retry what is chosen of the one source."""
    (selection,) = (await select(bench.store, choice)).values()
    return await retry(bench.store, Replayer(*bench.parts()), bench.job(mapping), selection)


async def values(bench: Mended) -> dict[str, Any]:
    """The value of each record."""
    records, _ = await bench.everything()
    return {found[0]: found[1].value for found in records}


@pytest.mark.parametrize("scope", [EVERYTHING, REFUSED], ids=["everything", "rejections"])
@pytest.mark.parametrize("history", [False, True])
async def test_a_replay_after_the_mend_equals_a_clean_load(scope: ReplayScope, *, history: bool) -> None:
    """Over many stories of several loads: after a replay, of everything or of payloads with refusals alone, all
    records, their places, instants and versions, and what is refused still, are those of loads by the mended rule."""
    mended = 0
    for seed in range(STORIES):
        loads = story(seed, undated=not history)  # of history without dates: see decision 0042
        bench, clean = Mended(history=history), Mended(history=history)
        await bench.load(WRONG, *loads)
        before = await bench.everything()
        await bench.replay(scope=scope)
        await clean.load(MENDED, *loads)
        assert await bench.everything() == await clean.everything(), seed
        mended += before != await bench.everything()
    assert mended > STORIES / 2


@pytest.mark.parametrize("scope", [EVERYTHING, REFUSED], ids=["everything", "rejections"])
async def test_a_replay_by_the_same_rules_changes_no_rejection(scope: ReplayScope) -> None:
    """An item that loads in an earlier read than the one in which it was refused leaves that refusal open, as often as
    it is replayed; nothing is seen more often for it."""
    for seed in range(STORIES):
        bench = Mended()
        await bench.load(WRONG, *story(seed))
        before = await bench.everything(), await bench.rejections()
        await bench.replay(WRONG, scope=scope)
        await bench.replay(WRONG, scope=scope)
        assert (await bench.everything(), await bench.rejections()) == before


async def test_a_retry_of_all_leaves_open_what_a_replay_leaves_open() -> None:
    """Trying all open rejections again closes those that a replay of everything closes, and says how many."""
    for seed in range(STORIES):
        one, other = Mended(), Mended()
        for bench in (one, other):
            await bench.load(WRONG, *story(seed, undated=False))
        chosen = await one.rejections("open")
        if not chosen:
            continue
        done = await retried(one, RejectionQuery())
        await other.replay()
        assert (await one.everything())[1] == (await other.everything())[1], seed
        assert (done.chosen, done.still_open) == (
            len(chosen),
            len({each.rejection_id for each in chosen} & await _open(one)),
        )


async def _open(bench: Mended) -> set[int]:
    return {each.rejection_id for each in await bench.rejections("open")}


async def test_a_retry_takes_what_was_chosen_and_no_more() -> None:
    """Of two refused items of one payload the chosen one is loaded, in a run of trigger `replay` that counts it alone;
    its place and instant are those of a clean load, and the other stays open."""
    bench, clean = Mended(), Mended()
    page = {"": [[row("a", 1, "x"), row("b", 2, "y"), row("c", 3)]]}
    await bench.load(WRONG, page)
    await clean.load(MENDED, page)
    first, second = await bench.rejections()
    done = await retried(bench, [second.rejection_id])
    assert (done.chosen, done.resolved, done.still_open, done.without_payload) == (1, 1, 0, 0)
    assert done.run is not None
    assert (done.run.trigger, done.run.status) == (Trigger.REPLAY, RunStatus.SUCCEEDED)
    assert (done.run.counters.fetched, done.run.counters.inserted) == (1, 1)
    assert [each.state for each in await bench.rejections()] == ["open", "resolved"]
    records, _ = await bench.everything()
    assert [found for found in (await clean.everything())[0] if found[0] != "a"] == records
    assert first.state == "open"


async def test_a_retried_item_does_not_stand_in_the_way_of_what_came_later() -> None:
    """Between two reads of the same state the source sent one that was refused: retried, it does not become the latest
    one, although the read behind it wrote nothing."""
    bench = Mended(history=True)
    same = row("a", 1, at="not a day")
    await bench.load(WRONG, {"": [[same]]}, {"": [[row("a", 2, "x", at="not a day")]]}, {"": [[same]]})
    refused = next(each for each in await bench.rejections() if each.stage == "normalize")
    assert refused.state == "resolved"
    await bench.replay(scope=ReplayScope(items={refused.raw_id or 0: {0}}))
    assert await values(bench) == {"a": 1}


async def test_what_was_seen_more_than_once_is_retried_wherever_it_was() -> None:
    """A rejection of an item that came in two reads, between which the source said something else: its retry brings in
    all of it, and the latest state is the last one seen."""
    bench = Mended()
    await bench.load(
        WRONG, {"": [[row("a", 1, "x")]]}, {"": [[row("a", 2, "y")]]}, {"": [[row("a", 1, "x"), row("b", 9)]]}
    )
    known = next(each for each in await bench.rejections() if each.times == 2)
    done = await retried(bench, [known.rejection_id])
    assert (done.resolved, await values(bench)) == (1, {"a": 1, "b": 9})


async def test_notes_are_settled_by_a_retry_and_by_a_replay() -> None:
    """A note on a value stands for each item that has it: tried again by a rule that reads the value, all of them have
    it and the note is resolved."""
    noted = RecordMapping(source="scripted", kind="quote", key=["id"], value="price")
    sound = RecordMapping(source="scripted", kind="quote", key=["id"], value="cost")
    for again in (
        lambda bench: retried(bench, RejectionQuery(stage="field"), sound),
        lambda bench: bench.replay(sound),
    ):
        bench = Mended()
        await bench.load(noted, {"": [[row("a", 1, "x"), row("b", 2, "x")], [row("c", 3, "x")]]})
        assert [(each.stage, each.times, each.state) for each in await bench.rejections()] == [("field", 3, "open")]
        await again(bench)
        assert [each.state for each in await bench.rejections()] == ["resolved"]
        assert await values(bench) == {"a": 1, "b": 2, "c": 3}


async def test_what_is_refused_still_stays_open() -> None:
    """A retry by the same rules closes nothing, counts nothing as seen again, and does not make its run a bad one."""
    bench = Mended()
    await bench.load(WRONG, {"": [[row(str(n), n, "x") for n in range(40)]]})
    before = await bench.rejections()
    done = await retried(bench, RejectionQuery(code="decimal_invalid"), WRONG)
    assert (done.resolved, done.still_open, await bench.rejections()) == (0, 40, before)
    assert done.run is not None
    assert done.run.status is RunStatus.SUCCEEDED


async def test_without_a_stored_payload_nothing_can_be_retried() -> None:
    """Of a source that keeps no payloads a retry makes no run, and says why nothing came of it."""
    bench = Mended()
    await bench.load(WRONG, {"": [[row("a", 1, "x")]]}, keep_raw=False)
    done = await retried(bench, RejectionQuery(source="scripted"))
    assert (done.run, done.chosen, done.without_payload, done.still_open) == (None, 1, 1, 1)
    async with bench.store.begin(write=False) as work:
        assert len(await work.runs.list(RunQuery())) == 1


async def test_dropping_by_id_and_by_filters() -> None:
    """Drops what is open and chosen, however many pages that are, says how many, and touches no record."""
    bench = Mended()
    await bench.load(WRONG, {"": [[row(str(n), n, "x") for n in range(1_200)] + [row("sound", 1), {"cost": 1}]]})
    without_key = next(each for each in await bench.rejections() if each.code == "key_missing")
    assert await drop(bench.store, bench.clock, [without_key.rejection_id] * 2) == 1
    assert await drop(bench.store, bench.clock, [without_key.rejection_id]) == 0
    assert await drop(bench.store, bench.clock, RejectionQuery(source="other")) == 0
    assert await drop(bench.store, bench.clock, RejectionQuery(code="decimal_invalid")) == 1_200
    assert {each.state for each in await bench.rejections()} == {"dropped"}
    assert await values(bench) == {"sound": 1}
    with pytest.raises(ConfigurationError, match="no rejection 99999"):
        await drop(bench.store, bench.clock, [99999])
    with pytest.raises(ConfigurationError, match="no rejection 99999"):
        await select(bench.store, [99999])


@pytest.mark.parametrize("how", ["before", "after"])
async def test_a_drop_whose_answer_is_lost_says_what_it_did(how: str) -> None:
    """A commit that fails, or whose answer is lost, is done again, and the number is that of what was dropped."""
    bench = Mended()
    await bench.load(WRONG, {"": [[row("a", 1, "x"), row("b", 2, "y")]]})
    flaky = Flaky(bench.store, {1: how})
    assert await drop(flaky, bench.clock, RejectionQuery()) == 2  # type: ignore[arg-type]
    assert {each.state for each in await bench.rejections()} == {"dropped"}


async def test_what_somebody_drops_meanwhile_is_not_resolved() -> None:
    """Of two chosen rejections one is dropped before the retry runs: the retry resolves the other, and says so."""
    bench = Mended()
    await bench.load(WRONG, {"": [[row("a", 1, "x"), row("b", 2, "y")]]})
    (selection,) = (await select(bench.store, RejectionQuery())).values()
    assert await drop(bench.store, bench.clock, [min(selection.ids)]) == 1
    done = await retry(bench.store, Replayer(*bench.parts()), bench.job(MENDED), selection)
    assert (done.chosen, done.resolved, done.still_open) == (2, 1, 0)


async def test_a_read_that_only_the_new_rules_refuse_is_found_by_the_next_replay_of_rejections() -> None:
    """The rules become stricter, a replay refuses what was loaded before; mended again, `--rejections` finds it."""
    bench = Mended()
    await bench.load(MENDED, {"": [[row("a", 1, "x")]]})
    await bench.replay(WRONG)
    assert [each.state for each in await bench.rejections()] == ["open"]
    run = await bench.replay(scope=REFUSED)
    assert (run.counters.unchanged, [each.state for each in await bench.rejections()]) == (1, ["resolved"])


class Flaky:
    """A store of which some commits fail: before they happen, or after, when only their answer is lost."""

    def __init__(self, store: Store, fails: dict[int, str]) -> None:
        self._store = store
        self._fails = fails
        self.commits = 0

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[Any]:
        async with self._store.begin(write=write) as work:
            yield _FlakyUnit(work, self) if write else work

    async def commit(self, work: Any) -> None:
        self.commits += 1
        how = self._fails.get(self.commits)
        if how == "before":
            raise TransientStorageError("the connection broke")
        await work.commit()
        if how == "after":
            raise TransientStorageError("the answer was lost")


class _FlakyUnit:
    def __init__(self, work: Any, store: Flaky) -> None:
        self._work, self._store = work, store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._work, name)

    async def commit(self) -> None:
        await self._store.commit(self._work)


@pytest.mark.parametrize("how", ["before", "after"])
@pytest.mark.parametrize("which", [3, 4, 5])
async def test_a_replay_survives_passing_faults_of_the_database(how: str, which: int) -> None:
    """A commit of a replay that fails, or whose answer is lost, is neither lost nor counted twice, and nor is that of
    its end: table, counters and the number of commits are those of an undisturbed replay."""
    pages = {"": [[row("a", 1, "x"), row("b", 2)], [row("c", 3, "x")]]}
    bench, calm = Mended(), Mended()
    for each in (bench, calm):
        await each.load(WRONG, pages)
    flaky, steady = Flaky(bench.store, {which: how}), Flaky(calm.store, {})
    run = await Replayer(*bench.parts(flaky)).replay(bench.job(MENDED))  # type: ignore[arg-type]
    undisturbed = await Replayer(*calm.parts(steady)).replay(calm.job(MENDED))  # type: ignore[arg-type]
    assert steady.commits == 5
    assert (run.status, run.counters) == (undisturbed.status, undisturbed.counters)
    assert run.counters.fetched == 3
    assert await bench.everything() == await calm.everything()
    assert flaky.commits == 5 + (how == "before")
