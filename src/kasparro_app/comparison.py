"""Two runs of one source side by side: what is read of them. `comparison_view` shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kasparro_core.model import Anomaly, AnomalyQuery, DriftEvent, FindingQuery, PastRun, Run
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.model.span import Fate, Keys, Span
from kasparro_core.policy.baseline import Baseline, Figures
from kasparro_core.policy.figures import figures_of
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.watch import past_of

MOST_KEYS = 20
"""So many keys are shown of the records that had one fate."""

MOST_FINDINGS = 1000
"""So many changes of shape and anomalies are looked through."""


class UnknownRunError(Exception):
    """There is no such run."""

    def __init__(self, run_id: int) -> None:
        super().__init__(f"There is no run {run_id}.")


class DifferentSourcesError(Exception):
    """Runs of two sources have nothing to be compared."""

    def __init__(self, a: Run, b: Run) -> None:
        super().__init__(
            f"Run {a.run_id} is of source {a.source!r} and run {b.run_id} of {b.source!r}: "
            "only runs of one source can be compared."
        )


@dataclass(frozen=True, slots=True)
class Usual:
    """What run b is compared with: its own figures, and what the runs before it let expect of them."""

    figures: Figures
    baseline: Baseline


@dataclass(frozen=True, slots=True)
class Compared:
    """Two runs and what was found between them and in them. `usual`: None where nothing is expected of run b.
    `fates`: what became of the records from the earlier run to the later one; None where one is not over."""

    a: PastRun
    b: PastRun
    drift: tuple[DriftEvent, ...] = ()
    anomalies: tuple[Anomaly, ...] = ()
    usual: Usual | None = None
    fates: Mapping[Fate, Keys] | None = field(default_factory=dict)

    @property
    def in_order(self) -> tuple[PastRun, PastRun]:
        """The earlier run and the later one."""
        earlier, later = sorted((self.a, self.b), key=lambda each: each.run.run_id)
        return earlier, later


async def compare_runs(work: UnitOfWork, a_id: int, b_id: int) -> Compared:
    """Read both runs and what is known between them. Raises UnknownRunError and DifferentSourcesError."""
    a, b = [await _run(work, run_id) for run_id in (a_id, b_id)]
    if a.run.source != b.run.source:
        raise DifferentSourcesError(a.run, b.run)
    compared = Compared(a, b)
    return Compared(
        a,
        b,
        drift=await _drift(work, compared),
        anomalies=await _anomalies(work, compared),
        usual=await _usual(work, b),
        fates=await _fates(work, compared),
    )


async def _run(work: UnitOfWork, run_id: int) -> PastRun:
    run = await work.runs.get(run_id)
    if run is None:
        raise UnknownRunError(run_id)
    return PastRun(run, await work.runs.facts(run_id))


async def _drift(work: UnitOfWork, compared: Compared) -> tuple[DriftEvent, ...]:
    earlier, later = compared.in_order
    found = await work.findings.drift(FindingQuery(source=earlier.run.source, limit=MOST_FINDINGS))
    return tuple(event for event in found if earlier.run.run_id < event.run_id <= later.run.run_id)


async def _anomalies(work: UnitOfWork, compared: Compared) -> tuple[Anomaly, ...]:
    ids = dict.fromkeys((compared.a.run.run_id, compared.b.run.run_id))
    queries = (AnomalyQuery(run_id=run_id, limit=MOST_FINDINGS) for run_id in ids)
    return tuple([each for query in queries for each in await work.findings.anomalies(query)])


async def _usual(work: UnitOfWork, ended: PastRun) -> Usual | None:
    run = ended.run
    if run.finished_at is None or run.trigger in OF_THE_PAST:
        return None
    past = await past_of(work, run)
    return Usual(past.timeline(figures_of(ended))[-1], Baseline(past.figures(), run.started_at))


async def _fates(work: UnitOfWork, compared: Compared) -> Mapping[Fate, Keys] | None:
    (low, was), (high, now) = compared.in_order
    if low.finished_at is None or high.finished_at is None:
        return None
    if low.run_id == high.run_id:
        return {}
    span = Span(
        source=low.source,
        low=low.run_id,
        high=high.run_id,
        since=low.finished_at,
        until=max(low.finished_at, high.finished_at),
        after_seq=was.change_seq if was is not None else None,
        through_seq=now.change_seq if now is not None else None,
    )
    return await work.records.fates(span, keys=MOST_KEYS)
