"""The rules for names and symbols: what two claims that are alike amount to."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from kasparro_core.identity.edges import Method
from kasparro_core.identity.families import Age
from kasparro_core.identity.likeness import TOP_RANK, Likeness, same_id
from kasparro_core.identity.symbols import nearly_the_same
from kasparro_core.identity.vocabulary import makes_another, tells_little
from kasparro_core.identity.wording import Same

_WELL_RANKED = 3000
_LONG_NAME = 8


class Setting(NamedTuple):
    """What surrounds a pair. `lonely`: nobody else in either source goes by their symbol, but for what is on another
    chain. `ages`: which of its namesakes either is. `heir`: the one that is marked as old has a namesake that goes by
    another symbol."""

    lonely: bool
    ages: tuple[Age | None, Age | None] = (None, None)
    heir: bool = False


class Opinion(NamedTuple):
    """What a pair amounts to. `method` None: too little for a link; `confidence` is then that of the candidate, and
    `reason` says what is missing. `unrivalled`: a link only where no other pair is alike in more than the symbol.
    `rival`: the pair could be, and so stands against others. `apart`: what the sources mark keeps the two apart, also
    where a third one is like both."""

    method: Method | None
    confidence: Decimal
    reason: str = ""
    unrivalled: bool = False
    rival: bool = True
    apart: bool = False


def judge(pair: Likeness, setting: Setting) -> Opinion | None:
    """Judge two claims of two sources that share a symbol. None where that is all they share."""
    if not pair.related:
        return _symbol_alone(pair, setting)
    if pair.contracts_differ:
        return _apart("0.3", "contracts on the same chain differ")
    if pair.one.tags.places != pair.other.tags.places:
        return _apart("0.3", "one of them is marked as being elsewhere")
    if not _of_one_age(pair, setting):
        told = "one of them is marked as another version"
        return _doubt("0.4", told) if None in setting.ages else _apart("0.4", told)
    if pair.name >= Same.SQUEEZED:
        return _exact(pair)
    if pair.prices_agree is False:
        return _doubt("0.4", "the prices differ")
    return _near(pair, setting)


def _of_one_age(pair: Likeness, setting: Setting) -> bool:
    """Whether what the sources mark as old and new goes together. Where one of them alone marks anything, its old one
    is meant if the symbol says so, or if it is all there is."""
    one, other = setting.ages
    if _marked(pair) and not (pair.one.tags.new or pair.other.tags.new) and pair.symbol:
        if setting.heir and (setting.lonely or pair.name >= Same.SQUEEZED):
            return True
        if setting.lonely and pair.ids >= Same.SQUEEZED and pair.informative:
            return True
    return one is other or (None in (one, other) and not _marked(pair))


def _marked(pair: Likeness) -> bool:
    return any(end.tags.old or end.tags.new for end in (pair.one, pair.other))


def _exact(pair: Likeness) -> Opinion:
    if pair.one.tags != pair.other.tags:
        return _link(Method.NEAR, "0.9")
    if pair.ids >= Same.SQUEEZED:
        return _link(Method.EXACT, "0.99" if pair.informative else "0.97")
    return _link(Method.EXACT, "0.97" if pair.informative else "0.94")


def _near(pair: Likeness, setting: Setting) -> Opinion:
    strong, telling = pair.strong, pair.strong or pair.informative or pair.name is Same.PART
    if strong and pair.informative:
        return _link(Method.NEAR, "0.95" if pair.ids >= Same.SQUEEZED else "0.93")
    if strong and setting.lonely and _supported(pair):
        return _link(Method.NEAR, "0.9")
    if telling and _supported(pair, TOP_RANK):
        return _link(Method.NEAR, "0.9" if strong else "0.88", unrivalled=True)
    if strong and _supported(pair, _WELL_RANKED):
        return _link(Method.NEAR, "0.89", unrivalled=True)
    if pair.name is Same.PART and pair.informative and _supported(pair):
        return _link(Method.NEAR, "0.87", unrivalled=True)
    if telling and setting.lonely and _supported(pair, None if pair.informative else _WELL_RANKED):
        return _link(Method.NEAR, "0.86", unrivalled=True)
    return _doubt("0.5", "the names agree in part" if not strong else "the names say no more than the symbol")


def _symbol_alone(pair: Likeness, setting: Setting) -> Opinion | None:
    """Nobody else has the symbol and the best thousand are listed everywhere, so a name that it stands for will do; the
    symbol by itself never does."""
    if not setting.lonely or not pair.symbol or not _supported(pair):
        return None
    if pair.contracts_differ or pair.one.tags != pair.other.tags:
        return None
    if _supported(pair, TOP_RANK) and pair.abbreviated and pair.prices_agree is not False:
        return _link(Method.NEAR, "0.86", unrivalled=True)
    return _doubt("0.2", "nothing but the symbol, which nobody else has")


def judge_renamed(pair: Likeness, *, strangers: bool) -> Opinion | None:
    """Judge two claims of one name and two symbols, each alone with the name in its source. `strangers`: in the
    other's source somebody else goes by the symbol of one. None where the name tells little."""
    if pair.name < Same.SQUEEZED:
        return None
    if not pair.informative:
        return None
    if _miswritten(pair):
        return _link(Method.NEAR, "0.86" if strangers else "0.87")
    if strangers or pair.contracts_differ or pair.one.tags != pair.other.tags or not same_id(pair):
        return _doubt("0.4", "one name, two symbols", rival=False)
    if _supported(pair) and len(pair.one.bare) >= _LONG_NAME and pair.one.symbol[0] == pair.other.symbol[0]:
        return _link(Method.NEAR, "0.88")
    return _doubt("0.5", "one name and one id, two symbols", rival=False)


def _miswritten(pair: Likeness) -> bool:
    """Whether their symbols are two writings of one, under one long name that tells something, and one id."""
    one, other = pair.one, pair.other
    if pair.contracts_differ or pair.prices_agree is False or one.tags != other.tags or not same_id(pair):
        return False
    if len(one.bare) < _LONG_NAME or any(map(makes_another, one.words)) or all(map(tells_little, one.words)):
        return False
    return nearly_the_same(one.symbol, other.symbol)


def _supported(pair: Likeness, rank: int | None = None) -> bool:
    """Whether a ranking, at least so good a place in it, or the price of the day speaks for it."""
    if pair.prices_agree is True:
        return True
    return pair.rank is not None and (rank is None or pair.rank <= rank)


def _link(method: Method, confidence: str, *, unrivalled: bool = False) -> Opinion:
    return Opinion(method, Decimal(confidence), unrivalled=unrivalled)


def _doubt(confidence: str, reason: str, *, rival: bool = True) -> Opinion:
    return Opinion(None, Decimal(confidence), reason, rival=rival)


def _apart(confidence: str, reason: str) -> Opinion:
    return Opinion(None, Decimal(confidence), reason, rival=False, apart=True)
