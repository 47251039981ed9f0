"""The contract of RecordRepository.fates: what became of records between the ends of two runs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations, product
from typing import NamedTuple

import pytest

from kasparro_core.model import Observation, RunStatus
from kasparro_core.model.service import Bound, Prunable
from kasparro_core.model.span import Fate, Keys, Span
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, begin_run, later, payload, prepared, record, table
from kasparro_core.testing.pruning import prune

_STEP = 10
_TOOK = timedelta(seconds=5)
_NOTHING: Mapping[str, str] = {}
_KEYS = "abcdefghijkl"
_TITLES = "xyz"


class Ended(NamedTuple):
    """A run that is over: its number (its time follows from it), its id, and its place in the feed of changes."""

    number: int
    run_id: int
    change_seq: int


class FatesContract:
    """Needs the fixture `store`: an empty Store."""

    async def test_nothing_became_of_nothing(self, store: Store) -> None:
        """An empty source has no fates, and neither have records that nobody touched."""
        first, second = await _run(store, 0), await _run(store, 1, {"a": "1"})
        third = await _run(store, 2, {"a": "1"})
        assert await _fates(store, first, first) == {}
        assert await _fates(store, second, third) == {}

    async def test_tells_what_was_added_changed_gone_and_returned(self, store: Store) -> None:
        """Each by its key, from the later run alone or over several, and whatever happens afterwards; other sources are
        left out."""
        runs = [
            await _run(store, 0, {"a": "1", "b": "1", "c": "1", "d": "1"}, history=True),
            await _run(store, 1, {"a": "2", "n": "1"}, gone="cd", history=True),
            await _run(store, 2, {"b": "2", "d": "1", "m": "1"}, history=True),
        ]
        await _run(store, 3, {"a": "9"}, source="other")
        went = {Fate.ADDED: "n", Fate.CHANGED: "a", Fate.GONE: "c"}
        assert await _fates(store, runs[0], runs[1]) == {**went, Fate.UNKNOWN: "d"}, "d is there again: when did it go?"
        assert await _fates(store, runs[1], runs[2]) == {Fate.ADDED: "m", Fate.CHANGED: "b", Fate.RETURNED: "d"}
        assert (await _fates(store, runs[0], runs[2]))[Fate.ADDED] == "nm"
        await _run(store, 4, {"a": "3", "b": "3", "m": "2", "z": "1"}, gone="n", history=True)
        assert await _fates(store, runs[1], runs[2]) == {Fate.ADDED: "m", Fate.CHANGED: "b", Fate.RETURNED: "d"}

    async def test_what_is_not_kept_is_not_guessed(self, store: Store) -> None:
        """Without history, a record that was written again after the later run may or may not have been written before.
        One that nobody wrote since is certain, and so is one that came after."""
        runs = [
            await _run(store, 0, {"a": "1", "b": "1", "c": "1"}),
            await _run(store, 1, {"a": "2", "b": "2", "n": "1"}),
            await _run(store, 2, {"a": "3", "n": "2", "late": "1"}),
        ]
        assert await _fates(store, runs[0], runs[1]) == {Fate.ADDED: "n", Fate.CHANGED: "b", Fate.UNKNOWN: "a"}

    async def test_pruned_versions_are_not_guessed(self, store: Store) -> None:
        """With its versions gone, a record is as one without history."""
        runs = [await _run(store, number, {"a": str(number)}, history=True) for number in range(3)]
        assert await _fates(store, runs[0], runs[1]) == {Fate.CHANGED: "a"}
        await prune(store, Prunable.VERSIONS, Bound(before=later(1_000)))
        assert await _fates(store, runs[0], runs[1]) == {Fate.UNKNOWN: "a"}
        assert await _fates(store, runs[1], runs[2]) == {Fate.CHANGED: "a"}

    async def test_came_and_went_is_no_news(self, store: Store) -> None:
        """What was not there before and is not there after is not told of."""
        runs = [await _run(store, 0), await _run(store, 1, {"a": "1"}), await _run(store, 2, gone="a")]
        assert await _fates(store, runs[0], runs[2]) == {}
        assert await _fates(store, runs[0], runs[1]) == {Fate.ADDED: "a"}
        assert await _fates(store, runs[1], runs[2]) == {Fate.GONE: "a"}

    async def test_gives_the_first_keys_of_many(self, store: Store) -> None:
        """All are counted, and no more keys are given than were asked for."""
        first = await _run(store, 0)
        second = await _run(store, 1, {f"k{number:04}": "1" for number in range(1_200)})
        async with store.begin(write=False) as work:
            found = await work.records.fates(_span(first, second), keys=3)
        assert found == {Fate.ADDED: Keys(1_200, ["k0000", "k0001", "k0002"])}

    @pytest.mark.parametrize("history", [True, False])
    async def test_agrees_with_what_was_there(self, store: Store, *, history: bool) -> None:
        """Of many runs each two are compared with what the table held after them: with history everything is told as it
        was, without it what is told is true. It does not take the places of the runs in the feed of changes."""
        runs, seen = list[Ended](), list[dict[str, str | None]]()
        for number in range(7):
            drawn = zip(_KEYS, hashlib.sha256(bytes([number])).digest(), strict=False)
            states = {key: _TITLES[byte % len(_TITLES)] for key, byte in drawn if byte % 2}
            gone = [key for key in "abc" if key not in states] if number == 6 else ()
            runs.append(await _run(store, number, states, gone=gone, history=history))
            seen.append({key: None if row.gone_at else row.record.title for key, row in (await table(store)).items()})
        for (low, high), placed in product(combinations(range(7), 2), (True, False)):
            found = await _fates(store, runs[low], runs[high], placed=placed)
            told = {key: fate for fate, keys in found.items() for key in keys}
            for key in _KEYS:
                truth = _truth(seen[low].get(key), seen[high].get(key))
                if told.get(key) is Fate.CHANGED and truth is None:
                    continue  # changed, and changed back
                assert told.get(key) == truth or (told.get(key) is Fate.UNKNOWN and not history), (key, low, high)


def _truth(before: str | None, after: str | None) -> Fate | None:
    if before == after:
        return None
    if before is None:
        return Fate.ADDED
    return Fate.GONE if after is None else Fate.CHANGED


async def _run(
    store: Store,
    number: int,
    states: Mapping[str, str] = _NOTHING,
    *,
    gone: Sequence[str] = "",
    history: bool = False,
    source: str = SOURCE,
) -> Ended:
    """A run that writes these records with these titles, and marks these keys as gone."""
    at = later(number * _STEP)
    ids = {key: row.record_id for key, row in (await table(store, source)).items()}
    rows = [
        prepared(record(key, source=source, title=title), place) for place, (key, title) in enumerate(states.items())
    ]
    async with store.begin() as work:
        run = await begin_run(work, source, at)
        raw_id = await work.raw.put(source, "", payload(f"{number}"))
        await work.records.upsert(rows, Observation(source, run.run_id, raw_id, at, history=history))
        await work.records.mark_gone([ids[key] for key in gone if key in ids], at)
        await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, at + _TOOK)
        change_seq = await work.records.last_change()
        await work.commit()
    return Ended(number, run.run_id, change_seq)


def _span(low: Ended, high: Ended, *, placed: bool = True) -> Span:
    since, until = (later(run.number * _STEP) + _TOOK for run in (low, high))
    places = (low.change_seq, high.change_seq) if placed else ()
    return Span(SOURCE, low.run_id, high.run_id, since, until, *places)


async def _fates(store: Store, low: Ended, high: Ended, *, placed: bool = True) -> dict[Fate, str]:
    """The keys of each fate."""
    async with store.begin(write=False) as work:
        found = await work.records.fates(_span(low, high, placed=placed))
    assert all(each.count == len(each.keys) for each in found.values())
    return {fate: "".join(each.keys) for fate, each in found.items()}
