"""One target of a mapping, compiled: where its value stands and what becomes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any

from kasparro_core.normalize.attributes import Declared, checked, each
from kasparro_core.normalize.bulk import Bulk, bulk, bulk_with_nulls, constant
from kasparro_core.normalize.decimals import DecimalMark, decimal_coercion, integer_coercion
from kasparro_core.normalize.keys import MAX_KEY_BYTES
from kasparro_core.normalize.mapping import FieldRule, FieldType, MappingRules
from kasparro_core.normalize.paths import Getter, Reader, first_of, getter, reader
from kasparro_core.normalize.safe import json_value
from kasparro_core.normalize.text import at_most, text, trimmed, upper, url
from kasparro_core.normalize.timestamps import (
    EpochUnit,
    timestamp,
    timestamp_coercion,
    timestamp_text,
    timestamp_text_coercion,
)
from kasparro_core.normalize.values import Coercion, Refusal, boolean, is_nothing, with_nulls
from kasparro_core.normalize.zones import load_zone

MAX_SYMBOL_BYTES = 800
"""How long a symbol or a currency may be in UTF-8: 200 characters of any script."""

_COLUMN_TYPES: Mapping[str, FieldType] = {
    "external_id": "text",
    "title": "text",
    "symbol": "text",
    "value": "decimal",
    "currency": "text",
    "url": "url",
    "occurred_at": "timestamp",
}
_TEXT_COLUMNS: Mapping[str, Coercion] = {"external_id": trimmed, "title": trimmed, "symbol": upper, "currency": upper}
_BOUNDS: Mapping[str, int] = {"external_id": MAX_KEY_BYTES, "symbol": MAX_SYMBOL_BYTES, "currency": MAX_SYMBOL_BYTES}


@dataclass(frozen=True, slots=True)
class CompiledField:
    """A target's name, its source paths, and the functions that fill it: one item's, and many items' at once."""

    name: str
    paths: tuple[str, ...]
    get: Getter
    coerce: Coercion
    read: Reader
    bulk: Bulk
    required: bool = False

    def path_in(self, item: Mapping[str, Any]) -> str:
        """The source path that the value came from (the first one declared when none holds anything)."""
        value = self.get(item)
        return next((path for path in self.paths if getter(path)(item) is value), (*self.paths, self.name)[0])


@dataclass(frozen=True, slots=True)
class Options:
    """What a value's reading depends on, besides its type."""

    mark: DecimalMark
    formats: tuple[str, ...]
    unit: EpochUnit | None
    zone: tzinfo

    @property
    def undeclared(self) -> bool:
        """True when nothing is said about times."""
        return not self.formats and self.unit is None and self.zone is UTC


def column(name: str, rule: FieldRule, rules: MappingRules, *, verbatim: bool = False) -> CompiledField:
    """A column of the record. Raises ValueError for options that do not fit it. `verbatim` text is not trimmed."""
    wanted = _COLUMN_TYPES[name]
    if rule.type not in {None, wanted}:
        raise ValueError(f"`{name}` is always of type {wanted}; its rule says {rule.type}")
    coerce = typed(wanted, options(name, rule, rules, wanted), as_json=False)
    coerce = coerce if verbatim else _TEXT_COLUMNS.get(name, coerce)
    return _field(name, rule, rules, at_most(coerce, _BOUNDS[name]) if name in _BOUNDS else coerce)


def attribute(name: str, rule: FieldRule, rules: MappingRules, declared: Declared) -> CompiledField:
    """An attribute, as its kind declares it, else as its rule says, else as it is."""
    type_ = declared.type or rule.type or _implied(rule)
    if rule.type and rule.type != type_:
        raise ValueError(f"the kind declares attribute `{name}` as {type_}; its rule says {rule.type}")
    type_ = type_ or "json"
    readings = options(name, rule, rules, type_)
    coerce = typed(type_, readings, as_json=declared.adapter is None)
    if declared.listed:
        coerce = each(coerce)
    if declared.adapter is not None:
        coerce = checked(coerce, declared.adapter)
    required = rule.required or (declared.required and rule.default is None)
    default = declared.default if rule.default is None else rule.default
    return _field(name, rule.model_copy(update={"required": required, "default": default}), rules, coerce)


