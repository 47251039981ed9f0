"""Keys of claims: which of all assets have to be looked at together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from kasparro_core.identity.traits import Traits, traits_of
from kasparro_core.model.entity import AssetId, Claim
from kasparro_core.normalize.canonical import content_hash

_SHORTEST_CORE = 4
_LONGEST = 200


class Keys(NamedTuple):
    """`binding`: two assets that share one are decided together, and whatever a decision asks about is found by them.
    `loose`: two assets that share one may be worth a look by a person, and no more."""

    binding: tuple[str, ...]
    loose: tuple[str, ...]


def keys_of(claim: Claim) -> Keys:
    """The keys of a claim. Binding: the ids that it bears, bore and names ("i:coingecko:bitcoin"), its contracts
    ("c:ethereum:0x…"), its symbols ("s:asset:btc"), its name without [OLD] and the like, squeezed ("n:asset:bitcoin").
    Loose: its name without the words that tell nothing ("l:asset:hathor" for Hathor Network)."""
    return keys_of_traits(traits_of(claim))


def keys_of_traits(traits: Traits) -> Keys:
    """The keys of the claim that these are the traits of."""
    return Keys(_in_order(_binding(traits)), _in_order(_loose(traits)))


def id_key(asset: AssetId) -> str:
    """The binding key of an id: of those that bear it, bore it, or name it."""
    return short_key(_id_key(*asset))


def symbol_key(kind: str, symbol: str) -> str:
    """The binding key of a symbol, among things of one kind."""
    return short_key(f"s:{kind}:{symbol}")


def name_key(kind: str, bare: str) -> str:
    """The binding key of a name, among things of one kind."""
    return short_key(f"n:{kind}:{bare}")


def short_key(key: str) -> str:
    """A key that an index takes: sources may call an address or an id whatever they like."""
    return key if len(key) <= _LONGEST else f"{key[:2]}#{content_hash(key)}"


def _in_order(keys: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(set(map(short_key, keys))))


def _id_key(source: str, external_id: str) -> str:
    return f"i:{source}:{external_id}"


def _binding(traits: Traits) -> Iterator[str]:
    claim, (source, external_id) = traits.claim, traits.asset
    yield _id_key(source, external_id)
    for former in claim.former:
        yield _id_key(source, former)
    for ref in claim.refs:
        yield _id_key(*ref)
    for contract in claim.contracts:
        yield f"c:{contract}"
    for symbol in traits.symbols:
        yield symbol_key(claim.kind, symbol)
    if traits.bare:
        yield name_key(claim.kind, traits.bare)


def _loose(traits: Traits) -> Iterator[str]:
    for core in traits.cores:
        if len(core) >= _SHORTEST_CORE:
            yield f"l:{traits.claim.kind}:{core}"
