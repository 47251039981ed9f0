"""A compiled mapping at work on batches: records, rejections and notes.

Items take the short way together, which knows no paths and no messages; an item with anything to say about it then
takes the long way alone, which finds out what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from typing import Any, NamedTuple

from kasparro_core.model.record import PreparedRecord, RawRecord, Record
from kasparro_core.model.rejection import Rejection, Stage
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.normalize.fields import CompiledField, as_it_is
from kasparro_core.normalize.hashing import record_hash
from kasparro_core.normalize.keys import KeyOf, item_key
from kasparro_core.normalize.layout import Items, Layout
from kasparro_core.normalize.mapping import TARGETS
from kasparro_core.normalize.safe import presentable
from kasparro_core.normalize.text import shortened, storable
from kasparro_core.normalize.values import Refusal, shown

MAX_PATH_CHARS = 500
"""How much of a field's name a rejection tells; names come from outside and may be of any length."""

_CHUNK = 500
_BAD_NAME = Refusal("name_invalid", "The name of this field is no text that can be stored.")


@dataclass(frozen=True)
class Normalized:
    """What a batch became. Iterating yields (records, rejections).

    `prepared` are the records, ready to be stored; `rejections` are whole items, `notes` single values that became
    null (stage `field`).
    """

    prepared: list[PreparedRecord] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    notes: list[Rejection] = field(default_factory=list)

    @cached_property
    def records(self) -> list[Record]:
        """The records alone."""
        return [each.record for each in self.prepared]

    @cached_property
    def indexes(self) -> list[int]:
        """The place of each record in the payload."""
        return [each.raw_index for each in self.prepared]

    def __iter__(self) -> Iterator[Any]:
        yield self.records
        yield self.rejections


