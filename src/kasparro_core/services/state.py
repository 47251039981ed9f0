"""Positions by hand: forget them, write them out, bring them in.

Whoever moves a position holds its source, as a run does: a source that is being read is left alone, and a process that
wakes up later finds the lease's token and the checkpoint's version moved on, and writes nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from kasparro_core.errors import CheckpointError, ConfigurationError, ConflictError
from kasparro_core.model import UNREADABLE_KEY, Checkpoint, Cursor, Lease, RecordQuery, Validator
from kasparro_core.ports import Clock, Positioned, ProcessHandle, Store, UnitOfWork
from kasparro_core.services.claims import WHOLE, Claims
from kasparro_core.services.partition_names import is_fit
from kasparro_core.services.position import SLICE_KEY, not_understood
from kasparro_core.services.run import LEASE_TTL
from kasparro_core.services.state_document import StateDocument, StoredPosition, document_of
from kasparro_core.services.steps import retried

NOTHING: Cursor = {}
"""The cursor of a position that was forgotten: the next run reads from the start."""


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A position as it was, and how many validators went with it."""

    checkpoint: Checkpoint
    validators: int


@dataclass(frozen=True, slots=True)
class BroughtIn:
    """What became of one position of a document. `version` is that of the checkpoint afterwards; `bare`: the database
    holds no record of the source, so that what was read before that position is not in it."""

    source: str
    partition: str
    done: Literal["imported", "replaced", "unchanged"]
    version: int
    cursor: Cursor
    bare: bool


class State:
    """The positions of a database, for one process."""

    def __init__(self, store: Store, handle: ProcessHandle, clock: Clock, claims: Claims) -> None:
        self._store = store
        self._handle = handle
        self._clock = clock
        self._claims = claims

    async def reset(self, source: str, partition: str | None = None) -> list[Forgotten]:
        """Forget the position of a source, or of one partition of it, with its validators, in one transaction: an
        answer that nothing changed would hide what is to be read again. Empty where there is nothing to forget.

        Raises ConflictError while a live process has the source, StorageError.
        """
        done: list[Forgotten] = []
        return await retried(self._clock, lambda: self._reset(source, partition, done))

    async def export(self, sources: Collection[str] | None, *, program: str) -> dict[str, Any]:
        """The positions of these sources (None: of all) as a document, from one view of the database.

        Raises ConfigurationError where a position means nothing outside of this database, StorageError.
        """
        async with self._store.begin(write=False) as work:
            stored = [each for each in await work.checkpoints.list() if sources is None or each.source in sources]
            known = [each for each in stored if each.cursor]
            _refuse(
                [problem for each in known if (problem := _bound_here(each))], "These positions cannot be exported."
            )
            positions = [(each, await _validators(work, each.source, each.partition)) for each in known]
        return document_of(positions, program=program, at=self._clock.now())

    async def bring_in(
        self, document: StateDocument, sources: Mapping[str, Positioned], *, force: bool = False, dry_run: bool = False
    ) -> list[BroughtIn]:
        """Put the positions of a document in the place of those that are there, all of them or none.

        `sources` are the configured ones. A position that is there already and is another one is replaced with `force`
        alone. Raises ConfigurationError with a sentence for each position that cannot be brought in, ConflictError
        while a live process has one of the sources, StorageError.
        """
        _refuse(list(_unfit(document, sources)), "The document does not fit this configuration.")
        names = [source.source for source in document.sources]
        if dry_run:
            for name in names:
                await self._free(name)
            async with self._store.begin(write=False) as work:
                return await self._plan(work, document, force=force)
        done: list[BroughtIn] = []
        return await retried(self._clock, lambda: self._bring_in(document, names, done, force=force))

    async def _reset(self, source: str, partition: str | None, done: list[Forgotten]) -> list[Forgotten]:
        """`done` is what an attempt before did, whose commit may have gone through unheard."""
        async with self.owning([source]) as work:
            if not await _went_in(work, {(source, e.checkpoint.partition): e.checkpoint.version + 1 for e in done}):
                done[:] = [
                    await self._forget(work, checkpoint)
                    for checkpoint in await work.checkpoints.list(source)
                    if partition in (None, checkpoint.partition) and checkpoint.cursor
                ]
        return done

    async def _forget(self, work: UnitOfWork, checkpoint: Checkpoint) -> Forgotten:
        await self._save(work, checkpoint.source, checkpoint.partition, NOTHING, checkpoint.version)
        return Forgotten(checkpoint, await work.validators.forget(checkpoint.source, checkpoint.partition))

    async def _bring_in(
        self, document: StateDocument, names: Sequence[str], done: list[BroughtIn], *, force: bool
    ) -> list[BroughtIn]:
        """`done` is what an attempt before did, whose commit may have gone through unheard."""
        async with self.owning(names) as work:
            if not await _went_in(work, {(e.source, e.partition): e.version for e in done if e.done != "unchanged"}):
                done[:] = await self._plan(work, document, force=force)
                positions = {(source, position.partition): position for source, position in document.positions()}
                for each in done:
                    if each.done != "unchanged":
                        await self._put(work, each, positions[each.source, each.partition])
        return done

    async def _put(self, work: UnitOfWork, each: BroughtIn, position: StoredPosition) -> None:
        await self._save(work, each.source, each.partition, position.cursor, each.version - 1)
        await work.validators.forget(each.source, each.partition)
        await work.validators.save(each.source, each.partition, [one.value() for one in position.validators])

    async def _save(self, work: UnitOfWork, source: str, partition: str, cursor: Cursor, version: int) -> None:
        """The instant never goes back: runs take what they read for seen after it (a clock may be behind)."""
        stored, now = await work.checkpoints.get(source, partition), self._clock.now()
        at = now if stored is None else max(now, stored.updated_at)
        await work.checkpoints.save(source, partition, cursor, expected_version=version, run_id=None, at=at)

    async def _plan(self, work: UnitOfWork, document: StateDocument, *, force: bool) -> list[BroughtIn]:
        plan = [await _one(work, source, position) for source, position in document.positions()]
        taken = [
            f"source {each.source!r}, partition {each.partition!r}: there is a position already, version "
            f"{each.version - 1}"
            for each in plan
            if each.done == "replaced"
        ]
        if not force:
            _refuse(taken, "This database has positions of its own.", "`--force` replaces them.")
        return plan

    @asynccontextmanager
    async def owning(self, sources: Iterable[str]) -> AsyncIterator[UnitOfWork]:
        """A unit of work that holds these sources, committed where its body ends well. Raises ConflictError."""
        seen = [(name, await self._released(name)) for name in sorted(set(sources))]
        async with self._store.begin() as work:
            leases = [
                await work.leases.take(name, WHOLE, owner=self._handle.owner, ttl=LEASE_TTL, seen=lease)
                for name, lease in seen
            ]
            yield work
            for lease in leases:
                await work.leases.release(lease)
            await work.commit()

    async def _released(self, source: str) -> Lease | None:
        """The lease of a source that nobody holds; a run of a dead owner is ended on the way."""
        lease = await self._free(source)
        if lease is None or lease.run_id is None:
            return lease
        await self._claims.end_dead(lease)
        return await self._free(source)

    async def _free(self, source: str) -> Lease | None:
        lease = await self._claims.look(source)
        if lease is not None and not await self._claims.is_free(lease):
            raise ConflictError(
                f"source {source!r} is held by run {lease.run_id} (process {lease.owner}): nothing was changed.",
                hint=f"Wait until it has ended: `kasparro runs --source {source} --status running` shows it.",
            )
        return lease


