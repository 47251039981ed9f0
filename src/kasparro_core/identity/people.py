"""What people said: a mapping file first, then rulings by hand, the latest first."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from decimal import Decimal
from itertools import pairwise

from kasparro_core.identity.edges import Edge, Method, edge
from kasparro_core.identity.groups import Groups
from kasparro_core.identity.standing import Bearers
from kasparro_core.model.entity import AssetId, Naming, Ruling, Rulings, Verdict

_CERTAIN = Decimal(1)


def join_by_people(groups: Groups, known: Collection[AssetId], rulings: Rulings, bearers: Bearers) -> list[Edge]:
    """Join and keep apart what people said, and tell what was joined.

    A name wins over every ruling; a ruling wins over the earlier ones that contradict it, also by way of others.
    """
    joined = _join_named(groups, [naming for naming in rulings.namings if naming.asset in known], bearers)
    latest_first = sorted(rulings.rulings, key=lambda ruling: ruling.ruling_id, reverse=True)
    return joined + [
        edge(ruling.a, ruling.b, Method.HAND, _CERTAIN, {"ruling_id": ruling.ruling_id})
        for ruling in latest_first
        if ruling.a in known and ruling.b in known and ruling.a != ruling.b and _obey(groups, ruling)
    ]


def _obey(groups: Groups, ruling: Ruling) -> bool:
    """True where the ruling joined its two."""
    if ruling.verdict is Verdict.SAME:
        return groups.join(ruling.a, ruling.b)
    groups.part(ruling.a, ruling.b)
    return False


def _join_named(groups: Groups, namings: Sequence[Naming], bearers: Bearers) -> list[Edge]:
    """Whoever is named to be an entity belongs to the others that are, and to the asset that founded the entity."""
    by_entity: dict[str, list[AssetId]] = {}
    for naming in sorted(namings, key=lambda naming: naming.asset):
        by_entity.setdefault(naming.entity_id, []).append(naming.asset)
    joined = []
    for entity_id, assets in by_entity.items():
        founder = bearers.founders.get(entity_id)
        company = [*assets, founder] if founder is not None else assets
        joined += [
            edge(one, other, Method.FILE, _CERTAIN, {"entity_id": entity_id})
            for one, other in pairwise(company)
            if one != other and groups.join(one, other)
        ]
    return joined
