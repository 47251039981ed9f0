"""Canonical symbols: what the tickers of two sources have to share before anything else is asked."""

from __future__ import annotations

from collections.abc import Mapping

from kasparro_core.identity.names import folded, squeezed

_RENAMED: Mapping[str, str] = {
    "xbt": "btc",  # Kraken, BitMEX, ISO 4217 style
    "xrb": "nano",  # RaiBlocks, until 2018
    "xno": "nano",  # since 2021
    "miota": "iota",  # a million of the unit
    "iot": "iota",  # Bitfinex
    "bchabc": "bch",  # exchanges around the fork of 2018
    "bchsv": "bsv",
    "xzc": "firo",  # Zcoin, until 2020
    "pax": "usdp",  # Paxos Standard, until 2021
    "toncoin": "ton",
}
"""Symbols that exchanges and providers use for the same thing, and well-known renamings of symbols. A line here makes
two symbols comparable; it merges nothing by itself."""


_SHORTEST = 3
_TWO = 2


def canonical_symbol(symbol: str) -> str:
    """A symbol in the form in which two of them are compared: folded, without signs and blanks, known renamings
    followed. A symbol of signs alone ("$$$") stays as it is.

    >>> canonical_symbol(" XBT "), canonical_symbol("$FJB"), canonical_symbol("ΩPLN"), canonical_symbol("$$$")
    ('btc', 'fjb', 'opln', '$$$')
    """
    text = folded(symbol)
    plain = text if text.isalnum() else squeezed(symbol) or "".join(text.split())
    return _RENAMED.get(plain, plain)


def nearly_the_same(one: str, other: str) -> bool:
    """True for two symbols of three letters or more that differ as the writings of one do: letters are left out, one is
    another one, or two neighbours have changed places.

    >>> [nearly_the_same(*pair) for pair in (("clb", "clbk"), ("brnk", "brank"), ("rocki", "rocks"), ("brgb", "brbg"))]
    [True, True, True, True]
    >>> nearly_the_same("mnw", "mrph"), nearly_the_same("a", "ab")
    (False, False)
    """
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST:
        return False
    if len(short) < len(long):
        rest = iter(long)
        return all(letter in rest for letter in short)
    places = [place for place in range(len(one)) if one[place] != other[place]]
    return len(places) < _TWO or (
        len(places) == _TWO
        and places[1] == places[0] + 1
        and one[places[0]] + one[places[1]] == other[places[1]] + other[places[0]]
    )
