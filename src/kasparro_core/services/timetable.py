"""Timed runs: every slot of a schedule becomes exactly one row, whoever of many processes takes it.

A slot is taken by moving `schedules.next_at` on, as compare-and-set, in the transaction that also begins the run and
notes the slot: whoever commits first has it, the others find it gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from kasparro_core.errors import ConflictError
from kasparro_core.model import ScheduleState, SkipReason, Slot, SlotState, Trigger
from kasparro_core.policy.courtesy import Hold
from kasparro_core.ports import Store, UnitOfWork
from kasparro_core.services.desk import Desk, Started
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.partition_states import whole_hold

KEPT_MISSED = 1000
"""Rows that are written for slots missed in a row; still older ones are counted in the oldest of them."""

MOST_MISSED = 10_000
"""Slots that are counted one by one; after a longer sleep the schedule goes on from now."""

_log = logging.getLogger("kasparro")


class SlotRule(Protocol):
    """A compiled schedule. Pure."""

    @property
    def spec(self) -> str:
        """A stable text of everything that the slots depend on."""
        ...

    def following(self, after: datetime, /) -> tuple[datetime, datetime] | None:
        """The first slot after this instant: its nominal instant, and when it is due. None: there is none."""
        ...


@dataclass(frozen=True, slots=True)
class _Turn:
    """What is due of a schedule: the slots that nobody took in time, the one that runs, and where it goes on."""

    missed: tuple[Slot, ...]
    slot_at: datetime
    following: tuple[datetime, datetime] | None

    def put_off(self, hold: Hold | None, patience: float) -> datetime | None:
        """Until when the slot that would run waits, where its source may be asked well (`patience` seconds) before the
        slot after it. None: it runs, or is skipped."""
        if hold is None or hold.until is None:
            return None
        in_time = self.following is None or hold.until + timedelta(seconds=patience) < self.following[0]
        return hold.until if in_time else None


class Timetable:
    """The schedules of the configured sources; one of possibly many, in as many processes."""

    def __init__(self, store: Store, desk: Desk, rules: Mapping[str, SlotRule], jobs: Mapping[str, SourceJob]) -> None:
        self._store = store
        self._desk = desk
        self._rules = rules
        self._jobs = jobs

    async def settle(self) -> None:
        """Bring the rows of the configured sources in line with their rules. A schedule that is new is due at once; a
        changed one goes on from now; one that is gone ("manual") has no further slot."""
        async with self._store.begin() as work:
            now = await work.schedules.now()
            for source in sorted(self._jobs):
                await self._settle_one(work, source, now)
            await work.commit()

    async def tick(self) -> int:
        """Take what is due; how many slots this process took. Raises StorageError."""
        async with self._store.begin(write=False) as work:
            now = await work.schedules.now()
            due = [state for state in await work.schedules.due() if self._is_ours(state)]
            holds = {state.source: await whole_hold(work, self._jobs[state.source].source, now) for state in due}
        taken = 0
        for state in due:
            taken += await self._take(state, now, holds[state.source])
        return taken

    async def _settle_one(self, work: UnitOfWork, source: str, now: datetime) -> None:
        rule = self._rules.get(source)
        stored = await work.schedules.get(source)
        if stored is None:
            if rule is not None:
                await work.schedules.add(ScheduleState(source, rule.spec, now, now))
        elif rule is None and stored.next_at is not None:
            await work.schedules.put(ScheduleState(source, "manual"))
        elif rule is not None and stored.spec != rule.spec:
            slot_at, next_at = rule.following(await _since(work, source, now)) or (None, None)
            await work.schedules.put(ScheduleState(source, rule.spec, slot_at, next_at))

    def _is_ours(self, state: ScheduleState) -> bool:
        """Another process may have other sources, or another rule for one: the row's own rule counts."""
        rule = self._rules.get(state.source)
        return rule is not None and rule.spec == state.spec and state.source in self._jobs

    async def _take(self, state: ScheduleState, now: datetime, hold: Hold | None) -> bool:
        job = self._jobs[state.source]
        if hold is not None and hold.wait(now, job.patience) is not None:
            return False  # it stays due, and is taken when the source may be asked
        turn = await asyncio.to_thread(_turn, state, self._rules[state.source], now)  # seconds, after a long sleep
        later = turn.put_off(hold, job.patience)

        async def note(work: UnitOfWork, started: Started) -> None:
            if await _is_backfilled(work, started.busy.get(state.source)):
                raise ConflictError("a backfill has the source, and gives it back after its round")
            slot_at, next_at = (turn.slot_at, later) if later is not None else turn.following or (None, None)
            done = [] if later is not None else [_slot(state.source, turn.slot_at, started, hold)]
            await work.schedules.advance(state, slot_at=slot_at, next_at=next_at)
            await work.schedules.record([*turn.missed, *done])

        try:
            await self._desk.start([] if hold is not None else [job], Trigger.SCHEDULE, beside=note)
        except ConflictError as lost:
            _log.debug("slot %s of source %s was not taken here: %s", turn.slot_at, state.source, lost)
            return False
        if hold is not None:
            done = "skipped" if later is None else "put off"
            _log.info("slot %s of source %s is %s: %s", turn.slot_at, state.source, done, hold)
        return later is None


async def _is_backfilled(work: UnitOfWork, run_id: int | None) -> bool:
    """A slot waits for the end of a round: skipped, it would come off badly for as long as the backfill takes."""
    run = None if run_id is None else await work.runs.get(run_id)
    return run is not None and run.trigger is Trigger.BACKFILL


async def _since(work: UnitOfWork, source: str, now: datetime) -> datetime:
    """From when on slots can be given: now, unless the database's clock was put back. One that is noted already would
    never be taken, and so none after it."""
    noted = await work.schedules.slots(source, limit=1)
    return max([now, *(slot.slot_at for slot in noted)])


def _slot(source: str, slot_at: datetime, started: Started, hold: Hold | None) -> Slot:
    if hold is not None:
        return Slot(source, slot_at, SlotState.SKIPPED, reason=hold.reason)
    if started.runs:
        return Slot(source, slot_at, SlotState.RAN, started.runs[0].run_id)
    return Slot(source, slot_at, SlotState.SKIPPED, started.busy[source], reason=SkipReason.RUNNING)


def _turn(state: ScheduleState, rule: SlotRule, now: datetime) -> _Turn:
    """The last slot that is due runs; the ones before it were missed, and do not pile up."""
    if state.slot_at is None:
        raise ValueError(f"the schedule of {state.source!r} is due without a slot")
    due: deque[datetime] = deque([state.slot_at], maxlen=KEPT_MISSED + 1)
    count = 1
    following = rule.following(state.slot_at)
    while following is not None and following[1] <= now and count < MOST_MISSED:
        due.append(following[0])
        count += 1
        following = rule.following(following[0])
    if following is not None and following[1] <= now:
        following = rule.following(now)
    *missed, last = due
    folded = count - len(due)
    slots = (
        Slot(state.source, slot_at, SlotState.MISSED, folded=folded if number == 0 else 0)
        for number, slot_at in enumerate(missed)
    )
    return _Turn(tuple(slots), last, following)
