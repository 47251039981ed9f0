"""Entities as people name them: by their id, by one that was merged, or by an asset of theirs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kasparro_core.errors import ConfigurationError
from kasparro_core.model.entity import AssetId, Entity, EntityLink
from kasparro_core.ports import UnitOfWork

_HINT = "`kasparro entities list` shows those there are; an asset is named SOURCE:ID."


class UnknownEntityError(ConfigurationError):
    """Nothing is known under that name."""

    code = "unknown_entity"


@dataclass(frozen=True, slots=True)
class Whole:
    """An entity that stands, with its links. `asset`: the one that it was named by, if it was."""

    entity: Entity
    links: Sequence[EntityLink]
    asset: AssetId | None = None

    @property
    def assets(self) -> list[AssetId]:
        """The sources' ids for it, in order."""
        return [AssetId(link.source, link.external_id) for link in self.links]


async def whole_named(work: UnitOfWork, text: str) -> Whole:
    """The entity of this id, the one that this id was merged into, or the one that the asset `source:external_id` is
    linked to. Raises UnknownEntityError."""
    entity = await work.entities.get(text)
    if entity is not None:
        return await _whole(work, entity)
    source, colon, external_id = text.partition(":")
    asset = AssetId(source, external_id)
    known = (await work.entities.claims([asset])).get(asset) if colon else None
    entity = None if known is None else await work.entities.get(known.link.entity_id)
    if entity is None:
        raise UnknownEntityError(f"There is no entity or asset {text!r}.", hint=_HINT)
    return await _whole(work, entity, asset)


async def wholes_of(work: UnitOfWork, assets: Sequence[AssetId]) -> list[Whole]:
    """The entities that these assets are linked to, each once, in the order of their ids."""
    linked = await work.entities.claims(assets)
    found = [await work.entities.get(entity_id) for entity_id in sorted({k.link.entity_id for k in linked.values()})]
    return [await _whole(work, entity) for entity in found if entity is not None]


async def _whole(work: UnitOfWork, entity: Entity, asset: AssetId | None = None) -> Whole:
    standing = await work.entities.get(entity.merged_into) if entity.merged_into is not None else entity
    if standing is None:
        raise RuntimeError(f"entity {entity.entity_id} leads to {entity.merged_into}, which is not there")
    return Whole(standing, await work.entities.links(standing.entity_id), asset)
