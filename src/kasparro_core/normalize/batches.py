"""A compiled mapping at work on batches: records, rejections and notes.

Each item takes the short way, which knows no paths and no messages; an item with anything to say about it then takes
the long way, which finds out what.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from kasparro_core.model.record import RawRecord, Record
from kasparro_core.model.rejection import Rejection, Stage
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.normalize.fields import CompiledField
from kasparro_core.normalize.hashing import record_hash
from kasparro_core.normalize.keys import KeyOf
from kasparro_core.normalize.mapping import TARGETS
from kasparro_core.normalize.paths import reader
from kasparro_core.normalize.safe import presentable
from kasparro_core.normalize.text import storable
from kasparro_core.normalize.values import Coercion, Refusal, shown

_BAD_NAME = Refusal("name_invalid", "The name of this field is no text that can be stored.")


@dataclass(frozen=True, slots=True)
class Normalized:
    """What a batch became. Iterating yields (records, rejections).

    `indexes` holds each record's place in the payload; `rejections` are whole items, `notes` single values that became
    null (stage `field`).
    """

    records: list[Record] = field(default_factory=list)
    indexes: list[int] = field(default_factory=list)
    rejections: list[Rejection] = field(default_factory=list)
    notes: list[Rejection] = field(default_factory=list)

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
        attributes: Sequence[CompiledField],
        *,
        everything: Coercion | None = None,
        required: Sequence[CompiledField] = (),
    ) -> None:
        """`everything` is the coercion of each field of an item where no attributes are declared."""
        self._source, self._kind, self._key = source, kind, key
        self._columns = [(TARGETS.index(each.name), each.get, each.coerce) for each in columns]
        self._read = reader([(each.paths, each.get) for each in attributes])
        self._names, self._coercions = [each.name for each in attributes], [each.coerce for each in attributes]
        self._everything = everything
        self._required = tuple(required)
        self._column_fields, self._attribute_fields = tuple(columns), tuple(attributes)

    def normalize(self, items: Iterable[RawRecord]) -> Normalized:
        """The records of a batch in its order, and what kept items or values out. Never raises for a bad item."""
        out = Normalized()
        for index, item in items:
            record = self._short_way(item) or self._long_way(item, index, out)
            if record is not None:
                out.records.append(record)
                out.indexes.append(index)
        return out

    def _short_way(self, item: Any) -> Record | None:
        """The record of an item about which there is nothing to say; None for all others."""
        if type(item) is not dict:
            return None
        key = self._key(item)
        if type(key) is not str:
            return None
        columns: list[Any] = [None] * len(TARGETS)
        for position, get, coerce in self._columns:
            columns[position] = coerce(get(item))
        everything = self._everything
        if everything is None:
            raws = zip(self._names, self._coercions, self._read(item), strict=True)
            attributes = {name: coerce(raw) for name, coerce, raw in raws}
        elif all(map(_is_name, item)):
            attributes = {name: everything(value) for name, value in item.items()}
        else:
            return None
        if Refusal in map(type, columns) or Refusal in map(type, attributes.values()):
            return None
        if self._required and any(each.coerce(each.get(item)) is None for each in self._required):
            return None
        return Record._make((self._source, key, self._kind, *columns, attributes))

    def _long_way(self, item: Any, index: int, out: Normalized) -> Record | None:
        """The record of an item, with its notes; or None, with its rejection."""
        key = self._key(item) if isinstance(item, Mapping) else _no_object(item)
        refusal = key if isinstance(key, Refusal) else self._lacking(item)
        if refusal is not None:
            known = key if isinstance(key, str) else None
            out.rejections.append(_rejection(Stage.NORMALIZE, refusal, item, index, known))
            return None
        refused: dict[tuple[str, str], tuple[Refusal, Any]] = {}
        columns = _accepted(_readings(self._column_fields, item), refused)
        attributes = _accepted(self._attribute_readings(item), refused)
        named = key if isinstance(key, str) else ""
        record = Record._make((self._source, named, self._kind, *map(columns.get, TARGETS), attributes))
        if key is None:
            record = record._replace(key=record_hash(record, canonical_json(record.attributes)))
        out.notes.extend(_rejection(Stage.FIELD, why, raw, index, record.key) for why, raw in refused.values())
        return record

    def _lacking(self, item: Mapping[str, Any]) -> Refusal | None:
        """Why a required field keeps the item out, if one does."""
        for each in self._required:
            value = each.coerce(each.get(item))
            if value is None:
                value = Refusal("required_missing", f"The required field `{each.name}` is absent or empty.")
            if isinstance(value, Refusal):
                return value._replace(path=each.path_in(item))
        return None

    def _attribute_readings(self, item: Mapping[str, Any]) -> Iterator[_Reading]:
        if self._everything is None:
            yield from _readings(self._attribute_fields, item)
            return
        for name, raw in item.items():
            if _is_name(name):
                yield _Reading(name, name, raw, self._everything(raw))
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


def _is_name(name: Any) -> bool:
    return type(name) is str and storable(name)


def _no_object(item: Any) -> Refusal:
    return Refusal("item_invalid", f"Expected an object with fields, found {shown(item)}.")


def _rejection(stage: Stage, refusal: Refusal, payload: Any, index: int, key: str | None) -> Rejection:
    return Rejection(stage, refusal.code, refusal.path, refusal.message, presentable(payload), index, key)
