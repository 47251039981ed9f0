"""The stored form of a position: a source's own cursor, or a place inside a stored payload. And what is said of one
that is not understood.

A payload of more than SLICE_ROWS items is committed in slices. Between two of them the checkpoint holds a
`$slice` object: which payload, how far, and the source's cursor that holds once the payload is used up.
Keys with `$` belong to the core: a source's own cursor has none at its top.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainValidator, ValidationError

from kasparro_core.errors import CheckpointError
from kasparro_core.model import UNREADABLE_KEY, Cursor, FetchFacts, Validator
from kasparro_core.model.window import Window
from kasparro_core.normalize.values import shown

SLICE_KEY = "$slice"
"""The key of a checkpoint that points into a stored payload."""

_SHOWN_CHARS = 200

S = TypeVar("S", bound="Shape")


class Shape(BaseModel):
    """The exact shape of a stored JSON object: no other keys, and nothing is taken for what it is not ("7" is no
    number, true is no 1)."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


def _instant(value: Any) -> datetime:
    instant = datetime.fromisoformat(value) if isinstance(value, str) else None
    if instant is None or instant.tzinfo is None:
        raise ValueError("expected an instant with its zone, like 2026-01-31T10:00:00Z")
    return instant


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("expected text")
    return value


Text = Annotated[str, PlainValidator(_text)]
"""Any text, also one with lone surrogates: sources send such, and they come back from JSON as they went in."""

Instant = Annotated[datetime, BeforeValidator(_instant)]
"""An aware datetime, from its ISO 8601 text."""

Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number from 0 on that a database has room for."""

Digest = Annotated[str, Field(pattern=r"^[!-~]{1,200}$")]
"""What something is recognized by: printable ASCII, without spaces."""


class StoredValidator(Shape):
    """A validator in JSON."""

    request_hash: Digest
    etag: Text | None
    last_modified: Text | None
    body_hash: Digest | None
    item_count: Annotated[int, Field(ge=0, lt=2**31)]
    next: Text | None
    cache_control: Text | None = None
    expires: Text | None = None
    refused: Count = 0

    def value(self) -> Validator:
        """The validator itself."""
        return Validator(**dict(self))


class _StoredPlace(Shape):
    raw_id: Count
    offset: Count
    after: dict[str, Any]
    url: Text | None
    status: int | None
    observed_at: Instant
    validators: list[StoredValidator]


class _Stored(Shape):
    place: _StoredPlace = Field(alias="$slice")


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """A place inside a stored payload: items before `offset` are committed; `after` holds once all are."""

    raw_id: int
    offset: int
    after: Cursor
    fetch: FetchFacts
    validators: Sequence[Validator]

    def to_cursor(self) -> Cursor:
        """As it stands in the checkpoint."""
        return {
            SLICE_KEY: {
                "raw_id": self.raw_id,
                "offset": self.offset,
                "after": dict(self.after),
                "url": self.fetch.url,
                "status": self.fetch.status,
                "observed_at": self.fetch.observed_at.isoformat(),
                "validators": [asdict(validator) for validator in self.validators],
            }
        }


def slice_position(cursor: Cursor | None, source: str, partition: str) -> SlicePosition | None:
    """The place inside a payload, if that is what the checkpoint holds; None for a source's own cursor.

    Raises CheckpointError if it is damaged, or of a kind that this version does not know.
    """
    if cursor is None or not any(key.startswith("$") for key in cursor):
        return None
    if UNREADABLE_KEY in cursor:
        raise not_understood(source, partition, cursor, "expected a JSON object")
    stored = understood(_Stored, cursor, source, partition).place
    return SlicePosition(
        raw_id=stored.raw_id,
        offset=stored.offset,
        after=stored.after,
        fetch=FetchFacts(observed_at=stored.observed_at, url=stored.url, status=stored.status),
        validators=[each.value() for each in stored.validators],
    )


def held_payload(cursor: Cursor) -> int | None:
    """The raw_id of the payload that a checkpoint points into. None for a source's own cursor, and for a place that is
    damaged: nothing ever resumes from it."""
    try:
        position = slice_position(cursor, "", "")
    except CheckpointError:
        return None
    return None if position is None else position.raw_id


def understood(shape: type[S], cursor: Cursor, source: str, partition: str) -> S:
    """The cursor as this shape. Raises CheckpointError that names the first member at fault."""
    try:
        return shape.model_validate(cursor)
    except ValidationError as error:
        raise not_understood(source, partition, cursor, fault_of(error)) from error


def not_understood(source: str, partition: str, cursor: Cursor, why: str) -> CheckpointError:
    """The error for a stored position that a source cannot go on from; `why` says what was expected and found."""
    part = "" if Window.of(partition) is None else f" --partition {partition}"  # the live position is sound
    return CheckpointError(
        f"source {source!r}, partition {partition!r}: the stored position is not understood ({why}): "
        f"{shown_cursor(cursor)}.",
        source=source,
        hint=f"`kasparro state reset {source}{part}` forgets it, and the next run reads from the start.",
    )


def fault_of(error: ValidationError) -> str:
    """The first fault: the member it is at, what was expected and what was found."""
    first = error.errors(include_url=False)[0]
    member, found = ".".join(str(step) for step in first["loc"]), shown(first["input"])
    match first["type"]:
        case "missing":
            return f"`{member}` is missing"
        case "extra_forbidden":
            return f"`{member}` is not known"
        case "model_type":
            return f"`{member}`: expected an object, found {found}"
        case "value_error":
            return f"`{member}`: {first['ctx']['error']}, found {found}"
    return f"`{member}`: {first['msg'].replace('Input should be', 'expected')}, found {found}"


def shown_cursor(cursor: Cursor) -> str:
    """A cursor for a message: its JSON on one line, cut where it is long."""
    stored = cursor.get(UNREADABLE_KEY)
    text = stored if isinstance(stored, str) else json.dumps(dict(cursor), ensure_ascii=False)
    text = "".join(sign if sign.isprintable() else " " for sign in text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
