"""The public shape of what is kept: plain mappings with their keys in reading order, and their JSON text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import Any

from kasparro_core.model import Checkpoint, Record, RecordVersion, Run, StoredRecord, StoredRejection
from kasparro_core.model.entity import Entity, EntityLink
from kasparro_core.normalize.canonical import canonical_json

View = Mapping[str, Any]
"""One thing as it is shown: JSON values, Decimals and aware datetimes."""

RECORD_FIELDS = (
    "record_id", "source", "key", "kind", "external_id", "title", "symbol", "value", "currency", "url", "occurred_at",
    "attributes", "content_hash", "raw_id", "raw_index", "run_id", "first_seen_at", "updated_at", "revision",
    "change_seq", "gone_at",
)  # fmt: skip
"""The members of a stored record, in reading order."""


def record_view(record: Record) -> dict[str, Any]:
    """A record that is not stored."""
    return {**record._asdict(), "attributes": dict(record.attributes)}


def stored_record_view(stored: StoredRecord) -> dict[str, Any]:
    """A record with what the store adds to it."""
    return {
        "record_id": stored.record_id,
        **record_view(stored.record),
        "content_hash": stored.content_hash,
        "raw_id": stored.raw_id,
        "raw_index": stored.raw_index,
        "run_id": stored.run_id,
        "first_seen_at": stored.first_seen_at,
        "updated_at": stored.updated_at,
        "revision": stored.revision,
        "change_seq": stored.change_seq,
        "gone_at": stored.gone_at,
    }


def sparse_view(stored: StoredRecord, fields: Sequence[str] | None) -> dict[str, Any]:
    """A stored record; of some of its members where `fields` are given, in that order."""
    view = stored_record_view(stored)
    return view if fields is None else {name: view[name] for name in fields}


def version_view(version: RecordVersion) -> dict[str, Any]:
    """An earlier state of a record."""
    return {
        "record_id": version.record_id,
        **record_view(version.record),
        "content_hash": version.content_hash,
        "raw_id": version.raw_id,
        "raw_index": version.raw_index,
        "run_id": version.run_id,
        "observed_at": version.observed_at,
    }


def entity_view(entity: Entity) -> dict[str, Any]:
    """A canonical thing."""
    return {
        "entity_id": entity.entity_id,
        "kind": entity.kind,
        "symbol": entity.symbol,
        "name": entity.name,
        "merged_into": entity.merged_into,
    }


def entity_link_view(link: EntityLink) -> dict[str, Any]:
    """A source's own id for the entity that it is shown with."""
    return {
        "source": link.source,
        "external_id": link.external_id,
        "method": str(link.method),
        "confidence": link.confidence,
        "evidence": dict(link.evidence),
        "decided_at": link.decided_at,
    }


def run_view(run: Run) -> dict[str, Any]:
    """A run; `seconds` is how long it took, null while it runs."""
    seconds = (run.finished_at - run.started_at).total_seconds() if run.finished_at else None
    return {
        "run_id": run.run_id,
        "source": run.source,
        "trigger": str(run.trigger),
        "status": str(run.status),
        "started_at": run.started_at,
        "finished_at": run.finished_at,
        "seconds": None if seconds is None else round(seconds, 3),
        **run.counters._asdict(),
        "error_code": run.error_code,
        "error": run.error,
        "resumes": run.resumes,
    }


def rejection_view(rejection: StoredRejection) -> dict[str, Any]:
    """A stored rejection."""
    return asdict(rejection)


def checkpoint_view(checkpoint: Checkpoint) -> dict[str, Any]:
    """The position of one partition."""
    return {
        "source": checkpoint.source,
        "partition": checkpoint.partition,
        "version": checkpoint.version,
        "run_id": checkpoint.run_id,
        "updated_at": checkpoint.updated_at,
        "cursor": dict(checkpoint.cursor),
    }


def json_object(view: View) -> str:
    """One JSON object on one line: keys in the view's order, exact numbers, times in RFC 3339."""
    return "{" + ",".join([_name(key) + canonical_json(value) for key, value in view.items()]) + "}"


def json_array(views: Iterable[View]) -> str:
    """A JSON array, one object a line."""
    lines = ",\n ".join(json_object(view) for view in views)
    return f"[{lines}]"


@lru_cache(maxsize=1000)
def _name(key: str) -> str:
    """The name of a member as JSON: few, and the same in every row."""
    return f"{canonical_json(key)}:"
