"""The port of what is looked at when a run has ended: what it changed, and what stood before. It only reads, in a
handful of statements however many records there are. The promises of `storage` hold here too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from kasparro_core.model.latest import Earlier, Late, Latest, Twin


class Histories(Protocol):
    """Records beside their own past, their siblings and their twins in other sources."""

    async def changed(
        self, source: str, kind: str, run_id: int, since: datetime, /, *, limit: int = 20_000
    ) -> Sequence[Latest]:
        """Up to `limit` records that are there, in the state that this run brought, seen at or after `since`: those
        seen last come first, of one instant those with the highest record_id."""
        ...

    async def newest(self, source: str, kind: str, /, *, limit: int = 20_000) -> Sequence[Latest]:
        """Up to `limit` records that are there, those with the highest record_id first; without `before` and without
        the figures of quotes."""
        ...

    async def silent(
        self, source: str, kind: str, before: datetime, /, *, revisions: int, limit: int = 500
    ) -> Sequence[Latest]:
        """Up to `limit` records that are there, had at least so many states, and whose state was seen first before this
        instant: those seen last first; as of `newest`."""
        ...

    async def earlier(self, record_ids: Sequence[int], /, *, limit: int = 30) -> Mapping[int, Sequence[Earlier]]:
        """The earlier states of these records, at most 1,000 of them: of each up to `limit`, those seen last first.
        Records without one are left out."""
        ...

    async def late(self, source: str, run_id: int, since: datetime, /, *, limit: int = 1_000) -> Sequence[Late]:
        """Up to `limit` states that this run brought, at or after `since`, each of an instant before that of the state
        which stands and an earlier run had brought; those seen last first. Only of sources with history."""
        ...

    async def twins(self, source: str, external_ids: Sequence[str], /) -> Sequence[Twin]:
        """The quotes of other sources, by source and record_id, that are linked to the same entities as these ids of a
        source, any number: those that have a value, are there, and are kept under their external id."""
        ...
