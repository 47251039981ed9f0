"""Names and symbols that so many assets of one source share that they tell nobody anything: those of trades or pools.

Whoever bears one would have to be decided together with all the others, each time that one more comes. Beyond a bound
it counts as if that source had not given it: it binds none of its assets, and no pair is looked at because of it. Other
sources mean by it what they meant. What tells an asset by itself (ids, contracts, a person's word) binds as before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from kasparro_core.identity.keys import Keys, name_key, symbol_key
from kasparro_core.identity.traits import Traits
from kasparro_core.identity.vocabulary import Tags
from kasparro_core.model.entity import AssetId, Crowd

CROWD = 250
"""More assets of a source than this are a crowd. On the recorded lists of two providers 12 share a symbol at most."""

NEAR = 1_000
"""What more assets than this, of any source, are called but for words that tell nothing gives no candidates."""

_TELLING = ("s:", "n:")
_NOBODY: frozenset[str] = frozenset()


def crowds_of(everyone: Mapping[AssetId, Keys]) -> frozenset[Crowd]:
    """The names and symbols that more than CROWD of these assets share in one source."""
    if len(everyone) <= CROWD:
        return frozenset()
    counts = Counter(
        Crowd(asset.source, key) for asset, keys in everyone.items() for key in keys.binding if key.startswith(_TELLING)
    )
    return frozenset(crowd for crowd, count in counts.items() if count > CROWD)


def out_of_crowds(everyone: Sequence[Traits], crowds: Collection[Crowd]) -> Sequence[Traits]:
    """The traits without the names and symbols that are crowds of their source."""
    return [_out(traits, crowds) for traits in everyone] if crowds else everyone


def _out(traits: Traits, crowds: Collection[Crowd]) -> Traits:
    kind, source = traits.claim.kind, traits.asset.source
    symbols = tuple(symbol for symbol in traits.symbols if Crowd(source, symbol_key(kind, symbol)) not in crowds)
    if traits.bare and Crowd(source, name_key(kind, traits.bare)) in crowds:
        traits = traits._replace(words=(), tags=Tags(), name="", bare="", cores=_NOBODY)
    return traits._replace(symbols=symbols)
