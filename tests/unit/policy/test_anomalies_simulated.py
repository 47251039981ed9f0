"""Ninety synthetic days with twelve planted faults: what is found, and what is told for nothing."""

from __future__ import annotations

import os
import sys
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from rhythms import DAYS, KINDS, PROFILES, Fault, Profile, SyntheticSource

from kasparro_core.model import AnomalyScope, PastRun
from kasparro_core.model.anomaly import Anomaly
from kasparro_core.policy.anomaly import judge
from kasparro_core.policy.baseline import NEWEST, Figures, same_hour
from kasparro_core.policy.figures import Past, figures_of

SEEDS = int(os.environ.get("KASPARRO_TEST_ANOMALY_SEEDS", "2"))
"""Simulations: 20 to show it, of every kind of source in turn; by default few, of sources that run every few hours."""

_MANY = 6
_AT_ONCE = 25  # of each span, as the ledger gives them


@dataclass
class Outcome:
    """What a simulation came to."""

    found: set[str] = field(default_factory=set)
    false: list[Anomaly] = field(default_factory=list)


class Watcher:
    """Judges the runs of a source one after the other, as the service does, and tells as the findings' store does."""

    def __init__(self) -> None:
        self._figures: list[Figures] = []
        self._standing: set[tuple[str, int, str, str]] = set()

    def told(self, past: PastRun) -> list[Anomaly]:
        """What is told of a run."""
        now, run = figures_of(past), past.run
        judged = judge(Past(self._figures[-NEWEST:], self._alike(run.started_at)), run, now, run.started_at)
        self._figures.append(now)
        again = {each.identity for each in judged.found}
        self._standing = {each for each in self._standing if each in again or each[2] not in judged.looked}
        told = [each for each in judged.found if each.identity not in self._standing]
        self._standing |= {each.identity for each in told if each.scope is AnomalyScope.SOURCE}
        return told

    def _alike(self, at: object) -> Sequence[Figures]:
        alike: list[Figures] = []
        for start, end in same_hour(at):  # type: ignore[arg-type]
            first, last = (bisect_left(self._figures, each, key=lambda one: one.started_at) for each in (start, end))
            alike += self._figures[max(first, last - _AT_ONCE) : last]
        return alike


def simulate(profile: Profile, seed: int) -> Outcome:
    """All days of one source. What is told while a fault lasts, or of the run after it, counts for the fault."""
    source, watcher, outcome = SyntheticSource(profile, seed), Watcher(), Outcome()
    for number, (past, _) in enumerate(source.runs()):
        near = [each for each in source.faults if each.begin <= number <= each.begin + each.runs]
        for anomaly in watcher.told(past):
            if not near:
                outcome.false.append(anomaly)
            outcome.found |= {each.kind for each in near if anomaly.metric in each.metrics}
    return outcome


def profiles() -> Sequence[Profile]:
    return PROFILES if SEEDS >= _MANY else [each for each in PROFILES if each.quick]


@pytest.mark.timeout(60 + 300 * SEEDS)
def test_faults_are_found_and_health_is_silent() -> None:
    """Of the faults at least nine in ten are found, and at most one finding in thirty days has no fault behind it, over
    sources with nights, weekends, growth, noise and long tails."""
    chosen, found, false = profiles(), 0, []
    for seed in range(SEEDS):
        profile = chosen[seed % len(chosen)]
        outcome = simulate(profile, seed)
        found += len(outcome.found)
        false += outcome.false
        missed = ", ".join(sorted(set(KINDS) - outcome.found)) or "nothing"
        sys.stdout.write(f"{profile.name}, seed {seed}: missed {missed}; {len(outcome.false)} for nothing\n")
    recall, each_month = found / (SEEDS * len(KINDS)), len(false) / SEEDS / (DAYS / 30)
    sys.stdout.write(f"recall {recall:.3f}, {each_month:.2f} findings for nothing in 30 days\n")
    assert recall >= 0.9
    assert each_month <= 1, [each.explanation for each in false]


@pytest.mark.parametrize("profile", [each for each in PROFILES if each.quick], ids=lambda each: each.name)
def test_each_kind_of_fault_is_planted_once(profile: Profile) -> None:
    """What is counted as found is one of twelve faults, none of which touches another."""
    faults: list[Fault] = SyntheticSource(profile, 7).faults
    assert sorted(each.kind for each in faults) == sorted(KINDS)
    ordered = sorted(faults, key=lambda each: each.begin)
    assert all(a.begin + a.runs < b.begin for a, b in pairwise(ordered))
