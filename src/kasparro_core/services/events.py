"""What listeners are told of a run. Appended last, in the transaction of what it tells of."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kasparro_core.model import Counters, Departed, Event, EventType, Run


def run_started(run: Run) -> Event:
    """The run row and its lease."""
    data = {"trigger": str(run.trigger), "resumes": run.resumes}
    return Event(EventType.RUN_STARTED, run.source, run.run_id, run.started_at, data)


def batch_committed(run: Run, partition: str, delta: Counters, at: datetime) -> Event:
    """One unit of work; the counters are what it added to the run."""
    data: dict[str, Any] = {"partition": partition, **delta._asdict()}
    return Event(EventType.BATCH_COMMITTED, run.source, run.run_id, at, data)


def run_finished(run: Run) -> Event:
    """The final state of a run."""
    data: dict[str, Any] = {
        "trigger": str(run.trigger),
        "status": str(run.status),
        **run.counters._asdict(),
        "error_code": run.error_code,
        "error": run.error,
    }
    return Event(EventType.RUN_FINISHED, run.source, run.run_id, run.finished_at or run.started_at, data)


def records_gone(run: Run, count: int, gone_at: datetime, at: datetime) -> Event:
    """So many records were not in a complete listing, and are marked since."""
    return Event(EventType.RECORDS_GONE, run.source, run.run_id, at, {"count": count, "gone_at": gone_at.isoformat()})


def gone_refused(run: Run, departed: Departed, at: datetime) -> Event:
    """So many records were not in a complete listing that none was marked."""
    data = {"missing": departed.missing, "stood": departed.stood, "max": departed.most}
    return Event(EventType.GONE_REFUSED, run.source, run.run_id, at, data)


def entities_decided(what: EventType, data: Mapping[str, Any], at: datetime) -> Event:
    """A person has decided about entities, which may be of several sources."""
    return Event(what, "", None, at, data)
