"""Entities as they are shown: side by side, as pairs to be looked at, and what people decided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from kasparro_app.views import entity_link_view, entity_view, stored_record_view
from kasparro_core.identity.agreement import Agreement, agreement, dated
from kasparro_core.model import StoredRecord
from kasparro_core.model.entity import AssetId, Candidate, IdentityCounts, Known, Ruling
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.by_hand import Decided
from kasparro_core.services.wholes import Whole


async def side_by_side(work: UnitOfWork, whole: Whole, now: datetime) -> dict[str, Any]:
    """An entity with its links, the latest record of every source, and what they agree on."""
    latest = _of_each_source(await work.records.latest(whole.assets))
    agreed = agreement(latest, now)
    return {
        **whole_view(whole),
        "sources": [_source_view(stored, agreed) for stored in latest],
        "agreement": agreement_view(agreed),
    }


def whole_view(whole: Whole) -> dict[str, Any]:
    """An entity with its links."""
    return {**entity_view(whole.entity), "links": [entity_link_view(link) for link in whole.links]}


def agreement_view(agreed: Agreement) -> dict[str, Any]:
    """What the sources agree on, as plain values."""
    return asdict(agreed)


async def candidate_views(work: UnitOfWork, candidates: Sequence[Candidate]) -> list[dict[str, Any]]:
    """Pairs to be looked at, each asset with what its source calls it and where it stands."""
    known = await work.entities.claims([asset for pair in candidates for asset in (pair.a, pair.b)])
    return [_candidate_view(pair, known) for pair in candidates]


def ruling_view(ruling: Ruling) -> dict[str, Any]:
    """What a person said of two assets. Those of one `act` were said, and are undone, together."""
    return {
        "ruling_id": ruling.ruling_id,
        "act": ruling.act,
        "verdict": str(ruling.verdict),
        "a": ruling.a._asdict(),
        "b": ruling.b._asdict(),
        "decided_at": ruling.decided_at,
        "undone_at": ruling.undone_at,
    }


def decided_view(decided: Decided) -> dict[str, Any]:
    """A decision by hand, and where its assets stand since."""
    return {
        "what": str(decided.what),
        "ruling_id": decided.act,
        "rulings": [ruling_view(ruling) for ruling in decided.rulings],
        "entities": [whole_view(whole) for whole in decided.entities],
    }


def counts_view(counts: IdentityCounts) -> dict[str, Any]:
    """How much is known."""
    return {**asdict(counts), "links": dict(counts.links)}


def _of_each_source(latest: Sequence[StoredRecord]) -> list[StoredRecord]:
    """A source that calls a thing by several ids speaks by the one it used last; one that still lists it goes first."""
    found: dict[str, StoredRecord] = {}
    for stored in sorted(latest, key=lambda each: (each.gone_at is None, dated(each), each.record_id)):
        found[stored.record.source] = stored
    return [found[source] for source in sorted(found)]


def _source_view(stored: StoredRecord, agreed: Agreement) -> dict[str, Any]:
    left_out = next((out for out in agreed.left_out if out.source == stored.record.source), None)
    return {
        "source": stored.record.source,
        "external_id": stored.record.external_id,
        "at": dated(stored),
        "left_out": None if left_out is None else str(left_out.reason),
        "behind_seconds": None if left_out is None else left_out.behind_seconds,
        "record": stored_record_view(stored),
    }


def _candidate_view(pair: Candidate, known: Mapping[AssetId, Known]) -> dict[str, Any]:
    return {
        "reason": pair.reason,
        "confidence": pair.confidence,
        "a": _asset_view(pair.a, known.get(pair.a)),
        "b": _asset_view(pair.b, known.get(pair.b)),
        "evidence": dict(pair.evidence),
    }


def _asset_view(asset: AssetId, known: Known | None) -> dict[str, Any]:
    """`entity_id` is None where the asset was forgotten since."""
    return {
        **asset._asdict(),
        "symbol": known and known.claim.symbol,
        "name": known and known.claim.name,
        "entity_id": known and known.link.entity_id,
    }
