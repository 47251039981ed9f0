"""The shape of many items: which fields there are, how often, and of what kind.

A shape is a tree of counts. It is built by observing, and shapes of parts of the items add up to the shape of all of
them, in whatever order: no count depends on where an item stood.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

NULL, BOOLEAN, NUMBER, TEXT, OBJECT, ARRAY = "null", "boolean", "number", "text", "object", "array"

MOST_FIELDS = 200
"""An object inside of an item with more distinct keys than these is a map: its values are looked at as one."""

MOST_COLUMNS = 2_000
"""The same of an item itself, whose fields may be the columns of a wide file."""

MOST_PLACES = 5_000
"""A shape of more places is looked at less deeply: what is inside of its deepest objects is taken for one."""

NAME_CHARS = 200
"""So much of the name of a field is remembered."""

_DEEPEST = 10

Trace = float | str
"""What is remembered of one value: a number itself, of a text its pattern and a checksum."""


@dataclass(slots=True)
class Shape:
    """What was seen at one place. `kinds` counts the values by kind; `fields` are those of its objects, `elements` what
    its arrays hold. `rest` stands for the values of all keys where there were too many.

    `of` is how many objects could have had this field since it is known: `count / of` is how often it is there. Only
    what is remembered has it. `traces` are a few values, by a checksum of the item they stand in.
    """

    kinds: dict[str, int] = field(default_factory=dict)
    fields: dict[str, Shape] = field(default_factory=dict)
    elements: Shape | None = None
    rest: Shape | None = None
    of: int = 0
    traces: dict[int, Trace] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many values there were, nulls among them."""
        return sum(self.kinds.values())

    @property
    def filled(self) -> int:
        """How many values were something."""
        return self.count - self.kinds.get(NULL, 0)

    @property
    def objects(self) -> int:
        """How many of the values were objects."""
        return self.kinds.get(OBJECT, 0)

    @property
    def presence(self) -> float:
        """The share of objects that had this field, 0 to 1."""
        return self.count / self.of if self.of else 0.0

    @property
    def null_share(self) -> float:
        """The share of its values that were null, 0 to 1."""
        count = self.count
        return self.kinds.get(NULL, 0) / count if count else 0.0

    def add_kinds(self, kinds: Mapping[str, int]) -> None:
        """Count values by kind."""
        for kind, count in kinds.items():
            self.kinds[kind] = self.kinds.get(kind, 0) + count

    def under(self, name: str, most: int = MOST_FIELDS) -> Shape:
        """The shape of a field, made when it is new; where there are more than `most`, the one that all share."""
        if self.rest is not None:
            return self.rest
        name = name[:NAME_CHARS]
        known = self.fields.get(name)
        if known is None:
            if len(self.fields) >= most:
                return self.collapse()
            known = self.fields[name] = Shape()
        return known

    def inside(self) -> Shape:
        """The shape of the elements of its arrays."""
        if self.elements is None:
            self.elements = Shape()
        return self.elements

    def collapse(self) -> Shape:
        """Look at the values of all keys as one from now on."""
        if self.rest is None:
            self.rest = Shape()
            for each in self.fields.values():
                self.rest.add(each)
            self.fields = {}
        return self.rest

    def add(self, other: Shape, most: int = MOST_FIELDS) -> None:
        """Add the counts of another shape of the same place."""
        self.add_kinds(other.kinds)
        self.of += other.of
        self.traces.update(other.traces)
        if other.rest is not None:
            self.collapse().add(other.rest)
        for name, each in other.fields.items():
            self.under(name, most).add(each)
        if other.elements is not None:
            self.inside().add(other.elements)

    def add_items(self, other: Shape) -> None:
        """The same for whole items."""
        self.add(other, MOST_COLUMNS)

    def places(self) -> int:
        """How many places there are in it."""
        inner = sum(each.places() for _, each in self.members())
        return 1 + inner + (self.elements.places() if self.elements is not None else 0)

    def bound(self) -> None:
        """Look less deeply where there are too many places: an upstream cannot fill the memory with names."""
        depth = _DEEPEST
        while depth and self.places() > MOST_PLACES:
            _flatten(self, depth)
            depth -= 1

    def copy(self) -> Shape:
        """A tree of its own."""
        new = Shape()
        new.add_items(self)
        return new

    def members(self) -> Iterator[tuple[str, Shape]]:
        """Its fields by name, `rest` as `*`."""
        yield from self.fields.items()
        if self.rest is not None:
            yield "*", self.rest


def kinds_text(shape: Shape) -> str | None:
    """The kinds of a place, the most frequent first: "number or text". None where it was only ever null."""
    filled = sorted((-count, kind) for kind, count in shape.kinds.items() if kind != NULL and count)
    return " or ".join(kind for _, kind in filled) or None


def _flatten(shape: Shape, depth: int) -> None:
    """Take the values of each object that stands so deep for one."""
    if depth == 0 and shape.fields:
        shape.collapse()
    elif depth:
        for _, each in shape.members():
            _flatten(each, depth - 1)
        if shape.elements is not None:
            _flatten(shape.elements, depth - 1)
