"""Is this run normal? One run judged against the earlier ones of its source.

One cause is told once: of figures that go together (items and bytes; the answers and the whole run) the first that is
out is the finding, and the others are among its evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import Any

from kasparro_core.model.anomaly import Anomaly, AnomalyScope
from kasparro_core.model.run import SUCCESSES, Run, RunStatus
from kasparro_core.policy.anomaly_words import brought_nothing, failed, out_of_range
from kasparro_core.policy.baseline import FAR, SEEN, Baseline, Figures, Range
from kasparro_core.policy.figure_rules import RULES, rule_of
from kasparro_core.policy.figures import BACKWARDS, FETCHED, ITEM_BYTES, LAG, NEWEST, Past, null_rates
from kasparro_core.policy.streaks import FRESH, OFTEN, empty, failing

FAILED = "failed"

AMOUNTS = (FETCHED, ITEM_BYTES, "requests", "inserted_share", "updated_share")
"""What depends on how much there was since the run before."""

TIMES = ("latency_p95", "seconds")

_GATHERED = {*AMOUNTS, "seconds"}

TOGETHER = (AMOUNTS, ("rejected_share",), TIMES, (BACKWARDS,))
"""Figures that go together, the one that says most first."""

JUDGED = frozenset({FAILED, LAG, "null_rate", *(metric for metrics in TOGETHER for metric in metrics)})
"""All metrics of findings that are made here."""

PAUSE = 1.5
"""A run that begins so many times later than runs usually follow one another brings what has gathered meanwhile."""

LATELY = 6
"""When of so many runs before as many as `SEEN` were out on the same side, that is how the source is now."""

FEWEST_MOVES = 3
"""A source whose newest item was not seen to move so many times cannot be said to have stopped."""

_GAPS = 20
_MOST_ALSO = 20


@dataclass(frozen=True, slots=True)
class Judged:
    """What stands out; and the metrics which say of the source, by this run, what they can: what stood of them is over
    unless it was found again."""

    found: Sequence[Anomaly] = ()
    looked: frozenset[str] = frozenset()


def judge(past: Past, run: Run, now: Figures, at: datetime) -> Judged:
    """Judge a run that has ended, with its figures, at the instant `at`. One that was stopped is not judged."""
    if run.status not in SUCCESSES and run.status is not RunStatus.FAILED:
        return Judged()
    case = _Case(past, run, now, at)
    found = [*case.failing()]
    if run.status is RunStatus.FAILED:
        found += case.figures([("rejected_share",)])
    else:
        found += case.amounts()
        if not any(each.metric == BACKWARDS or (each.metric == FETCHED and not each.found) for each in found):
            found += case.stale()
    return Judged((*found, *case.null_rates()), frozenset(case.looked))


class _Case:
    """One run and its past."""

    def __init__(self, past: Past, run: Run, now: Figures, at: datetime) -> None:
        self._run = run
        self._at = at
        *self._line, self._now = past.timeline(now)
        self._baseline = Baseline([*past.alike_figures(), *self._line], self._now.started_at)
        self._then: dict[datetime, Baseline] = {}
        self.looked: set[str] = set()

    def failing(self) -> Iterable[Anomaly]:
        """A failed run after successful ones."""
        streak = failing((each.status for each in self._line), self._run.status)
        if streak.in_a_row:
            evidence = {"in_a_row": streak.in_a_row, "times": streak.times, "error_code": self._run.error_code}
            words = failed(streak, self._run.error)
            found = Decimal(streak.in_a_row)
            yield self._anomaly(FAILED, found, words, evidence, stands=streak.stands, high=Decimal(0))
        elif self._run.status in SUCCESSES and streak.times < OFTEN:
            self.looked.add(FAILED)

    def amounts(self) -> Iterable[Anomaly]:
        """How much came, in what time, and how old it was."""
        match self._now.values.get(FETCHED):
            case None:
                return ()
            case value if value == 0:
                return self._nothing()
            case _:
                self.looked.add(FETCHED)
                return self.figures(TOGETHER)

    def figures(self, groups: Iterable[Sequence[str]]) -> Iterable[Anomaly]:
        """The first figure of each group that is out."""
        told: dict[str, Range] = {}
        for metrics in groups:
            out = {metric: found for metric in metrics if (found := self._out(metric)) is not None}
            if out and not (metrics is TIMES and FETCHED in told):  # more items take more time
                told |= out
                yield self._told(out)

    def null_rates(self) -> Iterable[Anomaly]:
        """Fields that are emptier than usual: one finding, about the one that is out by most."""
        least = RULES["null_rate"].least  # what is no more than this lies within any range
        rates = {metric: rate for metric, rate in null_rates(self._now).items() if rate > least}
        out = {metric: found for metric in rates if (found := self._out(metric)) is not None}
        if out:
            yield self._told(dict(sorted(out.items(), key=lambda each: (each[1].centre - rates[each[0]], each[0]))))

    def stale(self) -> Iterable[Anomaly]:
        """The newest item of the source has not moved for much longer than it used to. The runs that have seen it where
        it is now say nothing of how long that usually takes."""
        newest = self._now.values.get(NEWEST)
        earlier = [each for each in self._baseline.history if each.values.get(NEWEST) != newest]
        if newest is None or len(set(_told(self._line, NEWEST))) < FEWEST_MOVES:
            return
        lag, found = self._now.values[LAG], Baseline(earlier, self._now.started_at).expected(LAG)
        if lag is not None and found is not None and found.is_above(lag):
            yield self._told({LAG: found}, stands=True)
        elif self._line[-1].values.get(NEWEST) != newest:
            self.looked.add(LAG)

    def _nothing(self) -> Iterable[Anomaly]:
        before, alike = _told(self._line, FETCHED), _told(self._baseline.alike, FETCHED)
        fresh = [each for each in self._line if self._now.started_at - each.started_at <= FRESH]
        streak = empty(before, alike, len(_told(fresh, FETCHED)))
        if streak is None:
            return
        usually = median(value for value in before if value)
        evidence = {"in_a_row": streak.in_a_row, "median": usually, "samples": len(before)}
        words = brought_nothing(streak, usually)
        yield self._anomaly(FETCHED, Decimal(0), words, evidence, stands=streak.in_a_row > 1, low=Decimal(1))

    def _out(self, metric: str) -> Range | None:
        """The range of a figure that is not in it: by far, or like the run before it."""
        value = self._now.values.get(metric)
        if value is None or (metric in _GATHERED and self._is_a_rest):
            return None
        near = self._baseline.expected(metric)
        if near is None or not self._counts(metric, near, value):
            return None
        lately = [self._was_out(metric, back, above=near.is_above(value)) for back in range(1, LATELY + 1)]
        if sum(lately) >= SEEN:
            return None
        if lately[0]:
            return near
        far = self._baseline.expected(metric, strays=FAR) if rule_of(metric).alone else None
        return far if far is not None and self._counts(metric, far, value) else None

    def _was_out(self, metric: str, back: int, *, above: bool) -> bool:
        """Whether an earlier run, so many before this one, was out on the same side, by what was known then."""
        if back > len(self._line):
            return False
        then = self._line[-back]
        value = then.values.get(metric)
        found = None if value is None else self._known_at(then.started_at).expected(metric)
        return found is not None and value is not None and (found.is_above(value) if above else found.is_below(value))

    def _known_at(self, at: datetime) -> Baseline:
        """What was expected then: the same for every metric."""
        if at not in self._then:
            self._then[at] = Baseline(self._baseline.history, at)
        return self._then[at]

    def _counts(self, metric: str, found: Range, value: Decimal) -> bool:
        """Whether a figure is out; not where what has gathered explains it."""
        return found.is_below(value) or (found.is_above(value) and not (metric in _GATHERED and self._is_late))

    @cached_property
    def _is_a_rest(self) -> bool:
        """After a run that broke off this one brings what was left, or what came meanwhile."""
        return bool(self._line) and self._line[-1].status not in SUCCESSES

    @cached_property
    def _is_late(self) -> bool:
        """After a pause."""
        starts = [each.started_at for each in self._line[-_GAPS:]]
        gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(starts)]
        return bool(gaps) and (self._now.started_at - starts[-1]).total_seconds() > PAUSE * median(gaps)

    def _told(self, out: Mapping[str, Range], *, stands: bool = False) -> Anomaly:
        """The first of figures that go together; the others are evidence."""
        (metric, found), *others = out.items()
        value = self._now.values[metric] or Decimal(0)
        evidence = {
            "median": found.centre,
            "spread": found.spread,
            "samples": found.samples,
            "basis": str(found.basis),
            "also": {each: self._now.values[each] for each, _ in others[:_MOST_ALSO]},
        }
        words = out_of_range(metric, value, found)
        return self._anomaly(metric, value, words, evidence, stands=stands, low=found.low, high=found.high)

    def _anomaly(
        self,
        metric: str,
        found: Decimal,
        words: str,
        evidence: Mapping[str, Any],
        *,
        stands: bool,
        low: Decimal | None = None,
        high: Decimal | None = None,
    ) -> Anomaly:
        name, _, subject = metric.partition(":")
        return Anomaly(
            source=self._run.source,
            run_id=self._run.run_id,
            scope=AnomalyScope.SOURCE if stands else AnomalyScope.RUN,
            metric=name,
            found=found,
            detected_at=self._at,
            explanation=words,
            subject=subject,
            expected_low=low,
            expected_high=high,
            evidence=evidence,
        )


def _told(line: Iterable[Figures], metric: str) -> list[Decimal]:
    return [value for each in line if (value := each.values.get(metric)) is not None]
