"""Loads that a rule refuses items of, the rule mended, and what a clean load would have left."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from scripted import EPOCH, LinesDecoder, Page, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.model import RecordQuery, RejectionQuery, RejectionState, Run, StoredRejection
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.replay_scope import EVERYTHING, ReplayScope
from kasparro_core.services.run import Runner

WRONG = RecordMapping(
    source="scripted", kind="quote", key=["id"], value="price", title="name", occurred_at="at", required=["value"]
)
"""Reads `price`, which is broken in some items."""

MENDED = RecordMapping(
    source="scripted", kind="quote", key=["id"], value="cost", title="name", occurred_at="at", required=["value"]
)
"""Reads `cost`, which is sound wherever `price` is, and in most of the others."""

Pages = dict[str, list[Page]]
Everything = tuple[list[tuple[Any, ...]], list[tuple[str, ...]]]


class Mended:
    """One process on one store, in memory unless it is given. Its n-th load happens n hours after the first."""

    def __init__(self, store: Store | None = None, *, history: bool = False) -> None:
        self.clock = SteppingClock()
        self.store: Store = store or MemoryStore(self.clock.now)
        self.told = Told()
        self._owners = MemoryOwners()
        self._history = history
        self._loads = 0

    def parts(self, store: Store | None = None) -> tuple[Any, ...]:
        """What runners and replayers are made of."""
        return store or self.store, MemoryHandle(self._owners), self.clock, {"lines": LinesDecoder()}, self.told

    def job(self, mapping: RecordMapping, pages: Pages | None = None, **options: Any) -> SourceJob:
        """The source with these pages."""
        clock = SteppingClock(EPOCH + timedelta(hours=self._loads))
        source = ScriptedSource(pages or {}, clock=clock)
        given = {"history": self._history, "max_rejected": 1.0, "fail_rejected": 1.0, **options}
        return SourceJob(source, mapping, **given)

    async def load(self, mapping: RecordMapping, *loads: Pages, **options: Any) -> Run | None:
        """One full run after the other; the last one."""
        run = None
        for pages in loads:
            self._loads += 1
            run = await Runner(*self.parts()).run(self.job(mapping, pages, **options), full=True)
        return run

    async def replay(self, mapping: RecordMapping = MENDED, *, scope: ReplayScope = EVERYTHING) -> Run:
        """Replay, without the source."""
        return await Replayer(*self.parts()).replay(self.job(mapping), scope=scope)

    async def rejections(self, state: str | None = None) -> list[StoredRejection]:
        """All of them, oldest first."""
        async with self.store.begin(write=False) as work:
            return (await work.rejections.list(RejectionQuery(state=state, limit=20_000)))[::-1]

    async def everything(self) -> Everything:
        """The records with all that a load decides, their versions, and what is open: not the ids and numbers that
        tell by which way a table came to be (run_id, record_id, revision, change_seq, first_seen_at)."""
        records = []
        async with self.store.begin(write=False) as work:
            for row in await work.records.page(RecordQuery(), limit=20_000):
                versions = [
                    (each.record, each.content_hash, each.raw_id, each.raw_index, each.observed_at)
                    for each in await work.records.versions(row.record_id)
                ]
                place = (row.raw_id, row.raw_index, row.updated_at, row.gone_at)
                records.append((row.record.key, row.record, row.content_hash, *place, versions))
        left = [
            (each.partition, each.stage, each.code, each.path, each.payload)
            for each in await self.rejections(RejectionState.OPEN)
        ]
        return sorted(records, key=lambda row: str(row[0])), sorted(left)


def story(seed: int, *, undated: bool = True) -> Sequence[Pages]:
    """Some loads of two partitions. Whether an item's price is broken is a matter of its content, as it is where a rule
    is at fault; some cannot be read by the mended rule either. Some have no day, if they may; if not, each state of an
    item has a day of its own."""
    rng = random.Random(seed)
    return [
        {name: [_page(rng, undated=undated) for _ in range(rng.randint(1, 3))] for name in ("", "p")}
        for _ in range(rng.randint(1, 4))
    ]


def _page(rng: random.Random, *, undated: bool) -> list[dict[str, Any]]:
    rows = []
    for _ in range(rng.randint(1, 6)):
        key, cost = rng.randint(1, 7), rng.randint(1, rng.choice([3, 1000]))
        price: Any = cost if (key * 7 + cost) % 3 else f"about {cost}"
        row = {"id": str(key), "cost": cost, "price": price, "at": f"2024-01-{rng.randint(1, 9):02d}"}
        if cost % 11 == 5:
            row |= {"price": "unknown", "cost": "unknown"}
        if not undated:
            row["at"] = (EPOCH + timedelta(days=cost)).strftime("%Y-%m-%d")
        elif cost % 5 == 2:
            row["at"] = "not a day"
        rows.append(row)
    return rows
