"""Which of the assets of a batch are known by other names: decided inside the unit of work that brings the batch.

Nothing is remembered between units of work: what a rollback takes back was never known.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from kasparro_core.identity.claims import claim_of, fingerprint_of
from kasparro_core.identity.keys import id_key
from kasparro_core.model import Observation, PreparedRecord, Record
from kasparro_core.model.entity import AssetId, Naming, Rename, Ruling, Verdict
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.deciding import Fresh, decide

_LONGEST_ID = 500
"""An id of more characters is none that anybody else knows, and no index takes it."""


async def identify(work: UnitOfWork, records: Sequence[PreparedRecord], seen: Observation) -> None:
    """Link the assets of these records to entities. Where none of them claims anything new, that is one look-up.

    A claim that was seen earlier than the one that is kept says nothing: a replay goes through old states, too.
    """
    latest = {each.record.external_id: each.record for each in records}
    said = {external_id: told for external_id, record in latest.items() if (told := _told(record)) and external_id}
    if not said:
        return
    unlike = await work.identity.unlike(seen.source, said)
    news = (each for each, at in unlike.items() if at is None or at <= seen.observed_at)
    claims = (claim_of(latest[each]) for each in news)
    fresh = {each.asset: Fresh(each, said[each.asset.external_id], seen.observed_at) for each in claims if each}
    if fresh:
        await decide(work.identity, fresh, seen.observed_at)


async def rule(
    work: UnitOfWork, verdict: Verdict, pairs: Sequence[tuple[AssetId, AssetId]], at: datetime
) -> Sequence[Ruling]:
    """Keep a person's word, and decide anew on what it is about. What is not known yet is decided when it comes."""
    await work.identity.lock(None)
    rulings = await work.identity.rule(verdict, pairs, at)
    await again(work, [asset for pair in pairs for asset in pair], at)
    return rulings


async def undo(work: UnitOfWork, ruling_id: int, at: datetime) -> Sequence[Ruling]:
    """Take back the act that a ruling belongs to, and decide anew. Empty when there was nothing to be taken back."""
    await work.identity.lock(None)
    rulings = await work.identity.undo(ruling_id, at)
    await again(work, [asset for ruling in rulings for asset in (ruling.a, ruling.b)], at)
    return rulings


async def name(work: UnitOfWork, namings: Sequence[Naming], at: datetime) -> Sequence[AssetId]:
    """Put the lines of a mapping file in the place of those before, and decide anew on the assets whose line changed,
    which are returned."""
    await work.identity.lock(None)
    changed = await work.identity.name(namings)
    await again(work, changed, at)
    return changed


async def rename(work: UnitOfWork, renames: Sequence[Rename], at: datetime) -> Sequence[Rename]:
    """Keep that sources gave up ids for others, and decide anew: the link moves, and the entity stays. Returns those
    that were not known."""
    await work.identity.lock(None)
    new = await work.identity.rename(renames)
    ids = {AssetId(each.source, external_id) for each in new for external_id in (each.old_id, each.new_id)}
    await again(work, await _heirs(work, sorted(ids)), at)
    return new


async def _heirs(work: UnitOfWork, ids: Sequence[AssetId]) -> Sequence[AssetId]:
    """These ids, and those that bore one of them before: of a chain of renames the last may be told first."""
    bound = await work.identity.closed(ids, [id_key(each) for each in ids]) if ids else ()
    wanted = set(ids)
    bore = ((each.claim.asset, AssetId(each.claim.asset.source, old)) for each in bound for old in each.claim.former)
    return [*ids, *(asset for asset, old in bore if old in wanted)]


async def again(work: UnitOfWork, assets: Sequence[AssetId], at: datetime) -> Collection[AssetId]:
    """Decide anew on those of the assets that are known; returns which assets stand in another entity now."""
    known = await work.entities.claims(sorted(set(assets)))
    fresh = {asset: Fresh(each.claim, each.fingerprint, each.seen_at) for asset, each in known.items()}
    return await decide(work.identity, fresh, at) if fresh else ()


def _told(record: Record) -> str | None:
    """The fingerprint of what a record claims, if it claims anything."""
    return fingerprint_of(record) if record.external_id and len(record.external_id) <= _LONGEST_ID else None
