"""Which keys the models know at a place of the configuration, for near names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, get_args, get_origin

from pydantic import BaseModel

from kasparro_app.config.paths import KeyPath, lookup


def field_names(model: type[BaseModel], path: KeyPath, data: Any = None) -> list[str]:
    """The keys that may stand in the table at `path`; of several models that may stand there, those whose `type` is
    the one in the data, else all."""
    models = list(_models_at(model, path))
    tag = lookup(data, (*path, "type"))
    chosen = [each for each in models if _tag(each) == tag] or models
    return [name for each in chosen for name in each.model_fields]


def _models_at(model: type[BaseModel], path: KeyPath) -> Iterator[type[BaseModel]]:
    if not path:
        yield model
        return
    field = model.model_fields.get(str(path[0]))
    if field is not None:
        yield from _models_in(field.annotation, path[1:])


def _models_in(annotation: Any, rest: KeyPath) -> Iterator[type[BaseModel]]:
    """Every model an annotation speaks of; one step of the path is used up by a mapping or an array."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield from _models_at(annotation, rest)
        return
    arguments = get_args(annotation)
    origin = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, (Mapping, list, tuple, set, frozenset)):
        arguments, rest = arguments[-1:] if issubclass(origin, Mapping) else arguments, rest[1:]
    for argument in arguments:
        yield from _models_in(argument, rest)


def _tag(model: type[BaseModel]) -> Any:
    field = model.model_fields.get("type")
    values = get_args(field.annotation) if field is not None else ()
    return values[0] if values else None