async def _went_in(work: UnitOfWork, versions: Mapping[tuple[str, str], int]) -> bool:
    """True when each of these positions stands as somebody who is no run left it, at this version."""
    stored = [(await work.checkpoints.get(*place), version) for place, version in versions.items()]
    return bool(stored) and all(at is not None and (at.version, at.run_id) == (n, None) for at, n in stored)


async def _one(work: UnitOfWork, source: str, position: StoredPosition) -> BroughtIn:
    stored = await work.checkpoints.get(source, position.partition)
    bare = not await work.records.page(RecordQuery(source=source), limit=1)
    version = 0 if stored is None else stored.version
    done: Literal["imported", "replaced", "unchanged"] = "imported"
    if stored is not None and stored.cursor:
        same = stored.cursor == position.cursor and await _validators(work, source, position.partition) == [
            validator.value() for validator in sorted(position.validators, key=lambda each: each.request_hash)
        ]
        done = "unchanged" if same else "replaced"
    return BroughtIn(source, position.partition, done, version + (done != "unchanged"), position.cursor, bare)


async def _validators(work: UnitOfWork, source: str, partition: str) -> list[Validator]:
    known = await work.validators.load(source, partition)
    return sorted(known.values(), key=lambda each: each.request_hash)


def _bound_here(checkpoint: Checkpoint) -> str | None:
    """Why a position cannot leave its database; None where it can."""
    source, partition, cursor = checkpoint.source, checkpoint.partition, checkpoint.cursor
    if UNREADABLE_KEY in cursor:
        return str(not_understood(source, partition, cursor, "expected a JSON object"))
    if SLICE_KEY in cursor:
        return (
            f"source {source!r}, partition {partition!r}: its last run was broken off inside a payload that only this "
            f"database has. `kasparro run {source}` brings it to its end."
        )
    return None


def _unfit(document: StateDocument, sources: Mapping[str, Positioned]) -> Iterable[str]:
    """A sentence for each position that the configured sources would not go on from."""
    for source, position in document.positions():
        if source not in sources:
            yield f"source {source!r}, partition {position.partition!r}: this source is not configured"
        elif not is_fit(position.partition):
            yield f"source {source!r}, partition {position.partition[:60]!a}: the name cannot be stored"
        else:
            try:
                sources[source].check_position(position.partition, position.cursor)
            except CheckpointError as error:
                yield error.message


def _refuse(problems: Sequence[str], message: str, hint: str | None = None) -> None:
    if problems:
        raise ConfigurationError(message, problems=tuple(problems), hint=hint)
