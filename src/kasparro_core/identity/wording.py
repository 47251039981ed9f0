"""How far the names of two claims agree, word by word."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import SequenceMatcher
from enum import IntEnum
from functools import lru_cache

from kasparro_core.identity.names import parts_of
from kasparro_core.identity.traits import Traits
from kasparro_core.identity.vocabulary import core_of, is_filler, makes_another, tells_little

_TYPO = 0.9
_TYPO_FROM = 8
_SHORTEST_PART = 4
_SHORTEST_SYMBOL = 3


class Same(IntEnum):
    """How far two names agree. INSIDE: one begins or ends with the other. PART: one has all words of the other that
    tell something, and they differ by none that makes another thing. CORE: they differ by words that tell nothing.
    SQUEEZED: by case, blanks and signs."""

    NO = 0
    INSIDE = 1
    PART = 2
    CORE = 3
    SQUEEZED = 4
    WORDS = 5


def names_agree(one: Traits, other: Traits) -> tuple[Same, str]:
    """How far the names agree, and in what."""
    if not one.bare or not other.bare:
        return Same.NO, ""
    if one.bare == other.bare:
        return (Same.WORDS if one.words == other.words else Same.SQUEEZED), one.bare
    cores = one.cores & other.cores
    if cores:
        return Same.CORE, _most_telling(one, other, cores)
    return _part(one, other)


def ids_agree(one: Traits, other: Traits) -> tuple[Same, str]:
    """How far an id agrees with the other's id or name."""
    same = (one.ids & other.ids) | (one.ids & {other.bare}) | (other.ids & {one.bare})
    if same:
        return Same.SQUEEZED, _most_telling(one, other, same)
    cores = (one.id_cores & other.id_cores) | (one.id_cores & other.cores) | (other.id_cores & one.cores)
    return (Same.CORE, _most_telling(one, other, cores)) if cores else (Same.NO, "")


def _most_telling(one: Traits, other: Traits, texts: Iterable[str]) -> str:
    return max(texts, key=lambda text: (informs(one, other, text), len(text), text))


def informs(one: Traits, other: Traits, text: str) -> bool:
    """True for what says more than the symbol of either."""
    return bool(text) and one.informative(text) and other.informative(text)


def _part(one: Traits, other: Traits) -> tuple[Same, str]:
    """Names of which one holds what the other one tells, or that are one but for a slip of the pen."""
    mine, others = set(one.words), set(other.words)
    if any(makes_another(word) for word in mine ^ others):
        return Same.NO, ""
    if _slip(core_of(one.words), core_of(other.words)):
        return Same.PART, one.bare
    shared = _telling(mine & others)
    if shared and (shared == _telling(mine) or shared == _telling(others)):
        return Same.PART, "".join(sorted(shared))
    return _inside(one, other)


def _telling(words: Iterable[str]) -> set[str]:
    return {word for word in words if not tells_little(word)}


def _slip(one: str, other: str) -> bool:
    if min(len(one), len(other)) < _TYPO_FROM or one[:1] != other[:1]:
        return False
    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.real_quick_ratio() >= _TYPO and matcher.quick_ratio() >= _TYPO and matcher.ratio() >= _TYPO


def _inside(one: Traits, other: Traits) -> tuple[Same, str]:
    """One name begins or ends with the other: "Gameflip" and "FLIP"."""
    for mine in sorted(one.cores):
        for others in sorted(other.cores):
            short, long = sorted((mine, others), key=lambda text: (len(text), text))
            if len(short) >= _SHORTEST_PART and not tells_little(short) and _begins_or_ends(long, short):
                return Same.INSIDE, short
    return Same.NO, ""


def _begins_or_ends(long: str, short: str) -> bool:
    return long.startswith(short) or long.endswith(short)


def abbreviates(one: Traits, other: Traits) -> bool:
    """True where the name of `one` is the symbol and no more, and that of `other`, of several words, is what the symbol
    stands for."""
    return _silent(one) and _stands_for(one.symbol, other)


def _silent(traits: Traits) -> bool:
    return bool(traits.bare) and not any(traits.informative(core) for core in traits.cores)


def _stands_for(symbol: str, traits: Traits) -> bool:
    """Whether a symbol is made of what several words of a name begin with ("MXC": Machine Xchange Coin), the last of
    which is often left out of the name ("STPT": STP Token)."""
    words = parts_of(traits.claim.name or "")
    if len(symbol) < _SHORTEST_SYMBOL or any(word.startswith(symbol) for word in words):
        return False
    return any(_begins(symbol, (*words, *ending)) for ending in ((), ("token",), ("coin",)))


@lru_cache(maxsize=1024)
def _begins(letters: str, words: tuple[str, ...]) -> bool:
    if not words or not letters:
        return not letters and all(map(is_filler, words))
    if is_filler(words[0]) and _begins(letters, words[1:]):
        return True
    lengths = (length for length in range(len(letters), 0, -1) if words[0].startswith(letters[:length]))
    return any(_begins(letters[length:], words[1:]) for length in lengths)
