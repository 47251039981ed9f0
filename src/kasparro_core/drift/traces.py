"""What is remembered of values, so that a field is recognized under another name.

A few items of each run are chosen by a checksum of their first or second value, so that the same things are chosen
again in the next run, also when one of these two fields is renamed. Of each of their fields the value is
kept: a number as it is, of a text its pattern and a checksum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from heapq import nsmallest
from itertools import islice, starmap
from math import isfinite, log10
from typing import Any
from zlib import crc32

from kasparro_core.drift.observe import ItemStyle, kind_of, storable_name
from kasparro_core.drift.shape import NUMBER, TEXT, Shape, Trace
from kasparro_core.model.record import RawRecord

Sample = Mapping[int, Mapping[str, Any]]
"""Items by a checksum of their first or second value."""

SAMPLED = 24
_PAIRS = 4
_NEAR = 0.25
_UNPAIRED = 0.8
_RUNS = ((re.compile("[0-9]+"), "0"), (re.compile("[A-Z]+"), "A"), (re.compile("[^\\W\\d_A-Z]+"), "a"))
_PATTERN_CHARS = 40


def sampled(items: Sequence[RawRecord]) -> Sample:
    """The items with the smallest checksums."""
    sums = [
        (crc32(str(value).encode("utf-8", "surrogatepass")), place)
        for place, item in enumerate(items)
        for value in islice(item.data.values(), 2)
    ]
    return {checksum: items[place].data for checksum, place in nsmallest(SAMPLED, sums)}


def joined(one: Sample, other: Sample) -> Sample:
    """The sample of both."""
    both = {**one, **other}
    return {checksum: both[checksum] for checksum in nsmallest(SAMPLED, both)}


def trace(shape: Shape, sample: Sample, style: ItemStyle) -> None:
    """Remember the sample's values at each place of a shape."""
    for checksum, data in sample.items():
        _trace(shape, checksum, data, style)


def keep_few(shape: Shape) -> None:
    """Forget what is more than a sample's worth, the same everywhere."""
    if len(shape.traces) > SAMPLED:
        shape.traces = {checksum: shape.traces[checksum] for checksum in nsmallest(SAMPLED, shape.traces)}
    for _, each in shape.members():
        keep_few(each)


def likeness(one: Shape, other: Shape) -> float:
    """How alike the values of two places are, 0 to 1: those of the same items where there are some, else their ranges
    and patterns, which prove less."""
    pairs = [(value, other.traces[checksum]) for checksum, value in one.traces.items() if checksum in other.traces]
    if len(pairs) >= _PAIRS:
        return sum(starmap(_same, pairs)) / len(pairs)
    return _UNPAIRED * _spread(list(one.traces.values()), list(other.traces.values()))


def _trace(shape: Shape, checksum: int, data: Mapping[str, Any], style: ItemStyle) -> None:
    for name, value in data.items():
        inner = shape.fields.get(storable_name(name))
        if inner is None:
            continue
        if isinstance(value, dict):
            _trace(inner, checksum, value, style)
        elif (left := _left_of(value, kind_of(value, style))) is not None:
            inner.traces[checksum] = left


def _left_of(value: Any, kind: str) -> Trace | None:
    if kind == NUMBER:
        number = _number(value)
        return float(f"{number:.6g}") if isfinite(number) else None
    return _pattern(value) if kind == TEXT else None


def _number(value: Any) -> float:
    if isinstance(value, str):  # "1,234.5" or "79.9K"
        return float(value.replace(",", "").strip().rstrip("%KMBT"))
    return float(Decimal(value) if isinstance(value, int) else value)  # an int of any size is no OverflowError


def _pattern(text: str) -> str:
    """Of "Bitcoin-2" this is "Aa-0#", and a checksum."""
    pattern = text[:_PATTERN_CHARS]
    for run, stand_in in _RUNS:
        pattern = run.sub(stand_in, pattern)
    legal = pattern.encode("ascii", "replace").decode().replace("\0", "?")
    return f"{legal}#{crc32(text.encode('utf-8', 'surrogatepass')):08x}"


def _same(one: Trace, other: Trace) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= _NEAR * max(abs(one), abs(other))
    return one == other


def _spread(one: Sequence[Trace], other: Sequence[Trace]) -> float:
    if not one or not other or type(one[0]) is not type(other[0]):
        return 0.0
    if isinstance(one[0], float):
        return _overlap(_scaled(one), _scaled(other))
    return _common({str(each).partition("#")[0] for each in one}, {str(each).partition("#")[0] for each in other})


def _scaled(numbers: Iterable[Trace]) -> tuple[float, float]:
    """The range of numbers on a scale of magnitudes, without the outermost."""
    scale = sorted(_magnitude(number) for number in numbers if isinstance(number, float))
    cut = len(scale) // 8
    return scale[cut], scale[-1 - cut]


def _magnitude(number: float) -> float:
    size = log10(abs(number) + 1e-12) + 12
    return size if number >= 0 else -size


def _overlap(one: tuple[float, float], other: tuple[float, float]) -> float:
    whole = max(one[1], other[1]) - min(one[0], other[0])
    shared = min(one[1], other[1]) - max(one[0], other[0])
    return max(0.0, shared) / whole if whole else 1.0


def _common(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
