"""Records and their earlier versions."""

from __future__ import annotations

from collections.abc import Sequence

from kasparro_adapters.sql.bulk.plan import Plan, make_plan, suspects
from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.repositories.record_queries import RecordQueries
from kasparro_adapters.sql.session import Session
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
        stored = await self._bulk.differing(observation.source, part)
        candidates = list(suspects(part, observation, stored)) if observation.history else []
        known = await self._bulk.known_versions(candidates) if candidates else ()
        return make_plan(part, observation, stored, known)
