"""Keys of claims: which of all assets have to be looked at together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from kasparro_core.identity.traits import Traits, traits_of
from kasparro_core.model.entity import AssetId, Claim

_SHORTEST_CORE = 4


class Keys(NamedTuple):
    """`binding`: two assets that share one are decided together, and whatever a decision asks about is found by them.
    `loose`: two assets that share one may be worth a look by a person, and no more."""

    binding: tuple[str, ...]
    loose: tuple[str, ...]


@lru_cache(maxsize=16_384)  # a decision asks several times for the keys of each claim of its closed set
def keys_of(claim: Claim) -> Keys:
    """The keys of a claim. Binding: the ids that it bears, bore and names ("i:coingecko:bitcoin"), its contracts
    ("c:ethereum:0x…"), its symbols ("s:asset:btc"), its name without [OLD] and the like, squeezed ("n:asset:bitcoin").
    Loose: its name without the words that tell nothing ("l:asset:hathor" for Hathor Network)."""
    traits = traits_of(claim)
    return Keys(tuple(sorted(set(_binding(traits)))), tuple(sorted(set(_loose(traits)))))


def id_key(asset: AssetId) -> str:
    """The binding key of an id: of those that bear it, bore it, or name it."""
    return f"i:{asset.source}:{asset.external_id}"


def _binding(traits: Traits) -> Iterator[str]:
    claim, source = traits.claim, traits.asset.source
    for external_id in (traits.asset.external_id, *claim.former):
        yield id_key(AssetId(source, external_id))
    for ref in claim.refs:
        yield id_key(ref)
    for contract in claim.contracts:
        yield f"c:{contract}"
    for symbol in traits.symbols:
        yield f"s:{claim.kind}:{symbol}"
    if traits.bare:
        yield f"n:{claim.kind}:{traits.bare}"


def _loose(traits: Traits) -> Iterator[str]:
    for core in traits.cores:
        if len(core) >= _SHORTEST_CORE:
            yield f"l:{traits.claim.kind}:{core}"
