"""Ids of entities: readable, stable, and found again."""

from __future__ import annotations

import re
from collections.abc import Container

from kasparro_core.identity.names import folded
from kasparro_core.model.entity import Claim
from kasparro_core.normalize.canonical import canonical_json, content_hash

_PARTS = re.compile("[a-z0-9]+")
_LONGEST = 60
RESERVED = frozenset({"candidates", "merge", "namings", "review", "rulings", "split", "undo"})
"""Words that stand in the place of an id in paths and commands."""

_SHORT_HASH, _LONG_HASH = 6, 32


def possible_ids(claim: Claim) -> tuple[str, str, str]:
    """The ids that an entity founded by this claim may get, the first that is free: "btc-bitcoin",
    "btc-bitcoin-1f3a9c", and one with the whole hash of the asset."""
    plain = _slug(claim)
    digits = content_hash(canonical_json(list(claim.asset)))
    return plain, f"{plain}-{digits[:_SHORT_HASH]}", f"{plain}-{digits[:_LONG_HASH]}"


def free_id(claim: Claim, taken: Container[str]) -> str:
    """The first of the possible ids that is not taken."""
    *readable, last = possible_ids(claim)
    return next((one for one in readable if one not in taken and one not in RESERVED), last)


def _slug(claim: Claim) -> str:
    symbol, name = (_PARTS.findall(folded(text or "")) for text in (claim.symbol, claim.name))
    parts = ["".join(symbol), *(name or _PARTS.findall(folded(claim.asset.external_id)))]
    return "-".join(part for part in parts if part)[:_LONGEST].strip("-") or claim.kind
