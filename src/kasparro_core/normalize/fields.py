"""One target of a mapping, compiled: where its value stands and what becomes of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, tzinfo
from typing import Any

from kasparro_core.normalize.attributes import Declared, checked, each
from kasparro_core.normalize.decimals import DecimalMark, decimal_coercion, integer_coercion
from kasparro_core.normalize.mapping import FieldRule, FieldType, MappingRules
from kasparro_core.normalize.paths import Getter, first_of, getter
from kasparro_core.normalize.safe import json_value
from kasparro_core.normalize.text import text, trimmed, upper, url
from kasparro_core.normalize.timestamps import EpochUnit, timestamp_coercion, timestamp_text_coercion
from kasparro_core.normalize.values import Coercion, Refusal, boolean, is_nothing, with_nulls
from kasparro_core.normalize.zones import load_zone

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


@dataclass(frozen=True, slots=True)
class CompiledField:
    """A target's name, its source paths, and the two functions that fill it."""

    name: str
    paths: tuple[str, ...]
    get: Getter
    coerce: Coercion
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


def column(name: str, rule: FieldRule, rules: MappingRules, *, verbatim: bool = False) -> CompiledField:
    """A column of the record. Raises ValueError for options that do not fit it. `verbatim` text is not trimmed."""
    wanted = _COLUMN_TYPES[name]
    if rule.type not in {None, wanted}:
        raise ValueError(f"`{name}` is always of type {wanted}; its rule says {rule.type}")
    coerce = typed(wanted, options(name, rule, rules, wanted), as_json=False)
    return _field(name, rule, rules, coerce if verbatim else _TEXT_COLUMNS.get(name, coerce))


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


def passed_through(path: str, rules: MappingRules) -> CompiledField:
    """A source field that is taken as it is; blank text counts as null."""
    nulls = frozenset(word.strip() for word in rules.null)
    get = getter(path)
    return CompiledField(path, (path,), lambda item: None if is_nothing(get(item), nulls) else get(item), json_value)


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
        constant = _fixed(name, "const", coerce, rule.const)
        return CompiledField(name, (), lambda _: None, lambda _: constant)
    nulls = frozenset(word.strip() for word in (*rules.null, *rule.null))
    reading = with_nulls(coerce, nulls)
    field = CompiledField(name, rule.paths, first_of(rule.paths, nulls), reading, rule.required)
    if rule.default is None:
        return field
    return replace(field, coerce=_with_default(reading, _fixed(name, "default", coerce, rule.default)))


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
