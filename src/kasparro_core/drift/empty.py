"""How much of what a run has seen is empty: from the counts of its shape, without another look at the items."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from decimal import Decimal

from kasparro_core.drift.shape import Shape
from kasparro_core.model.drift import ANY, ELEMENT, Path, path_text

MOST_RATES = 200
"""Paths that are told of: those nearest to the item first, of the same depth by name."""

_PLACES = Decimal("0.000001")


def null_rates(shape: Shape, most: int = MOST_RATES) -> tuple[Mapping[str, Decimal], bool]:
    """By dotted path the share (0 to 1, six digits) that had nothing there: null, or no such field. It is a share of
    the items; inside of an array, of its elements; inside of a map, of its values. And whether there were more than
    `most` paths."""
    rates: dict[str, Decimal] = {}
    queue = deque(_inside(shape, (), shape.count))
    while queue and len(rates) < most:
        path, each, of = queue.popleft()
        empty = max(of - each.filled, 0)  # names that are the same where they are cut have more values than objects
        rates[path_text(path)] = (Decimal(empty) / of).quantize(_PLACES).normalize()
        queue.extend(_inside(each, path, of))
    return rates, bool(queue)


def _inside(shape: Shape, path: Path, of: int) -> list[tuple[Path, Shape, int]]:
    """What lies in a place: each with its path, and how many values it could have had."""
    places = [((*path, name), each, of) for name, each in sorted(shape.fields.items())]
    if shape.rest is not None:
        places.append(((*path, ANY), shape.rest, shape.rest.count))
    if shape.elements is not None:
        places.append(((*path, ELEMENT), shape.elements, shape.elements.count))
    return [place for place in places if place[2]]