class CompiledMapping:
    """A mapping made ready by `compile_mapping`. Keeps nothing of what it has seen; safe in several threads at once."""

    def __init__(
        self,
        source: str,
        kind: str,
        key: KeyOf,
        columns: Sequence[CompiledField],
        attributes: Sequence[CompiledField] | None,
        *,
        nulls: Sequence[str] = (),
        required: Sequence[CompiledField] = (),
    ) -> None:
        """Without `attributes` every field of an item is one, where `nulls` stand for null and `required` must be."""
        self._source, self._kind, self._key = source, kind, key
        self._columns, self._attributes = tuple(columns), attributes
        self._nulls, self._required = tuple(nulls), tuple(required)
        fields = (*columns, *(attributes or ()), *required)
        self._strict = [each for each in fields if each.required or (each.name == "external_id" and each in columns)]
        self._layout = self._laid_out(attributes or ())

    def normalize(self, items: Iterable[RawRecord]) -> Normalized:
        """The records of a batch in its order, and what kept items or values out. Never raises for a bad item."""
        out = Normalized()
        rest = iter(items)
        while chunk := list(islice(rest, _CHUNK)):
            indexes, rows = zip(*chunk, strict=True)
            ready = self._short_way(rows, indexes)
            if not all(ready):
                tried = zip(ready, rows, indexes, strict=True)
                ready = [one or self._long_way(row, index, out) for one, row, index in tried]
            out.prepared.extend(filter(None, ready))
        return out

    def _short_way(self, rows: Sequence[Any], indexes: Sequence[int]) -> list[PreparedRecord | None]:
        """The records of the items about which there is nothing to say; None for all others."""
        if self._attributes is not None and {*map(type, rows)} == {dict}:
            return self._layout.prepare(rows, indexes)
        ready: list[PreparedRecord | None] = [None] * len(rows)
        for layout, places in self._layouts(rows):
            found = layout.prepare([rows[at] for at in places], [indexes[at] for at in places])
            for at, each in zip(places, found, strict=True):
                ready[at] = each
        return ready

    def _layouts(self, rows: Sequence[Any]) -> Iterator[tuple[Layout, Sequence[int]]]:
        """The layouts of a batch, each with the places of its items."""
        places = [at for at, row in enumerate(rows) if type(row) is dict]
        if self._attributes is not None:
            yield self._layout, places
            return
        alike: dict[tuple[Any, ...], list[int]] = {}
        for at in places:
            if not self._required or self._lacking(rows[at]) is None:
                alike.setdefault(tuple(rows[at]), []).append(at)
        for names, some in alike.items():
            if all(map(_is_name, names)):
                yield self._laid_out([as_it_is(name, self._nulls) for name in names]), some

    def _laid_out(self, attributes: Sequence[CompiledField]) -> Layout:
        # what is taken as it is has the same text as the item, whose hash is its key
        hashed = self._attributes is None and self._key is item_key and not self._nulls
        return Layout(self._source, self._kind, _hashes if hashed else self._keys, self._columns, attributes)

    def _keys(self, items: Items, _whole: Sequence[str]) -> Sequence[Any]:
        return list(map(self._key, items))

    def _long_way(self, item: Any, index: int, out: Normalized) -> PreparedRecord | None:
        """The record of an item, with its notes; or None, with its rejection."""
        key = self._key(item) if isinstance(item, Mapping) else _no_object(item)
        refusal = key if isinstance(key, Refusal) else self._lacking(item)
        if refusal is not None:
            known = key if isinstance(key, str) else None
            out.rejections.append(_rejection(Stage.NORMALIZE, refusal, item, index, known))
            return None
        refused: dict[tuple[str, str], tuple[Refusal, Any]] = {}
        columns = _accepted(_readings(self._columns, item), refused)
        attributes = _accepted(self._attribute_readings(item), refused)
        record = Record._make((self._source, key or "", self._kind, *map(columns.get, TARGETS), attributes))
        written = canonical_json(attributes)
        digest = record_hash(record, written)
        if key is None:
            record = record._replace(key=digest)
        out.notes.extend(_rejection(Stage.FIELD, why, raw, index, record.key) for why, raw in refused.values())
        return PreparedRecord(record, digest, written, index)

    def _lacking(self, item: Mapping[str, Any]) -> Refusal | None:
        """Why the external id or a required field keeps the item out, if one does."""
        for each in self._strict:
            value = each.coerce(each.get(item))
            if value is None and each.required:
                value = Refusal("required_missing", f"The required field `{each.name}` is absent or empty.")
            if isinstance(value, Refusal):
                return value._replace(path=each.path_in(item))
        return None

    def _attribute_readings(self, item: Mapping[str, Any]) -> Iterator[_Reading]:
        if self._attributes is not None:
            yield from _readings(self._attributes, item)
            return
        for name, raw in item.items():
            if _is_name(name):
                yield from _readings([as_it_is(name, self._nulls)], item)
            else:
                yield _Reading("", presentable(str(name)), raw, _BAD_NAME)


class _Reading(NamedTuple):
    """A value on the long way: for which target, from where, as it was and as it became."""

    name: str
    path: str
    raw: Any
    result: Any


def _readings(fields: Sequence[CompiledField], item: Mapping[str, Any]) -> Iterator[_Reading]:
    for each in fields:
        raw = each.get(item)
        yield _Reading(each.name, each.path_in(item), raw, each.coerce(raw))


def _accepted(readings: Iterable[_Reading], refused: dict[tuple[str, str], tuple[Refusal, Any]]) -> dict[str, Any]:
    """The values by target. A refused one is null and goes into `refused`, once for each path and code."""
    values: dict[str, Any] = {}
    for name, path, raw, result in readings:
        refusal = isinstance(result, Refusal)
        if refusal:
            refused[result.code, path] = (result._replace(path=path), raw)
        if name:
            values[name] = None if refusal else result
    return values


def _hashes(_items: Items, whole: Sequence[str]) -> Sequence[str]:
    return list(map(content_hash, whole))


def _is_name(name: Any) -> bool:
    return type(name) is str and storable(name)


def _no_object(item: Any) -> Refusal:
    return Refusal("item_invalid", f"Expected an object with fields, found {shown(item)}.")


def _rejection(stage: Stage, refusal: Refusal, payload: Any, index: int, key: str | None) -> Rejection:
    path = shortened(refusal.path, MAX_PATH_CHARS)
    return Rejection(stage, refusal.code, path, refusal.message, presentable(payload), index, key)
