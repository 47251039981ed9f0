"""How much to keep, as it is written: an age ("90d", "12h", "2w") or a size ("5GB", "1GiB")."""

from __future__ import annotations

import re
from datetime import timedelta
from decimal import Decimal

_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800, "y": 31_536_000}
_BYTES = {
    "b": 1,
    "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
_AMOUNT = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([a-z]+)", re.ASCII)
_OLDEST = timedelta(days=365_000)
EXPECTED = 'expected an age like "90d" (m, h, d, w or y) or a size like "5GB" (KB, MB, GB, TB, KiB, MiB, GiB, TiB)'


def parse_amount(text: str) -> timedelta | int:
    """The age (a year has 365 days), or the number of bytes. Raises ValueError, which says what is expected."""
    match = _AMOUNT.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(EXPECTED)
    number, unit = Decimal(match[1]), match[2]
    if not number:
        raise ValueError("expected more than nothing")
    if unit in _BYTES:
        return max(1, int(number * _BYTES[unit]))
    if unit not in _SECONDS:
        raise ValueError(EXPECTED)
    seconds = number * _SECONDS[unit]
    if seconds > _OLDEST.total_seconds():
        raise ValueError("expected an age of at most 1000 years")
    return timedelta(seconds=float(seconds))
