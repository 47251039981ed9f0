"""Which entities an article speaks of. Precision first: a name that may mean something else is not a mention.

What counts, the surest first: a name with its ticker in brackets behind it; a cashtag; a name of several words; a name
of one word that is no ordinary one; a bare ticker among words of the market. All but the first need a rank: hardly
anybody writes of what nobody trades, and thousands of unknown coins bear the names of people, places and things.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import NamedTuple

from kasparro_core.identity.names import folded, squeezed
from kasparro_core.identity.ordinary import ACRONYMS, MARKET, ORDINARY
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.model.mention import Mention

LONGEST_TEXT = 20_000
"""So many characters of an article are looked at."""

_MOST_WORDS = 4
_WORD = re.compile(r"(?P<before>[$(]{0,2})(?P<word>[^\W_]+)(?:['’]s\b)?")
_JOINED = re.compile(r"[ \u00a0.&+-]{1,2}")
_TICKER = re.compile(r"[A-Z0-9]{2,10}")
_CAPITAL = re.compile(r"[A-Z0-9]")
_DOMINANT = 10
_FAMOUS = 20
"""The names of coins up to this rank are written small, too ("bitcoin")."""


class Named(NamedTuple):
    """An entity as texts may call it: squeezed names, canonical symbols, the best rank that a source gives it."""

    entity_id: str
    names: frozenset[str]
    symbols: frozenset[str]
    rank: int | None


class Asked(NamedTuple):
    """Everything in a text that may be the name (squeezed) or the symbol (canonical) of something."""

    names: frozenset[str]
    symbols: frozenset[str]


class _Word(NamedTuple):
    text: str
    before: str
    start: int
    end: int


class _Rule(NamedTuple):
    method: str
    confidence: Decimal
    worst_rank: int | None


_BOTH = _Rule("name_and_symbol", Decimal("0.99"), None)
_CASHTAG = _Rule("cashtag", Decimal("0.95"), 300)
_LONG_NAME = _Rule("name", Decimal("0.95"), 1000)
_NAME = _Rule("name", Decimal("0.9"), 300)
_BARE = _Rule("symbol", Decimal("0.85"), 100)


def asked_for(text: str) -> Asked:
    """What has to be looked up before `mentions_in` can tell."""
    words = _words(text)
    names = {squeezed(name) for _, _, name in _phrases(text, words)}
    symbols = {canonical_symbol(word.text) for word in words if _TICKER.fullmatch(word.text)}
    return Asked(frozenset(names), frozenset(symbols))


def mentions_in(text: str, known: Iterable[Named]) -> list[Mention]:
    """What a text speaks of, by entity_id; each entity once, by the surest sign. `known` are all entities with one of
    the names or symbols of `asked_for(text)`."""
    return _Reading(text, list(known)).mentions()


class _Reading:
    def __init__(self, text: str, known: Sequence[Named]) -> None:
        self._text = text[:LONGEST_TEXT]
        self._words = _words(text)
        self._by_name = _index(known, lambda each: each.names)
        self._by_symbol = _index(known, lambda each: each.symbols)
        self._lower = {word.text for word in self._words if word.text.islower()}
        self._tickers = {canonical_symbol(word.text) for word in self._words if _is_ticker(word)}
        self._is_market = MARKET.search(self._text) is not None
        self._found: dict[str, Mention] = {}

    def mentions(self) -> list[Mention]:
        taken = self._take_names()
        for place, word in enumerate(self._words):
            if place not in taken:
                self._take_symbol(word)
        return [self._found[entity_id] for entity_id in sorted(self._found)]

    def _take_names(self) -> set[int]:
        """The longest names first, so that "Bitcoin Cash" is not "Bitcoin"; returns the words that are spoken for."""
        taken: set[int] = set()
        for first, last, name in sorted(_phrases(self._text, self._words), key=lambda one: (one[0] - one[1], one[0])):
            places = set(range(first, last + 1))
            holders = self._by_name.get(squeezed(name), [])
            if not holders or places & taken:
                continue
            if self._take_name(holders, first, last) or first < last:
                taken |= places
        return taken

    def _take_name(self, holders: list[Named], first: int, last: int) -> bool:
        behind = self._bracketed(last + 1)
        both = [each for each in holders if behind in each.symbols]
        if len(both) == 1:
            return self._note(both, _BOTH)
        if behind is not None and self._by_symbol.get(behind):
            return False  # it is something else with this name
        if first < last:
            return self._note(holders, _LONG_NAME)
        is_meant = self._is_market and not self._is_ordinary(self._words[first].text, holders)
        return is_meant and self._note(holders, _NAME)

    def _take_symbol(self, word: _Word) -> None:
        if not _is_ticker(word):
            return
        holders = self._by_symbol.get(canonical_symbol(word.text), [])
        if word.before.endswith("$"):
            self._note(holders, _CASHTAG)
        elif self._is_market and len(word.text) > 2 and word.text not in ACRONYMS and not word.text.isdigit():
            self._note(holders, _BARE)

    def _is_ordinary(self, word: str, holders: list[Named]) -> bool:
        """Whether a word may be meant as such: it stands in the text as an ordinary word, too, or is known as one; and
        the ticker of what bears it as a name does not stand there."""
        if self._tickers & {symbol for each in holders for symbol in each.symbols} - {canonical_symbol(word)}:
            return False
        small = folded(word) in self._lower and not any((each.rank or _FAMOUS + 1) <= _FAMOUS for each in holders)
        return folded(word) in ORDINARY or small or not _CAPITAL.match(word)

    def _bracketed(self, place: int) -> str | None:
        """The symbol in brackets at this place."""
        if place >= len(self._words) or not self._words[place].before.startswith("("):
            return None
        return canonical_symbol(self._words[place].text) if _TICKER.fullmatch(self._words[place].text) else None

    def _note(self, holders: list[Named], rule: _Rule) -> bool:
        meant = holders[0] if len(holders) == 1 else _dominant(holders)
        if meant is None or (rule.worst_rank is not None and (meant.rank is None or meant.rank > rule.worst_rank)):
            return False
        before = self._found.get(meant.entity_id)
        if before is None or before.confidence < rule.confidence:
            self._found[meant.entity_id] = Mention(meant.entity_id, rule.method, rule.confidence)
        return True


def _dominant(holders: list[Named]) -> Named | None:
    """The one that everybody means: ranked ten times better than the next."""
    ranked = sorted((each for each in holders if each.rank is not None), key=lambda each: each.rank or 0)
    if not ranked:
        return None
    first, second = ranked[0].rank or 0, ranked[1].rank or 0 if len(ranked) > 1 else None
    return ranked[0] if second is None or second >= first * _DOMINANT else None


def _index(known: Sequence[Named], keys: Callable[[Named], Iterable[str]]) -> Mapping[str, list[Named]]:
    index: dict[str, list[Named]] = {}
    for each in known:
        for key in keys(each):
            index.setdefault(key, []).append(each)
    return index


def _words(text: str) -> list[_Word]:
    return [
        _Word(match["word"], match["before"], match.start("word"), match.end("word"))
        for match in _WORD.finditer(text[:LONGEST_TEXT])
    ]


def _phrases(text: str, words: Sequence[_Word]) -> Iterator[tuple[int, int, str]]:
    """Runs of up to four words that may be a name: the places of the first and the last word, and the words. A name
    begins with a capital letter or a digit, or holds one ("dYdX")."""
    for first, word in enumerate(words):
        if not _CAPITAL.search(word.text):
            continue
        for last in range(first, min(first + _MOST_WORDS, len(words))):
            if last > first and not _JOINED.fullmatch(text[words[last - 1].end : words[last].start]):
                break
            if _CAPITAL.search(words[last].text):
                yield first, last, text[word.start : words[last].end]


def _is_ticker(word: _Word) -> bool:
    return _TICKER.fullmatch(word.text) is not None
