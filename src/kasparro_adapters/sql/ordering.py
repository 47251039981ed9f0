"""A text for every Decimal that sorts, byte by byte, like the Decimals do: the twin of the exact text on SQLite."""

from __future__ import annotations

from decimal import Decimal

from kasparro_core.normalize.canonical import canonical_decimal

_BIAS = 50_000
BOUND = 40_000
"""The bias is added to the exponent, so that it has five digits and no sign. The core bounds Decimals far inside."""

_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def order_text(value: Decimal) -> str:
    """The order-preserving text of a finite Decimal; equal for equal values ("1", "1.0", "1E0").

    Zero is "1". A positive value is "2", the biased exponent of its first digit, and its digits without trailing
    zeros. A negative one is "0" and the nines' complement of that, closed by "~" so that of -1.2 and -1.23 the longer
    one comes first.
    """
    if value and not -BOUND < value.adjusted() < BOUND:
        raise ValueError(f"{value} is too far from 1 to be ordered")
    return order_of(canonical_decimal(value))


def order_of(canonical: str) -> str:
    """The same, of the canonical plain text."""
    if canonical[0] == "-":
        return f"0{_magnitude(canonical[1:]).translate(_COMPLEMENT)}~"
    return "1" if canonical == "0" else f"2{_magnitude(canonical)}"


def _magnitude(plain: str) -> str:
    whole, _, fraction = plain.partition(".")
    if whole != "0":
        return f"{_BIAS + len(whole) - 1}{(whole + fraction).rstrip('0')}"
    significant = fraction.lstrip("0")
    return f"{_BIAS - 1 - len(fraction) + len(significant)}{significant}"
