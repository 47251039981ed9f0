"""Observers: one that says nothing, and one that writes the log of a service."""

from __future__ import annotations

import logging
from collections import Counter

from kasparro_core.errors import KasparroError
from kasparro_core.model import Counters, Event, EventType, Rejection, Run, RunStatus

_log = logging.getLogger("kasparro.runs")
_LEVELS = {RunStatus.DEGRADED: logging.WARNING, RunStatus.FAILED: logging.ERROR}


class SilentObserver:
    """Implements `kasparro_core.ports.Observer`; also a base for observers that care for a part."""

    def run_started(self, run: Run, /) -> None:
        """Say nothing."""

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        """Say nothing."""

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        """Say nothing."""

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        """Say nothing."""

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        """Say nothing."""

    def noted(self, run: Run, event: Event, /) -> None:
        """Say nothing."""

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        """Say nothing."""

    def run_finished(self, run: Run, /) -> None:
        """Say nothing."""


class LoggingObserver:
    """Implements `kasparro_core.ports.Observer`: each event a line with `source` and `run_id`, never a payload.

    Between its start and its end, every other line of the task that carries a run out, and of the tasks begun by it,
    has the same two fields: they are bound in the context of that task.
    """

    def run_started(self, run: Run, /) -> None:
        """info. What was bound by whoever asked for the run (a request) ends here."""
        from structlog.contextvars import bind_contextvars, clear_contextvars

        clear_contextvars()
        bind_contextvars(source=run.source, run_id=run.run_id)
        _log.info("run started", extra={**_of(run), "trigger": str(run.trigger)})

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        """info."""
        _log.info("waiting for another process", extra={"source": source, "waits_for": run_id})

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        """info."""
        _log.info("run resumes a dead one", extra={**_of(run), "resumes": dead_run_id})

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        """debug, with what the batch added."""
        _log.debug("batch committed", extra={**_of(run), "partition": partition, **_counts(delta)})

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        """info, with how many items were refused, how many values noted, and how many there were of each code."""
        codes = Counter(rejection.code for rejection in rejections)
        notes = sum(rejection.is_note for rejection in rejections)
        facts = {"items": len(rejections) - notes, "notes": notes, "codes": dict(sorted(codes.items()))}
        event = "items rejected" if notes < len(rejections) else "values noted"
        _log.info(event, extra={**_of(run), "partition": partition, **facts})

    def noted(self, run: Run, event: Event, /) -> None:
        """warning, with what the event holds; of records that are gone at the source: info. Of a finding the sentence
        and its range: `evidence` is long."""
        level = logging.INFO if event.type is EventType.RECORDS_GONE else logging.WARNING
        facts = {name: value for name, value in event.data.items() if name != "evidence"}
        _log.log(level, str(event.type), extra={**_of(run), **facts})

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        """warning."""
        facts = {"partition": partition, "error_code": error.code, "error": str(error)}
        _log.warning("partition failed", extra={**_of(run), **facts})

    def run_finished(self, run: Run, /) -> None:
        """info; a degraded run: warning; a failed one: error."""
        from structlog.contextvars import unbind_contextvars

        facts = {"status": str(run.status), "seconds": _seconds(run), **_counts(run.counters)}
        fault = {"error_code": run.error_code, "error": run.error} if run.error_code else {}
        _log.log(_LEVELS.get(run.status, logging.INFO), "run finished", extra={**_of(run), **facts, **fault})
        unbind_contextvars("source", "run_id")


def _of(run: Run) -> dict[str, object]:
    return {"source": run.source, "run_id": run.run_id}


def _counts(counters: Counters) -> dict[str, int]:
    """The counters that are not 0."""
    return {name: count for name, count in counters._asdict().items() if count}


def _seconds(run: Run) -> float | None:
    return round((run.finished_at - run.started_at).total_seconds(), 3) if run.finished_at else None
