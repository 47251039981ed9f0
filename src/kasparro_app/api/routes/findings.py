"""/drift: changes of shape."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.listing import newest_first
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.api.routes.ledger import NEXT
from kasparro_app.api.shapes.common import Id, Line, PageParameters
from kasparro_app.api.shapes.findings import DriftAnswer
from kasparro_core.model import DriftEvent, FindingQuery
from kasparro_core.ports import UnitOfWork


class FindingsQuery(PageParameters):
    """Filters of findings."""

    source: Line | None = Field(None, description="Only those of this source.")
    run_id: Id | None = Field(None, description="Only those of this run.")


async def drift(call: Call) -> Response:
    """A page of drift events."""
    source, run_id = call.query.source, call.query.run_id

    async def fetch(work: UnitOfWork, before: int | None, limit: int) -> Sequence[DriftEvent]:
        return await work.findings.drift(FindingQuery(source=source, run_id=run_id, before=before, limit=limit))

    return await newest_first(call, "drift", {"source": source, "run_id": run_id}, fetch, asdict, id_name="drift_id")


OPERATIONS: Final = (
    Operation(
        "GET",
        "/drift",
        "Changes of the sources' shapes, newest first",
        drift,
        {200: Answer("A page of drift events.", DriftAnswer, headers=NEXT)},
        "findings",
        query=FindingsQuery,
    ),
)
