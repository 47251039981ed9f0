"""What a record claims of its asset: the part of it that says which thing it is."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from kasparro_core.identity.contracts import contracts_of
from kasparro_core.model.entity import AssetId, Claim, Market
from kasparro_core.model.record import Record
from kasparro_core.normalize.canonical import canonical_json, content_hash

ASSET = "asset"
"""The kind of entity that quotes and candles are about."""

_KINDS: Mapping[str, str | None] = {"quote": ASSET, "candle": ASSET, "article": None, "rename": None}

_CONTRACTS = frozenset({"platforms", "contracts", "contract"})
_FORMER = frozenset({"former_id", "former_ids"})
_TELLING = _CONTRACTS | _FORMER | {"refs"}


def claim_of(record: Record) -> Claim | None:
    """What the record says of its external_id; None where it says nothing: no external_id, an article, a renaming."""
    kind = _KINDS.get(record.kind, record.kind)
    if kind is None or not record.external_id:
        return None
    attributes = record.attributes
    return Claim(
        asset=AssetId(record.source, record.external_id),
        kind=kind,
        symbol=_text(record.symbol),
        name=_text(record.title),
        contracts=() if _CONTRACTS.isdisjoint(attributes) else contracts_of(attributes),
        refs=_refs(attributes.get("refs")),
        former=() if _FORMER.isdisjoint(attributes) else _former(attributes),
        market=Market(
            rank=_rank(attributes.get("rank")),
            value=record.value,
            currency=record.currency,
            market_cap=_decimal(attributes.get("market_cap")),
            seen_at=record.occurred_at,
        ),
    )


def fingerprint(claim: Claim) -> str:
    """A short stable text (32 hexadecimal digits) for all of a claim but its market: prices make no claim new."""
    refs = [list(ref) for ref in claim.refs]
    return _digest([*claim.asset, claim.kind, claim.symbol, claim.name, claim.contracts, refs, claim.former])


def fingerprint_of(record: Record) -> str | None:
    """The fingerprint of what the record claims, None where it claims nothing. Of most records it needs no claim: this
    runs for every one."""
    kind = _KINDS.get(record.kind, record.kind)
    if kind is None or not record.external_id:
        return None
    if _TELLING.isdisjoint(record.attributes):
        names = _text(record.symbol), _text(record.title)
        return _digest([record.source, record.external_id, kind, *names, (), [], ()])
    claim = claim_of(record)
    return None if claim is None else fingerprint(claim)


def _digest(facts: list[Any]) -> str:
    return content_hash(canonical_json(facts))


def _text(value: str | None) -> str | None:
    return (value.strip() or None) if value is not None else None


def _refs(value: Any) -> tuple[AssetId, ...]:
    if not isinstance(value, Mapping):
        return ()
    pairs = ((source, given) for source, ids in value.items() for given in _texts(ids))
    return tuple(sorted(AssetId(source, given) for source, given in pairs))


def _former(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    given = {*_texts(attributes.get("former_id")), *_texts(attributes.get("former_ids"))}
    return tuple(sorted(given))


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list | tuple) else [value]
    return [text for one in values if isinstance(one, str) and (text := one.strip())]


def _rank(value: Any) -> int | None:
    """A place in a ranking; 0 means "not ranked" (CoinPaprika)."""
    return value if type(value) is int and value > 0 else None


def _decimal(value: Any) -> Decimal | None:
    if type(value) is int:
        return Decimal(value)
    return value if isinstance(value, Decimal) else None
