"""Synthetic sources: runs of many weeks with nights, weekends, growth, noise and long tails, and faults planted."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from kasparro_core.model import Counters, Latency, PastRun, Run, RunFacts, RunStatus, Trigger

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)  # a Monday
DAYS = 90
FIRST_FAULT_DAY = 15


@dataclass(frozen=True, slots=True)
class Profile:
    """What a source is like when it is well. `items` is what a run brings at noon of a weekday; `night` and `weekend`
    are the shares of that which remain. `noise`: the deviation of the logarithm. `full`: every run brings everything,
    and `changed` is the share that has changed. `settled`: how old the newest item is when it is seen; `still`: for how
    long no newer one may come. `quick`: there are few runs."""

    name: str
    every: timedelta
    items: float
    night: float = 1.0
    weekend: float = 1.0
    noise: float = 0.05
    growth: float = 0.0
    full: bool = False
    changed: float = 0.9
    rejected: float = 0.005
    per_page: int = 250
    quick: bool = False
    settled: timedelta = timedelta(minutes=2)
    still: timedelta = timedelta(hours=8)


QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)

PROFILES = (
    Profile("market list, hourly", HOUR, 5_000, noise=0.003, growth=0.002, full=True, night=0.98),
    Profile("events since the last mark, hourly", HOUR, 400, night=0.35, weekend=0.6, noise=0.1, growth=0.004),
    Profile("short list, every quarter", QUARTER, 250, noise=0.0, full=True, changed=0.8),
    Profile("trades since the last mark, every quarter", QUARTER, 150, night=0.5, weekend=0.7, noise=0.12),
    Profile("office hours, hourly", HOUR, 90, night=0.02, weekend=0.02, noise=0.15, still=timedelta(hours=60)),
    Profile("export of the day, daily", DAY, 20_000, weekend=0.5, noise=0.08, growth=0.005, still=DAY, quick=True),
    Profile("market list, every three hours", 3 * HOUR, 5_000, noise=0.003, growth=0.002, full=True, quick=True),
)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that goes wrong from `begin` on, for so many runs; `metrics`: by which of them it may be found."""

    kind: str
    begin: int
    runs: int
    metrics: frozenset[str]

    def holds(self, run: int) -> bool:
        """Whether this run has it."""
        return self.begin <= run < self.begin + self.runs


KINDS: Mapping[str, tuple[int, frozenset[str]]] = {
    "drop to zero": (3, frozenset({"fetched"})),
    "half missing": (6, frozenset({"fetched"})),
    "doubling": (6, frozenset({"fetched"})),
    "rejections": (2, frozenset({"rejected_share"})),
    "null rate": (2, frozenset({"null_rate"})),
    "duration": (3, frozenset({"seconds", "latency_p95"})),
    "failure": (1, frozenset({"failed"})),
    "stuck clock": (0, frozenset({"lag"})),  # more than twice as long as it usually does not move
    "backwards": (1, frozenset({"backwards"})),
    "bytes collapse": (1, frozenset({"bytes_per_item"})),
    "latency": (3, frozenset({"latency_p95", "seconds"})),
    "empty but successful": (1, frozenset({"fetched"})),
}
"""How many runs each fault lasts, and where it shows."""


