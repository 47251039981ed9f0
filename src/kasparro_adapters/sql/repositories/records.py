"""Records and their earlier versions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from kasparro_adapters.sql.bulk.apart import rounds, write_apart
from kasparro_adapters.sql.bulk.plan import KnownVersion, Plan, State, make_plan, suspects
from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.repositories.record_queries import RecordQueries
from kasparro_adapters.sql.session import Session
from kasparro_core.errors import UnstorableError
from kasparro_core.model import SLICE_ROWS, Observation, PreparedRecord, UpsertOutcome


class SqlRecords(RecordQueries):
    """The RecordRepository of one transaction: how records are brought in, beside how they are read."""

    def __init__(self, session: Session, database: Database) -> None:
        super().__init__(session, database)
        self._bulk = database.bulk(session)

    async def upsert(self, prepared: Sequence[PreparedRecord], observation: Observation, /) -> UpsertOutcome:
        """Bring the records in, a bounded number at a time."""
        total = UpsertOutcome()
        for start in range(0, len(prepared), SLICE_ROWS):
            part = await self._merge(prepared[start : start + SLICE_ROWS], observation)
            total = UpsertOutcome(*(a + b for a, b in zip(total, part, strict=True)))
        return total

    async def upsert_apart(
        self, prepared: Sequence[PreparedRecord], observation: Observation, /
    ) -> tuple[UpsertOutcome, Sequence[tuple[PreparedRecord, UnstorableError]]]:
        """Bring in what the database takes, round by round: no key is twice in a round."""
        total, refused = UpsertOutcome(), dict[int, UnstorableError]()
        parts = [
            some[start : start + SLICE_ROWS] for some in rounds(prepared) for start in range(0, len(some), SLICE_ROWS)
        ]
        while parts:
            part = parts.pop(0)
            try:
                async with self._session.savepoint():
                    outcome, failed = await self._merge_apart(part, observation)
            except UnstorableError as error:  # by the look-up already, which does not tell whose key it was
                if len(part) > 1:
                    parts[:0] = [part[: len(part) // 2], part[len(part) // 2 :]]
                    continue
                outcome, failed = UpsertOutcome(), {0: error}
            total = UpsertOutcome(*(a + b for a, b in zip(total, outcome, strict=True)))
            refused.update((id(part[at]), error) for at, error in failed.items())
        return total, [(each, refused[id(each)]) for each in prepared if id(each) in refused]

    async def _merge_apart(
        self, part: Sequence[PreparedRecord], observation: Observation
    ) -> tuple[UpsertOutcome, Mapping[int, UnstorableError]]:
        """As `_merge`, with a plan for each record: they have different keys. What was refused by its place."""
        bulk = self._bulk
        seen = await bulk.mark()
        plans = await self._plans(part, observation)
        refused: dict[int, UnstorableError] = {}
        while not all(plan.is_empty for plan in plans):
            last = await bulk.claim(len(plans))
            if last == seen:
                refused = await write_apart(bulk, plans, observation, last + 1)
                break
            seen = last + len(plans)
            plans = await self._plans(part, observation)
        outcomes = [plan.outcome for at, plan in enumerate(plans) if at not in refused]
        return UpsertOutcome(*map(sum, zip(*outcomes, strict=True))), refused

    async def _plans(self, part: Sequence[PreparedRecord], observation: Observation) -> list[Plan]:
        stored, known = await self._look(part, observation)
        of_record: defaultdict[int, list[KnownVersion]] = defaultdict(list)
        for version in known:
            of_record[version.record_id].append(version)
        plans = []
        for prepared in part:
            key = prepared.record.key
            states = {key: stored[key]} if key in stored else {}
            state = states.get(key)
            plans.append(make_plan([prepared], observation, states, of_record[state.record_id] if state else ()))
        return plans

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, /) -> int:
        """Set `gone_at`, a bounded number at a time."""
        marked = 0
        for start in range(0, len(record_ids), SLICE_ROWS):
            part = record_ids[start : start + SLICE_ROWS]
            last = await self._bulk.claim(len(part))
            marked += await self._bulk.mark_gone(part, at, last + 1)
        return marked

    async def _merge(self, part: Sequence[PreparedRecord], observation: Observation) -> UpsertOutcome:
        """Look, decide, wait for our turn, write. Somebody may have committed before our turn came: then look again."""
        bulk = self._bulk
        seen = await bulk.mark()
        plan = await self._plan(part, observation)
        while not plan.is_empty:
            last = await bulk.claim(plan.changes)
            if last == seen:
                await bulk.write(plan, observation, last + 1)
                break
            seen = last + plan.changes
            plan = await self._plan(part, observation)
        return plan.outcome

    async def _plan(self, part: Sequence[PreparedRecord], observation: Observation) -> Plan:
        return make_plan(part, observation, *await self._look(part, observation))

    async def _look(
        self, part: Sequence[PreparedRecord], observation: Observation
    ) -> tuple[Mapping[str, State | None], Sequence[KnownVersion]]:
        stored = await self._bulk.differing(observation.source, part)
        candidates = list(suspects(part, observation, stored)) if observation.history else []
        return stored, await self._bulk.known_versions(candidates) if candidates else ()
