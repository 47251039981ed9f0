"""Carry one partition from its position to its end.

Source.read ──Batch──▶ prepare (worker thread) ──▶ write, in order, one unit of work a slice

The next batch is asked for when this one is committed, so that a crash costs one request that has to be made again;
with the job's `read_ahead`, while this one is written.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import replace
from functools import partial

from kasparro_core.errors import SourceError
from kasparro_core.model import Batch, Checkpoint, Counters, Cursor, Run, StoredRaw
from kasparro_core.normalize.compiler import compile_mapping
from kasparro_core.ports import Clock, Decoder, Effort, Observer, ReadContext, Store
from kasparro_core.services.gone import Compared, RollCall
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.lease import LeaseKeeper
from kasparro_core.services.listed import Ledger
from kasparro_core.services.partition_states import PartitionBook
from kasparro_core.services.position import SlicePosition, not_understood, slice_position
from kasparro_core.services.prepare import PreparedBatch, Slice, Watch, prepare_batch, prepare_items
from kasparro_core.services.steps import retried
from kasparro_core.services.writer import PartitionWriter, Place


class Ingest:
    """Ingests the partitions of one run."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        observer: Observer,
        decoders: Mapping[str, Decoder],
        job: SourceJob,
        run: Run,
        lease: LeaseKeeper,
        full: bool,
        book: PartitionBook | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._observer = observer
        self._decoders = decoders
        self._job = job
        self._mapping = compile_mapping(job.mapping)
        self._run = run
        self._lease = lease
        self._full = full
        self._book = book or PartitionBook(job.source)
        self._effort = Effort()

    async def partition(self, name: str) -> Counters:
        """Read one partition from its checkpoint to its end. What is committed stays, whatever happens later.

        Raises SourceError, StorageError or ConflictError.
        """
        checkpoint, context = await retried(self._clock, lambda: self._start(name))
        writer = PartitionWriter(
            store=self._store,
            clock=self._clock,
            observer=self._observer,
            job=self._job,
            run=self._run,
            partition=name,
            lease=self._lease,
            checkpoint=checkpoint,
            book=self._book,
        )
        position = slice_position(context.cursor, self._job.name, name)
        if position is not None:
            context = _from(context, await self._finish_payload(writer, position, name))
        roll = self._roll_call(name, checkpoint)
        await self._read_on(writer, name, context, roll)
        if roll is not None:
            self._book.departed = await roll.end(writer.version, writer.counters.rejected)
            if roll.compared is not None:
                self._book.compared(name, roll.compared)
            return writer.counters.plus(roll.gained)
        return writer.counters

    def _roll_call(self, name: str, checkpoint: Checkpoint | None) -> RollCall | None:
        if not self._book.whole or not self._job.mark_gone:
            return None
        known = None if self._full else Compared.before(self._book.listing(name), checkpoint)
        return RollCall(
            store=self._store,
            clock=self._clock,
            observer=self._observer,
            job=self._job,
            run=self._run,
            lease=self._lease,
            ledger=Ledger(self._store, self._decoders, self._mapping, self._job.name, name),
            known=known,
        )

    async def _start(self, name: str) -> tuple[Checkpoint | None, ReadContext]:
        async with self._store.begin(write=False) as work:
            checkpoint = await work.checkpoints.get(self._job.name, name)
            validators = {} if self._full else await work.validators.load(self._job.name, name)
        before = checkpoint.cursor if checkpoint else None
        if checkpoint is not None and self._full:  # broken off before it has a position of its own, it begins anew
            checkpoint = replace(checkpoint, cursor={})
        cursor = (checkpoint and checkpoint.cursor) or None
        failed = self._book.failed(name)
        context = ReadContext(self._run.started_at, cursor, validators, self._full, before, failed, self._effort)
        return checkpoint, context

    async def _read_on(self, writer: PartitionWriter, name: str, context: ReadContext, roll: RollCall | None) -> None:
        prepared = self._prepared(name, context)
        async with aclosing(_ahead(prepared) if self._job.read_ahead else prepared) as batches:
            async for each in batches:
                await writer.write(each)
                self._book.latencies.add(each.batch.fetch.took)
                if roll is not None:
                    roll.saw(each, writer.seen_at or each.batch.fetch.observed_at)
                del each

    async def _prepared(self, name: str, context: ReadContext) -> AsyncGenerator[PreparedBatch]:
        async with aclosing(self._job.source.read(name, context)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                yield await self._prepare(name, batch)
                del batch  # thousands of items, which nobody needs any more

    async def _prepare(self, name: str, batch: Batch) -> PreparedBatch:
        try:
            return await asyncio.to_thread(self._prepared_and_seen, name, batch)
        except SourceError as error:  # nothing of it is written; what it cost was spent all the same
            error.fetch = error.fetch or batch.fetch
            raise

    def _prepared_and_seen(self, name: str, batch: Batch) -> PreparedBatch:
        prepared = prepare_batch(batch, self._mapping, keep_raw=self._job.keep_raw, watch=self._watch(name))
        self._book.glance.saw(name, batch, prepared)
        return prepared

    async def _finish_payload(self, writer: PartitionWriter, position: SlicePosition, name: str) -> Cursor:
        """Write the slices of a stored payload that a dead run left, without asking the upstream again."""
        stored = await retried(self._clock, lambda: self._payload(position.raw_id))
        if stored is None:
            why = f"it points into raw payload {position.raw_id}, which is not stored any more"
            raise not_understood(self._job.name, name, position.to_cursor(), why)
        slices = await asyncio.to_thread(self._slices_from, stored, position.offset, name)
        place = Place(writer.next_seq(), position.raw_id, position.fetch, position.after, tuple(position.validators))
        for number, part in enumerate(slices):
            await writer.write_slice(part, place, packed=None, last=number == len(slices) - 1, cost=None)
        return position.after

    def _watch(self, name: str) -> Watch | None:
        return None if self._book.shapes is None else partial(self._book.shapes.look, name)

    async def _payload(self, raw_id: int) -> StoredRaw | None:
        async with self._store.begin(write=False) as work:
            return await work.raw.get(raw_id)

    def _slices_from(self, stored: StoredRaw, offset: int, name: str) -> list[Slice]:
        decoded = self._decoders[stored.raw.decode_facts["format"]].decode(stored.raw)
        return list(prepare_items(decoded, self._mapping, start=offset, watch=self._watch(name)))


def _from(context: ReadContext, cursor: Cursor) -> ReadContext:
    return replace(context, cursor=cursor or None)


async def _ahead(batches: AsyncGenerator[PreparedBatch]) -> AsyncGenerator[PreparedBatch]:
    """The same batches, each of them fetched while the one before it is in use, and no sooner."""
    ahead = asyncio.Semaphore(1)
    queue: asyncio.Queue[PreparedBatch | None] = asyncio.Queue()
    reader = asyncio.create_task(_fill(queue, ahead, batches))
    try:
        while (prepared := await queue.get()) is not None:
            ahead.release()
            yield prepared
            del prepared
        await reader
    finally:
        reader.cancel()
        await asyncio.wait([reader])
        if not reader.cancelled():
            reader.exception()  # raised above, or beside the point: the writer's own fault ended the partition


async def _fill(
    queue: asyncio.Queue[PreparedBatch | None], ahead: asyncio.Semaphore, batches: AsyncGenerator[PreparedBatch]
) -> None:
    try:
        async with aclosing(batches):
            await ahead.acquire()
            async for prepared in batches:
                queue.put_nowait(prepared)
                del prepared
                await ahead.acquire()
    finally:
        queue.put_nowait(None)
