"""Is a run normal? Judged in the unit of work that ends it, by what the ledger remembers of its source."""

from __future__ import annotations

import logging
from datetime import datetime

from kasparro_core.model import Event, PastRun, Run, RunFacts
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.policy.anomaly import judge
from kasparro_core.policy.baseline import NEWEST, WEEKS, same_hour
from kasparro_core.policy.figures import Past, figures_of
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.alarms import UNFORESEEN, tell
from kasparro_core.services.jobs import SourceJob

_log = logging.getLogger("kasparro.anomalies")


async def past_of(work: UnitOfWork, run: Run) -> Past:
    """What a run is compared with: the newest runs before it and, where these do not reach as far back, those of the
    same hour of the week. One or two statements, of bounded size."""
    newest = await work.runs.history(run.source, before=run.run_id, limit=NEWEST)
    spans = same_hour(run.started_at)
    if len(newest) < NEWEST or newest[-1].run.started_at <= spans[WEEKS - 1][0]:
        return Past([figures_of(each) for each in newest])
    alike = await work.runs.alike(run.source, spans, before=run.run_id)
    return Past([figures_of(each) for each in newest], [figures_of(each) for each in alike])


async def watch(work: UnitOfWork, job: SourceJob, run: Run, facts: RunFacts, at: datetime) -> list[Event]:
    """Judge a run that has just ended; returns the events that are to be appended. Replays and backfills say nothing of
    how a source is now."""
    if not job.anomalies or run.trigger in OF_THE_PAST:
        return []
    try:
        judged = judge(await past_of(work, run), run, figures_of(PastRun(run, facts)), at)
    except UNFORESEEN:
        _log.exception("source %s: run %d could not be judged; it ends all the same", run.source, run.run_id)
        return []
    if not judged.found and not judged.looked:
        return []
    looked = judged.looked
    return await tell(work, judged.found, run, at, looked=lambda metric, subject: not subject and metric in looked)
