"""How the records of a mapping are put together, many at once: values become columns and attributes, texts hashes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import repeat
from json.encoder import encode_basestring
from typing import Any

from kasparro_core.model.record import PreparedRecord, Record
from kasparro_core.normalize.bulk import NULL, REFUSED
from kasparro_core.normalize.fields import CompiledField
from kasparro_core.normalize.hashing import record_hashes
from kasparro_core.normalize.mapping import TARGETS

Items = Sequence[Mapping[str, Any]]
KeysOf = Callable[[Items, Sequence[str]], Sequence[Any]]
"""From items, and their attributes as JSON, to their keys. What is no text is no key."""


class Layout:
    """Makes records of items that have the same fields. Keeps nothing of what it has seen."""

    def __init__(
        self,
        source: str,
        kind: str,
        keys_of: KeysOf,
        columns: Sequence[CompiledField],
        attributes: Sequence[CompiledField],
    ) -> None:
        self._source, self._kind, self._keys_of = source, kind, keys_of
        self._columns, self._attributes = tuple(columns), tuple(attributes)
        self._names = tuple(each.name for each in attributes)
        self._sorted = sorted(self._names)
        self._openings = [f"{',' if at else '{'}{encode_basestring(name)}:" for at, name in enumerate(self._sorted)]
        self._nulls = dict.fromkeys(self._names)

    def prepare(self, items: Items, indexes: Sequence[int]) -> list[PreparedRecord | None]:
        """A record for each item; None for those about which there is something to say."""
        columns, column_texts, odd = _read(self._columns, items)
        attributes, attribute_texts, odd_attributes = _read(self._attributes, items)
        whole = self._json(attribute_texts, len(items))
        keys = self._keys_of(items, whole)
        records = map(Record._make, self._rows(keys, columns, attributes))
        hashes = record_hashes(self._kind, column_texts, attribute_texts, whole)
        prepared: list[PreparedRecord | None] = list(
            map(PreparedRecord._make, zip(records, hashes, whole, indexes, strict=True))
        )
        for place in (*odd, *odd_attributes, *_no_texts(keys)):
            prepared[place] = None
        return prepared

    def _json(self, texts: Mapping[str, Sequence[str]], size: int) -> list[str]:
        """The attributes of each item as one text: the quoted names between the texts of their values."""
        if not self._names:
            return ["{}"] * size
        parts: list[Iterable[str]] = []
        for opening, name in zip(self._openings, self._sorted, strict=True):
            parts += [repeat(opening, size), texts[name]]
        return list(map("".join, zip(*parts, repeat("}", size), strict=True)))

    def _rows(self, keys: Sequence[Any], columns: _Values, attributes: _Values) -> Iterator[tuple[Any, ...]]:
        nulls = [None] * len(keys)
        filled = (columns.get(name, nulls) for name in TARGETS)
        return zip(
            repeat(self._source), keys, repeat(self._kind), *filled, self._dicts(attributes, len(keys)), strict=False
        )

    def _dicts(self, values: _Values, size: int) -> Iterator[dict[str, Any]]:
        names = self._names
        rows = zip(*map(values.__getitem__, names), strict=True) if names else repeat((), size)
        for row in rows:
            fields = self._nulls.copy()  # with all its room from the start, which a growing dict finds step by step
            fields.update(zip(names, row))  # noqa: B905  (as many as names: each row has one of every field)
            yield fields


_Values = Mapping[str, Sequence[Any]]


def _read(fields: Sequence[CompiledField], items: Items) -> tuple[_Values, dict[str, Sequence[str]], list[int]]:
    """Values and texts of fields by name, and the places of the items in which one is refused or missing."""
    values: dict[str, Sequence[Any]] = {}
    texts: dict[str, Sequence[str]] = {}
    odd: list[int] = []
    for field in fields:
        values[field.name], written = field.bulk(field.read(items))
        texts[field.name] = written
        if REFUSED in written:
            odd.extend(_places(written, REFUSED))
        if field.required and NULL in written:
            odd.extend(_places(written, NULL))
    return values, texts, odd


def _places(texts: Sequence[str], text: str) -> Iterator[int]:
    return (place for place, each in enumerate(texts) if each == text)


def _no_texts(keys: Sequence[Any]) -> Iterator[int]:
    return (place for place, key in enumerate(keys) if type(key) is not str)
