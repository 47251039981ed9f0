"""How the service does: what `/health` tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from kasparro_core.config import SourceConfig
from kasparro_core.model import LatestRuns, RunStatus, ScheduleState
from kasparro_core.ports import Store

LATE: Final = timedelta(minutes=1)
"""A slot that has been due for longer was not taken by any process."""
BAD: Final = frozenset({RunStatus.FAILED, RunStatus.INTERRUPTED})
"""A newest run in one of these degrades the service."""


@dataclass(frozen=True, slots=True)
class Vitals:
    """The newest runs and the schedules, by source, and the database's clock."""

    latest: Mapping[str, LatestRuns]
    schedules: Sequence[ScheduleState]
    now: datetime


async def read_vitals(store: Store) -> Vitals:
    """One read transaction. Raises StorageError."""
    async with store.begin(write=False) as work:
        latest = {each.source: each for each in await work.runs.latest()}
        return Vitals(latest, await work.schedules.list(), await work.schedules.now())


def health_view(
    vitals: Vitals, sources: Mapping[str, SourceConfig], *, scheduler: bool, running: int, milliseconds: float
) -> dict[str, Any]:
    """The service as a whole. Sources that are switched off, and those that somebody has paused, are no fault."""
    views = [_source_view(name, sources[name], vitals.latest.get(name)) for name in sorted(sources)]
    ours = [state for state in vitals.schedules if state.source in sources and sources[state.source].enabled]
    waiting = [state.next_at for state in ours if state.next_at is not None and state.paused_at is None]
    overdue = sum(vitals.now - next_at > LATE for next_at in waiting)
    bad = any(view["enabled"] and view["last_status"] in BAD for view in views)
    return {
        "status": "degraded" if bad or overdue else "ok",
        "database": {"reachable": True, "milliseconds": round(milliseconds, 3)},
        "scheduler": {
            "enabled": scheduler,
            "running": running,
            "next_at": min(waiting, default=None),
            "overdue": overdue,
        },
        "sources": views,
    }


def _source_view(name: str, config: SourceConfig, latest: LatestRuns | None) -> dict[str, Any]:
    last, success = (latest.last, latest.success) if latest else (None, None)
    return {
        "source": name,
        "enabled": config.enabled,
        "last_run_id": last.run_id if last else None,
        "last_status": str(last.status) if last else None,
        "last_run_at": last.started_at if last else None,
        "last_success_at": success.finished_at if success else None,
        "last_error": last.error if last else None,
    }
