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
    """True for two symbols that differ as two writings of one do: a letter is left out behind the first one, or two
    neighbours have changed places. A letter in front (wBTC, aUSDC), another letter (USDC, USDT) and another digit make
    another symbol.

    >>> [nearly_the_same(*pair) for pair in (("clb", "clbk"), ("brnk", "brank"), ("brgb", "brbg"))]
    [True, True, True]
    >>> [nearly_the_same(*pair) for pair in (("btc", "wbtc"), ("usdc", "usdt"), ("s1x", "s2x"), ("rbc", "rbc3"))]
    [False, False, False, False]
    """
    short, long = sorted((one, other), key=len)
    if len(short) < _SHORTEST or _digits(one) != _digits(other) or short[0] != long[0]:
        return False
    if len(short) < len(long):
        return any(long[:place] + long[place + 1 :] == short for place in range(1, len(long)))
    swapped = (one[:place] + one[place : place + 2][::-1] + one[place + 2 :] for place in range(1, len(one) - 1))
    return other in swapped


def _digits(symbol: str) -> str:
    return "".join(filter(str.isdigit, symbol))
