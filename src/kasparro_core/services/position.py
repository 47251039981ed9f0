"""The stored form of a position: a source's own cursor, or a place inside a stored payload.

A payload of more than SLICE_ROWS items is committed in slices. Between two of them the checkpoint holds a
`$slice` object: which payload, how far, and the source's cursor that holds once the payload is used up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from kasparro_core.errors import CheckpointError
from kasparro_core.model import Cursor, FetchFacts, Validator

SLICE_KEY = "$slice"
"""The key of a checkpoint that points into a stored payload."""


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
    """The place inside a payload, if that is what the checkpoint holds. Raises CheckpointError if it is damaged."""
    if cursor is None or SLICE_KEY not in cursor:
        return None
    try:
        return _parse(cursor[SLICE_KEY])
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"source {source!r}, partition {partition!r}: the checkpoint's {SLICE_KEY} is not understood: "
            f"{cursor[SLICE_KEY]!r}.",
            source=source,
            hint=f"`kasparro state show {source}` shows it; `kasparro run {source} --full` reads it from the start.",
        ) from error


def held_payload(cursor: Cursor) -> int | None:
    """The raw_id of the payload that a checkpoint points into. None for a source's own cursor, and for a place that is
    damaged: nothing ever resumes from it."""
    try:
        position = slice_position(cursor, "", "")
    except CheckpointError:
        return None
    return None if position is None else position.raw_id


def _parse(data: Mapping[str, Any]) -> SlicePosition:
    return SlicePosition(
        raw_id=int(data["raw_id"]),
        offset=int(data["offset"]),
        after=dict(data["after"]),
        fetch=FetchFacts(
            observed_at=datetime.fromisoformat(data["observed_at"]), url=data["url"], status=data["status"]
        ),
        validators=[Validator(**validator) for validator in data["validators"]],
    )
