"""Quotes beside the rest of their listing: figures that contradict each other, and what does not move with others."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from kasparro_core.model import Run
from kasparro_core.model.latest import Late, Latest
from kasparro_core.model.run import SUCCESSES
from kasparro_core.policy.outlier_words import left_behind, ranked_high
from kasparro_core.policy.outlier_words import silent as fell_silent_words
from kasparro_core.policy.outlier_words import went_back as back_in_time
from kasparro_core.policy.plausible import (
    FEWEST_SIBLINGS,
    FEWEST_STATES,
    LEAST,
    SILENCE,
    Behind,
    Fell,
    Ranked,
    ages,
    fell_silent,
    implausible,
    main_currency,
    unwatched,
)
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.outlier_findings import Findings, RecordMetric

MOST_SILENT = 300
"""So many records that did not move are compared with how often they used to."""

LONG_SILENT = timedelta(days=30)
"""What has been silent for longer was told when it fell silent, or is dead."""

BACK = timedelta(hours=1)
"""Caches of an upstream differ by less; that is no going back."""

_STATES = 30


async def off_market(findings: Findings, changed: Sequence[Latest]) -> None:
    """Assets that are ranked high and hardly traded, beside those of about their rank in this run."""
    ranked = [
        Ranked(each.key, each.currency, each.rank, each.market_cap, each.volume)
        for each in changed
        if each.rank is not None and each.market_cap is not None and each.volume is not None
    ]
    currency = main_currency([each.currency for each in ranked])
    listing = [each for each in ranked if each.currency == currency]
    markets = await asyncio.to_thread(implausible, listing)
    findings.looked(RecordMetric.MARKET, markets.sound)
    for each in markets.out:
        asset = each.asset
        evidence = {
            "rank": asset.rank,
            "market_cap": asset.market_cap,
            "currency": asset.currency,
            "usual_volume": _rounded(each.usual),
            "compared_with": each.neighbours,
            "deviations": each.score,
            "least_factor": LEAST,
        }
        volume = Decimal(repr(asset.volume))
        findings.add(
            RecordMetric.MARKET, asset.key, volume, ranked_high(each), low=_rounded(each.least), evidence=evidence
        )


def behind(findings: Findings, changed: Sequence[Latest]) -> None:
    """What is older than its siblings in this run."""
    said = [(each.key, each.occurred_at) for each in changed if each.occurred_at is not None]
    if (told := ages(said)) is not None:
        findings.looked(RecordMetric.BEHIND, (key for key, at in said if at >= told.recent))
        for each in told.found:
            _add_behind(findings, each, len(said))


def _add_behind(findings: Findings, found: Behind, compared: int) -> None:
    evidence = {"said": found.said.isoformat(), "siblings": found.usual.isoformat(), "compared_with": compared}
    age, most = _seconds(found.usual - found.said), _seconds(found.usual - found.earliest)
    findings.add(RecordMetric.BEHIND, found.key, age, left_behind(found), high=most, evidence=evidence)


async def silent(work: UnitOfWork, findings: Findings, kind: str, changed: Sequence[Latest]) -> None:
    """What fell silent while its siblings moved."""
    findings.looked(RecordMetric.SILENT, (each.key for each in changed))
    if len(changed) < FEWEST_SIBLINGS:
        return
    now, histories = findings.at, work.histories
    quiet = await histories.silent(findings.source, kind, now - SILENCE, revisions=FEWEST_STATES, limit=MOST_SILENT)
    quiet = [each for each in quiet if now - each.seen_at <= LONG_SILENT]
    pauses = await _pauses(work, findings.run) if quiet else []
    earlier = await histories.earlier([each.record_id for each in quiet], limit=_STATES)
    for latest in quiet:
        states = sorted([*(state.seen_at for state in earlier.get(latest.record_id, ())), latest.seen_at])
        unseen = sum((pause for end, pause in pauses if end > latest.seen_at), timedelta())
        if (fell := fell_silent(states, now - unseen)) is not None:
            _add_silent(findings, latest, fell, {"states": len(states), "others_moved": len(changed)})


async def _pauses(work: UnitOfWork, run: Run) -> list[tuple[datetime, timedelta]]:
    """When nobody could see whether anything moved: the source was not read, or failed."""
    past = await work.runs.history(run.source, before=run.run_id)
    starts = [each.run.started_at for each in reversed(past) if each.run.status in SUCCESSES]
    return unwatched([*starts, run.started_at])


def _add_silent(findings: Findings, latest: Latest, fell: Fell, figures: Mapping[str, int]) -> None:
    findings.add(
        RecordMetric.SILENT,
        latest.key,
        _seconds(fell.silence),
        fell_silent_words(latest.key, fell.silence, figures["others_moved"]),
        high=_seconds(fell.patience),
        evidence={"since": latest.seen_at.isoformat(), **figures},
    )


async def went_back(work: UnitOfWork, findings: Findings) -> None:
    """Records of which the source now says an older instant than it had said."""
    latest: dict[str, Late] = {}
    for late in await work.histories.late(findings.source, findings.run.run_id, findings.run.started_at):
        latest.setdefault(late.key, late)
    for key, late in latest.items():
        if (back := late.stood - late.said) > BACK:
            evidence = {"stood": late.stood.isoformat(), "said": late.said.isoformat()}
            explanation = back_in_time(key, late.stood, late.said)
            findings.add(
                RecordMetric.BACKWARDS, key, _seconds(back), explanation, high=_seconds(BACK), evidence=evidence
            )


def _rounded(figure: float) -> Decimal:
    return Decimal(f"{figure:.3g}")


def _seconds(time: timedelta) -> Decimal:
    return Decimal(round(time.total_seconds()))
