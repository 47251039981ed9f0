"""What a person does about rejections: drop them, or try them again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial

from kasparro_core.errors import ConfigurationError
from kasparro_core.model import RejectionQuery, RejectionState, Run, Stage, StoredRejection
from kasparro_core.ports import Clock, Store, UnitOfWork
from kasparro_core.services.held import is_of_shape, matching, waits
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.replay import Replayer
from kasparro_core.services.replay_scope import ReplayScope
from kasparro_core.services.steps import retried

_PAGE = 500
_OPEN = str(RejectionState.OPEN)

Choice = RejectionQuery | Sequence[int]
"""Rejections by filters, or by their ids."""


async def drop(store: Store, clock: Clock, choice: Choice) -> int:
    """Drop those of the chosen rejections that are open; returns how many. Beside runs and other drops.

    Raises ConfigurationError for an id that there is not.
    """
    dropped = 0
    async for page in _open_ones(store, choice):
        ids = [rejection.rejection_id for rejection in page]
        dropped += await retried(clock, partial(_drop, store, ids, clock.now(), []))
    return dropped


async def _drop(store: Store, ids: Sequence[int], at: datetime, tried: list[int]) -> int:
    """`tried` is how many an attempt before dropped, whose commit may have gone through unheard."""
    async with store.begin() as work:
        if tried and await _were_dropped(work, ids, at):
            return tried[-1]
        tried[:] = [await work.rejections.drop(ids, at)]
        await work.commit()
    return tried[-1]


async def _were_dropped(work: UnitOfWork, ids: Iterable[int], at: datetime) -> bool:
    """True where this drop closed one of them, and with it all: they are closed together or not at all."""
    for each in ids:
        found = await work.rejections.get(each)
        if found is not None and (found.state, found.closed_at) == (RejectionState.DROPPED, at):
            return True
    return False


@dataclass(slots=True)
class Selection:
    """The open rejections of one source that are to be tried again: their ids, what a replay has to take for them, and
    how many have no stored payload to be taken from. `held` others are about a shape that `waits` to be accepted."""

    source: str
    ids: set[int] = field(default_factory=set)
    items: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    partitions: set[str] = field(default_factory=set)
    without_payload: int = 0
    waits: bool = False
    held: int = 0

    def add(self, rejection: StoredRejection) -> None:
        """Take one in. What was seen more than once, and a note, stands for items in several payloads: then every
        payload of its partition in which something was refused is taken."""
        if self.waits and is_of_shape(rejection):
            self.held += 1
            return
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
    """How the retry of one source's rejections ended: how many were chosen, how many of them are resolved now, how many
    have no stored payload, and how many were left alone because their shape waits to be accepted. The run's counters
    are those of all items that it looked at; None: there were none."""

    run: Run | None
    chosen: int
    resolved: int
    without_payload: int
    still_open: int
    held: int = 0


async def select(store: Store, choice: Choice) -> Mapping[str, Selection]:
    """The open ones of the chosen rejections, by source.

    Raises ConfigurationError for an id that there is not.
    """
    found: dict[str, Selection] = {}
    async for page in _open_ones(store, choice):
        for rejection in page:
            name = rejection.source
            if name not in found:
                found[name] = Selection(name, waits=await waits(store, name))
            found[name].add(rejection)
    return found


async def retry(store: Store, replayer: Replayer, job: SourceJob, selection: Selection) -> Retried:
    """Normalize the selected items again with the rules as they are now, in a run of trigger `replay` that owns the
    source. How many of them are refused still does not make that run a bad one.

    Raises as Replayer.replay.
    """
    chosen, held = len(selection.ids) + selection.held, selection.held
    if selection.without_payload == len(selection.ids):
        return Retried(None, chosen, 0, selection.without_payload, chosen, held)
    lenient = replace(job, max_rejected=1.0, fail_rejected=1.0)
    run = await replayer.replay(lenient, scope=selection.scope)
    still, resolved = held, 0
    async for page in matching(store, RejectionQuery(source=job.name, limit=_PAGE)):
        states = [rejection.state for rejection in page if rejection.rejection_id in selection.ids]
        still += states.count(_OPEN)
        resolved += states.count(RejectionState.RESOLVED)
    return Retried(run, chosen, resolved, selection.without_payload, still, held)


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
