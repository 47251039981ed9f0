"""Read and normalize without storing anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from kasparro_core.model import Batch, Rejection
from kasparro_core.normalize.compiler import CompiledMapping, Normalized, compile_mapping
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports import Clock, ReadContext, Source


@dataclass(frozen=True, slots=True)
class PreviewBatch:
    """One batch of one partition as it was read, and what it becomes."""

    partition: str
    batch: Batch
    normalized: Normalized

    @property
    def rejections(self) -> list[Rejection]:
        """All refused items in payload order: those that could not be decoded and those that did not fit."""
        return sorted([*self.batch.rejections, *self.normalized.rejections], key=lambda refused: refused.index)


async def preview(source: Source, mapping: RecordMapping, clock: Clock) -> AsyncIterator[PreviewBatch]:
    """Every batch of every partition, read from the start. Consume under `aclosing`. Raises SourceError."""
    compiled = compile_mapping(mapping)
    context = ReadContext(clock.now(), full=True)
    for partition in await source.partitions():
        async with aclosing(source.read(partition, context)) as batches:  # type: ignore[type-var]
            async for batch in batches:
                yield PreviewBatch(partition, batch, await asyncio.to_thread(_normalize, compiled, batch))


def _normalize(compiled: CompiledMapping, batch: Batch) -> Normalized:
    return compiled.normalize(batch.items)
