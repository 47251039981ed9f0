"""The declarative mapping from the items of a source to records, as it stands in kasparro.toml.

    key = ["symbol", "date"]
    occurred_at = { field = "date", format = "%Y-%m-%d" }
    value = "close"
    attributes = { volume = { field = "Volume", null = ["-"] } }

These models are closed and frozen and check one rule at a time; what concerns rules together, or the kind, is checked
by `compile_mapping`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    Tag,
    field_validator,
    model_validator,
)

from kasparro_core.normalize.formats import compile_format
from kasparro_core.normalize.zones import load_zone

TARGETS = ("external_id", "title", "symbol", "value", "currency", "url", "occurred_at")
"""The columns of a record that a mapping may fill, besides key and attributes."""

FieldType = Literal["text", "decimal", "integer", "boolean", "timestamp", "url", "json"]
Path = Annotated[str, Field(min_length=1)]
Scalar = StrictStr | StrictBool | StrictInt | Decimal  # a float becomes the Decimal it is written as


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @field_validator("timezone", check_fields=False)
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        if name is not None:
            load_zone(name)
        return name


class FieldRule(_Rules):
    """How one target is read. Exactly one of `field` (a path, or several: the first that holds something) and `const`.

    `type` defaults to what the target is. `format` (strptime, one or several), `unit` (of an epoch) and `timezone` are
    for timestamps; `decimal` is the decimal mark of texts; `null` lists texts that stand for null, besides those of
    the whole mapping. `default` stands in for null; with `required`, null rejects the item.
    """

    field: Path | list[Path] | None = None
    type: FieldType | None = None
    format: Path | list[Path] | None = None
    unit: Literal["s", "ms", "us", "ns"] | None = None
    timezone: str | None = None
    const: Scalar | None = None
    default: Scalar | None = None
    required: bool = False
    decimal: Literal[".", ","] | None = None
    null: list[str] = []

    @property
    def paths(self) -> tuple[str, ...]:
        """The source fields, in the order they are tried."""
        return _listed(self.field)

    @property
    def formats(self) -> tuple[str, ...]:
        """The declared timestamp formats, in the order they are tried."""
        return _listed(self.format)

    @field_validator("format")
    @classmethod
    def _readable_formats(cls, value: str | list[str] | None) -> str | list[str] | None:
        for each in _listed(value):
            compile_format(each)
        return value

    @model_validator(mode="after")
    def _one_origin(self) -> FieldRule:
        if bool(self.paths) == (self.const is not None):
            raise ValueError("a rule needs exactly one of `field` (where the value stands) and `const` (the value)")
        if self.formats and self.unit:
            raise ValueError("`format` reads texts and `unit` reads numbers: declare one of them")
        return self


def _shape(value: Any) -> str:
    return "path" if isinstance(value, str) else "rule"


Target = Annotated[Annotated[Path, Tag("path")] | Annotated[FieldRule, Tag("rule")], Discriminator(_shape)]
"""A field path, or a table of options."""


KeyPart = Path | Annotated[list[Path], Field(min_length=1)]
"""A field of the key, or several, of which the later ones stand in where the first is blank (not where absent)."""


class MappingRules(_Rules):
    """The `mapping` table of a source.

    `key` names the source fields that identify an item inside its source; a part of it may be a list of fields: where
    the first is blank, the next that holds something counts. `attributes` left out: kind `item` takes
    every field as it is, other kinds take none. `required` names targets or attributes whose absence rejects the item.
    `timezone` is where times without a zone are read (UTC), `decimal` the decimal mark of texts ("."), `null` the
    texts that stand for null.
    """

    key: Path | Annotated[list[KeyPart], Field(min_length=1)] | None = None
    external_id: Target | None = None
    title: Target | None = None
    symbol: Target | None = None
    value: Target | None = None
    currency: Target | None = None
    url: Target | None = None
    occurred_at: Target | None = None
    attributes: dict[Path, Target] | None = None
    required: list[str] = []
    timezone: str | None = None
    decimal: Literal[".", ","] = "."
    null: list[str] = []

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The parts of the key, each with the source fields that are tried for it; empty when it is not declared."""
        parts = [self.key] if isinstance(self.key, str) else self.key or []
        return tuple(_listed(part) for part in parts)

    @property
    def keyed_by_time(self) -> bool:
        """True when a field that `occurred_at` is read from is part of the key."""
        read = () if self.occurred_at is None else as_rule(self.occurred_at).paths
        return any(path in read for part in self.keys for path in part)


class RecordMapping(MappingRules):
    """The rules of one source, with its name and the kind of its records."""

    source: str
    kind: str = "item"


def as_rule(target: str | FieldRule) -> FieldRule:
    """The rule that a bare path stands for."""
    return FieldRule(field=target) if isinstance(target, str) else target


def _listed(value: str | list[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
