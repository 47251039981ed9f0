"""Which pairs of claims are looked at, and what is thought of each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import NamedTuple

from kasparro_core.identity.families import Families
from kasparro_core.identity.judge import Opinion, Setting, judge, judge_renamed
from kasparro_core.identity.likeness import Likeness, likeness
from kasparro_core.identity.traits import Traits
from kasparro_core.model.entity import AssetId

_FEW, _MANY = 12, 25

Sources = Mapping[str, Sequence[Traits]]
"""Those that have something in common, by source."""


class Judged(NamedTuple):
    """Two claims, and what is thought of them."""

    pair: Likeness
    opinion: Opinion


class _Company:
    """Who else there is: who goes by a symbol, and who has a name."""

    def __init__(self, everyone: Sequence[Traits]) -> None:
        self.families = Families(everyone)
        self.by_symbol = _grouped(
            (traits.claim.kind, symbol, traits) for traits in everyone for symbol in traits.symbols
        )
        self.by_name = _grouped((traits.claim.kind, traits.bare, traits) for traits in everyone if traits.bare)
        at_home = (traits for traits in everyone if not traits.tags.places)
        self._holders = Counter((traits.claim.kind, traits.symbol, traits.asset.source) for traits in at_home)

    def holders(self, symbol: str, like: Traits) -> int:
        """How many go by the symbol among the kind and the source of this one, without what is marked as elsewhere."""
        return self._holders[like.claim.kind, symbol, like.asset.source]


def judged_pairs(everyone: Sequence[Traits]) -> list[Judged]:
    """All pairs of two sources that share a symbol or a name and have anything more in common, each once, in order."""
    company = _Company(everyone)
    found: dict[tuple[AssetId, AssetId], Judged | None] = {}
    for (_, symbol), sources in company.by_symbol.items():
        for one, other in _worth_a_look(sources):
            at_home = symbol == one.symbol or one.symbol != other.symbol
            if at_home and (one.asset, other.asset) not in found:
                found[one.asset, other.asset] = _judged(one, other, symbol, company)
    for sources in company.by_name.values():
        for one, other in _only_ones(sources):
            if (one.asset, other.asset) not in found:
                found[one.asset, other.asset] = _judged_renamed(one, other, company)
    return [judged for _, judged in sorted(found.items(), key=lambda item: item[0]) if judged is not None]


def _judged(one: Traits, other: Traits, symbol: str, company: _Company) -> Judged | None:
    pair, families = likeness(one, other), company.families
    setting = Setting(
        lonely=company.holders(symbol, one) <= 1 and company.holders(symbol, other) <= 1,
        ages=(families.age(one), families.age(other)),
        heir=families.has_heir(one) or families.has_heir(other),
    )
    opinion = judge(pair, setting)
    return Judged(pair, opinion) if opinion is not None else None


def _judged_renamed(one: Traits, other: Traits, company: _Company) -> Judged | None:
    if not one.symbol or not other.symbol:
        return None
    strangers = company.holders(one.symbol, other) + company.holders(other.symbol, one)
    pair = likeness(one, other)
    opinion = judge_renamed(pair, strangers=strangers > 0)
    return Judged(pair, opinion) if opinion is not None else None


def _grouped(keyed: Iterable[tuple[str, str, Traits]]) -> dict[tuple[str, str], dict[str, list[Traits]]]:
    found: dict[tuple[str, str], dict[str, list[Traits]]] = defaultdict(lambda: defaultdict(list))
    for kind, text, traits in keyed:
        found[kind, text][traits.asset.source].append(traits)
    return found


def _only_ones(sources: Sources) -> Iterator[tuple[Traits, Traits]]:
    """The pairs of those that are alone with a name in their source."""
    alone = [sources[source][0] for source in sorted(sources) if len(sources[source]) == 1]
    yield from combinations(alone, 2)


def _worth_a_look(sources: Sources) -> Iterator[tuple[Traits, Traits]]:
    """Pairs of two sources, the lesser source first: all where there are few, else those with a name in common."""
    for first, second in combinations(sorted(sources), 2):
        if len(sources[first]) <= _FEW and len(sources[second]) <= _FEW:
            yield from product(sources[first], sources[second])
        else:
            yield from _with_common_name(sources[first], sources[second])


def _with_common_name(some: Sequence[Traits], others: Sequence[Traits]) -> Iterator[tuple[Traits, Traits]]:
    """Pairs that share a name. One that many have in either source is nobody's."""
    first, second = _by_text(some), _by_text(others)
    for text in sorted(first.keys() & second.keys()):
        if len(first[text]) <= _MANY and len(second[text]) <= _MANY:
            yield from product(first[text], second[text])


def _by_text(some: Sequence[Traits]) -> dict[str, list[Traits]]:
    found: dict[str, list[Traits]] = defaultdict(list)
    for traits in some:
        for text in sorted({traits.bare, *traits.cores, *traits.ids, *traits.id_cores} - {""}):
            found[text].append(traits)
    return found
