"""From a batch to slices that are ready to be written. Pure and CPU-bound: runs in a worker thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

from kasparro_core.model import SLICE_ROWS, Batch, Decoded, PackedPayload, PreparedRecord, RawRecord, Rejection, pack
from kasparro_core.normalize.compiler import CompiledMapping, prepare

_T = TypeVar("_T", RawRecord, Rejection)
_index = attrgetter("index")


@dataclass(frozen=True, slots=True)
class Slice:
    """At most SLICE_ROWS items of a payload. `end` is the index after its last item; `fetched` counts its items."""

    end: int
    fetched: int
    records: Sequence[PreparedRecord]
    rejections: tuple[Rejection, ...]
    notes: tuple[Rejection, ...]

    @property
    def rejected(self) -> int:
        """How many items were refused (notes on fields do not count)."""
        return len(self.rejections)


@dataclass(frozen=True, slots=True)
class PreparedBatch:
    """A batch with its payload packed and its items normalized, in slices. An item-less batch has one empty slice."""

    batch: Batch
    packed: PackedPayload | None
    slices: Sequence[Slice]


def prepare_batch(batch: Batch, mapping: CompiledMapping, *, keep_raw: bool) -> PreparedBatch:
    """Normalize, hash and pack. The batch comes back without its items, which are no longer needed."""
    slices = list(prepare_items(Decoded(batch.items, batch.rejections), mapping))
    packed = None
    if keep_raw and batch.raw is not None:
        packed = pack(batch.raw, sum(part.fetched for part in slices))
    return PreparedBatch(replace(batch, items=(), rejections=(), raw=None), packed, slices)


def prepare_items(decoded: Decoded, mapping: CompiledMapping, *, start: int = 0) -> Iterator[Slice]:
    """The slices of a decoded payload from index `start` on; at least one, be it empty."""
    items, rejections = decoded.items, sorted(decoded.rejections, key=_index)
    stop = 1 + max(items[-1].index if items else -1, rejections[-1].index if rejections else -1)
    for begin in range(start, max(stop, start + 1), SLICE_ROWS):
        end = min(begin + SLICE_ROWS, stop)
        yield _slice(_between(items, begin, end), _between(rejections, begin, end), mapping, end)


def _between(sequence: Sequence[_T], begin: int, end: int) -> Sequence[_T]:
    return sequence[bisect_left(sequence, begin, key=_index) : bisect_left(sequence, end, key=_index)]


def _slice(items: Sequence[RawRecord], refused: Sequence[Rejection], mapping: CompiledMapping, end: int) -> Slice:
    normalized = mapping.normalize(items)
    return Slice(
        end=end,
        fetched=len(items) + len(refused),
        records=prepare(normalized),
        rejections=(*refused, *normalized.rejections),
        # one note stands for every item with that value: no single key that loads may resolve it
        notes=tuple(replace(note, key=None) for note in normalized.notes),
    )
