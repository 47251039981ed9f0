"""Runs whose process died: found by their lease, ended, and resumed by a run of this process."""

from __future__ import annotations

from collections.abc import Mapping

from kasparro_core.model import Lease, Run, RunQuery, RunStatus, Trigger
from kasparro_core.ports import Store
from kasparro_core.services.claims import WHOLE, Claims
from kasparro_core.services.desk import Desk
from kasparro_core.services.jobs import SourceJob

_RESUMABLE = frozenset({Trigger.CLI, Trigger.SCHEDULE, Trigger.API, Trigger.RECOVERY})
"""A run that reads its source goes on where it stopped. A replay is begun again by whoever wanted it."""

_LOOKED_AT = 1000


class Recovery:
    """Looks after the runs of dead processes; any number of processes may do so at once."""

    def __init__(self, store: Store, claims: Claims, desk: Desk, jobs: Mapping[str, SourceJob]) -> None:
        self._store = store
        self._claims = claims
        self._desk = desk
        self._jobs = jobs

    async def look(self) -> int:
        """Take over every dead run; how many this process took. Raises StorageError."""
        taken = 0
        for run, lease in await self._held():
            if await self._claims.is_free(lease):
                taken += await self._take(run, lease)
        return taken

    async def _held(self) -> list[tuple[Run, Lease]]:
        """The running runs with the leases that they hold."""
        async with self._store.begin(write=False) as work:
            running = await work.runs.list(RunQuery(status=RunStatus.RUNNING, limit=_LOOKED_AT))
            leases = [await work.leases.get(run.source, WHOLE) for run in running]
        pairs = zip(running, leases, strict=True)
        return [(run, lease) for run, lease in pairs if lease is not None and lease.run_id == run.run_id]

    async def _take(self, run: Run, lease: Lease) -> bool:
        job = self._jobs.get(run.source)
        if job is not None and run.trigger in _RESUMABLE:
            return await self._desk.take_over(job, lease)
        return await self._claims.end_dead(lease) is not None
