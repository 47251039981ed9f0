"""The remembered shapes of a source by hand: what each version says, what changed between two, and accepting one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kasparro_core.drift import Shape, is_required, kinds_text, memory_of, places
from kasparro_core.errors import ConfigurationError
from kasparro_core.model.drift import SchemaVersion, path_text
from kasparro_core.ports import Clock, UnitOfWork
from kasparro_core.services.state import State
from kasparro_core.services.steps import retried

EVERY = 1_000_000
"""More versions than a source ever has."""


async def accept(state: State, clock: Clock, source: str) -> SchemaVersion | None:
    """Accept the shape of a source that waits for a person; None where none does. The source is held meanwhile, as by a
    run: what a run under way finds is not lost.

    Raises ConflictError while a live process has the source, StorageError.
    """
    written: list[SchemaVersion] = []  # by an attempt before, whose commit may have gone through unheard

    async def once() -> SchemaVersion | None:
        async with state.owning([source]) as work:
            newest = next(iter(await work.schemas.newest(source, limit=1)), None)
            if newest is None or newest.accepted_at is not None:
                return newest if newest in written else None
            accepted = replace(newest, accepted_at=clock.now())
            await work.schemas.save(accepted)
            written.append(accepted)
            return accepted

    return await retried(clock, once)


async def one_version(work: UnitOfWork, source: str, number: int | None) -> SchemaVersion | None:
    """A version by its number, or the one that holds: the newest that is accepted."""
    for version in await work.schemas.newest(source, limit=EVERY):
        if version.version == number or (number is None and version.accepted_at is not None):
            return version
    return None


async def versions_between(
    work: UnitOfWork, source: str, first: int | None, last: int | None
) -> Sequence[SchemaVersion]:
    """The versions after `first` (absent: the last but one) up to `last` (absent: the newest), oldest first.

    Raises ConfigurationError for a version that the source does not have (0 stands for nothing yet), and for a first
    one that is not the older.
    """
    newest = await work.schemas.newest(source, limit=EVERY)
    count = newest[0].version if newest else 0
    last = count if last is None else last
    first = max(0, last - 1) if first is None else first
    if not first <= last <= count:
        raise ConfigurationError(
            f"Source {source!r} has no changes from version {first} to version {last}: its newest version is {count}.",
            hint="`--from` is the older version (0: before the first one), `--to` the newer one.",
        )
    return [version for version in reversed(newest) if first < version.version <= last]


def version_view(version: SchemaVersion) -> dict[str, Any]:
    """A version with its fields. Raises PermanentStorageError for a document that is none of ours."""
    memory = memory_of(version)
    return {
        "source": version.source,
        "version": version.version,
        "schema_hash": version.schema_hash,
        "run_id": version.run_id,
        "first_seen_at": version.first_seen_at,
        "accepted_at": version.accepted_at,
        "items": memory.shape.count,
        "fields": [_field_view(path_text(path), each) for path, each in places(memory.shape)],
    }


def change_views(versions: Sequence[SchemaVersion]) -> list[dict[str, Any]]:
    """What each of the versions changed, in their order. Raises PermanentStorageError."""
    return [
        {"version": version.version, "accepted_at": version.accepted_at, **_as_told(change)}
        for version in versions
        for change in memory_of(version).changes
    ]


def _as_told(change: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in change.items() if name != "exact"}


def _field_view(path: str, shape: Shape) -> dict[str, Any]:
    """`presence` and `nulls` are shares, 0 to 1; elements of arrays and values of maps have no presence."""
    return {
        "path": path,
        "kinds": kinds_text(shape) or "null",
        "required": is_required(shape) if shape.of else None,
        "presence": round(shape.presence, 4) if shape.of else None,
        "nulls": round(shape.null_share, 4),
    }
