"""Values beside their own past: the earlier states of a record, or the series that many records make."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal

from kasparro_core.model.latest import Latest
from kasparro_core.policy.outlier_words import off
from kasparro_core.policy.outliers import FEWEST, WINDOW, Expected, Point, jumps, strayed
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.outlier_findings import Findings, RecordMetric

MOST_JUMPS = 500
"""So many values that jumped are compared with their past."""

TAIL = 2_000
"""So many records are read at least, so that a few new ones of a series meet those before them."""


async def in_versions(work: UnitOfWork, findings: Findings, changed: Sequence[Latest]) -> None:
    """Records with versions: those whose value jumped beside the state before, each beside what it was."""
    valued = [each for each in changed if each.value is not None]
    findings.looked(RecordMetric.VALUE, (each.key for each in valued))
    jumped = [each for each in valued if each.before is not None and jumps(_value(each), each.before)][:MOST_JUMPS]
    earlier = await work.histories.earlier([each.record_id for each in jumped], limit=WINDOW)
    for latest in jumped:
        points = [
            Point(state.at, state.value)
            for state in earlier.get(latest.record_id, ())
            if state.value is not None and state.currency == latest.currency
        ]
        _add(findings, latest, strayed(sorted(points), Point(latest.at, _value(latest))))


async def in_series(work: UnitOfWork, findings: Findings, kind: str, changed: Sequence[Latest]) -> None:
    """Records that are points of series, each beside its neighbours in time."""
    rows: dict[int, Latest] = {}
    if changed and len(changed) < TAIL:
        rows = {each.record_id: each for each in await work.histories.newest(findings.source, kind, limit=TAIL)}
    rows.update((each.record_id, each) for each in changed)
    mine = {each.record_id for each in changed}
    for series in _series(rows.values()):
        findings.looked(RecordMetric.VALUE, (each.key for each in series[FEWEST:] if each.record_id in mine))
        points = [Point(each.at, _value(each)) for each in series]
        for place in _jumps(points):
            if series[place].record_id in mine:
                around = points[max(0, place - WINDOW) : place], points[place], points[place + 1 : place + 1 + WINDOW]
                _add(findings, series[place], strayed(*around))


def _series(rows: Iterable[Latest]) -> Iterable[list[Latest]]:
    """Those of one asset and currency, in the order of time. What names no asset belongs to none."""
    found: defaultdict[tuple[str, str | None], list[Latest]] = defaultdict(list)
    for each in rows:
        if each.value is not None and (asset := each.external_id or each.symbol):
            found[asset, each.currency].append(each)
    for series in found.values():
        series.sort(key=lambda each: (each.at, each.record_id))
        yield series


def _jumps(points: Sequence[Point]) -> Iterable[int]:
    return (at for at in range(1, len(points)) if jumps(points[at].value, points[at - 1].value))


def _add(findings: Findings, latest: Latest, expected: Expected | None) -> None:
    if expected is None:
        return
    value = _value(latest)
    evidence = {
        "currency": latest.currency,
        "level": str(expected.level),
        "history": expected.history,
        "at": latest.at.isoformat(),
    }
    findings.add(
        RecordMetric.VALUE,
        latest.key,
        value,
        off(latest.key, value, latest.currency, expected),
        low=expected.low,
        high=expected.high,
        evidence=evidence,
    )


def _value(latest: Latest) -> Decimal:
    return latest.value or Decimal(0)
