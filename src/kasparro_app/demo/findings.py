"""What the demo's database holds afterwards: the refused row, the edit, an asset in two sources, a few records."""

from __future__ import annotations

from dataclasses import dataclass

from kasparro_core.model import Record, RecordQuery, StoredRejection
from kasparro_core.model.rejection import RejectionQuery
from kasparro_core.ports import Store, UnitOfWork

_FEW = 3


@dataclass(frozen=True)
class Edit:
    """An article as it was first, and as it is now."""

    before: Record
    now: Record


@dataclass(frozen=True)
class Findings:
    """What there is to show."""

    totals: dict[str, int]
    rejections: list[StoredRejection]
    edits: list[Edit]
    shared: list[Record]
    few: list[Record]


async def look(store: Store, sources: list[str]) -> Findings:
    """Read it all in one go."""
    async with store.begin(write=False) as work:
        return Findings(
            totals={source: await work.records.count(RecordQuery(source=source)) for source in sources},
            rejections=await work.rejections.list(RejectionQuery(state="open", limit=_FEW)),
            edits=await _edits(work),
            shared=await _shared(work, sources),
            few=[
                stored.record
                for source in sources
                for stored in await work.records.page(RecordQuery(source=source), limit=1)
            ],
        )


async def _edits(work: UnitOfWork) -> list[Edit]:
    articles = await work.records.page(RecordQuery(kind="article"), limit=100)
    versions = [(stored, await work.records.versions(stored.record_id)) for stored in articles if stored.revision > 1]
    return [Edit(earlier[-1].record, stored.record) for stored, earlier in versions if earlier]


async def _shared(work: UnitOfWork, sources: list[str]) -> list[Record]:
    """Bitcoin as each source that has it knows it: its latest record."""
    found: list[Record] = []
    for source in sources:
        records = await work.records.page(RecordQuery(source=source, symbol="BTC"), limit=100)
        found.extend(stored.record for stored in records[-1:])
    return found
