"""Positions as a document: what `kasparro state export` writes and `import` reads.

    {"schema_version": 1, "program": "0.4.0", "exported_at": "...", "sources": [
      {"source": "coins", "partitions": [
        {"partition": "", "version": 15, "run_id": 3, "updated_at": "...", "cursor": {...}, "validators": [...]}]}]}

`cursor` and `validators` are what a run goes on from, exactly as they are stored. `version`, `run_id` and `updated_at`
say where they come from; the numbers mean nothing in another database.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from math import isfinite
from typing import Any

from pydantic import ValidationError

from kasparro_core.errors import ConfigurationError
from kasparro_core.model import Checkpoint, Validator
from kasparro_core.normalize.canonical import rfc3339
from kasparro_core.normalize.values import shown
from kasparro_core.services.position import Count, Instant, Shape, StoredValidator, Text, fault_of

SCHEMA_VERSION = 1


class StoredPosition(Shape):
    """The position of one partition."""

    partition: Text
    version: Count
    run_id: Count | None
    updated_at: Instant
    cursor: dict[str, Any]
    validators: list[StoredValidator]


class StoredSource(Shape):
    """The positions of one source."""

    source: Text
    partitions: list[StoredPosition]


class StateDocument(Shape):
    """A whole document."""

    schema_version: Count
    program: Text
    exported_at: Instant
    sources: list[StoredSource]

    def positions(self) -> Iterator[tuple[str, StoredPosition]]:
        """Each position with the name of its source."""
        return ((source.source, position) for source in self.sources for position in source.partitions)


def read_document(text: str | bytes) -> StateDocument:
    """A document from its text. Raises ConfigurationError that names the place or the member at fault."""
    try:
        return parse_document(json.loads(text, parse_constant=_no_number, parse_float=_finite))
    except (ValueError, RecursionError) as error:
        raise ConfigurationError("This is no document of `kasparro state export`.", problems=(str(error),)) from error


def _no_number(constant: str) -> float:
    raise ValueError(f"expected JSON, found {constant}, which has no place in it")


def _finite(text: str) -> float:
    number = float(text)
    return number if isfinite(number) else _no_number(text)


def parse_document(data: Any) -> StateDocument:
    """A document from its JSON values. Raises ConfigurationError that names the member at fault."""
    found = data.get("schema_version") if isinstance(data, Mapping) else None
    if type(found) is not int:
        raise ConfigurationError(
            "This is no document of `kasparro state export`.",
            problems=(f"`schema_version`: expected {SCHEMA_VERSION}, found {shown(found)}",),
        )
    if found != SCHEMA_VERSION:
        raise ConfigurationError(
            f"`schema_version`: expected {SCHEMA_VERSION}, found {found}.",
            hint=f"The document was made by Kasparro {shown(data.get('program'))}, whose documents are others.",
        )
    try:
        document = StateDocument.model_validate(data)
    except ValidationError as error:
        raise ConfigurationError("The document is damaged.", problems=(fault_of(error),)) from error
    _check_names(document)
    return document


def _check_names(document: StateDocument) -> None:
    names = Counter((source, position.partition) for source, position in document.positions())
    twice = [
        f"source {source!r}, partition {name!r} is there {n} times" for (source, name), n in names.items() if n > 1
    ]
    if twice:
        raise ConfigurationError("The document is damaged.", problems=tuple(twice))


def document_of(
    positions: Sequence[tuple[Checkpoint, Sequence[Validator]]], *, program: str, at: datetime
) -> dict[str, Any]:
    """The document of these positions, as JSON values. They come sorted by source."""
    sources: dict[str, list[dict[str, Any]]] = {}
    for checkpoint, validators in positions:
        sources.setdefault(checkpoint.source, []).append(_position(checkpoint, validators))
    return {
        "schema_version": SCHEMA_VERSION,
        "program": program,
        "exported_at": rfc3339(at),
        "sources": [{"source": name, "partitions": partitions} for name, partitions in sources.items()],
    }


def _position(checkpoint: Checkpoint, validators: Sequence[Validator]) -> dict[str, Any]:
    return {
        "partition": checkpoint.partition,
        "version": checkpoint.version,
        "run_id": checkpoint.run_id,
        "updated_at": rfc3339(checkpoint.updated_at),
        "cursor": dict(checkpoint.cursor),
        "validators": [asdict(each) for each in sorted(validators, key=lambda each: each.request_hash)],
    }
