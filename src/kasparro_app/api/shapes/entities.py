"""Entities: canonical things, and what the sources say of them."""

from __future__ import annotations

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Exact, Paged, Shape
from kasparro_app.api.shapes.records import RecordShape


class EntityShape(Shape):
    """The canonical thing that several sources talk about."""

    entity_id: int = Field(description="The id of the entity.")
    kind: str = Field(description="What it is: coin, company ...")
    symbol: str | None = Field(description="Its symbol.")
    name: str | None = Field(description="Its canonical name.")
    merged_into: int | None = Field(description="It turned out to be that one.")


class EntitiesAnswer(Paged):
    """A page of entities."""

    data: list[EntityShape] = Field(description="Entities in ascending entity_id.")


class LinkShape(Shape):
    """A source's own id for the entity."""

    source: str = Field(description="The source.")
    external_id: str = Field(description="Its id there.")
    method: str = Field(description="How the link was found.")
    confidence: Exact = Field(description="How sure that is, from 0 to 1.")


class EntityAnswer(EntityShape, Answered):
    """One entity with all its sources side by side."""

    links: list[LinkShape] = Field(description="The sources' ids for it, by source and external_id.")
    records: list[RecordShape] = Field(description="The latest record of every source, by source.")
