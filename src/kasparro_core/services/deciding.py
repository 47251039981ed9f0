"""A decision on assets, inside a unit of work: lock their blocks, read the closed set, resolve it anew, write what
changed. A handful of statements, however many assets there are."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from kasparro_core.identity.crowds import NEAR, crowds_of
from kasparro_core.identity.ids import possible_ids
from kasparro_core.identity.keys import Keys, keys_of, keys_of_traits, short_key
from kasparro_core.identity.resolve import resolve
from kasparro_core.identity.traits import Traits, traits_of
from kasparro_core.model.entity import (
    AssetId,
    Blocks,
    Claim,
    Crowd,
    Decision,
    Entity,
    EntityLink,
    Known,
    Rulings,
    Verdict,
)
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.ports.identity import IdentityStore


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a source has been seen saying of an asset."""

    claim: Claim
    fingerprint: str
    seen_at: datetime


class _Seen(NamedTuple):
    """What is claimed of an asset from now on, and what follows from that alone."""

    fresh: Fresh
    traits: Traits
    keys: Keys


_Everyone = Mapping[AssetId, _Seen]


@dataclass(frozen=True, slots=True)
class _Scene:
    """A closed set: what is claimed now, by those that are touched and by the others, what is kept, what people said,
    in which blocks the touched ones lie now, and which names and symbols are known to be crowds."""

    now: _Everyone
    stored: Mapping[AssetId, Known]
    rulings: Rulings
    blocks: Mapping[AssetId, Blocks]
    crowds: frozenset[Crowd]


async def decide(identity: IdentityStore, fresh: Mapping[AssetId, Fresh], at: datetime) -> Collection[AssetId]:
    """Decide anew on all that has to do with these assets. `fresh`: what they claim, whether that is new or not; `at`:
    the instant since when their links hold, where they change. Returns which assets left an entity for another one."""
    given = await asyncio.to_thread(_read, fresh)
    await identity.lock({key for each in given.values() for key in each.keys.binding})
    scene = await _scene(identity, given)
    while not await identity.lock(_binding(scene)):
        scene = await _scene(identity, given)
    decision = await _decided(identity, scene, at)
    await identity.save(decision)
    return [known.claim.asset for known in decision.known if _left(scene.stored.get(known.claim.asset), known)]


def _left(before: Known | None, now: Known) -> bool:
    return before is not None and before.link.entity_id != now.link.entity_id


def _read(fresh: Mapping[AssetId, Fresh]) -> _Everyone:
    return {asset: _seen(each) for asset, each in sorted(fresh.items())}


def _seen(fresh: Fresh) -> _Seen:
    traits = traits_of(fresh.claim)
    return _Seen(fresh, traits, keys_of_traits(traits))


async def _scene(identity: IdentityStore, given: _Everyone) -> _Scene:
    touched = sorted(given)
    former = await identity.former(touched)
    own = {asset: _with_former(given[asset], former.get(asset, ())) for asset in touched}
    said = await identity.said(touched)
    crowds = frozenset(await identity.crowds())
    blocks = _blocks(own, said, crowds)
    keys = {key for each in blocks.values() for key in each.binding}
    wanted = set(touched)
    while True:
        stored = {known.claim.asset: known for known in await identity.closed(sorted(wanted), keys)}
        everyone = {*stored, *own}
        rulings = said if everyone <= {*touched} else await identity.said(sorted(everyone))
        missing = await _founders(identity, rulings) - everyone - wanted
        if not missing:
            others = await asyncio.to_thread(_read, _kept(stored.values(), own))
            return _Scene({**others, **own}, stored, rulings, blocks, crowds)
        wanted |= missing


def _kept(stored: Iterable[Known], but: Collection[AssetId]) -> Mapping[AssetId, Fresh]:
    others = (known for known in stored if known.claim.asset not in but)
    return {known.claim.asset: Fresh(known.claim, known.fingerprint, known.seen_at) for known in others}


async def _founders(identity: IdentityStore, rulings: Rulings) -> set[AssetId]:
    """Whom the entities were made for that assets are named to be."""
    if not rulings.namings:
        return set()
    named = await identity.entities({naming.entity_id for naming in rulings.namings})
    return {entity.founder for entity in named if entity.founder is not None}


def _with_former(seen: _Seen, former: Sequence[str]) -> _Seen:
    known = seen.fresh.claim.former
    new = tuple(sorted({*known, *former}))
    return seen if new == known else _seen(replace(seen.fresh, claim=replace(seen.fresh.claim, former=new)))


