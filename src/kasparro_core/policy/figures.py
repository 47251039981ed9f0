"""What a run came to, metric by metric, as far as it can be compared with other runs of its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from operator import attrgetter

from kasparro_core.model.facts import PastRun, RunFacts
from kasparro_core.model.run import Counters, Run
from kasparro_core.policy.baseline import Figures

FEWEST_ITEMS = 50
"""Shares count from this many items on; of fewer, what a few items happen to be is too much of the whole."""

NEWEST = "newest"
LAG = "lag"
BACKWARDS = "backwards"
FETCHED = "fetched"
ITEM_BYTES = "bytes_per_item"
_NULL = "null_rate:"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def figures_of(past: PastRun) -> Figures:
    """The figures of a run by themselves. One that read its source only in part says nothing about how much there is;
    what is not known of it is left out."""
    run, facts = past
    values: dict[str, Decimal | None] = {}
    if facts is not None:
        values = {**_clock(facts), **({**_amounts(run), **_inside(facts)} if facts.comparable else {})}
    return Figures(run.run_id, run.started_at, run.status, values)


@dataclass(frozen=True, slots=True)
class Past:
    """The figures of the earlier runs that a run of a source is compared with, in any order: of the newest ones without
    a gap, and of those of the same hour of the week, which may be among them."""

    newest: Sequence[Figures] = ()
    alike: Sequence[Figures] = ()

    def figures(self) -> list[Figures]:
        """All of them, each once."""
        return [*self.alike_figures(), *_timeline(self.newest)]

    def timeline(self, now: Figures) -> list[Figures]:
        """The newest ones in the order in which they were made, and last those of a run after them."""
        return _timeline([*self.newest, now])

    def alike_figures(self) -> list[Figures]:
        """The others."""
        known = {each.run_id for each in self.newest}
        return [each for one in self.alike if one.run_id not in known for each in _timeline([one])]


def null_rates(figures: Figures) -> dict[str, Decimal]:
    """By metric, how empty each field was."""
    return {metric: rate for metric, rate in figures.values.items() if rate is not None and metric.startswith(_NULL)}


def _timeline(past: Iterable[Figures]) -> list[Figures]:
    """Figures of runs, oldest first, each with how far the newest item lay behind (`lag`) and how far it went
    `backwards`, both in seconds. What a run did not read is as old as it was before."""
    known: Decimal | None = None
    told: list[Figures] = []
    for each in sorted(past, key=attrgetter("run_id")):
        newest, is_whole = each.values.get(NEWEST), FETCHED in each.values
        values = dict(each.values)
        if newest is not None:
            if known is not None and is_whole:
                values[BACKWARDS] = max(known - newest, Decimal(0))
            known = newest if known is None or is_whole else max(known, newest)
        if known is not None:
            values |= {NEWEST: known, LAG: _seconds(each.started_at) - known}
        told.append(Figures(each.run_id, each.started_at, each.status, values))
    return told


def _amounts(run: Run) -> Mapping[str, Decimal | None]:
    counters = run.counters
    values: dict[str, Decimal | None] = {name: Decimal(getattr(counters, name)) for name in Counters._fields}
    if run.finished_at is not None:
        values["seconds"] = max(Decimal(str((run.finished_at - run.started_at).total_seconds())), Decimal(0))
    if counters.fetched:
        values[ITEM_BYTES] = round(Decimal(counters.bytes_fetched) / counters.fetched, 3)
    if counters.fetched >= FEWEST_ITEMS:
        for name in ("inserted", "updated", "rejected"):
            values[f"{name}_share"] = _share(int(getattr(counters, name)), counters.fetched)
    return values


def _inside(facts: RunFacts) -> Mapping[str, Decimal | None]:
    """How it was answered, and how empty its items were."""
    values: dict[str, Decimal | None] = {}
    if facts.latency is not None:
        values |= {"latency_p50": facts.latency.p50, "latency_p95": facts.latency.p95}
    if facts.items >= FEWEST_ITEMS:
        values |= {f"{_NULL}{path}": rate for path, rate in facts.null_rates.items()}
    return values


def _clock(facts: RunFacts) -> Mapping[str, Decimal | None]:
    return {} if facts.newest is None else {NEWEST: _seconds(facts.newest)}


def _seconds(at: datetime) -> Decimal:
    return Decimal(str((at - _EPOCH).total_seconds()))


def _share(part: int, whole: int) -> Decimal:
    return round(Decimal(part) / whole, 6)
