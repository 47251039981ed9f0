"""/entities: canonical things, with what every source says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.listing import newest_first
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import not_found
from kasparro_app.api.routes.records_query import DecimalsQuery, Text
from kasparro_app.api.shapes.common import Id, PageParameters
from kasparro_app.api.shapes.entities import EntitiesAnswer, EntityAnswer
from kasparro_app.views import entity_link_view, entity_view, stored_record_view
from kasparro_core.model import Order, RecordQuery, SortField, StoredRecord
from kasparro_core.model.finding import Entity, EntityLink, EntityQuery
from kasparro_core.ports import UnitOfWork

_LATEST: Final = Order(SortField.OCCURRED_AT)


class EntitiesQuery(PageParameters):
    """What GET /entities takes."""

    kind: Text | None = Field(None, description="Only this kind.")
    symbol: Text | None = Field(None, description="Only this symbol, in either case.")
    q: Text | None = Field(None, description="Only names that hold this text, whatever the case.")


class EntityPath(Parameters):
    """The id of an entity in a path."""

    entity_id: Id = Field(description="The id of the entity.")


async def entities(call: Call) -> Response:
    """A page of entities, in ascending entity_id."""
    symbol = None if call.query.symbol is None else call.query.symbol.upper()
    filters = {"kind": call.query.kind, "symbol": symbol, "q": call.query.q}

    async def fetch(work: UnitOfWork, after: int | None, limit: int) -> Sequence[Entity]:
        return await work.entities.list(EntityQuery(**filters, after=after, limit=limit))

    return await newest_first(call, "entities", filters, fetch, entity_view, id_name="entity_id")


async def entity(call: Call) -> Response:
    """One entity. Raises Problem: 404."""
    entity_id = call.path.entity_id
    async with call.service.store.begin(write=False) as work:
        found = await work.entities.get(entity_id)
        if found is None:
            raise not_found(f"There is no entity {entity_id}. GET /entities lists those there are.")
        links = await work.entities.links(entity_id)
        latest = await _latest(work, entity_id, links)
    return json_answer(
        call,
        {
            **entity_view(found),
            "links": [entity_link_view(link) for link in links],
            "records": [stored_record_view(stored) for stored in latest],
        },
    )


async def _latest(work: UnitOfWork, entity_id: int, links: Sequence[EntityLink]) -> list[StoredRecord]:
    """The record of every source that occurred last."""
    found: list[StoredRecord] = []
    for source in sorted({link.source for link in links}):
        query = RecordQuery(source=source, entity=entity_id)
        found += await work.records.select(query, order=_LATEST, limit=1)
    return found


OPERATIONS: Final = (
    Operation(
        "GET",
        "/entities",
        "Canonical things",
        entities,
        {200: Answer("A page of entities.", EntitiesAnswer, headers={"Link": 'The next page (`rel="next"`).'})},
        "data",
        query=EntitiesQuery,
    ),
    Operation(
        "GET",
        "/entities/{entity_id}",
        "One entity, with all its sources side by side",
        entity,
        {
            200: Answer("The entity, its links, and the latest record of every source.", EntityAnswer),
            404: Answer("There is no such entity.", ProblemBody),
        },
        "data",
        query=DecimalsQuery,
        path_model=EntityPath,
    ),
)
