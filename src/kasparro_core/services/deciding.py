"""A decision on assets, inside a unit of work: lock their blocks, read the closed set, resolve it anew, write what
changed. A handful of statements, however many assets there are."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from kasparro_core.identity.ids import possible_ids
from kasparro_core.identity.keys import id_key, keys_of
from kasparro_core.identity.resolve import Resolution, resolve
from kasparro_core.model.entity import (
    AssetId,
    Blocks,
    Claim,
    Decision,
    Entity,
    EntityLink,
    Known,
    Rulings,
    Verdict,
)
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.ports.identity import IdentityStore

_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Fresh:
    """What a source has been seen saying of an asset."""

    claim: Claim
    fingerprint: str
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class _Scene:
    """A closed set: what is claimed now, by those that are `touched` and by the others, what is kept, what people said,
    and in which blocks the touched ones lie now."""

    fresh: Mapping[AssetId, Fresh]
    stored: Mapping[AssetId, Known]
    rulings: Rulings
    blocks: Mapping[AssetId, Blocks]

    @property
    def now(self) -> Mapping[AssetId, Fresh]:
        """All of them, as they are from now on."""
        kept = {asset: Fresh(known.claim, known.fingerprint, known.seen_at) for asset, known in self.stored.items()}
        return {**kept, **self.fresh}


async def decide(identity: IdentityStore, fresh: Mapping[AssetId, Fresh], at: datetime) -> None:
    """Decide anew on all that has to do with these assets. `fresh`: what they claim, whether that is new or not; `at`:
    the instant since when their links hold, where they change."""
    await identity.lock({key for each in fresh.values() for key in _own(each.claim).binding})
    scene = await _scene(identity, fresh)
    while not await identity.lock(_binding(scene)):
        scene = await _scene(identity, fresh)
    resolution = await _resolved(identity, scene)
    await identity.save(_decision(scene, resolution, at))


async def _scene(identity: IdentityStore, given: Mapping[AssetId, Fresh]) -> _Scene:
    touched = sorted(given)
    former = await identity.former(touched)
    fresh = {asset: _with_former(given[asset], former.get(asset, ())) for asset in touched}
    said = await identity.said(touched)
    by_people = _by_people(said)
    blocks = {asset: _blocks(fresh[asset].claim, by_people) for asset in touched}
    keys = {key for each in blocks.values() for key in each.binding}
    wanted = set(touched)
    while True:
        stored = {known.claim.asset: known for known in await identity.closed(sorted(wanted), keys)}
        everyone = {*stored, *fresh}
        rulings = said if everyone <= {*touched} else await identity.said(sorted(everyone))
        missing = await _founders(identity, rulings) - everyone - wanted
        if not missing:
            return _Scene(fresh, stored, rulings, blocks)
        wanted |= missing


async def _founders(identity: IdentityStore, rulings: Rulings) -> set[AssetId]:
    """Whom the entities were made for that assets are named to be."""
    if not rulings.namings:
        return set()
    named = await identity.entities({naming.entity_id for naming in rulings.namings})
    return {entity.founder for entity in named if entity.founder is not None}


def _with_former(fresh: Fresh, former: Sequence[str]) -> Fresh:
    known = fresh.claim.former
    new = tuple(sorted({*known, *former}))
    return fresh if new == known else replace(fresh, claim=replace(fresh.claim, former=new))


def _by_people(said: Rulings) -> Mapping[AssetId, Sequence[str]]:
    """The blocks that hold together what people said to be one, by asset: looked up, for a mapping file has many."""
    found: defaultdict[AssetId, list[str]] = defaultdict(list)
    for ruling in said.rulings:
        if ruling.verdict is Verdict.SAME:
            for asset in {ruling.a, ruling.b}:
                found[asset].append(f"r:{ruling.ruling_id}")
    for naming in said.namings:
        found[naming.asset].append(_short(f"f:{naming.entity_id}"))
    return found


def _blocks(claim: Claim, by_people: Mapping[AssetId, Sequence[str]]) -> Blocks:
    """The blocks of a claim, its own and those of people."""
    keys = _own(claim)
    return Blocks((*keys.binding, *by_people.get(claim.asset, ())), keys.loose)


def _own(claim: Claim) -> Blocks:
    keys = keys_of(claim)
    return Blocks([_short(key) for key in keys.binding], [_short(key) for key in keys.loose])


def key_of(asset: AssetId) -> str:
    """The block of those that bear this id, bore it, or name it."""
    return _short(id_key(asset))


def _short(key: str) -> str:
    """A key that an index takes: sources may call an address or an id whatever they like."""
    return key if len(key) <= _LONGEST else f"{key[:2]}#{content_hash(key)}"


def _binding(scene: _Scene) -> set[str]:
    keys = {key for blocks in scene.blocks.values() for key in blocks.binding}
    by_people = _by_people(scene.rulings)
    return keys | {key for known in scene.stored.values() for key in _blocks(known.claim, by_people).binding}


async def _resolved(identity: IdentityStore, scene: _Scene) -> Resolution:
    claims = {asset: each.claim for asset, each in scene.now.items()}
    loose = {key for claim in claims.values() for key in _own(claim).loose}
    nearby = [known.claim for known in await identity.near(loose) if known.claim.asset not in claims]
    homes = {known.link.entity_id for known in scene.stored.values()}
    named = {naming.entity_id for naming in scene.rulings.namings}
    ids = homes | named | {entity_id for claim in claims.values() for entity_id in possible_ids(claim)}
    entities = await identity.entities(ids, sorted(claims))
    step = partial(_resolve, scene, claims, {entity.entity_id: entity for entity in entities}, nearby)
    return await asyncio.to_thread(step)


def _resolve(
    scene: _Scene, claims: Mapping[AssetId, Claim], entities: Mapping[str, Entity], nearby: Sequence[Claim]
) -> Resolution:
    return resolve(
        list(claims.values()),
        scene.rulings,
        {asset: entities[known.link.entity_id] for asset, known in scene.stored.items()},
        retired=[entity for entity in entities.values() if entity.merged_into is not None],
        taken=set(entities),
        nearby=nearby,
    )


def _decision(scene: _Scene, resolution: Resolution, at: datetime) -> Decision:
    links = {AssetId(link.source, link.external_id): link for link in resolution.links}
    return Decision(
        made=resolution.made,
        merged=resolution.merged,
        known=list(_changed(scene, links, at)),
        blocks=scene.blocks,
        decided=sorted(links),
        candidates=resolution.candidates,
    )


def _changed(scene: _Scene, links: Mapping[AssetId, EntityLink], at: datetime) -> Iterable[Known]:
    """What is new or differs from what is kept; a link that stays keeps its instant."""
    for asset, now in sorted(scene.now.items()):
        stored, link = scene.stored.get(asset), links[asset]
        same = stored is not None and _says(stored.link) == _says(link)
        since = stored.link.decided_at if same and stored is not None else at
        known = Known(now.claim, now.fingerprint, now.seen_at, replace(link, decided_at=since))
        if not same or asset in scene.fresh:
            yield known


def _says(link: EntityLink) -> tuple[object, ...]:
    """What a link says, in the form in which it comes back from a database."""
    return link.entity_id, str(link.method), link.confidence, canonical_json(link.evidence)
