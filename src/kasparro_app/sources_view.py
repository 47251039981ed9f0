"""The configured sources as API, pages and command line show them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kasparro_app.public_config import public_config
from kasparro_app.views import run_view
from kasparro_app.windows_view import backfill_view, is_window
from kasparro_core.config import SourceConfig
from kasparro_core.model import LatestRuns, ScheduleState, Slot
from kasparro_core.ports import UnitOfWork

SLOTS = 20


async def source_views(work: UnitOfWork, sources: Mapping[str, SourceConfig], now: datetime) -> list[dict[str, Any]]:
    """All configured sources, by name. Three statements, however many there are."""
    latest = {each.source: each for each in await work.runs.latest()}
    schedules = {state.source: state for state in await work.schedules.list()}
    alarms = await work.findings.open_anomalies()
    return [
        source_view(name, sources[name], latest.get(name), schedules.get(name), alarms.get(name, 0), now)
        for name in sorted(sources)
    ]


async def whole_source_view(work: UnitOfWork, name: str, config: SourceConfig, now: datetime) -> dict[str, Any]:
    """One source with its partitions and newest slots."""
    latest = next(iter(await work.runs.latest(name)), None)
    state = await work.schedules.get(name)
    alarms = await work.findings.open_anomalies()
    return {
        **source_view(name, config, latest, state, alarms.get(name, 0), now),
        **await _partitions(work, name),
        "slots": [slot_view(slot) for slot in await work.schedules.slots(name, limit=SLOTS)],
    }


def source_view(
    name: str, config: SourceConfig, latest: LatestRuns | None, state: ScheduleState | None, alarms: int, now: datetime
) -> dict[str, Any]:
    """A source: configuration, schedule, freshness, newest run, and how many `alarms` about it are open."""
    return {
        "source": name,
        "configuration": public_config(name, config),
        "schedule": schedule_view(state) if state else None,
        "freshness": freshness_view(latest, now),
        "last_run": run_view(latest.last) if latest else None,
        "open_anomalies": alarms,
    }


def schedule_view(state: ScheduleState) -> dict[str, Any]:
    """Where a schedule stands."""
    return {
        "spec": state.spec,
        "next_slot_at": state.slot_at,
        "next_at": state.next_at,
        "paused": state.paused_at is not None,
        "paused_at": state.paused_at,
    }


def slot_view(slot: Slot) -> dict[str, Any]:
    """A slot, without the source's name."""
    view = asdict(slot)
    del view["source"]
    return {**view, "state": str(slot.state)}


def freshness_view(latest: LatestRuns | None, now: datetime) -> dict[str, Any]:
    """How old a source's data is."""
    success = latest.success if latest else None
    return {"last_success_at": success.finished_at if success else None, "lag_seconds": lag_seconds(latest, now)}


def lag_seconds(latest: LatestRuns | None, now: datetime) -> float | None:
    """Seconds since the newest successful run began: all that the source had then is here. None: no run succeeded."""
    if latest is None or latest.success is None:
        return None
    return round(max(0.0, (now - latest.success.started_at).total_seconds()), 3)


async def _partitions(work: UnitOfWork, name: str) -> dict[str, Any]:
    """Each part of the live source, and the windows of its backfills together."""
    positions = {checkpoint.partition: checkpoint for checkpoint in await work.checkpoints.list(name)}
    states = {state.partition: state for state in await work.partitions.list(name)}
    views = []
    for partition in sorted(each for each in {*positions, *states} if not is_window(each)):
        state, position = states.get(partition), positions.get(partition)
        views.append(
            {
                "partition": partition,
                "state": state.state if state else "ok",
                "last_error": state.last_error if state else None,
                "url": state.url if state else None,
                "next_at": state.next_at if state else None,
                "quiet": state.quiet if state else None,
                "gaps": state.gaps if state else 0,
                "gap_at": state.gap_at if state else None,
                "checkpoint_version": position.version if position else None,
                "checkpoint_at": position.updated_at if position else None,
            }
        )
    failed = sum(is_window(each.partition) and each.state != "ok" for each in states.values())
    return {"partitions": views, "backfill": backfill_view(positions.values(), failed)}
