"""/entities: canonical things, with what every source says of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final
from urllib.parse import quote

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.listing import in_places
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import not_found
from kasparro_app.api.routes.ledger import NEXT
from kasparro_app.api.routes.records_query import DecimalsQuery, Text
from kasparro_app.api.shapes.common import PageParameters
from kasparro_app.api.shapes.entities import EntitiesAnswer, EntityAnswer, MergedAnswer
from kasparro_app.identity_view import side_by_side
from kasparro_app.views import entity_view
from kasparro_core.model.entity import Entity, EntityQuery
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.wholes import Whole

EntityName = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2000,
        pattern=r"^[^\x00]*$",
        json_schema_extra={"expected": "a text of 1 to 2000 characters, without NUL"},
    ),
]
"""The id of an entity, or where that is said an asset as `source:external_id`."""


class EntitiesQuery(PageParameters):
    """What GET /entities takes."""

    kind: Text | None = Field(None, description="Only this kind.")
    symbol: Text | None = Field(None, description="Only this symbol, in either case.")
    q: Text | None = Field(
        None, description="Only those with this text in the name, the entity_id or the symbol, whatever the case."
    )
    merged: bool = Field(default=False, description="true: also those that turned out to be another one.")


class EntityPath(Parameters):
    """The id of an entity in a path."""

    entity_id: EntityName = Field(description="The id of the entity.")


async def entities(call: Call) -> Response:
    """A page of entities, in ascending entity_id."""
    symbol = None if call.query.symbol is None else call.query.symbol.upper()
    filters = {"kind": call.query.kind, "symbol": symbol, "q": call.query.q, "merged": call.query.merged}

    async def fetch(work: UnitOfWork, place: Sequence[str] | None, limit: int) -> Sequence[Entity]:
        return await work.entities.list(EntityQuery(**filters, after=place[0] if place else None, limit=limit))

    return await in_places(
        call, "entities", filters, fetch, entity_view, place_of=lambda found: [found.entity_id], shape=(str,)
    )


async def entity(call: Call) -> Response:
    """One entity, or where one that was merged has gone. Raises Problem: 404."""
    entity_id = call.path.entity_id
    async with call.service.store.begin(write=False) as work:
        found = await work.entities.get(entity_id)
        if found is None:
            raise not_found(f"There is no entity {entity_id!r}. GET /entities lists those there are.")
        if found.merged_into is not None:
            return _moved(call, found, found.merged_into)
        whole = Whole(found, await work.entities.links(entity_id))
        view = await side_by_side(work, whole, call.service.clock.now())
    return json_answer(call, view)


def _moved(call: Call, found: Entity, merged_into: str) -> Response:
    """308, and not to be kept: a merge can be undone."""
    query = f"?{call.request.url.query}" if call.request.url.query else ""
    headers = {"Location": f"/entities/{quote(merged_into, safe='')}{query}", "Cache-Control": "no-cache"}
    return json_answer(call, entity_view(found), status=308, headers=headers)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/entities",
        "Canonical things",
        entities,
        {200: Answer("A page of entities.", EntitiesAnswer, headers=NEXT)},
        "entities",
        query=EntitiesQuery,
    ),
    Operation(
        "GET",
        "/entities/{entity_id}",
        "One entity, with all its sources side by side",
        entity,
        {
            200: Answer("Its links, the latest record of every source, and what they agree on.", EntityAnswer),
            308: Answer(
                "It turned out to be another one. Not to be kept: that can be undone.",
                MergedAnswer,
                headers={"Location": "The entity that it was merged into."},
            ),
            404: Answer("There is no such entity.", ProblemBody),
        },
        "entities",
        query=DecimalsQuery,
        path_model=EntityPath,
    ),
)
