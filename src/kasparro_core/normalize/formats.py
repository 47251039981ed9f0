"""Declared timestamp formats: the strptime directives, compiled once.

`datetime.strptime` is slow, takes digits of other scripts and reads names of months in the process's locale; here a
format becomes one regular expression over ASCII digits and English names.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, time
from functools import lru_cache

from kasparro_core.normalize.iso import in_zone, micros, nth_day
from kasparro_core.normalize.names import MONTHS, WEEKDAYS, alternatives

Parser = Callable[[str], datetime | None]
"""From a text to an aware or naive datetime; None for another shape. Raises ValueError for an impossible time."""

_DIRECTIVES = {
    "Y": r"(?P<Y>[0-9]{4})",
    "y": r"(?P<y>[0-9]{2})",
    "m": r"(?P<m>1[0-2]|0[1-9]|[1-9])",
    "d": r"(?P<d>3[01]|[12][0-9]|0[1-9]|[ ]?[1-9])",
    "j": r"(?P<j>36[0-6]|3[0-5][0-9]|[12][0-9]{2}|0[1-9][0-9]|00[1-9]|[1-9][0-9]|[1-9])",
    "H": r"(?P<H>2[0-3]|[01][0-9]|[0-9])",
    "I": r"(?P<I>1[0-2]|0[1-9]|[ ]?[1-9])",
    "M": r"(?P<M>[0-5][0-9]|[0-9])",
    "S": r"(?P<S>[0-5][0-9]|[0-9])",
    "f": r"(?P<f>[0-9]+)",
    "p": r"(?P<p>[AaPp])\.?[Mm]\.?",
    "b": rf"(?P<b>{alternatives(MONTHS)})",
    "B": rf"(?P<b>{alternatives(MONTHS)})",
    "a": rf"(?P<a>{alternatives(WEEKDAYS)})",
    "A": rf"(?P<a>{alternatives(WEEKDAYS)})",
    "z": r"(?P<z>Z|[+-][0-9]{2}:?[0-9]{2})",
    "Z": r"(?P<Z>[A-Za-z][A-Za-z0-9_/+-]*)",
    "%": "%",
}
_COMPOUND = {"T": "%H:%M:%S", "D": "%m/%d/%y", "F": "%Y-%m-%d", "R": "%H:%M"}
_PIECE = re.compile(r"%(.)|(\s+)|([^%\s]+)|(%)", re.DOTALL)


@lru_cache(maxsize=256)
def compile_format(declared: str) -> Parser:
    """The parser of a format. Raises ValueError for a directive that is not known, and for a format without a date."""
    pattern = re.compile(_expression(declared), re.IGNORECASE | re.ASCII)
    names = frozenset(pattern.groupindex)
    if not names & {"Y", "y"} or not ("j" in names or ("d" in names and names & {"m", "b"})):
        raise ValueError(f"the format {declared!r} names no complete date: it needs a year, a month and a day")
    if ("I" in names) != ("p" in names):
        raise ValueError(f"the format {declared!r} needs both of %I (hour to 12) and %p (AM or PM), or %H")
    parse = _general(pattern)
    return _quick_day(parse) if declared == "%Y-%m-%d" else _numbers(pattern) or parse


def _expression(declared: str) -> str:
    for short, long in _COMPOUND.items():
        declared = declared.replace(f"%{short}", long)
    parts: list[str] = []
    for directive, blank, literal, stray in _PIECE.findall(declared):
        if stray or (directive and directive not in _DIRECTIVES):
            known = " ".join(f"%{name}" for name in (*_DIRECTIVES, *_COMPOUND))
            raise ValueError(f"the format {declared!r} has the unknown directive %{directive}; known are {known}")
        parts.append(_DIRECTIVES[directive] if directive else r"\s+" if blank else re.escape(literal))
    try:
        re.compile(expression := "".join(parts))
    except re.error:
        raise ValueError(f"the format {declared!r} names one part twice") from None
    return expression


def _quick_day(parse: Parser) -> Parser:
    def quick(text: str) -> datetime | None:
        usual = len(text) == 10 and text[4] == text[7] == "-" and text.isascii()
        return datetime.fromisoformat(text) if usual else parse(text)

    return quick


def _numbers(pattern: re.Pattern[str]) -> Parser | None:
    """A parser without look-ups for year, month, day and the parts of the time in falling order; else None."""
    order = "YmdHMS"[: pattern.groups]
    if frozenset(order) != frozenset(pattern.groupindex):
        return None

    def parse(text: str) -> datetime | None:
        match = pattern.fullmatch(text)
        return None if match is None else datetime(*map(int, match.group(*order)))  # type: ignore[arg-type] # noqa: DTZ001

    return parse


def _general(pattern: re.Pattern[str]) -> Parser:
    def parse(text: str) -> datetime | None:
        match = pattern.fullmatch(text)
        return None if match is None else _assemble(match.groupdict())

    return parse


def _assemble(parts: dict[str, str | None]) -> datetime:
    day = _day(int(parts.get("Y") or _full_year(parts.get("y") or "0")), parts)
    moment = datetime.combine(
        day, time(_hour(parts), int(parts.get("M") or 0), int(parts.get("S") or 0), micros(parts.get("f")))
    )
    zone = parts.get("z") or parts.get("Z")
    return in_zone(moment, zone) if zone else moment


def _day(year: int, parts: dict[str, str | None]) -> date:
    if nth := parts.get("j"):
        return nth_day(year, int(nth))
    name = parts.get("b")
    month = MONTHS[name.lower()] if name else int(parts.get("m") or 0)
    return date(year, month, int(parts.get("d") or 0))


def _hour(parts: dict[str, str | None]) -> int:
    if half := parts.get("p"):
        return int(parts.get("I") or 0) % 12 + (12 if half in "Pp" else 0)
    return int(parts.get("H") or 0)


def _full_year(short: str) -> int:
    """POSIX: 69 to 99 are the 1900s."""
    return int(short) + (1900 if int(short) >= 69 else 2000)
