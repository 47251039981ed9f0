"""Kinds of records, each declared by a pydantic model of its attributes.

A model's annotations become coercions: Decimal, int, bool, str, datetime, UrlText and lists of these, each optional
or not. Any other annotation, and any constraint (`Field(gt=0)`), is checked by pydantic itself. A field without
default that may not be None is required: its absence rejects the item.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel


class UrlMarker:
    """Marks text that is an absolute http or https URL."""


UrlText = Annotated[str, UrlMarker]
"""Annotation of an attribute that holds an absolute http or https URL."""


class ItemAttributes(BaseModel):
    """Kind `item` declares nothing: every attribute passes through as it is."""


_KINDS: dict[str, type[BaseModel]] = {"item": ItemAttributes}


def register_kind(name: str, attributes_model: type[BaseModel]) -> None:
    """Declare a kind. Raises ValueError if the name stands for another model already."""
    if not name or not name.isidentifier():
        raise ValueError(f"{name!r} cannot name a kind: use letters, digits and underscores")
    if _KINDS.setdefault(name, attributes_model) is not attributes_model:
        raise ValueError(f"the kind {name!r} is declared already, by {_KINDS[name].__qualname__}")


def attributes_model(kind: str) -> type[BaseModel]:
    """The model of a kind. Raises ValueError, with the known kinds, for one that is not declared."""
    model = _KINDS.get(kind)
    if model is None:
        raise ValueError(f"unknown kind {kind!r}; known are {', '.join(sorted(_KINDS))} (register_kind declares more)")
    return model


def known_kinds() -> Mapping[str, type[BaseModel]]:
    """All declared kinds and their models."""
    return dict(_KINDS)
