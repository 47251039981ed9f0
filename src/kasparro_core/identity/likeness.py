"""How alike two claims of two sources are: facts, and no judgement yet."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from kasparro_core.identity.contracts import at_odds
from kasparro_core.identity.market import markets_agree, of_one_era
from kasparro_core.identity.traits import Traits
from kasparro_core.identity.wording import Same, abbreviates, ids_agree, informs, names_agree

TOP_RANK = 1000
"""The best thousand of a ranking are listed wherever coins are listed."""

_OTHER_SYMBOL = -6
_STANDINGS = ((100, 9), (TOP_RANK, 7), (math.inf, 4))
_NAME_SCORES = {Same.NO: 0, Same.INSIDE: 1, Same.PART: 1, Same.CORE: 2, Same.SQUEEZED: 5, Same.WORDS: 6}


class Likeness(NamedTuple):
    """What two claims have in common. `name` compares their names without tags; `ids` their ids, each also with the
    other's name. `informative`: what agrees says more than the symbol does. `symbol`: they go by the same one."""

    one: Traits
    other: Traits
    name: Same
    ids: Same
    informative: bool
    symbol: bool
    contracts_differ: bool
    prices_agree: bool | None

    @property
    def ranks(self) -> tuple[int | None, int | None]:
        """The rank of either; of lists that are years apart they tell nothing."""
        one, other = self.one.claim.market, self.other.claim.market
        return (one.rank, other.rank) if of_one_era(one, other) else (None, None)

    @property
    def rank(self) -> int | None:
        """The better rank of the two."""
        return min((rank for rank in self.ranks if rank is not None), default=None)

    @property
    def related(self) -> bool:
        """True where they have more in common than the symbol."""
        return self.name is not Same.NO or self.ids is not Same.NO

    @property
    def abbreviated(self) -> bool:
        """True where one name is the symbol and no more, and the other one, of several words, is what it stands for."""
        return abbreviates(self.one, self.other) or abbreviates(self.other, self.one)

    @property
    def strong(self) -> bool:
        """True where names or ids agree but for words that tell nothing."""
        return self.name >= Same.CORE or self.ids >= Same.CORE

    @property
    def score(self) -> int:
        """Compares this pair with others of one of the two."""
        told = self.informative or self.name >= Same.SQUEEZED
        ids = 0 if self.ids < Same.CORE else 4 if self.ids >= Same.SQUEEZED and told else 2
        known = self.informative + 4 * (self.prices_agree is True)
        known += 1 if self.symbol else 0 if set(self.one.symbols) & set(self.other.symbols) else _OTHER_SYMBOL
        known -= 3 * (self.one.tags != self.other.tags)
        return _NAME_SCORES[self.name] + ids + known + sum(self._standing(rank) for rank in self.ranks)

    def _standing(self, rank: int | None) -> int:
        """What is known everywhere is more likely what is meant, if it is meant at all."""
        if rank is None:
            return 0
        return next(points for best, points in _STANDINGS if rank <= best) if self.strong else 1

    @property
    def evidence(self) -> dict[str, Any]:
        """What is kept with the link or the candidate, as JSON values."""
        facts: dict[str, Any] = {"name": self.name.name.lower(), "id": self.ids.name.lower()}
        if not self.symbol:
            facts["symbols"] = [self.one.symbol, self.other.symbol]
        if self.one.tags != self.other.tags:
            facts["tags"] = [sorted(self.one.tags), sorted(self.other.tags)]
        if self.prices_agree is not None:
            facts["prices_agree"] = self.prices_agree
        if self.rank is not None:
            facts["rank"] = self.rank
        return facts


def same_id(pair: Likeness) -> bool:
    """True where the ids themselves agree, whatever the names."""
    return not pair.one.ids.isdisjoint(pair.other.ids)


def likeness(one: Traits, other: Traits) -> Likeness:
    """Compare two claims of the same kind."""
    name, name_text = names_agree(one, other)
    ids, id_text = ids_agree(one, other)
    return Likeness(
        one=one,
        other=other,
        name=name,
        ids=ids,
        informative=any(informs(one, other, text) for text in (name_text, id_text)),
        symbol=one.symbol == other.symbol,
        contracts_differ=at_odds(one.claim.contracts, other.claim.contracts),
        prices_agree=markets_agree(one.claim.market, other.claim.market),
    )
