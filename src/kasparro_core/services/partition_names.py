"""Which names of partitions every store can hold: they are part of keys and of indexes."""

from __future__ import annotations

from kasparro_core.errors import PermanentSourceError
from kasparro_core.normalize.text import storable

MAX_BYTES = 1_500
"""In UTF-8. PostgreSQL indexes some 2,700 bytes, of which source, path and hash of a rejection need their part."""


def is_fit(partition: str) -> bool:
    """Neither too long nor with signs that no store holds (a file name that is not UTF-8 has such)."""
    return storable(partition) and len(partition.encode()) <= MAX_BYTES


def check_name(source: str, partition: str) -> None:
    """Raises PermanentSourceError for a name that is not fit."""
    if not is_fit(partition):
        raise PermanentSourceError(
            f"source {source!r}: the name {partition[:60]!a}... of a partition cannot be stored: expected readable"
            f" text of at most {MAX_BYTES} bytes, found {len(partition)} characters.",
            source=source,
            code="partition_name",
            hint="Rename the file, or shorten the address.",
        )
