"""What a person does about rejections: drop them, or try them again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from kasparro_core.errors import ConfigurationError
from kasparro_core.model import RejectionQuery, RejectionState, Run, Stage, StoredRejection
from kasparro_core.ports import Clock, Store
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.replay_scope import ReplayScope
from kasparro_core.services.steps import retried

_PAGE = 500
_OPEN = str(RejectionState.OPEN)

Choice = RejectionQuery | Sequence[int]
"""Rejections by filters, or by their ids."""


async def matching(store: Store, query: RejectionQuery) -> AsyncIterator[list[StoredRejection]]:
    """All that match, newest first, page by page, so that no read transaction stays open; `limit` is that of a page."""
    while True:
        async with store.begin(write=False) as work:
            page = await work.rejections.list(query)
        if page:
            yield page
        if len(page) < query.limit:
            return
        query = replace(query, before=page[-1].rejection_id)


async def drop(store: Store, clock: Clock, choice: Choice) -> int:
    """Drop those of the chosen rejections that are open; returns how many. Beside runs and other drops.

    Raises ConfigurationError for an id that there is not.
    """
    dropped = 0
    async for page in _open_ones(store, choice):
        ids = [rejection.rejection_id for rejection in page]
        dropped += await retried(clock, partial(_drop, store, clock, ids))
    return dropped


async def _drop(store: Store, clock: Clock, ids: Sequence[int]) -> int:
    async with store.begin() as work:
        dropped = await work.rejections.drop(ids, clock.now())
        await work.commit()
    return dropped


@dataclass(slots=True)
class Selection:
    """The open rejections of one source that are to be tried again: their ids, what a replay has to take for them, and
    how many have no stored payload to be taken from."""

    source: str
    ids: set[int] = field(default_factory=set)
    items: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    partitions: set[str] = field(default_factory=set)
    without_payload: int = 0

    def add(self, rejection: StoredRejection) -> None:
        """Take one in. What was seen more than once, and a note, stands for items in several payloads: then every
        payload of its partition in which something was refused is taken."""
        self.ids.add(rejection.rejection_id)
        if rejection.raw_id is None:
            self.without_payload += 1
        elif rejection.times > 1 or rejection.stage == Stage.FIELD:
            self.partitions.add(rejection.partition)
        else:
            self.items[rejection.raw_id].add(rejection.raw_index)

    @property
    def scope(self) -> ReplayScope:
        """What a replay has to take."""
        return ReplayScope(partitions=self.partitions, items=self.items)


@dataclass(frozen=True, slots=True)
class Retried:
    """How the retry of one source's rejections ended: how many were chosen, how many of them are resolved now, and how
    many have no stored payload. The run's counters are those of all items that it looked at; None: there were none."""

    run: Run | None
    chosen: int
    resolved: int
    without_payload: int

    @property
    def still_open(self) -> int:
        """How many are refused still."""
        return self.chosen - self.resolved


async def select(store: Store, choice: Choice) -> Mapping[str, Selection]:
    """The open ones of the chosen rejections, by source.

    Raises ConfigurationError for an id that there is not.
    """
    found: dict[str, Selection] = {}
    async for page in _open_ones(store, choice):
        for rejection in page:
            found.setdefault(rejection.source, Selection(rejection.source)).add(rejection)
    return found


async def retry(store: Store, replayer: Replayer, job: SourceJob, selection: Selection) -> Retried:
    """Normalize the selected items again with the rules as they are now, in a run of trigger `replay` that owns the
    source. How many of them are refused still does not make that run a bad one.

    Raises as Replayer.replay.
    """
    chosen = len(selection.ids)
    if selection.without_payload == chosen:
        return Retried(None, chosen, 0, chosen)
    lenient = replace(job, max_rejected=1.0, fail_rejected=1.0)
    run = await replayer.replay(lenient, scope=selection.scope)
    still = 0
    async for page in matching(store, RejectionQuery(source=job.name, state=_OPEN, limit=_PAGE)):
        still += sum(rejection.rejection_id in selection.ids for rejection in page)
    return Retried(run, chosen, chosen - still, selection.without_payload)


async def _open_ones(store: Store, choice: Choice) -> AsyncIterator[list[StoredRejection]]:
    if isinstance(choice, RejectionQuery):
        async for page in matching(store, replace(choice, state=_OPEN, limit=_PAGE)):
            yield page
    else:
        yield [rejection for rejection in await _by_id(store, choice) if rejection.state == _OPEN]


async def _by_id(store: Store, ids: Iterable[int]) -> list[StoredRejection]:
    found = []
    async with store.begin(write=False) as work:
        for rejection_id in dict.fromkeys(ids):
            rejection = await work.rejections.get(rejection_id)
            if rejection is None:
                raise ConfigurationError(
                    f"There is no rejection {rejection_id}.", hint="`kasparro rejections list` shows those there are."
                )
            found.append(rejection)
    return found
