"""Records that stand out, judged once a run has read everything: only those that it changed, a bounded number of them,
in a handful of reading statements. A run that changed nothing asks nothing.

What is found is kept and told in the unit of work that ends the run; it is looked for before, in one that only reads:
nobody waits for a lock meanwhile.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kasparro_core.errors import StorageError
from kasparro_core.model import Counters, Event, Run
from kasparro_core.model.anomaly import Anomaly
from kasparro_core.model.latest import Latest
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.ports import Clock, Store, UnitOfWork
from kasparro_core.services.alarms import UNFORESEEN, tell
from kasparro_core.services.jobs import ARTICLE, SourceJob
from kasparro_core.services.outlier_findings import Findings, RecordMetric
from kasparro_core.services.outlier_quotes import behind, off_market, silent, went_back
from kasparro_core.services.outlier_series import in_series, in_versions
from kasparro_core.services.outlier_spread import spreads, untold
from kasparro_core.services.steps import retried

MOST = 20_000
"""So many records of a run are judged, those that it changed last; how many were left out is logged."""

CANDLE = "candle"
QUOTE = "quote"

_log = logging.getLogger("kasparro.anomalies")


@dataclass(frozen=True, slots=True)
class Outliers:
    """What of a run's records stands out, and which subjects were looked at for which metric."""

    found: Sequence[Anomaly] = ()
    looked: Mapping[str, frozenset[str]] = field(default_factory=dict)

    async def tell(self, work: UnitOfWork, run: Run, at: datetime) -> list[Event]:
        """Keep what was found, in the unit of work that ends the run; what of it is to be told comes back."""
        if not self.found and not self.looked:
            return []
        found = await untold(work, run.source, self.found)
        return await tell(work, found, run, at, looked=self.has_looked)

    def has_looked(self, metric: str, subject: str) -> bool:
        """Whether it would have been found again."""
        return subject in self.looked.get(metric, ())


NOTHING = Outliers()


def judges(job: SourceJob, run: Run) -> bool:
    """Whether records of this run are judged: not what a source sent long ago, and no texts."""
    return job.anomalies and run.trigger not in OF_THE_PAST and job.mapping.kind != ARTICLE


async def examine(store: Store, job: SourceJob, run: Run, at: datetime) -> Outliers:
    """Judge what a run changed, all of which is committed."""
    if not judges(job, run):
        return NOTHING
    async with store.begin(write=False) as work:
        now = await work.runs.get(run.run_id)
        counters = Counters() if now is None else now.counters
        if not counters.inserted + counters.updated:
            return NOTHING
        kind = job.mapping.kind
        changed = await work.histories.changed(job.name, kind, run.run_id, run.started_at, limit=MOST)
        _tell_left_out(job, counters, len(changed))
        findings = Findings(job.name, run, at, await work.findings.standing(job.name))
        await _judge(work, job, findings, changed)
    return Outliers(findings.told(), findings.looked_at())


async def examined(store: Store, job: SourceJob, run: Run, clock: Clock) -> Outliers:
    """The same, for a run that has to come to its end: what cannot be judged is told in the log, and nothing else."""
    try:
        return await retried(clock, lambda: examine(store, job, run, clock.now()))
    except StorageError as error:  # if the database is away, the run's own end tells so
        _log.warning("source %s: the records of run %d were not judged: %s", job.name, run.run_id, error)
    except UNFORESEEN:
        _log.exception("source %s: the records of run %d could not be judged; the run goes on", job.name, run.run_id)
    return NOTHING


async def _judge(work: UnitOfWork, job: SourceJob, findings: Findings, changed: Sequence[Latest]) -> None:
    kind = job.mapping.kind
    if kind == CANDLE:
        await in_series(work, findings, kind, changed)
    if job.history:
        await in_versions(work, findings, changed)
        await went_back(work, findings)
    if kind == QUOTE:
        await off_market(findings, changed)
        behind(findings, changed)
        if job.mark_gone:  # else what left the list could not be told from what fell silent
            await silent(work, findings, kind, changed)
        await spreads(work, findings, changed)


def _tell_left_out(job: SourceJob, counters: Counters, judged: int) -> None:
    if judged == MOST < counters.inserted + counters.updated:
        left_out = counters.inserted + counters.updated - judged
        _log.info("source %s: the %d records changed last are judged, %d were left out", job.name, judged, left_out)


__all__ = ["MOST", "NOTHING", "Outliers", "RecordMetric", "examine", "examined", "judges"]
