"""Which stored items a replay takes.

Beside the items that are asked for it takes whatever later reads say of the same records: what was unchanged then has
left no trace, and an item that loads only now must not stand in its way.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from kasparro_core.model import BatchRead
from kasparro_core.services.prepare import Slice

Items = Collection[int] | None
"""Places in a payload; None: all of them."""


@dataclass(frozen=True, slots=True)
class ReplayScope:
    """`everything`, or else: the payloads of these `partitions` (None: of all) in which something was refused or noted,
    as a whole, and single `items` of payloads by raw_id."""

    everything: bool = False
    partitions: Collection[str] | None = frozenset()
    items: Mapping[int, Collection[int]] = field(default_factory=dict)

    def wanted(self, read: BatchRead) -> Items:
        """The items that are asked for."""
        if self.everything:
            return None
        if read.refused != 0 and (self.partitions is None or read.partition in self.partitions):
            return None
        return self.items.get(read.raw_id or 0, ())


EVERYTHING = ReplayScope(everything=True)
REFUSED = ReplayScope(partitions=None)
"""All payloads in which something was refused or noted."""


class Followed:
    """The records whose later observations are taken too. `until` is the last read of which not all is wanted anyway:
    behind it nobody needs to be followed, and nothing is remembered."""

    def __init__(self, until: int) -> None:
        self._until = until
        self._keys: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def restrict(self, part: Slice, wanted: Items) -> Slice:
        """What a replay takes of a slice."""
        if wanted is None:
            return part
        records = [
            each for each in part.records if each.raw_index in wanted or (self._keys and each.record.key in self._keys)
        ]
        rejections = tuple(each for each in part.rejections if each.index in wanted)
        notes = tuple(each for each in part.notes if each.index in wanted)
        fetched = len(records) + len(rejections)
        return replace(part, fetched=fetched, records=records, rejections=rejections, notes=notes)

    def follow(self, read: BatchRead, part: Slice) -> None:
        """Remember the records of a slice that was taken, and those that its refused items would have been: what later
        reads say of them may resolve these."""
        if read.read_id < self._until:
            self._keys.update(each.record.key for each in part.records)
            self._keys.update(each.key for each in part.rejections if each.key is not None)
