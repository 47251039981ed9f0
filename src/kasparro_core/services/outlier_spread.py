"""What a source says of its assets beside what other sources say of the same ones at about the same time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from kasparro_core.model.anomaly import Anomaly
from kasparro_core.model.latest import Earlier, Latest, Twin
from kasparro_core.policy.outlier_words import far_apart
from kasparro_core.policy.spread import (
    FLOOR_KNOWN,
    Pair,
    Quoted,
    earlier_distances,
    odd_one,
    usual_factor,
    widest,
)
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.outlier_findings import Findings, RecordMetric

MOST_APART = 200
"""So many of the widest spreads are compared with what they were before."""

_STATES = 30


class _Case(NamedTuple):
    """An entity of which several sources say something, in one currency."""

    entity_id: str
    currency: str
    quoted: Sequence[Quoted]
    pair: Pair


async def spreads(work: UnitOfWork, findings: Findings, changed: Sequence[Latest]) -> None:
    """Judge every entity of which this run changed a quote and another source has one of about the same time."""
    mine = {each.key: each for each in changed if each.external_id == each.key and each.value and each.currency}
    twins = await work.histories.twins(findings.source, list(mine))
    cases = _cases(findings.source, mine, twins)
    findings.looked(RecordMetric.SPREAD, (case.entity_id for case in cases if case.pair.factor <= FLOOR_KNOWN))
    apart = sorted((case for case in cases if case.pair.factor > FLOOR_KNOWN), key=lambda case: -case.pair.distance)
    if not apart:
        return
    others = _others(cases)
    ids = {each.record_id for case in apart[:MOST_APART] for each in case.pair}
    earlier = await work.histories.earlier(sorted(ids), limit=_STATES)
    for case in apart[:MOST_APART]:
        before = _distances(case, earlier)
        usual = usual_factor(before, _without(case.pair.distance, others[_names(case.pair)]))
        if case.pair.factor > usual:
            _add(findings, case, usual, len(before))


def _cases(source: str, mine: Mapping[str, Latest], twins: Sequence[Twin]) -> list[_Case]:
    found: defaultdict[tuple[str, str], set[Quoted]] = defaultdict(set)
    for twin in twins:
        own = mine[twin.external_id]
        if own.value is None or own.currency is None or own.currency != twin.currency:
            continue
        quoted = found[twin.entity_id, own.currency]
        quoted.add(Quoted(twin.source, twin.record_id, twin.value, twin.at))
        quoted.add(Quoted(source, own.record_id, own.value, own.at))
    pairs = ((key, sorted(quoted), widest(sorted(quoted))) for key, quoted in found.items())
    return [_Case(*key, quoted, pair) for key, quoted, pair in pairs if pair is not None]


def _others(cases: Sequence[_Case]) -> Mapping[frozenset[str], list[float]]:
    """The spreads of all entities, by the two sources."""
    found: defaultdict[frozenset[str], list[float]] = defaultdict(list)
    for case in cases:
        found[_names(case.pair)].append(case.pair.distance)
    return found


def _names(pair: Pair) -> frozenset[str]:
    return frozenset(each.source for each in pair)


def _distances(case: _Case, earlier: Mapping[int, Sequence[Earlier]]) -> list[float]:
    a, b = (_line(earlier.get(each.record_id, ()), case.currency) for each in case.pair)
    return earlier_distances(a, b)


def _line(states: Sequence[Earlier], currency: str) -> list[tuple[datetime, Decimal]]:
    return sorted((each.at, each.value) for each in states if each.value and each.currency == currency)


def _without(one: float, distances: Sequence[float]) -> list[float]:
    """The others: what is judged does not excuse itself."""
    at = distances.index(one)
    return [*distances[:at], *distances[at + 1 :]]


async def untold(work: UnitOfWork, source: str, found: Sequence[Anomaly]) -> Sequence[Anomaly]:
    """Without the spreads that another source of the two has told, and that stand there: looked at in the unit of work
    that tells, for the sources of one entity often run at the same time."""
    others = {other for each in found for other in _sources(each)} - {source}
    told = {
        each.subject
        for other in sorted(others)
        for each in await work.findings.standing(other)
        if each.metric == RecordMetric.SPREAD
    }
    return [
        each for each in found if each.metric != RecordMetric.SPREAD or each.subject not in told or not each.subject
    ]


def _sources(anomaly: Anomaly) -> Iterable[str]:
    return anomaly.evidence["values"] if anomaly.metric == RecordMetric.SPREAD and anomaly.subject else ()


def _add(findings: Findings, case: _Case, usual: float, history: int) -> None:
    pair = case.pair
    odd = odd_one(pair, case.quoted)
    evidence = {
        "currency": case.currency,
        "values": {each.source: str(each.value) for each in case.quoted},
        "times": {each.source: each.at.isoformat() for each in case.quoted},
        "earlier_spreads": history,
    }
    findings.add(
        RecordMetric.SPREAD,
        case.entity_id,
        Decimal(f"{pair.factor:.6g}"),
        far_apart(case.entity_id, pair, case.currency, usual, odd.source if odd else None),
        high=Decimal(f"{usual:.6g}"),
        evidence=evidence,
    )
