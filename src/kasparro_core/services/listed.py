"""What one listing has shown: which keys came, and what it can be known by again.

An item that has not changed writes nothing, so that the records do not tell whether it was seen. What does is the
listing itself: the keys of its items as they pass by, and where no body came (304), or the listing was begun by a run
that has ended since, the payloads that are stored of its reads, decoded again without the network.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import BatchRead, Extent, PreparedRecord, StoredRaw
from kasparro_core.normalize.compiler import CompiledMapping
from kasparro_core.ports import Decoder, Store
from kasparro_core.services.keyset import KeySet
from kasparro_core.services.prepare import PreparedBatch, Slice, prepare_items

_UNREADABLE = "the key of an item could not be read"
_NOT_STORED = "a payload of it is not stored"


@dataclass(slots=True)
class Listing:
    """A listing since its first read, at `since`; `at`: its newest read. `fault`: why not every key in it is known.

    `digest` stands for what it began with and the payloads in their order; None where one of them cannot be named.
    `own`: the run that has the lease made all its reads. `stored` names the payloads that hold what came without a
    body, `decoded` those that were read again.
    """

    since: datetime
    at: datetime
    own: bool
    keys: KeySet = field(default_factory=KeySet)
    stored: list[str] = field(default_factory=list)
    decoded: set[int] = field(default_factory=set)
    digest: str | None = None
    extent: Extent = Extent.FIRST
    fault: str | None = None

    @property
    def ended(self) -> bool:
        """True when everything has been read."""
        return Extent.LAST in self.extent

    @property
    def moved(self) -> bool:
        """True when a row came on two pages, where that shows that others may have been missed."""
        return Extent.LIVE in self.extent and len(self.keys) < self.keys.added

    def read(self, prepared: PreparedBatch, at: datetime) -> None:
        """One batch further."""
        batch, packed = prepared.batch, prepared.packed
        fetched = sum(part.fetched for part in prepared.slices)
        self.at, self.extent = at, self.extent | batch.extent
        if batch.same_as:
            self.stored.append(batch.same_as)
        elif fetched == 0 and packed is None and batch.same_as is None:
            self.fault = "a read did not say what it is the same as"
        if batch.same_as or fetched:
            self._name(batch.same_as or (packed.identity if packed else None))
        self.add_page(prepared.slices)

    def add_page(self, slices: Iterable[Slice]) -> None:
        """The keys of one page: a refused item is there too."""
        keys: list[str | None] = []
        for part in slices:
            keys += [each.record.key for each in part.records]
            keys += [refused.key for refused in part.rejections]
        if None in keys:
            self.fault = _UNREADABLE
        self.keys.add(key for key in keys if key is not None)

    def _name(self, identity: str | None) -> None:
        if self.digest is None or identity is None:
            self.digest = None
        else:
            self.digest = hashlib.blake2b(f"{self.digest} {identity}".encode(), digest_size=16).hexdigest()


class Ledger:
    """The listings of one partition as its stored reads tell them."""

    def __init__(
        self, store: Store, decoders: Mapping[str, Decoder], mapping: CompiledMapping, source: str, partition: str
    ) -> None:
        self._store = store
        self._decoders = decoders
        self._mapping = mapping
        self._source = source
        self._partition = partition

    async def newest(self) -> Listing | None:
        """The newest listing; if it has ended, with the keys of all payloads that came since it began. None: there is
        none."""
        async with self._store.begin(write=False) as work:
            reads = await work.runs.listing(self._source, self._partition)
        if not reads:
            return None
        listing = Listing(reads[0].observed_at, reads[-1].observed_at, own=False)
        for read in reads:
            listing.extent |= read.extent
        if listing.ended:
            await self._add(listing, reads)
        return listing

    async def complete(self, listing: Listing, gone: KeySet) -> AsyncGenerator[tuple[int, Sequence[PreparedRecord]]]:
        """Add the keys of the pages that came without a body. Yields raw_id and records of each payload that holds some
        of those that are `gone`: they are listed, and nobody has loaded them."""
        for identity in dict.fromkeys(listing.stored):
            if listing.fault is not None:
                return
            async with self._store.begin(write=False) as work:
                stored = await work.raw.find(self._source, self._partition, identity)
            records = await self._decode(listing, stored, gone)
            if stored is not None and records:
                yield stored.raw_id, records

    async def _add(self, listing: Listing, reads: Sequence[BatchRead]) -> None:
        for raw_id in dict.fromkeys(read.raw_id for read in reads if read.same_as is None):
            if listing.fault is not None:
                return
            async with self._store.begin(write=False) as work:
                stored = None if raw_id is None else await work.raw.get(raw_id)
            await self._decode(listing, stored, KeySet())
        listing.stored = [read.same_as for read in reads if read.same_as]

    async def _decode(self, listing: Listing, stored: StoredRaw | None, gone: KeySet) -> Sequence[PreparedRecord]:
        """Add the keys of a payload, once: it may stand at two reads, in slices that two runs committed, or where one
        page was read a second time. What it holds of those that are `gone`."""
        if stored is None:
            listing.fault = _NOT_STORED
            return ()
        if stored.raw_id in listing.decoded:
            return ()
        listing.decoded.add(stored.raw_id)
        try:
            return await asyncio.to_thread(self._read_again, listing, stored, gone)
        except PermanentSourceError as error:
            listing.fault = f"payload {stored.raw_id} of it cannot be read again: {error}"
            return ()

    def _read_again(self, listing: Listing, stored: StoredRaw, gone: KeySet) -> Sequence[PreparedRecord]:
        decoded = self._decoders[stored.raw.decode_facts["format"]].decode(stored.raw)
        found: list[PreparedRecord] = []
        listing.add_page(_sifted(prepare_items(decoded, self._mapping), gone, found))
        return found


def _sifted(slices: Iterable[Slice], gone: KeySet, found: list[PreparedRecord]) -> Iterator[Slice]:
    """The same slices, of which no more than one is held; their records that are gone are added to `found`."""
    for part in slices:
        found += [each for each in part.records if each.record.key in gone]
        yield part
