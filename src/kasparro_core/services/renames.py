"""Ids that sources gave up for others, as a source of them tells: the link moves to the new id, the entity stays."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from kasparro_core.model import Observation, PreparedRecord, Record
from kasparro_core.model.entity import Rename
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.identify import rename

RENAME = "rename"


async def follow(work: UnitOfWork, records: Sequence[PreparedRecord], seen: Observation) -> None:
    """Keep what these records say of renamed ids, and decide anew on the assets that bear or bore them."""
    told = [_told(each.record, seen.observed_at) for each in records if each.record.kind == RENAME]
    renames = [each for each in told if each.old_id != each.new_id]
    if renames:
        await rename(work, renames, seen.observed_at)


def _told(record: Record, seen_at: datetime) -> Rename:
    """A record of kind `rename`, which has all three attributes. Without a time it holds since it was seen."""
    given = record.attributes
    return Rename(given["of"], given["old_id"], given["new_id"], record.occurred_at or seen_at)
