"""What a source no longer lists is marked, and nothing else: random lists, page by page, with kills, failures, 304s and
refused items, against a model that knows only what was served."""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

from shelf import Bench

from kasparro_adapters.memory import MemoryStore
from kasparro_adapters.sql import SqlStore
from kasparro_core.model import Run, RunStatus
from kasparro_core.ports import Store

STORIES = int(os.environ.get("KASPARRO_GONE_STORIES", "40"))
STEPS = 12
SEED = 5


class Story:
    """One source through its life. `gone` are the keys that were marked after the last run."""

    def __init__(self, store: Store, seed: int) -> None:
        self.chance = chance = random.Random(seed)
        self.bench = Bench(
            store,
            size=chance.randint(1, 4),
            etags=chance.random() < 0.7,
            most=chance.choice([1.0, 1.0, 0.5, 0.3]),
            keep_raw=chance.random() < 0.85,
        )
        self.counts: Counter[str] = Counter()
        self.gone: set[str] = set()
        for number in range(8):
            self._add(f"k{number}")

    async def live(self) -> None:
        """Change the list and read it, again and again."""
        for _ in range(STEPS):
            for _ in range(self.chance.choice([0, 1, 1, 2, 5])):
                self._change()
            await self._read()
        await self._last_words()

    def _change(self) -> None:
        things, chance = self.bench.shelf.things, self.chance
        word = chance.choice(
            ["add", "add", "drop", "drop", "edit", "mend", "swap", "refuse", "spoil", "clear", "twice"]
        )
        at = chance.randrange(len(things)) if things else 0
        match word:
            case "add":
                self._add(f"k{chance.randint(1, 20)}")
            case "drop" if things:
                del things[at]
            case "edit" if things:
                things[at] = {**things[at], "t": str(chance.random())}
            case "swap":
                chance.shuffle(things)
            case "refuse" if things and "id" in things[at]:  # an external id has to be text or a number
                things[at] = {"id": things[at]["id"], "t": "x", "e": chance.choice([{}, "fine"])}
            case "spoil" if chance.random() < 0.3:
                things.insert(at, {"t": "no key"})
            case "clear" if chance.random() < 0.2:
                things.clear()
            case "twice" if things and chance.random() < 0.3:
                things.append(dict(things[at]))
            case "mend":
                self._mend()

    def _add(self, key: str) -> None:
        things = self.bench.shelf.things
        if all(row.get("id") != key for row in things):
            things.insert(self.chance.randint(0, len(things)), {"id": key, "t": "new"})

    def _mend(self) -> None:
        """Each thing with a key, and once."""
        shelf = self.bench.shelf
        shelf.things = list({row["id"]: row for row in shelf.things if "id" in row}.values())

    async def _read(self) -> None:
        chance, shelf = self.chance, self.bench.shelf
        full = chance.random() < 0.1  # undisturbed: what is left of its walk is nobody's
        shelf.fails_at = 0 if full else chance.choice([0, 0, 0, 0, 1, 2, 3])
        fuse = 0 if full else chance.choice([0, 0, 0, *range(1, 9)])
        run = await self.bench.run(fuse=fuse, late=chance.random() < 0.5, full=full)
        await self._check(run)
        if chance.random() < 0.1 and self.bench.keep_raw:
            await self._replay()

    async def _check(self, run: Run | None) -> None:
        """After a run that came to its end, exactly what it did not see is gone, a refused item being seen; what was
        loaded is not."""
        asked = self.bench.shelf.asked.values()
        rows = [row for page in asked for row in page]
        listed = {row["id"] for row in rows if "id" in row}
        present, gone = await self.bench.keys(gone=False), await self.bench.keys(gone=True)
        complete = run is not None and run.status in (RunStatus.SUCCEEDED, RunStatus.UNCHANGED)
        self.counts["complete" if complete else "killed" if run is None else str(run.status)] += 1
        if complete:
            assert not listed & (gone - self.gone), f"marked although it was listed: {listed & (gone - self.gone)}"
            loaded = {row["id"] for row in rows if "id" in row and row.get("e") != {}}
            assert not loaded & gone, f"still marked although it was loaded: {loaded & gone}"
        if complete and self._is_certain(rows):
            self.counts["certain"] += 1
            self.counts["marked"] += len(gone - self.gone)
            assert present <= listed, f"not marked although it was not listed: {present - listed}"
        elif run is not None and run.error_code == "too_many_gone":
            assert gone <= self.gone, "marked more than it may"
        self.counts["back"] += len(self.gone & present)
        self.gone = gone

    def _is_certain(self, rows: list[dict[str, Any]]) -> bool:
        """Whether the walk told everything: each item had a key, no row came on two pages, and no payload is missing
        of what did not come again."""
        pages = [{row["id"] for row in page if "id" in row} for page in self.bench.shelf.asked.values()]
        moved = sum(map(len, pages)) > len(set().union(*pages))
        return not moved and all("id" in row for row in rows) and self.bench.keep_raw

    async def _replay(self) -> None:
        """What was there once and is gone stays gone."""
        before = await self.bench.keys(gone=True)
        await self.bench.replay()
        assert await self.bench.keys(gone=True) >= before
        self.gone = await self.bench.keys(gone=True)
        self.counts["replays"] += 1

    async def _last_words(self) -> None:
        """With everything in order, what is not gone is what the list holds."""
        shelf = self.bench.shelf
        shelf.fails_at, self.bench.most = 0, 1.0
        self._mend()
        shelf.things = [{"id": row["id"], "t": row["t"]} for row in shelf.things]
        for _ in range(2):  # the first one may go on where another was broken off
            run = await self.bench.run()
            assert run is not None
        if not self.bench.keep_raw:
            await self.bench.run(full=True)
        assert await self.bench.keys(gone=False) == {row["id"] for row in shelf.things}


async def test_exactly_what_a_complete_walk_did_not_show_is_gone() -> None:
    """Whatever happened before: after a walk that came to its end the records that are not gone are those it listed."""
    counts: Counter[str] = Counter()
    for seed in range(STORIES):
        story = Story(MemoryStore(), seed)
        await story.live()
        counts += story.counts
    print(dict(counts))  # noqa: T201 - what the stories counted
    assert min(counts[word] for word in ("certain", "marked", "back", "killed", "replays", "degraded")) > 0


async def test_the_databases_tell_the_same_story(database_url: str) -> None:
    """One story, step by step as the store in memory lives it."""
    store = SqlStore(database_url)
    try:
        story, model = Story(store, SEED), Story(MemoryStore(), SEED)
        await story.live()
        await model.live()
    finally:
        await store.close()
    assert story.counts == model.counts
    assert story.counts["marked"] > 0
    assert story.counts["back"] > 0
