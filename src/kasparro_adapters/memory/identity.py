"""What decides which asset is which, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.errors import TransientStorageError
from kasparro_core.model.entity import (
    AssetId,
    Blocks,
    Claim,
    Crowd,
    Decision,
    Entity,
    Known,
    Naming,
    Rename,
    Ruling,
    Rulings,
    Verdict,
)
from kasparro_core.normalize.canonical import canonical_json, parse_json


class MemoryIdentity:
    """The IdentityStore of a memory store, which has one writer at a time."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def unlike(self, source: str, fingerprints: Mapping[str, str], /) -> Mapping[str, datetime | None]:
        """What is new or another claim than the one that is kept."""
        kept = {each: self._tx.links.get(AssetId(source, each)) for each in fingerprints}
        return {
            each: known.seen_at if known is not None else None
            for each, known in kept.items()
            if known is None or known.fingerprint != fingerprints[each]
        }

    async def lock(self, _keys: Collection[str] | None, /) -> bool:
        """The one writer holds everything."""
        return True

    async def closed(self, assets: Sequence[AssetId], keys: Collection[str], /) -> Sequence[Known]:
        """From key to assets, from asset to keys and housemates."""
        homes = self._homes()
        found: dict[AssetId, Known] = {}
        seen, left = set(keys), [*assets, *(asset for key in keys for asset in self._bound(key))]
        while left:
            asset = left.pop()
            known = self._tx.links.get(asset)
            if known is None or asset in found:
                continue
            found[asset] = known
            new = set(self._blocks(asset).binding) - seen
            seen |= new
            left += [*homes[known.link.entity_id], *(other for key in new for other in self._bound(key))]
        return [found[asset] for asset in sorted(found)]

    async def crowds(self) -> Collection[Crowd]:
        """All of them."""
        return self._tx.crowds.rows()

    async def disperse(self) -> None:
        """One by one."""
        for crowd in list(self._tx.crowds.rows()):
            self._tx.crowds.delete(crowd)

    async def near(self, keys: Sequence[tuple[str, str]], /, *, most: int) -> Sequence[Claim]:
        """What is claimed of the assets of other sources that have one of these loose keys."""
        having = ((source, self._loosely(key)) for source, key in keys)
        assets = sorted({asset for source, some in having if len(some) <= most for asset in some if asset[0] != source})
        return [known.claim for asset in assets if (known := self._tx.links.get(asset)) is not None]

    async def said(self, assets: Sequence[AssetId], /) -> Rulings:
        """Rulings and namings of these assets."""
        some = set(assets)
        rulings = [
            row for row in self._tx.rulings.rows() if row.undone_at is None and not some.isdisjoint((row.a, row.b))
        ]
        namings = [row for asset in sorted(some) if (row := self._tx.namings.get(asset)) is not None]
        return Rulings(sorted(rulings, key=attrgetter("ruling_id")), namings)

    async def former(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, tuple[str, ...]]:
        """From each id back to the one before it."""
        rows = sorted(self._tx.renames.rows(), key=lambda row: (-row.changed_at.timestamp(), row.old_id))
        found: dict[AssetId, tuple[str, ...]] = {}
        for asset in assets:
            ids = {asset.external_id}
            while older := {row.old_id for row in rows if row.source == asset.source and row.new_id in ids} - ids:
                ids |= older
            steps = [row.old_id for row in rows if row.source == asset.source and {row.old_id, row.new_id} <= ids]
            if former := tuple(dict.fromkeys(step for step in steps if step != asset.external_id)):
                found[asset] = former
        return found

    async def entities(self, entity_ids: Collection[str], founders: Sequence[AssetId] = (), /) -> Sequence[Entity]:
        """By id or by founder."""
        made_for = set(founders)
        rows = self._tx.entities.rows()
        found = [row for row in rows if row.entity_id in entity_ids or (row.founder and row.founder in made_for)]
        return sorted(found, key=attrgetter("age"))

    async def save(self, decision: Decision, /) -> None:
        """Write a decision."""
        for entity in decision.made:
            self._make(entity)
        for old, new in sorted(decision.merged.items()):
            for row in self._tx.entities.rows():
                if old in (row.entity_id, row.merged_into) and row.entity_id != new:
                    self._tx.entities.put(row.entity_id, replace(row, merged_into=new))
        for known in decision.known:
            link = replace(known.link, method=str(known.link.method), evidence=_json(known.link.evidence))
            self._tx.links.put(known.claim.asset, replace(known, link=link))
        for asset, blocks in decision.blocks.items():
            self._put_blocks(asset, blocks)
        for crowd in decision.crowds:
            self._tx.crowds.put(crowd, crowd)
        self._put_candidates(decision)

    async def rule(
        self, verdict: Verdict, pairs: Sequence[tuple[AssetId, AssetId]], at: datetime, /
    ) -> Sequence[Ruling]:
        """Keep a person's word."""
        act = self._tx.last("rulings") + 1
        given = []
        for pair in pairs:
            a, b = sorted(pair)
            ruling = Ruling(self._tx.next("rulings"), verdict, a, b, act, at)
            self._tx.rulings.put(ruling.ruling_id, ruling)
            given.append(ruling)
        return given

    async def undo(self, ruling_id: int, at: datetime, /) -> Sequence[Ruling]:
        """Take an act back."""
        ruling = self._tx.rulings.get(ruling_id)
        rows = self._tx.rulings.rows() if ruling is not None else ()
        undone = [row for row in rows if ruling and row.act == ruling.act and row.undone_at is None]
        for row in undone:
            self._tx.rulings.put(row.ruling_id, replace(row, undone_at=at))
        return sorted(undone, key=attrgetter("ruling_id"))

    async def name(self, namings: Sequence[Naming], /) -> Sequence[AssetId]:
        """Put them in the place of all that are kept."""
        before = {row.asset: row for row in self._tx.namings.rows()}
        now = {naming.asset: naming for naming in namings}
        changed = sorted(asset for asset in {*before, *now} if before.get(asset) != now.get(asset))
        for asset in changed:
            if asset in now:
                self._tx.namings.put(asset, now[asset])
            else:
                self._tx.namings.delete(asset)
        return changed

    async def rename(self, renames: Sequence[Rename], /) -> Sequence[Rename]:
        """What is known stays."""
        added = []
        for each in renames:
            place = (each.source, each.old_id, each.new_id)
            if self._tx.renames.get(place) is None:
                self._tx.renames.put(place, each)
                added.append(each)
        return added

    def _members(self, key: str) -> tuple[AssetId, ...]:
        return self._tx.block_members.get(key) or ()

    def _bound(self, key: str) -> list[AssetId]:
        return [asset for asset in self._members(key) if key in self._blocks(asset).binding]

    def _loosely(self, key: str) -> list[AssetId]:
        return [asset for asset in self._members(key) if key in self._blocks(asset).loose]

    def _blocks(self, asset: AssetId) -> Blocks:
        return self._tx.blocks.get(asset) or Blocks()

    def _homes(self) -> Mapping[str, list[AssetId]]:
        homes: dict[str, list[AssetId]] = {}
        for known in self._tx.links.rows():
            homes.setdefault(known.link.entity_id, []).append(known.claim.asset)
        return homes

    def _make(self, entity: Entity) -> None:
        stored = self._tx.entities.get(entity.entity_id)
        if entity.age and stored is not None:
            self._tx.entities.put(entity.entity_id, replace(stored, merged_into=None))
        elif stored is not None:
            raise TransientStorageError(f"The entity {entity.entity_id!r} was made meanwhile.")
        else:
            self._tx.entities.put(entity.entity_id, replace(entity, age=self._tx.next("entities")))

    def _put_blocks(self, asset: AssetId, blocks: Blocks) -> None:
        before = self._blocks(asset)
        for key in {*before.binding, *before.loose} - {*blocks.binding, *blocks.loose}:
            self._tx.block_members.put(key, tuple(each for each in self._members(key) if each != asset))
        for key in {*blocks.binding, *blocks.loose} - {*before.binding, *before.loose}:
            self._tx.block_members.put(key, (*self._members(key), asset))
        self._tx.blocks.put(asset, blocks)

    def _put_candidates(self, decision: Decision) -> None:
        decided = set(decision.decided)
        for row in self._tx.candidates.rows() if decided else ():
            if not decided.isdisjoint((row.a, row.b)):
                self._tx.candidates.delete((row.a, row.b))
        for candidate in decision.candidates:
            kept = replace(candidate, evidence=_json(candidate.evidence))
            self._tx.candidates.put((candidate.a, candidate.b), kept)


def _json(value: Mapping[str, object]) -> Mapping[str, object]:
    """As it comes back from a database."""
    parsed: Mapping[str, object] = parse_json(canonical_json(value))
    return parsed
