"""Which of the assets of a batch are known by other names: decided inside the unit of work that brings the batch.

Nothing is remembered between units of work: what a rollback takes back was never known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from kasparro_core.identity.claims import claim_of, fingerprint
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
    said = _claims(latest.values(), seen.observed_at)
    if not said:
        return
    unlike = await work.identity.unlike(
        seen.source, {asset.external_id: each.fingerprint for asset, each in said.items()}
    )
    assets = [AssetId(seen.source, each) for each, at in unlike.items() if at is None or at <= seen.observed_at]
    if assets:
        await decide(work.identity, {asset: said[asset] for asset in assets}, seen.observed_at)


async def rule(
    work: UnitOfWork, verdict: Verdict, pairs: Sequence[tuple[AssetId, AssetId]], at: datetime
) -> Sequence[Ruling]:
    """Keep a person's word, and decide anew on what it is about. What is not known yet is decided when it comes."""
    await work.identity.lock(None)
    rulings = await work.identity.rule(verdict, pairs, at)
    await _again(work, [asset for pair in pairs for asset in pair], at)
    return rulings


async def undo(work: UnitOfWork, ruling_id: int, at: datetime) -> Sequence[Ruling]:
    """Take back the act that a ruling belongs to, and decide anew. Empty when there was nothing to be taken back."""
    await work.identity.lock(None)
    rulings = await work.identity.undo(ruling_id, at)
    await _again(work, [asset for ruling in rulings for asset in (ruling.a, ruling.b)], at)
    return rulings


async def name(work: UnitOfWork, namings: Sequence[Naming], at: datetime) -> Sequence[AssetId]:
    """Put the lines of a mapping file in the place of those before, and decide anew on the assets whose line changed,
    which are returned."""
    await work.identity.lock(None)
    changed = await work.identity.name(namings)
    await _again(work, changed, at)
    return changed


async def rename(work: UnitOfWork, renames: Sequence[Rename], at: datetime) -> Sequence[Rename]:
    """Keep that sources gave up ids for others, and decide anew: the link moves, and the entity stays. Returns those
    that were not known."""
    await work.identity.lock(None)
    new = await work.identity.rename(renames)
    ids = {AssetId(each.source, external_id) for each in new for external_id in (each.old_id, each.new_id)}
    await _again(work, sorted(ids), at)
    return new


async def _again(work: UnitOfWork, assets: Sequence[AssetId], at: datetime) -> None:
    """Decide anew on those of the assets that are known."""
    known = await work.entities.claims(sorted(set(assets)))
    if known:
        await decide(
            work.identity,
            {asset: Fresh(each.claim, each.fingerprint, each.seen_at) for asset, each in known.items()},
            at,
        )


def _tells(record: Record) -> bool:
    return record.external_id is not None and len(record.external_id) <= _LONGEST_ID


def _claims(records: Iterable[Record], seen_at: datetime) -> Mapping[AssetId, Fresh]:
    claims = (claim_of(record) for record in records if _tells(record))
    return {claim.asset: Fresh(claim, fingerprint(claim), seen_at) for claim in claims if claim is not None}
