"""A remembered shape as the JSON document that the store keeps, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kasparro_core.drift.learn import outline
from kasparro_core.drift.shape import Shape, Trace
from kasparro_core.errors import PermanentStorageError
from kasparro_core.model.drift import Alteration, Change, SchemaVersion
from kasparro_core.normalize.canonical import canonical_json, content_hash

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Memory:
    """What is remembered of a source: its shape, the items of small runs that are not yet taken for granted, and how
    many items a run brings. `changes`: what made this version out of the one before, as it was told. `partitions`:
    checksums of the names of those that it knows, where they differ by nature (feeds)."""

    shape: Shape
    usual: int = 0
    window: Shape | None = None
    changes: Sequence[Mapping[str, Any]] = ()
    partitions: frozenset[int] = frozenset()

    @property
    def digest(self) -> str:
        """The same for memories that say the same."""
        return content_hash(canonical_json(outline(self.shape)))


class _Node(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kinds: dict[str, int] = Field(default_factory=dict)
    of: int = 0
    fields_: dict[str, _Node] = Field(default_factory=dict, alias="fields")
    elements: _Node | None = None
    rest: _Node | None = None
    traces: dict[int, Decimal | str] = Field(default_factory=dict)

    def shape(self) -> Shape:
        """The shape that this stands for."""
        return Shape(
            kinds=dict(self.kinds),
            fields={name: node.shape() for name, node in self.fields_.items()},
            elements=self.elements.shape() if self.elements else None,
            rest=self.rest.shape() if self.rest else None,
            of=self.of,
            traces={checksum: _trace(value) for checksum, value in self.traces.items()},
        )


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid")

    format: Literal[1]
    shape: _Node
    usual: int = Field(ge=0)
    window: _Node | None = None
    changes: list[dict[str, Any]] = Field(default_factory=list)
    partitions: list[int] = Field(default_factory=list)


def document_of(memory: Memory) -> dict[str, Any]:
    """The document of a memory."""
    window = {} if memory.window is None else {"window": _node(memory.window)}
    return {
        "format": FORMAT,
        "usual": memory.usual,
        "shape": _node(memory.shape),
        "changes": [dict(change) for change in memory.changes],
        "partitions": sorted(memory.partitions),
        **window,
    }


def memory_of(version: SchemaVersion) -> Memory:
    """The memory of a stored version. Raises PermanentStorageError, code `schema_unreadable`, for a document that is
    none of ours."""
    try:
        document = _Document.model_validate(version.schema)
    except ValidationError as error:
        raise PermanentStorageError(
            f"Version {version.version} of the schema of source {version.source!r} is not understood: "
            f"{error.errors()[0]['msg']}.",
            code="schema_unreadable",
            hint="It was changed by hand. Delete its row from schema_versions: the next run remembers the shape anew.",
        ) from error
    return Memory(
        document.shape.shape(),
        document.usual,
        document.window.shape() if document.window else None,
        document.changes,
        frozenset(document.partitions),
    )


def change_view(change: Change) -> dict[str, Any]:
    """A change as it is told and remembered."""
    return {
        "change": str(change.change),
        "path": change.place,
        "before": change.before,
        "after": change.after,
        "confidence": change.confidence,
    }


def remembered_change(change: Change) -> dict[str, Any]:
    """A change as a version keeps it: as it was told, with what it takes to recognize it in an item."""
    exact = {"steps": list(change.path), "to": list(change.to or ()), "kinds": sorted(change.kinds)}
    return {**change_view(change), "exact": exact}


def change_of(view: Mapping[str, Any]) -> Change | None:
    """The change that a version keeps; None where it is kept as it was told alone."""
    exact = view.get("exact")
    if exact is None:
        return None
    return Change(
        Alteration(view["change"]),
        tuple(exact["steps"]),
        view["before"],
        view["after"],
        None if view["confidence"] is None else Decimal(str(view["confidence"])),
        tuple(exact["to"]) or None,
        frozenset(exact["kinds"]),
    )


def _node(shape: Shape) -> dict[str, Any]:
    node: dict[str, Any] = {"kinds": shape.kinds}
    if shape.of:
        node["of"] = shape.of
    if shape.fields:
        node["fields"] = {name: _node(each) for name, each in shape.fields.items()}
    if shape.elements is not None:
        node["elements"] = _node(shape.elements)
    if shape.rest is not None:
        node["rest"] = _node(shape.rest)
    if shape.traces:
        node["traces"] = {str(checksum): value for checksum, value in shape.traces.items()}
    return node


def _trace(value: Decimal | str) -> Trace:
    return value if isinstance(value, str) else float(value)
