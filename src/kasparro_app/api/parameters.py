"""What the JSON Schema of a parameter says: which texts it takes, and how to put that in words."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Final

from pydantic import BaseModel

Schema = Mapping[str, Any]
_LITERALS: Final[Mapping[str, re.Pattern[str]]] = {
    "integer": re.compile(r"-?[0-9]{1,25}"),
    "number": re.compile(r"-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?"),
    "boolean": re.compile(r"true|false"),
}
_FORMATS: Final = {"date": "a day (2026-01-31)", "date-time": "an instant in RFC 3339 (2026-01-31T10:00:00Z)"}


@cache
def fields_of(model: type[BaseModel]) -> Mapping[str, Schema]:
    """Each parameter's JSON Schema by its public name (the alias), references resolved, `null` left out: a parameter
    that is not given is absent."""
    whole = model.model_json_schema(by_alias=True, mode="validation")
    definitions = whole.get("$defs", {})
    return {name: _plain(schema, definitions) for name, schema in whole.get("properties", {}).items()}


def is_list(schema: Schema) -> bool:
    """Whether the parameter may be given several times."""
    return schema.get("type") == "array"


def is_literal(schema: Schema, text: str) -> bool:
    """Whether the text is one of the schema's type as JSON writes it. Of texts nothing is asked here."""
    pattern = _LITERALS.get(schema.get("type", ""))
    return pattern is None or pattern.fullmatch(text) is not None


def expected_of(schema: Schema) -> str:
    """What a parameter takes, in words; its own `expected` (of `json_schema_extra`) if it has one."""
    own = schema.get("expected")
    if own:
        return str(own)
    if "const" in schema:
        return str(schema["const"])
    if "enum" in schema:
        return "one of " + ", ".join(map(str, schema["enum"]))
    if schema.get("format") in _FORMATS:
        return _FORMATS[schema["format"]]
    words = _NAMES.get(schema.get("type", ""))
    name = words(schema) if words is not None else "a valid value"
    return f"{name} matching {schema['pattern']}" if "pattern" in schema else name


def _plain(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """Without references and without the alternative `null`."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rpartition("/")[2]]
        return {**_plain(target, definitions), **{k: v for k, v in schema.items() if k != "$ref"}}
    choices = [choice for choice in schema.get("anyOf", ()) if choice.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != "anyOf" and not (key == "default" and value is None)}
    if len(choices) == 1:
        return {**_plain(choices[0], definitions), **rest}
    return {**rest, **({"anyOf": [_plain(choice, definitions) for choice in choices]} if choices else {})}


def _bounded(noun: str) -> Callable[[Schema], str]:
    def words(schema: Schema) -> str:
        low, high = schema.get("minimum"), schema.get("maximum")
        if low is not None and high is not None:
            return f"{noun} from {low} to {high}"
        if low is not None:
            return f"{noun} of at least {low}"
        return noun if high is None else f"{noun} of at most {high}"

    return words


def _text_words(schema: Schema) -> str:
    low, high = schema.get("minLength", 0), schema.get("maxLength")
    if high is not None:
        return f"a text of {low} to {high} characters"
    return f"a text of at least {low} characters" if low else "a text"


_NAMES: Final[Mapping[str, Callable[[Schema], str]]] = {
    "integer": _bounded("an integer"),
    "number": _bounded("a number"),
    "boolean": lambda _: "true or false",
    "string": _text_words,
    "array": lambda schema: f"any number of: {expected_of(schema.get('items', {}))}",
}
