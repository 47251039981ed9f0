"""Words of names, sorted by what they tell: nothing, little, or that a thing is another one."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from functools import lru_cache


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FILLERS = _words("""
    token tokens coin coins the of network protocol finance financial dao chain blockchain defi project platform
    foundation ecosystem lab labs official native io com org net xyz app inc ltd utility governance currency crypto
    cryptocurrency
""")
_GLUED = ("protocol", "finance", "network", "chain", "coins", "token", "coin", "defi", "dao")  # the longest first
_SHORTEST_CORE = 3

_OLD = _words("old legacy deprecated v1")
_NEW = re.compile(r"new|v[2-9]\d*")
_STANDARD = re.compile(r"\b(erc|bep|trc|qrc|hrc|krc|brc|nep|kip) (\d+)\b")
_DIGIT = re.compile(r"\d")
_PLACE = re.compile(
    r"(erc|bep|trc|qrc|hrc|krc|brc|nep|kip)\d+|bsc|spl|wormhole|multichain|anyswap|allbridge|portal|bridged|"
    r"peg|pegged|(binance|heco)peg"
)
_IN_BRACKETS = _words("iou futures presale ico eth btc bnb neo nem xem trx eos sol ada avax matic")
_GLUED_VERSION = re.compile(r"(?<=[a-z]{3})v[1-9]$")
_VARIANTS = _words("""
    wrapped staked liquid synthetic synth mirrored tokenized stock leveraged inverse hedge long short bull bear half up
    down classic cash gold silver diamond platinum dark private lite mini baby mega super pro plus max x2 2x 3x x3 5x
    10x index vault lp pool share shares yield interest bearing reward rewards presale ico iou perpetual fan polygon
    avalanche solana fantom heco tron bnb eth btc
""")
_COMMON = _words("""
    bitcoin ethereum doge shiba shib inu floki moon safe meta metaverse verse space star stars world global galaxy
    rocket dragon cat dog king game games gaming play swap exchange dex market trade trading invest capital fund pay
    payment money dollar usd euro digital smart bit block nft nfts art music land city club social internet energy green
    farm farms first community universe planet power fire ice water sun light black white blue red big best
""")


def core_of(words: Iterable[str]) -> str:
    """What is left of a name without the words that tell nothing, squeezed; all of it where nothing else is left.

    >>> core_of(["hathor", "network"]), core_of(["stakecubecoin"]), core_of(["the", "token"])
    ('hathor', 'stakecube', 'thetoken')
    """
    given = tuple(words)
    core = "".join([word for word in given if word not in _FILLERS]) or "".join(given)
    while core.endswith(_GLUED):
        shorter = core.removesuffix(next(end for end in _GLUED if core.endswith(end)))
        if len(shorter) < _SHORTEST_CORE or shorter in _FILLERS:
            break
        core = shorter
    return core


def is_filler(word: str) -> bool:
    """True for a word that tells nothing of which thing is meant ("network", "token")."""
    return word in _FILLERS


def tells_little(word: str) -> bool:
    """True for a word that a great many names have ("moon", "network"), for numbers, and for one or two letters."""
    return len(word) <= 2 or word.isdigit() or word in _COMMON or word in _FILLERS


def makes_another(word: str) -> bool:
    """True for a word that makes another thing of a name: wrapped, staked, classic, cash, 3x, old, a number."""
    return word in _VARIANTS or word.isdigit() or _is_tag(word)


class Tags(frozenset[str]):
    """What a source adds to a name to tell a thing from its namesake: [OLD], V2, (ERC20), (Wormhole)."""

    __slots__ = ()

    @property
    def old(self) -> bool:
        """Marked as what it was before."""
        return not self.isdisjoint(_OLD)

    @property
    def new(self) -> bool:
        """Marked as what it is now."""
        return any(_NEW.fullmatch(tag) for tag in self)

    @property
    def places(self) -> frozenset[str]:
        """Marked as being on another chain, bridged there, or a claim on the thing: [IOU], [Futures]."""
        return frozenset(tag for tag in self if _PLACE.fullmatch(tag) or tag in _IN_BRACKETS)


def untagged(words: Iterable[str], in_brackets: Container[str] = ()) -> tuple[tuple[str, ...], Tags]:
    """A name without its tags, and the tags. What a name begins with is no tag ("New World Order"); a few words are
    tags where they stand in brackets ("Filecoin [Futures]").

    >>> untagged(["safemoon", "old"]), untagged(["degemv2"])
    ((('safemoon',), Tags({'old'})), (('degem',), Tags({'v2'})))
    """
    kept: list[str] = []
    tags: set[str] = set()
    for word in _with_standards(words):
        glued = _GLUED_VERSION.search(word)
        if kept and (_is_tag(word) or (word in _IN_BRACKETS and word in in_brackets)):
            tags.add(word)
        else:
            kept.append(word[: glued.start()] if glued else word)
            tags.update([glued[0]] if glued else [])
    return tuple(kept), Tags(tags)


def _with_standards(words: Iterable[str]) -> list[str]:
    """The words, the names of standards as one each ("erc 20")."""
    text = " ".join(words)
    return (_STANDARD.sub(r"\1\2", text) if _DIGIT.search(text) else text).split()


@lru_cache(maxsize=4096)
def _is_tag(word: str) -> bool:
    return word in _OLD or bool(_NEW.fullmatch(word) or _PLACE.fullmatch(word))
