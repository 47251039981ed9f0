"""Namesakes of one source: what it marks as old or new tells what it means by the name alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from kasparro_core.identity.traits import Traits


class Age(Enum):
    """Which of two namesakes a thing is."""

    OLD = "old"
    NEW = "new"


@dataclass(slots=True)
class _Family:
    """Those of one source that have one name, marks aside."""

    symbols: Counter[str]
    has_old: bool = False
    has_new: bool = False


class Families:
    """Which of its namesakes in its own source each asset is."""

    def __init__(self, everyone: Iterable[Traits]) -> None:
        self._families: dict[tuple[str, str, str], _Family] = defaultdict(lambda: _Family(Counter()))
        for traits in everyone:
            family = self._families[_name_of(traits)]
            family.symbols[traits.symbol] += 1
            family.has_old |= traits.tags.old
            family.has_new |= traits.tags.new

    def age(self, traits: Traits) -> Age | None:
        """OLD and NEW as marked. Without a mark: NEW beside one that is marked as old, OLD beside one that is marked
        as new, None where it has no such namesake."""
        if traits.tags.old or traits.tags.new:
            return Age.OLD if traits.tags.old else Age.NEW
        family = self._families[_name_of(traits)]
        if family.has_old:
            return Age.NEW
        return Age.OLD if family.has_new else None

    def has_heir(self, traits: Traits) -> bool:
        """True where an old one's namesakes go by other symbols, so that the symbol tells them apart."""
        symbols = self._families[_name_of(traits)].symbols
        return traits.tags.old and len(symbols) > 1 and symbols[traits.symbol] == 1


def _name_of(traits: Traits) -> tuple[str, str, str]:
    return traits.claim.kind, traits.asset.source, traits.bare
