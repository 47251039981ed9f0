"""A source whose origin fails on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace

from kasparro_adapters.chaos.faults import CODE, HINT, Faults, Injected
from kasparro_adapters.chaos.points import Point
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.model.batch import Batch, Cursor
from kasparro_core.model.listing import Extent
from kasparro_core.model.raw import RawPayload
from kasparro_core.ports.source import Decoder, Originated, ReadContext, Source

_ZEROS = bytes(byte if byte in b"\r\n" else 0 for byte in range(256))


class ChaosSource:
    """Implements `kasparro_core.ports.Source` around another source.

    A damaged payload is never taken for what it was: JSON and feeds are refused as a whole, and of a CSV chunk each row
    is a rejection. Whatever is made of it is yielded with the position before it, and the read ends there, so that the
    next one reads the sound payload.
    """

    def __init__(self, source: Source, faults: Faults, decoders: Mapping[str, Decoder]) -> None:
        self._source = source
        self._faults = faults
        self._decoders = decoders

    @property
    def name(self) -> str:
        """That of the source inside."""
        return self._source.name

    async def partitions(self) -> Sequence[str]:
        """Those of the source inside; they are always told."""
        return await self._source.partitions()

    def origin(self, partition: str, /) -> str | None:
        """That of the source inside."""
        return self._source.origin(partition) if isinstance(self._source, Originated) else None

    async def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """The batches of the source inside, until one fails. Code besides its own: `injected`."""
        items, position = 0, context.cursor or {}
        async with aclosing(self._source.read(partition, context)) as batches:  # type: ignore[type-var]
            while True:
                self._cut(partition, items)
                await self._faults.delay(Point.SOURCE_SLOW, self.name, partition)
                batch = await anext(batches, None)
                if batch is None:
                    return
                if batch.raw is not None and (fault := self._corrupts(partition)):
                    yield await asyncio.to_thread(self._damaged, batch, batch.raw, position, fault)
                    raise self._refusal(fault)
                yield batch
                items += len(batch.items) + len(batch.rejections)
                position = batch.cursor

    def _cut(self, partition: str, items: int) -> None:
        fault = self._faults.fires(Point.SOURCE_CUT, self.name, partition, certain=self._faults.is_over(items))
        if fault is not None:
            raise TransientSourceError(
                f"{self.name}: the connection was cut after {items:,} items: {fault}.",
                source=self.name,
                code=CODE,
                hint=HINT,
            )

    def _corrupts(self, partition: str) -> Injected | None:
        return self._faults.fires(Point.SOURCE_CORRUPT, self.name, partition)

    def _damaged(self, batch: Batch, raw: RawPayload, position: Cursor, fault: Injected) -> Batch:
        """The batch as it is after its bytes have become zeros; the lines of a text keep their ends. CPU-bound."""
        damaged = RawPayload(raw.payload.translate(_ZEROS), raw.decode_facts)
        try:
            decoded = self._decoders[raw.decode_facts["format"]].decode(damaged)
        except PermanentSourceError as error:
            refusal = self._refusal(fault, f" {error.message}")
            refusal.fetch = batch.fetch
            raise refusal from error
        return replace(
            batch,
            cursor=position,
            raw=damaged,
            items=decoded.items,
            rejections=decoded.rejections,
            validators=(),
            extent=Extent.PART,
        )

    def _refusal(self, fault: Injected, reason: str = "") -> PermanentSourceError:
        message = f"{self.name}: a payload arrived damaged: {fault}.{reason}"
        return PermanentSourceError(message, source=self.name, code=CODE, hint=HINT)
