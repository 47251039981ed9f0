"""From a batch to slices that are ready to be written. Pure and CPU-bound: runs in a worker thread."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TypeVar

from kasparro_core.model import (
    NOTHING,
    SLICE_ROWS,
    Batch,
    Decoded,
    PackedPayload,
    PreparedRecord,
    RawRecord,
    Rejection,
    pack,
)
from kasparro_core.normalize.compiler import CompiledMapping, prepare
from kasparro_core.services.shapes import Looked, refusal

Watch = Callable[[Sequence[RawRecord]], Looked]
"""Looks at all items of a payload before they are normalized; may leave something out, or refuse them all."""

_T = TypeVar("_T", RawRecord, Rejection)
_index = attrgetter("index")


@dataclass(frozen=True, slots=True)
class Slice:
    """At most SLICE_ROWS items of a payload. `end` is the index after its last item; `fetched` counts its items,
    `known` those among them that came in bytes which are known, and are as they were."""

    end: int
    fetched: int
    records: Sequence[PreparedRecord]
    rejections: tuple[Rejection, ...]
    notes: tuple[Rejection, ...]
    known: int = 0

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


def prepare_batch(
    batch: Batch, mapping: CompiledMapping, *, keep_raw: bool, watch: Watch | None = None
) -> PreparedBatch:
    """Normalize, hash and pack. The batch comes back without its items, which are no longer needed. Raises what `watch`
    raises."""
    slices = list(prepare_items(Decoded(batch.items, batch.rejections), mapping, watch=watch))
    if batch.known:
        slices = [replace(part, fetched=batch.known, known=batch.known) for part in slices]
    packed = None
    if keep_raw and batch.raw is not None:
        packed = pack(batch.raw, sum(part.fetched for part in slices))
    if batch.raw is not None and not any(part.fetched for part in slices):  # so that it tells without its payload, too
        batch = replace(batch, same_as=NOTHING)
    return PreparedBatch(replace(batch, items=(), rejections=(), raw=None), packed, slices)


def prepare_items(
    decoded: Decoded, mapping: CompiledMapping, *, start: int = 0, watch: Watch | None = None
) -> Iterator[Slice]:
    """The slices of a decoded payload from index `start` on; at least one, be it empty."""
    looked = watch(decoded.items) if watch is not None else Looked(decoded.items)
    items, rejections = looked.items, sorted(decoded.rejections, key=_index)
    stop = 1 + max(items[-1].index if items else -1, rejections[-1].index if rejections else -1)
    for begin in range(start, max(stop, start + 1), SLICE_ROWS):
        end = min(begin + SLICE_ROWS, stop)
        part = _slice(_between(items, begin, end), _between(rejections, begin, end), mapping, end)
        yield _of_another_shape(part, looked, _between(items, begin, end)) if looked.found_something else part


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


def _of_another_shape(part: Slice, looked: Looked, items: Sequence[RawRecord]) -> Slice:
    """The slice without the items that are refused for their shape. What cannot be normalized is refused for that."""
    data = {item.index: item.data for item in items if item.index in looked.refused}
    refused = tuple(
        refusal(each.record.key, data[each.raw_index], each.raw_index, looked.refused[each.raw_index])
        for each in part.records
        if each.raw_index in data
    )
    here = {item.index for item in items}
    return replace(
        part,
        records=[each for each in part.records if each.raw_index not in data],
        rejections=(*part.rejections, *refused),
        notes=(*part.notes, *(note for note in looked.notes if note.index in here)),
    )
