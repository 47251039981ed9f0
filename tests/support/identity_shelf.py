"""The least that a store of entities has to do, to see what resolutions amount to over time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from identity_claims import closed

from kasparro_core.identity import Resolution, possible_ids, resolve
from kasparro_core.model.entity import AssetId, Claim, Entity, Rulings


class Shelf:
    """Keeps claims, links and entities; ages are given in the order in which entities are made."""

    def __init__(self) -> None:
        self.claims: dict[AssetId, Claim] = {}
        self.said = Rulings()
        self.homes: dict[AssetId, str] = {}
        self.entities: dict[str, Entity] = {}

    def take(self, *claims: Claim) -> Resolution:
        """New or changed claims arrive together. What they were tied to before is looked at, too."""
        before = {each.asset for each in self._closed([claim.asset for claim in claims])}
        self.claims |= {claim.asset: claim for claim in claims}
        return self._decide(before | {claim.asset for claim in claims})

    def say(self, said: Rulings) -> Resolution:
        """People say this, and nothing of what they said before."""
        self.said = said
        return self._decide(self.claims)

    def groups(self) -> set[frozenset[AssetId]]:
        """Which assets are in one entity."""
        by_home: dict[str, set[AssetId]] = {}
        for asset, home in self.homes.items():
            by_home.setdefault(home, set()).add(asset)
        return {frozenset(group) for group in by_home.values()}

    def leads(self, entity_id: str) -> str:
        """Where an id leads."""
        return self.entities[entity_id].merged_into or entity_id

    def _closed(self, assets: Iterable[AssetId]) -> list[Claim]:
        return closed(list(self.claims.values()), assets, self.said, self.homes)

    def _decide(self, assets: Iterable[AssetId]) -> Resolution:
        claims = self._closed(assets)
        known = {claim.asset for claim in claims}
        resolution = resolve(
            claims,
            self.said,
            {asset: self.entities[self.homes[asset]] for asset in sorted(known & self.homes.keys())},
            retired=[entity for entity in self.entities.values() if entity.merged_into and entity.founder in known],
            taken={one for claim in claims for one in possible_ids(claim)} & self.entities.keys(),
        )
        self._write(resolution)
        return resolution

    def _write(self, resolution: Resolution) -> None:
        for made in resolution.made:
            kept = self.entities.get(made.entity_id, replace(made, age=len(self.entities)))
            self.entities[made.entity_id] = replace(kept, merged_into=None)
        for gone, target in resolution.merged.items():
            self.entities[gone] = replace(self.entities[gone], merged_into=target)
        self._flatten(resolution.merged)
        self.homes |= {AssetId(link.source, link.external_id): link.entity_id for link in resolution.links}

    def _flatten(self, merged: dict[str, str]) -> None:
        for entity_id, entity in self.entities.items():
            if entity.merged_into in merged:
                self.entities[entity_id] = replace(entity, merged_into=merged[entity.merged_into])


def grouped(resolution: Resolution) -> set[frozenset[AssetId]]:
    """Which assets a resolution puts into one entity."""
    by_home: dict[str, set[AssetId]] = {}
    for link in resolution.links:
        by_home.setdefault(link.entity_id, set()).add(AssetId(link.source, link.external_id))
    return {frozenset(group) for group in by_home.values()}


def in_turn(claims: Sequence[Claim], said: Rulings) -> Shelf:
    """A shelf that the claims reached one by one, in this order."""
    shelf = Shelf()
    shelf.said = said
    for each in claims:
        shelf.take(each)
    return shelf