def as_it_is(name: str, nulls: Iterable[str]) -> CompiledField:
    """A source field by its literal name, taken as it is."""

    def read(items: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [item.get(name) for item in items]

    words = _words(nulls)
    coerce = with_nulls(json_value, words)
    return CompiledField(name, (name,), lambda item: item.get(name), coerce, read, bulk_with_nulls(json_value, words))


def passed_through(path: str, rules: MappingRules) -> CompiledField:
    """A source field that is taken as it is, and that an item must have; blank text counts as null."""
    nulls = _words(rules.null)
    found = getter(path)

    def get(item: Mapping[str, Any]) -> Any:
        value = found(item)
        return None if is_nothing(value, nulls) else value

    def read(items: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [get(item) for item in items]

    return CompiledField(path, (path,), get, json_value, read, bulk(json_value), required=True)


def options(name: str, rule: FieldRule, rules: MappingRules, type_: FieldType) -> Options:
    """The options of a rule, completed from the whole mapping. Raises ValueError for one that `type_` ignores."""
    if type_ != "timestamp" and (rule.formats or rule.unit or rule.timezone):
        raise ValueError(f"`{name}` is of type {type_}: `format`, `unit` and `timezone` are for timestamps")
    if type_ not in {"decimal", "integer"} and rule.decimal:
        raise ValueError(f"`{name}` is of type {type_}: `decimal` is for numbers")
    zone = rule.timezone or rules.timezone
    return Options(
        mark=rule.decimal or rules.decimal,
        formats=rule.formats,
        unit=rule.unit,
        zone=load_zone(zone) if zone else UTC,
    )


def typed(type_: FieldType, readings: Options, *, as_json: bool) -> Coercion:
    """The coercion of a type; with `as_json` a timestamp becomes RFC 3339 text."""
    match type_:
        case "decimal":
            return decimal_coercion(readings.mark)
        case "integer":
            return integer_coercion(readings.mark)
        case "timestamp":
            if readings.undeclared:
                return timestamp_text if as_json else timestamp
            build = timestamp_text_coercion if as_json else timestamp_coercion
            return build(readings.formats, readings.unit, readings.zone)
        case "boolean":
            return boolean
        case "url":
            return url
        case "text":
            return text
        case "json":
            return json_value


def _field(name: str, rule: FieldRule, rules: MappingRules, coerce: Coercion) -> CompiledField:
    if rule.const is not None:
        value = _fixed(name, "const", coerce, rule.const)
        return CompiledField(name, (), lambda _: None, lambda _: value, list, constant(value))
    nulls = _words((*rules.null, *rule.null))
    get, reading = first_of(rule.paths, nulls), with_nulls(coerce, nulls)
    read, many = reader(rule.paths, get), bulk_with_nulls(coerce, nulls)
    if rule.default is not None:
        reading = _with_default(reading, _fixed(name, "default", coerce, rule.default))
        many = bulk(reading)
    return CompiledField(name, rule.paths, get, reading, read, many, rule.required or name in rules.required)


def _words(nulls: Iterable[str]) -> frozenset[str]:
    return frozenset(word.strip() for word in nulls)


def _with_default(coerce: Coercion, default: Any) -> Coercion:
    def coerce_or_default(value: Any) -> Any:
        result = coerce(value)
        return default if result is None else result

    return coerce_or_default


def _fixed(name: str, option: str, coerce: Coercion, value: Any) -> Any:
    result = coerce(value)
    if isinstance(result, Refusal):
        raise ValueError(f"`{option}` of `{name}`: {result.message}")
    return result


def _implied(rule: FieldRule) -> FieldType | None:
    if rule.formats or rule.unit or rule.timezone:
        return "timestamp"
    return "decimal" if rule.decimal else None
