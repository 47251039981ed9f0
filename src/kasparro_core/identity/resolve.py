"""Deciding which assets are one: a pure function over a closed set of claims."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from kasparro_core.identity.claims import fingerprint
from kasparro_core.identity.crowds import crowds_of, out_of_crowds
from kasparro_core.identity.doubts import doubts
from kasparro_core.identity.edges import Edge, Method, edge
from kasparro_core.identity.groups import Groups
from kasparro_core.identity.keys import keys_of_traits
from kasparro_core.identity.likeness import Likeness
from kasparro_core.identity.pairs import Judged, judged_pairs
from kasparro_core.identity.people import join_by_people
from kasparro_core.identity.proofs import proofs
from kasparro_core.identity.rivals import clear_pairs
from kasparro_core.identity.standing import Bearers, entities_of
from kasparro_core.identity.traits import Traits, traits_of
from kasparro_core.model.entity import AssetId, Candidate, Claim, Crowd, Entity, EntityLink, Naming, Rulings


@dataclass(frozen=True, slots=True)
class Resolution:
    """What follows from a closed set of claims.

    `links`: one for each claim. `made`: entities to write that are new or, after a split, live again under the id that
    they had (their `merged_into` is None; the age of a new one is for the store to give). `merged`: the ids that
    redirect, and where to. `candidates`: pairs for a person to look at, none of them linked.
    """

    links: Sequence[EntityLink]
    made: Sequence[Entity]
    merged: Mapping[str, str]
    candidates: Sequence[Candidate]


def resolve(
    claims: Sequence[Claim],
    rulings: Rulings,
    standing: Mapping[AssetId, Entity],
    *,
    retired: Iterable[Entity] = (),
    taken: Collection[str] = frozenset(),
    nearby: Sequence[Claim] = (),
    traits: Mapping[AssetId, Traits] | None = None,
    crowds: Collection[Crowd] | None = None,
) -> Resolution:
    """Decide a closed set of claims anew.

    `claims` is closed: with a claim come all that share a binding key with it (`keys_of`), the other side of each
    ruling SAME, every asset that is named to be the same entity, and every asset that stands in an entity with one of
    them or that founded an entity which one of them is named to be. `rulings` holds what people said of any of these
    assets; on others it is ignored. `nearby`: claims beyond the closed set that share a loose key with it; they give
    candidates and are not decided.

    `standing`: the living entity that each asset of `claims` is linked to, where it is. `retired`: the merged entities
    whose founders are among the claims. `taken`: those of the `possible_ids` of the claims that any entity has,
    living or merged. Which assets are grouped depends on claims and rulings alone; `standing` and `retired` say which
    ids the groups bear: the oldest entity that was founded by one of the group, and the others redirect to it. The one
    exception: who is named to be an entity goes with the asset that founded it.

    One asset is given once; of several claims of one asset, the one with the greatest fingerprint counts. `traits`:
    those of all the claims, from a caller who has them already. `crowds`: the names and symbols that tell nothing
    in their source; None: those of the claims (`crowds_of`).
    """
    known = _by_asset(claims)
    bearers = Bearers.of(standing, retired, known)
    groups = Groups(sorted(known), {naming.asset: naming.entity_id for naming in rulings.namings})
    joined = join_by_people(groups, known, rulings, bearers)
    joined += [one for one in _surest_first(proofs(known)) if groups.join(one.a, one.b)]
    compared = _compared([traits[asset] if traits else traits_of(known[asset]) for asset in sorted(known)], crowds)
    pairs = judged_pairs(compared)
    joined += _join_alike(groups, pairs)
    placed = entities_of(groups, known, bearers, taken)
    return Resolution(
        links=_links(groups, joined, placed.entity_ids, rulings.namings),
        made=placed.made,
        merged=placed.merged,
        candidates=doubts(groups, pairs, compared, nearby),
    )


def _compared(everyone: Sequence[Traits], crowds: Collection[Crowd] | None) -> Sequence[Traits]:
    many = crowds_of({traits.asset: keys_of_traits(traits) for traits in everyone}) if crowds is None else crowds
    return out_of_crowds(everyone, many)


def _by_asset(claims: Iterable[Claim]) -> dict[AssetId, Claim]:
    known: dict[AssetId, Claim] = {}
    for claim in claims:
        other = known.get(claim.asset)
        if other is None or fingerprint(other) < fingerprint(claim):
            known[claim.asset] = claim
    return known


def _join_alike(groups: Groups, pairs: Sequence[Judged]) -> list[Edge]:
    """Join what is alike, the surest first: never two assets of one source, nor what the sources mark as two."""
    apart = {_ends(judged.pair) for judged in pairs if judged.opinion.apart}
    edges = [
        edge(*_ends(pair), opinion.method, opinion.confidence, pair.evidence)
        for pair, opinion in clear_pairs(pairs)
        if opinion.method is not None
    ]
    return [one for one in _surest_first(edges) if _fits(groups, one, apart) and groups.join(one.a, one.b)]


def _fits(groups: Groups, one: Edge, apart: Collection[tuple[AssetId, AssetId]]) -> bool:
    if groups.same(one.a, one.b):
        return True
    across = product(groups.members(one.a), groups.members(one.b))
    return all(a.source != b.source and (min(a, b), max(a, b)) not in apart for a, b in across)


def _ends(pair: Likeness) -> tuple[AssetId, AssetId]:
    one, other = pair.one.asset, pair.other.asset
    return min(one, other), max(one, other)


def _surest_first(edges: Iterable[Edge]) -> list[Edge]:
    return sorted(edges, key=lambda one: (-one.confidence, one.a, one.b))


def _links(
    groups: Groups, joined: Iterable[Edge], entity_ids: Mapping[AssetId, str], namings: Iterable[Naming]
) -> list[EntityLink]:
    best: dict[AssetId, Edge] = {}
    for one in joined:
        for asset in (one.a, one.b):
            best.setdefault(asset, one)
    named = {naming.asset for naming in namings}
    return [
        _named(asset, entity_ids[asset]) if asset in named else _link(asset, entity_ids[asset], best.get(asset))
        for group in groups.all()
        for asset in group
    ]


def _named(asset: AssetId, entity_id: str) -> EntityLink:
    return EntityLink(asset.source, asset.external_id, entity_id, Method.FILE, Decimal(1))


def _link(asset: AssetId, entity_id: str, best: Edge | None) -> EntityLink:
    if best is None:
        return EntityLink(asset.source, asset.external_id, entity_id, Method.OWN, Decimal(1))
    other = best.b if best.a == asset else best.a
    evidence = {"with": list(other), **best.evidence}
    return EntityLink(asset.source, asset.external_id, entity_id, best.method, best.confidence, evidence)
