"""What a person looks at and decides about entities: candidates, rulings, merging, splitting, undoing."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from decimal import Decimal
from typing import Any, Final

from pydantic import Field
from pydantic.config import JsonDict
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.listing import in_places, newest_first
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import not_found
from kasparro_app.api.routes.entities import EntityName
from kasparro_app.api.routes.ledger import NEXT
from kasparro_app.api.shapes.common import Id, PageParameters
from kasparro_app.api.shapes.entities import CandidatesAnswer, DecidedAnswer, RulingsAnswer
from kasparro_app.identity_view import candidate_views, decided_view, ruling_view
from kasparro_core.model.entity import AssetId, Candidate, Ruling
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.by_hand import ByHand, Decided, UnknownRulingError
from kasparro_core.services.wholes import UnknownEntityError

_PLACE: Final = (Decimal, str, str, str, str)
_NAMED: Final = "Each is an entity_id, or an asset as source:external_id."
_MOST_NAMES: Final = 50
_SEVERAL: Final[JsonDict] = {"expected": f"2 to {_MOST_NAMES} names"}
_SOME: Final[JsonDict] = {"expected": f"1 to {_MOST_NAMES} names"}


class CandidatesQuery(PageParameters):
    """Which pairs to show."""

    entity: EntityName | None = Field(None, description="Only pairs with an asset of this entity.")


class RulingsQuery(PageParameters):
    """Which rulings to show."""

    undone: bool = Field(default=False, description="true: also those that were taken back.")


class MergeQuery(Parameters):
    """What is one thing."""

    entity: list[EntityName] = Field(
        min_length=2, max_length=_MOST_NAMES, description=f"Given for each. {_NAMED}", json_schema_extra=_SEVERAL
    )


class SplitQuery(Parameters):
    """What is not one thing."""

    entity: EntityName = Field(
        description="The entity that keeps its id where it can: an entity_id, or one of its assets."
    )
    other: list[EntityName] = Field(
        min_length=1,
        max_length=_MOST_NAMES,
        description=f"Given for each that is not that entity. {_NAMED} Assets of the entity leave it.",
        json_schema_extra=_SOME,
    )


class RulingPath(Parameters):
    """The id of a ruling in a path."""

    ruling_id: Id = Field(description="The id of the ruling: any one of the decision.")


async def candidates(call: Call) -> Response:
    """A page of pairs to be looked at, the surest first."""
    entity_id = call.query.entity

    async def fetch(work: UnitOfWork, place: Sequence[Any] | None, limit: int) -> Sequence[tuple[Candidate, Any]]:
        meant = await _standing(work, entity_id)
        found = await work.entities.candidates(entity_id=meant, after=_behind(place), limit=limit)
        return list(zip(found, await candidate_views(work, found), strict=True))

    filters = {"entity": entity_id}
    return await in_places(
        call, "candidates", filters, fetch, lambda row: row[1], place_of=lambda row: _place(row[0]), shape=_PLACE
    )


async def rulings(call: Call) -> Response:
    """A page of what people decided, the newest first."""
    undone = call.query.undone

    async def fetch(work: UnitOfWork, before: int | None, limit: int) -> Sequence[Ruling]:
        return await work.entities.rulings(undone=undone, before=before, limit=limit)

    return await newest_first(call, "rulings", {"undone": undone}, fetch, ruling_view, id_name="ruling_id")


async def merge(call: Call) -> Response:
    """Make one entity of several. Raises Problem (404), ConflictError."""
    return await _decided(call, _by_hand(call).merge(call.query.entity))


async def split(call: Call) -> Response:
    """Tell things apart. Raises Problem (404), ConflictError."""
    return await _decided(call, _by_hand(call).split(call.query.entity, call.query.other))


async def undo(call: Call) -> Response:
    """Take a decision back. Raises Problem (404), ConflictError."""
    return await _decided(call, _by_hand(call).undo(call.path.ruling_id))


def _by_hand(call: Call) -> ByHand:
    return ByHand(call.service.store, call.service.clock)


async def _decided(call: Call, decision: Awaitable[Decided]) -> Response:
    try:
        decided = await decision
    except (UnknownEntityError, UnknownRulingError) as error:
        raise not_found(error.message) from error
    return json_answer(call, decided_view(decided))


async def _standing(work: UnitOfWork, entity_id: str | None) -> str | None:
    """The id, or that of the entity that it was merged into."""
    found = None if entity_id is None else await work.entities.get(entity_id)
    return entity_id if found is None or found.merged_into is None else found.merged_into


def _place(pair: Candidate) -> list[Any]:
    return [pair.confidence, *pair.a, *pair.b]


def _behind(place: Sequence[Any] | None) -> Candidate | None:
    if place is None:
        return None
    confidence, a_source, a_id, b_source, b_id = place
    return Candidate(AssetId(a_source, a_id), AssetId(b_source, b_id), "", confidence)


def _decision(path: str, summary: str, handler: Any, conflict: str, **more: Any) -> Operation:
    answers = {
        200: Answer("What was decided, and where its assets stand since.", DecidedAnswer),
        404: Answer("There is nothing of that name.", ProblemBody),
        409: Answer(conflict, ProblemBody),
    }
    return Operation("POST", path, summary, handler, answers, "entities", scope="admin", **more)


OPERATIONS: Final = (
    Operation(
        "GET",
        "/entities/candidates",
        "Pairs that may be one thing, for a person to look at",
        candidates,
        {200: Answer("A page of pairs.", CandidatesAnswer, headers=NEXT)},
        "entities",
        query=CandidatesQuery,
    ),
    Operation(
        "GET",
        "/entities/rulings",
        "What people decided about entities, newest first",
        rulings,
        {200: Answer("A page of rulings.", RulingsAnswer, headers=NEXT)},
        "entities",
        query=RulingsQuery,
    ),
    _decision(
        "/entities/merge",
        "Make one entity of several",
        merge,
        "They are one already, or the mapping file says that they are not.",
        query=MergeQuery,
        description="The oldest keeps its id, the others redirect to it. Every later resolution keeps to it.",
    ),
    _decision(
        "/entities/split",
        "Tell things apart",
        split,
        "That was said before, nothing would be left of the entity, or the mapping file says that they are one.",
        query=SplitQuery,
        description="The id stays with the asset that the entity was made for. Every later resolution keeps to it.",
    ),
    _decision(
        "/entities/rulings/{ruling_id}/undo",
        "Take a decision back",
        undo,
        "It was undone before.",
        path_model=RulingPath,
        description="All rulings of its act; what they were about is decided anew.",
    ),
)