def _by_people(said: Rulings) -> Mapping[AssetId, Sequence[str]]:
    """The blocks that hold together what people said to be one, by asset: looked up, for a mapping file has many."""
    found: defaultdict[AssetId, list[str]] = defaultdict(list)
    for ruling in said.rulings:
        if ruling.verdict is Verdict.SAME:
            for asset in {ruling.a, ruling.b}:
                found[asset].append(f"r:{ruling.ruling_id}")
    for naming in said.namings:
        found[naming.asset].append(short_key(f"f:{naming.entity_id}"))
    return found


def _blocks(some: _Everyone, said: Rulings, crowds: Collection[Crowd]) -> Mapping[AssetId, Blocks]:
    """The blocks of these assets, those of their claims and those of people, without crowds."""
    by_people = _by_people(said)
    return {
        asset: Blocks((*_outside(asset, keys, crowds), *by_people.get(asset, ())), keys.loose)
        for asset, (_, _, keys) in some.items()
    }


def _outside(asset: AssetId, keys: Keys, crowds: Collection[Crowd]) -> Sequence[str]:
    return [key for key in keys.binding if (asset.source, key) not in crowds] if crowds else keys.binding


def _binding(scene: _Scene) -> set[str]:
    """All that the closed set lies in, and what the touched ones leave."""
    by_people = _by_people(scene.rulings)
    left = (keys_of(known.claim) for asset, known in scene.stored.items() if asset in scene.blocks)
    keys = (*(seen.keys for seen in scene.now.values()), *left)
    return {key for each in keys for key in each.binding} | {key for said in by_people.values() for key in said}


async def _decided(identity: IdentityStore, scene: _Scene, at: datetime) -> Decision:
    loose = {(asset.source, key) for asset, seen in scene.now.items() for key in seen.keys.loose}
    nearby = [claim for claim in await identity.near(sorted(loose), most=NEAR) if claim.asset not in scene.now]
    homes = {known.link.entity_id for known in scene.stored.values()}
    named = {naming.entity_id for naming in scene.rulings.namings}
    possible = {entity_id for seen in scene.now.values() for entity_id in possible_ids(seen.fresh.claim)}
    entities = await identity.entities(homes | named | possible, sorted(scene.now))
    by_id = {entity.entity_id: entity for entity in entities}
    return await asyncio.to_thread(_decision, scene, by_id, nearby, at)


def _decision(scene: _Scene, entities: Mapping[str, Entity], nearby: Sequence[Claim], at: datetime) -> Decision:
    crowds = crowds_of({asset: seen.keys for asset, seen in scene.now.items()}) - scene.crowds
    resolution = resolve(
        [seen.fresh.claim for seen in scene.now.values()],
        scene.rulings,
        {asset: entities[known.link.entity_id] for asset, known in scene.stored.items()},
        retired=[entity for entity in entities.values() if entity.merged_into is not None],
        taken=entities.keys(),
        nearby=nearby,
        traits={asset: seen.traits for asset, seen in scene.now.items()},
        crowds=scene.crowds | crowds,
    )
    links = {AssetId(link.source, link.external_id): link for link in resolution.links}
    return Decision(
        made=resolution.made,
        merged=resolution.merged,
        known=list(_changed(scene, links, at)),
        blocks=_blocks_beside(scene, crowds) if crowds else scene.blocks,
        decided=sorted(links),
        candidates=resolution.candidates,
        crowds=crowds,
    )


def _blocks_beside(scene: _Scene, crowds: Collection[Crowd]) -> Mapping[AssetId, Blocks]:
    """The blocks of the touched ones, and of all that leave a block because it came to be a crowd."""
    leaving = {
        asset: seen
        for asset, seen in scene.now.items()
        if asset in scene.blocks or any((asset.source, key) in crowds for key in seen.keys.binding)
    }
    return _blocks(leaving, scene.rulings, scene.crowds.union(crowds))


def _changed(scene: _Scene, links: Mapping[AssetId, EntityLink], at: datetime) -> Iterable[Known]:
    """What is new or differs from what is kept; a link that stays keeps its instant."""
    for asset, (now, *_) in sorted(scene.now.items()):
        stored, link = scene.stored.get(asset), links[asset]
        if stored is None or _says(stored.link) != _says(link):
            yield Known(now.claim, now.fingerprint, now.seen_at, replace(link, decided_at=at))
        elif asset in scene.blocks:
            yield Known(now.claim, now.fingerprint, now.seen_at, replace(link, decided_at=stored.link.decided_at))


def _says(link: EntityLink) -> tuple[object, ...]:
    """What a link says, in the form in which it comes back from a database."""
    return link.entity_id, str(link.method), link.confidence, canonical_json(link.evidence)
