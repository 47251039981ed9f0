"""The items of a slice into a unit of work: records, and rejections of what did not become one.

At first all of them at once. Where the database refuses a value, the unit of work is done again *carefully*: the store
finds the records that it refuses and leaves them out. They are rejected, and everything else is kept.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from kasparro_core.errors import UnstorableError
from kasparro_core.model import Counters, Observation, PreparedRecord, Record, Rejection, Stage, UpsertOutcome
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.identify import identify
from kasparro_core.services.mentions import mention
from kasparro_core.services.prepare import Slice
from kasparro_core.services.renames import follow

T = TypeVar("T")
R = TypeVar("R")

_ODD = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Sight:
    """Where a slice was seen: its partition, the observation of its records, and the run that its rejections belong to.
    `again` is False where the same items are seen a second time (a replay), `identity` where nobody asks which things
    they are about."""

    partition: str
    observation: Observation
    run_id: int
    again: bool = True
    identity: bool = True


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of the records of a slice; `refused` are those that the database did not take."""

    outcome: UpsertOutcome
    refused: tuple[Rejection, ...] = ()


async def keep(work: UnitOfWork, part: Slice, sight: Sight, *, careful: bool) -> Kept:
    """Write a slice. Raises UnstorableError when a value is refused, which breaks the unit of work; `careful`, only
    when nothing that is left would be taken."""
    failed: Sequence[tuple[PreparedRecord, UnstorableError]] = ()
    if careful:
        outcome, failed = await work.records.upsert_apart(part.records, sight.observation)
    else:
        outcome = await work.records.upsert(part.records, sight.observation)
    refused = tuple(_refusal(prepared, error) for prepared, error in failed)
    await _reject(work, (*part.rejections, *part.notes, *refused), sight, careful=careful)
    if sight.identity and (outcome.inserted or outcome.updated or not sight.again):
        went_in = _without(part.records, failed)
        await identify(work, went_in, sight.observation)
        await follow(work, went_in, sight.observation)
        await mention(work, went_in, sight.observation, again=sight.again)
    loaded = _loaded(part.records, {id(prepared) for prepared, _ in failed})
    if loaded:
        seen = sight.observation
        await work.rejections.resolve(seen.source, loaded, seen.observed_at, again=sight.again)
    return Kept(outcome, refused)


def counted(part: Slice, kept: Kept) -> Counters:
    """What a slice adds to the counters of its run. Raises RuntimeError, before anything is committed, when an item of
    it is neither kept nor rejected, or both: that is a bug, and its items would be lost in silence."""
    inserted, updated, unchanged = kept.outcome
    counters = Counters(
        fetched=part.fetched,
        inserted=inserted,
        updated=updated,
        unchanged=unchanged + part.known,
        rejected=part.rejected + len(kept.refused),
        batches=1,
    )
    if not counters.add_up:
        raise RuntimeError(
            f"{counters.fetched} items came in, and {counters.inserted} inserted + {counters.updated} updated + "
            f"{counters.unchanged} unchanged + {counters.rejected} rejected is another number"
        )
    return counters


async def piecewise(
    work: UnitOfWork, items: Sequence[T], put: Callable[[Sequence[T]], Awaitable[R]]
) -> tuple[list[R], list[tuple[T, UnstorableError]]]:
    """Put all items that the database takes, in their order: what `put` returned for each part that went in, and the
    items that did not. k bad ones among n cost about 2 k log2(n) rounds."""
    done: list[R] = []
    refused: list[tuple[T, UnstorableError]] = []
    parts = [items]  # the next one is the last
    while parts:
        part = parts.pop()
        try:
            async with work.savepoint():
                result = await put(part)
        except UnstorableError as error:
            if len(part) < 2:
                refused += [(item, error) for item in part]
            else:
                parts += [part[len(part) // 2 :], part[: len(part) // 2]]
        else:
            done.append(result)
    return done, refused


def _without(
    records: Sequence[PreparedRecord], failed: Sequence[tuple[PreparedRecord, UnstorableError]]
) -> Sequence[PreparedRecord]:
    refused = {id(prepared) for prepared, _ in failed}
    return [prepared for prepared in records if id(prepared) not in refused] if refused else records


def _loaded(records: Sequence[PreparedRecord], failed: set[int]) -> list[str]:
    """The keys whose last record went in."""
    if not failed:
        return [prepared.record.key for prepared in records]
    last = {prepared.record.key: id(prepared) not in failed for prepared in records}
    return [key for key, went_in in last.items() if went_in]


async def _reject(work: UnitOfWork, rejections: Sequence[Rejection], sight: Sight, *, careful: bool) -> None:
    """Keep rejections. One whose sample is refused too is kept without it."""
    if not rejections:
        return
    seen = sight.observation

    async def add(some: Sequence[Rejection]) -> None:
        place = (seen.source, sight.partition, sight.run_id, seen.raw_id)
        await work.rejections.add(*place, some, seen.observed_at, again=sight.again)

    if not careful:
        await add(rejections)
        return
    _, failed = await piecewise(work, rejections, add)
    if failed:
        await add([_bare(rejection) for rejection, _ in failed])


def _refusal(prepared: PreparedRecord, error: UnstorableError) -> Rejection:
    record = prepared.record
    return Rejection(
        stage=Stage.STORE,
        code=error.code,
        path=_path(record, error),
        message=f"expected a record that the database takes, found that it refuses this one: {error.reason}",
        payload=_sample(record),
        index=prepared.raw_index,
        key=record.key,
    )


def _path(record: Record, error: UnstorableError) -> str:
    """The column that the database named; of an odd text the field that holds it."""
    if error.column in Record._fields:
        return error.column or ""
    if error.code != "text_unstorable":
        return ""
    return next((name for name, value in record._asdict().items() if _is_odd(value)), "attributes")


def _is_odd(value: object) -> bool:
    return isinstance(value, str) and _ODD.search(value) is not None


def _sample(record: Record) -> dict[str, Any]:
    """The record as it was to be stored: the item itself is in the payload, at this index."""
    return {name: value for name, value in record._asdict().items() if value is not None and name != "source"}


def _bare(rejection: Rejection) -> Rejection:
    """What is left of a rejection whose texts the database refuses: enough to tell it from others and to find it."""
    digest = content_hash(_ODD.sub("?", canonical_json([rejection.path, rejection.payload])))
    message = "the database refuses to keep the sample of this rejection; its payload holds the item"
    return replace(rejection, path="", message=message, payload={"left_out": digest}, key=None)
