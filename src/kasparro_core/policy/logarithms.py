"""Logarithms of figures as sources send them: of a thousand digits, or with an exponent that no float has."""

from __future__ import annotations

import math
from decimal import Decimal

_SAFE = 300  # so many powers of ten are well inside of what a float holds


def natural_log(value: Decimal) -> float:
    """The natural logarithm of a positive value. Raises ValueError for another one.

    >>> round(natural_log(Decimal("1E-900")) / math.log(10)), natural_log(Decimal(1))
    (-900, 0.0)
    """
    power = value.adjusted()
    if -_SAFE < power < _SAFE:
        return math.log(value)
    return math.log(value.scaleb(-power)) + power * math.log(10)