class SyntheticSource:
    """The runs of one source. Everything follows from the seed."""

    def __init__(self, profile: Profile, seed: int) -> None:
        self.profile = profile
        self._random = random.Random(f"{profile.name}/{seed}")
        self.count = int(timedelta(days=DAYS) / profile.every)
        self.faults = self._planted()
        self._stuck: datetime | None = None

    def runs(self) -> Iterator[tuple[PastRun, Fault | None]]:
        """Every run with the fault that it has."""
        for number in range(self.count):
            fault = next((each for each in self.faults if each.holds(number)), None)
            yield self._run(number, fault), fault

    def _planted(self) -> list[Fault]:
        """One of each kind, in any order, at times at which there is something to be missed."""
        kinds = list(KINDS)
        self._random.shuffle(kinds)
        span = (DAYS - FIRST_FAULT_DAY) / len(kinds)
        return [self._fault(kind, FIRST_FAULT_DAY + span * place) for place, kind in enumerate(kinds)]

    def _fault(self, kind: str, day: float) -> Fault:
        runs, metrics = KINDS[kind]
        per_day = timedelta(days=1) / self.profile.every
        begin = math.ceil(day * per_day) + self._random.randrange(max(int(per_day), 1))
        while self._level(self._at(begin)) < 0.5 * self.profile.items:
            begin += 1
        runs = min(runs, max(math.ceil(3 * per_day), 2)) or math.ceil(2.2 * self.profile.still / self.profile.every)
        return Fault(kind, begin, max(runs, 2) if KINDS[kind][0] != 1 else 1, metrics)

    def _at(self, number: int) -> datetime:
        return BEGIN + number * self.profile.every

    def _level(self, at: datetime) -> float:
        """How much a run at this instant brings, but for chance."""
        profile = self.profile
        day = (1 - math.cos(2 * math.pi * (at.hour + at.minute / 60) / 24)) / 2
        level = profile.items * (profile.night + (1 - profile.night) * day if profile.every < DAY else 1.0)
        grown = (1 + profile.growth) ** ((at - BEGIN) / DAY)
        return level * grown * (profile.weekend if at.weekday() >= 5 else 1.0)

    def _long_tailed(self, deviation: float) -> float:
        """A factor around 1: the logarithm is of Student's t with five degrees of freedom."""
        chi = sum(self._random.gauss(0, 1) ** 2 for _ in range(5)) / 5
        return math.exp(deviation * self._random.gauss(0, 1) / math.sqrt(chi))

    def _binomial(self, count: int, share: float) -> int:
        mean, deviation = count * share, math.sqrt(count * share * (1 - share))
        if mean > 20:
            return min(max(round(self._random.gauss(mean, deviation)), 0), count)
        return (
            sum(self._random.random() < share for _ in range(count)) if count < 500 else min(self._poisson(mean), count)
        )

    def _poisson(self, mean: float) -> int:
        if mean > 50:
            return max(round(self._random.gauss(mean, math.sqrt(mean))), 0)
        limit, number, product = math.exp(-mean), 0, self._random.random()
        while product > limit:
            number, product = number + 1, product * self._random.random()
        return number

    def _run(self, number: int, fault: Fault | None) -> PastRun:
        kind, at = fault.kind if fault else "", self._at(number) + timedelta(seconds=self._random.random() * 20)
        profile = self.profile
        items = self._items(at, kind)
        rejected = self._binomial(items, profile.rejected + (0.25 if kind == "rejections" else 0))
        latency = 180 * self._long_tailed(0.2) * (6 if kind == "latency" else 1)
        if self._random.random() < 0.004:  # now and then an answer hangs
            latency *= self._random.uniform(3, 15)
        requests = 1 + items // profile.per_page
        seconds = (0.3 + requests * latency / 1000 + items * 0.0005) * self._long_tailed(0.15)
        seconds *= 5 if kind == "duration" else 1
        seconds += 10 if kind == "duration" else 0
        bytes_fetched = round((200 + items * 420) * self._long_tailed(0.02) * (0.1 if kind == "bytes collapse" else 1))
        kept = items - rejected
        changed = min(self._binomial(kept, self._changed_share(at)), kept)
        full = profile.full
        counters = Counters(
            fetched=items,
            inserted=0 if full else kept,
            updated=changed if full else 0,
            unchanged=kept - changed if full else 0,
            rejected=rejected,
            batches=requests,
            bytes_fetched=bytes_fetched,
            requests=requests,
        )
        status = RunStatus.SUCCEEDED if items else RunStatus.UNCHANGED
        if kind == "failure":
            counters, status = Counters(requests=1, batches=0), RunStatus.FAILED
        run = Run(
            number + 1, profile.name, Trigger.SCHEDULE, status, at, at + timedelta(seconds=seconds), counters,
            error="the upstream answered 500" if kind == "failure" else None,
        )  # fmt: skip
        return PastRun(run, self._facts(run, kind, Decimal(round(latency, 3)), items))

    def _items(self, at: datetime, kind: str) -> int:
        if kind in {"drop to zero", "empty but successful"}:
            return 0
        factor = {"half missing": 0.5, "doubling": 2.0}.get(kind, 1.0)
        level = self._level(at) * self._long_tailed(self.profile.noise) * factor
        return round(level) if self.profile.full else self._poisson(level)

    def _changed_share(self, at: datetime) -> float:
        quiet = 0.6 if at.weekday() >= 5 or at.hour < 6 else 1.0
        return min(self.profile.changed * quiet * self._long_tailed(0.03), 1.0)

    def _facts(self, run: Run, kind: str, latency: Decimal, items: int) -> RunFacts:
        newest = None
        if items and run.status is not RunStatus.FAILED:
            newest = run.started_at - self.profile.settled * self._random.uniform(0.5, 3)
            if kind == "stuck clock":
                newest = self._stuck = self._stuck or newest
            else:
                self._stuck = None
            if kind == "backwards":
                newest -= timedelta(days=2)
        empty = {"price": 0.0, "volume": 0.03, "note": 0.6}
        if kind == "null rate":
            empty["volume"] = 0.45
        rates = {
            path: Decimal(self._binomial(items, share)) / items if items else Decimal(0)
            for path, share in empty.items()
        }
        facts = RunFacts(
            latency=Latency(run.counters.requests, latency, latency, latency),
            items=items,
            null_rates=rates,
            newest=newest,
            comparable=True,
        )
        return facts if run.status is not RunStatus.FAILED else replace(facts, comparable=False, items=0, null_rates={})
