"""Claims, links, entities, candidates and rulings as rows, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import Row

from kasparro_adapters.sql.identity_tables import entities, entity_links
from kasparro_core.model.entity import (
    AssetId,
    Candidate,
    Claim,
    Entity,
    EntityLink,
    Known,
    Market,
    Ruling,
    Verdict,
)
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json

ENTITY = tuple(column for column in entities.c if column.name != "name_folded")
_LINK = entity_links.c
CLAIM = (_LINK.source, _LINK.external_id, _LINK.kind, _LINK.symbol, _LINK.name, _LINK.facts)


def entity_of(row: Row[Any]) -> Entity:
    """An entity, of the columns ENTITY."""
    found = dict(row._mapping)
    source, external_id = found.pop("founder_source"), found.pop("founder_id")
    return Entity(**found, founder=None if source is None else AssetId(source, external_id))


def entity_row(entity: Entity) -> dict[str, Any]:
    """The row of an entity that is new."""
    return {
        "entity_id": entity.entity_id,
        "kind": entity.kind,
        "symbol": entity.symbol,
        "name": entity.name,
        "merged_into": entity.merged_into,
        "founder_source": entity.founder and entity.founder.source,
        "founder_id": entity.founder and entity.founder.external_id,
        "name_folded": None if entity.name is None else entity.name.casefold(),
    }


def link_of(row: Row[Any]) -> EntityLink:
    """The link of a row of entity_links."""
    return EntityLink(
        row.source, row.external_id, row.entity_id, row.method, row.confidence, row.evidence, row.decided_at
    )


def claim_of_row(row: Row[Any]) -> Claim:
    """The claim of a row of entity_links, of the columns CLAIM."""
    facts = row.facts
    return Claim(
        asset=AssetId(row.source, row.external_id),
        kind=row.kind,
        symbol=row.symbol,
        name=row.name,
        contracts=tuple(facts.get("contracts", ())),
        refs=tuple(AssetId(*each) for each in facts.get("refs", ())),
        former=tuple(facts.get("former", ())),
        market=_market(facts.get("market", {})),
    )


def known_of(row: Row[Any]) -> Known:
    """All of a row of entity_links."""
    return Known(claim_of_row(row), row.claim_hash, row.seen_at, link_of(row))


def known_row(known: Known, dialect: str) -> dict[str, Any]:
    """The row of entity_links."""
    claim, link = known.claim, known.link
    return {
        "source": link.source,
        "external_id": link.external_id,
        "entity_id": link.entity_id,
        "method": str(link.method),
        "confidence": _number(link.confidence, dialect),
        "evidence": canonical_json(link.evidence),
        "decided_at": link.decided_at,
        "kind": claim.kind,
        "symbol": claim.symbol,
        "name": claim.name,
        "facts": canonical_json(_facts(claim)),
        "claim_hash": known.fingerprint,
        "seen_at": known.seen_at,
    }


def candidate_of(row: Row[Any]) -> Candidate:
    """A row of entity_candidates."""
    a, b = AssetId(row.a_source, row.a_id), AssetId(row.b_source, row.b_id)
    return Candidate(a, b, row.reason, row.confidence, row.evidence)


def candidate_row(candidate: Candidate, dialect: str) -> dict[str, Any]:
    """The row of a candidate."""
    return {
        **pair_row(candidate.a, candidate.b),
        "reason": candidate.reason,
        "confidence": _number(candidate.confidence, dialect),
        "evidence": canonical_json(candidate.evidence),
    }


def pair_row(a: AssetId, b: AssetId) -> dict[str, str]:
    """Two assets, in order."""
    (a_source, a_id), (b_source, b_id) = sorted((a, b))
    return {"a_source": a_source, "a_id": a_id, "b_source": b_source, "b_id": b_id}


def ruling_of(row: Row[Any]) -> Ruling:
    """A row of entity_rulings."""
    a, b = AssetId(row.a_source, row.a_id), AssetId(row.b_source, row.b_id)
    return Ruling(row.ruling_id, Verdict(row.verdict), a, b, row.act, row.decided_at, row.undone_at)


def _facts(claim: Claim) -> dict[str, Any]:
    facts = {
        "contracts": claim.contracts,
        "refs": claim.refs,
        "former": claim.former,
        "market": {name: value for name, value in claim.market._asdict().items() if value is not None},
    }
    return {name: value for name, value in facts.items() if value}


def _market(facts: Mapping[str, Any]) -> Market:
    seen_at = facts.get("seen_at")
    return Market(
        facts.get("rank"),
        _decimal(facts.get("value")),
        facts.get("currency"),
        _decimal(facts.get("market_cap")),
        None if seen_at is None else datetime.fromisoformat(seen_at),
    )


def _decimal(value: Any) -> Decimal | None:
    """JSON's numbers are read as integers where they are."""
    return None if value is None else Decimal(value)


def _number(value: Decimal, dialect: str) -> Decimal | str:
    return canonical_decimal(value) if dialect == "sqlite" else value
