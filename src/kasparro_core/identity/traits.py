"""What of a claim can be compared with another's: symbols, names, and the names that ids are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from kasparro_core.identity.names import squeezed, words_of
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.identity.vocabulary import Tags, core_of, is_filler, makes_another, untagged
from kasparro_core.model.entity import AssetId, Claim

_AGAIN = re.compile(r"-\d{1,2}$")
_PARTS = re.compile(r"[()\[\]/|:]|\s[-–]\s")
_BRACKETS = re.compile(r"[(\[]([^)\]]*)[)\]]")
_TOO_SHORT = 2


class Traits(NamedTuple):
    """The comparable side of a claim.

    `symbols`: its own first, then without the version that its name has, too ("OHMv2"), then the one that its id was
    made with. `words` of its name without `tags`. `name`: all of
    it squeezed; `bare`: squeezed without the tags. `ids`: the names that its id is, squeezed ("bnb-binance-coin" is
    "binancecoin"). `cores` and `id_cores`: the bare name, each of its parts ("A / B", "A (B)"), and the ids without
    words that tell nothing.
    """

    claim: Claim
    symbols: tuple[str, ...]
    words: tuple[str, ...]
    tags: Tags
    name: str
    bare: str
    cores: frozenset[str]
    ids: frozenset[str]
    id_cores: frozenset[str]

    @property
    def asset(self) -> AssetId:
        """Whose traits these are."""
        return self.claim.asset

    @property
    def symbol(self) -> str:
        """The symbol that it goes by; empty without one."""
        return self.symbols[0] if self.symbols else ""

    def informative(self, text: str) -> bool:
        """True for a name that says more than the symbol does."""
        return len(text) > _TOO_SHORT and text not in self.symbols and core_of([text]) not in self.symbols


def traits_of(claim: Claim) -> Traits:
    """The traits of a claim."""
    symbol = canonical_symbol(claim.symbol or "")
    every = words_of(claim.name or "")
    name, (words, tags) = "".join(every), untagged(every, _in_brackets(claim.name or ""))
    ids = [part for part in _id_names(claim, symbol, name) if not _is_number(part, symbol) or "".join(part) == name]
    symbols = (symbol, _unversioned(symbol, tags) if tags else "", _symbol_of_id(claim, name))
    return Traits(
        claim=claim,
        symbols=tuple(dict.fromkeys(one for one in symbols if one)),
        words=words,
        tags=tags,
        name=name,
        bare="".join(words),
        cores=frozenset(_cores(claim.name or "", words, symbol)),
        ids=frozenset(["".join(part) for part in ids]),
        id_cores=frozenset([core_of(part) for part in ids]),
    )


def _cores(name: str, words: tuple[str, ...], symbol: str) -> Iterator[str]:
    """The core of the name, of it without the symbol ("NFTmall (GEM)"), and of each of its parts."""
    if words:
        yield core_of(words)
    without = [word for word in words if not _is_symbol(word, symbol)]
    if len(without) < len(words) and not all(map(is_filler, without)):
        yield core_of(without)
    parts = _PARTS.split(name) if _PARTS.search(name) else ()
    if len(parts) > 1:
        bare = [untagged(words_of(part), _in_brackets(name))[0] for part in parts]
        yield from (
            core_of(part) for part in bare if not all(map(is_filler, part)) and not any(map(makes_another, part))
        )


def _is_symbol(word: str, symbol: str) -> bool:
    """True for the symbol, also with what tells nothing behind it ("gemtoken")."""
    return word == symbol or (word.startswith(symbol) and core_of([word]) == symbol)


def _in_brackets(name: str) -> tuple[str, ...]:
    return words_of(" ".join(_BRACKETS.findall(name))) if "(" in name or "[" in name else ()


def _id_names(claim: Claim, symbol: str, name: str) -> Iterator[tuple[str, ...]]:
    """The words of the id as it is, and without the symbol that it begins with; neither with the number of a second
    listing."""
    plain = _AGAIN.sub("", claim.asset.external_id)
    whole = words_of(plain)
    head, _, rest = plain.partition("-")
    after = words_of(rest)
    if after and (canonical_symbol(head) in (symbol, "") or "".join(after) == name):
        yield after
    if whole:
        yield whole


def _is_number(words: tuple[str, ...], symbol: str) -> bool:
    """True for an id that is a number, the symbol aside: every source counts from 1, so that two agree on nothing."""
    rest = [word for word in words if word != symbol]
    return bool(rest) and all(map(str.isdigit, rest))


def _unversioned(symbol: str, tags: Tags) -> str:
    return next((symbol.removesuffix(tag) for tag in sorted(tags) if symbol.endswith(tag)), "")


def _symbol_of_id(claim: Claim, name: str) -> str:
    """The symbol that an id begins with where the rest of it is the name: the symbol of the day it was listed, and in
    full where the source shortens symbols."""
    given = claim.asset.external_id
    whole = squeezed(given)
    if not name or whole == name or not whole.endswith(name):
        return ""
    cuts = [place for place, sign in enumerate(given) if sign == "-"]
    heads = (given[:place] for place in cuts if squeezed(given[place:]) == name)
    return next((canonical_symbol(head) for head in heads if squeezed(head)), "")
