"""From the pydantic model of a kind to what each attribute demands of a value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo

from kasparro_core.normalize.kinds import UrlMarker
from kasparro_core.normalize.mapping import FieldType
from kasparro_core.normalize.safe import json_value
from kasparro_core.normalize.values import Coercion, Refusal, shown

_TYPES: dict[Any, FieldType] = {
    str: "text",
    Decimal: "decimal",
    int: "integer",
    bool: "boolean",
    datetime: "timestamp",
    Any: "json",
}


@dataclass(frozen=True, slots=True)
class Declared:
    """What a kind's model says about one attribute.

    `type` is None where only pydantic knows the annotation; `listed` means a list of `type`; `adapter` checks what the
    coercion does not (constraints, or everything where `type` is None).
    """

    type: FieldType | None
    listed: bool = False
    adapter: TypeAdapter[Any] | None = None
    required: bool = False
    default: Any = None


UNDECLARED = Declared(type=None)
"""An attribute that the kind does not name."""


def declaration(model: type[BaseModel], name: str) -> Declared:
    """What `model` says about the attribute `name`."""
    field = model.model_fields.get(name)
    if field is None:
        return UNDECLARED
    base, inner, optional = _unwrap(field.annotation)
    constraints = [mark for mark in (*inner, *field.metadata) if mark is not UrlMarker]
    marked_url = UrlMarker in (*inner, *field.metadata)
    listed = get_origin(base) is list and get_args(base)[:1] != () and get_args(base)[0] in _TYPES
    type_: FieldType | None = "url" if marked_url else _TYPES.get(get_args(base)[0] if listed else base)
    return Declared(
        type=type_,
        listed=listed,
        adapter=_adapter(base, constraints) if constraints or type_ is None else None,
        required=field.is_required() and not optional,
        default=_default(field),
    )


def required_names(model: type[BaseModel]) -> tuple[str, ...]:
    """The attributes without which the model has no instance."""
    return tuple(name for name in model.model_fields if declaration(model, name).required)


def checked(coerce: Coercion, adapter: TypeAdapter[Any]) -> Coercion:
    """The coercion, and then pydantic's own check of its result."""

    def coerce_and_check(value: Any) -> Any:
        result = coerce(value)
        if result is None or isinstance(result, Refusal):
            return result
        try:
            return json_value(adapter.dump_python(adapter.validate_python(result)))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            return Refusal("attribute_invalid", f"{first['msg']}, found {shown(value)}.")

    return coerce_and_check


def each(coerce: Coercion) -> Coercion:
    """The coercion of every element of a list; null elements are left out, one bad element refuses the list."""

    def coerce_list(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple):
            return Refusal("list_invalid", f"Expected a list, found {shown(value)}.")
        results = [coerce(element) for element in value]
        for result in results:
            if isinstance(result, Refusal):
                return result
        return [result for result in results if result is not None]

    return coerce_list


def _unwrap(annotation: Any) -> tuple[Any, tuple[Any, ...], bool]:
    """An annotation without None and Annotated, the metadata, and whether None was in it."""
    optional, metadata = False, ()
    if get_origin(annotation) in {Union, UnionType}:
        members = [member for member in get_args(annotation) if member is not NoneType]
        optional = len(members) < len(get_args(annotation))
        annotation = members[0] if len(members) == 1 else Union[tuple(members)]  # noqa: UP007
    if get_origin(annotation) is Annotated:
        annotation, *inner = get_args(annotation)
        metadata = tuple(inner)
    return annotation, metadata, optional


def _adapter(base: Any, constraints: list[Any]) -> TypeAdapter[Any]:
    return TypeAdapter(Annotated[(base, *constraints)] if constraints else base)


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True, validated_data={})
