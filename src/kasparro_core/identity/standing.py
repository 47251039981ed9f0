"""Which entity each group is: the oldest that one of its members founded, or a new one."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kasparro_core.identity.groups import Groups
from kasparro_core.identity.ids import free_id
from kasparro_core.model.entity import AssetId, Claim, Entity


@dataclass(frozen=True, slots=True)
class Bearers:
    """The entities that known assets founded, or stand in where nobody known founded them; living and merged."""

    entities: Mapping[str, Entity]
    founders: Mapping[str, AssetId]
    founded: Mapping[AssetId, Sequence[Entity]]

    @classmethod
    def of(cls, standing: Mapping[AssetId, Entity], retired: Iterable[Entity], known: Collection[AssetId]) -> Bearers:
        """From what the assets stand in. An entity without a known founder goes with the first that stands in it."""
        stands = {asset: standing[asset] for asset in sorted(standing.keys() & known)}
        entities = {entity.entity_id: entity for entity in (*retired, *stands.values())}
        founders = {e.entity_id: e.founder for e in entities.values() if e.founder is not None and e.founder in known}
        keepers = {entity.entity_id: asset for asset, entity in reversed(stands.items())} | founders
        founded: dict[AssetId, list[Entity]] = {}
        for entity_id, asset in keepers.items():
            founded.setdefault(asset, []).append(entities[entity_id])
        return cls(entities, founders, founded)


@dataclass(slots=True)
class Placed:
    """Which entity each asset is in, and what is to be written for it."""

    entity_ids: dict[AssetId, str]
    made: list[Entity]
    merged: dict[str, str]


def entities_of(groups: Groups, known: Mapping[AssetId, Claim], bearers: Bearers, taken: Collection[str]) -> Placed:
    """An entity for each group. A name given by a person comes first, then the oldest that a member founded."""
    placed = Placed({}, [], {})
    everyone = groups.all()
    named = {name for group in everyone if (name := groups.name(group[0])) is not None}
    used = {*taken, *bearers.entities, *named}
    for group in everyone:
        name = groups.name(group[0])
        founded = [entity for asset in group for entity in bearers.founded.get(asset, ())]
        own = [entity for entity in founded if entity.entity_id not in named]
        borne = _borne(name, own, bearers)
        entity = borne or _new(known[group[0]], name, used)
        used.add(entity.entity_id)
        _place(placed, group, entity, own, is_new=borne is None)
    return placed


def _borne(name: str | None, own: Sequence[Entity], bearers: Bearers) -> Entity | None:
    """One that a person named is borne by nobody else: the file may name something else so."""
    if name is not None:
        return bearers.entities.get(name)
    return min((e for e in own if e.founder is not None), key=lambda e: (e.age, e.entity_id), default=None)


def _new(first: Claim, name: str | None, used: Collection[str]) -> Entity:
    """One that a person named was founded by no asset: it is whatever is named so."""
    entity_id, founder = (name, None) if name is not None else (free_id(first, used), first.asset)
    return Entity(entity_id, first.kind, first.symbol, first.name, founder=founder)


def _place(placed: Placed, group: Sequence[AssetId], entity: Entity, own: Iterable[Entity], *, is_new: bool) -> None:
    placed.entity_ids.update(dict.fromkeys(group, entity.entity_id))
    if is_new or entity.merged_into is not None:
        placed.made.append(replace(entity, merged_into=None))
    for other in own:
        if entity.entity_id not in (other.entity_id, other.merged_into):
            placed.merged[other.entity_id] = entity.entity_id
