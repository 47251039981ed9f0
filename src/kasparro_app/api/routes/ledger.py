"""/stats, /runs, /rejections: what was done, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.listing import newest_first
from kasparro_app.api.operation import Answer, Call, Operation
from kasparro_app.api.problems import not_found
from kasparro_app.api.shapes.common import Line, PageParameters, RunPath
from kasparro_app.api.shapes.figures import StatsAnswer
from kasparro_app.api.shapes.findings import RejectionsAnswer
from kasparro_app.api.shapes.runs import RunAnswer, RunsAnswer
from kasparro_app.figures import read_stats
from kasparro_app.sources_view import slot_view
from kasparro_app.views import rejection_view, run_view
from kasparro_core.model import (
    RejectionQuery,
    RejectionState,
    Run,
    RunQuery,
    RunStatus,
    Stage,
    StoredRejection,
    Trigger,
)
from kasparro_core.ports import UnitOfWork

_CHAIN: Final = 20
"""So many runs at most that took over one another are shown."""
_SLOTS: Final = 1000
"""So many slots at most are looked through for the one that started a run."""
NEXT: Final = {"Link": 'The next page (rel="next"), when there is one.'}


class RunsQuery(PageParameters):
    """Filters of the ledger."""

    source: Line | None = Field(None, description="Only runs of this source.")
    status: RunStatus | None = Field(None, description="Only runs in this status.")


class RejectionsQuery(PageParameters):
    """Filters of rejections."""

    source: Line | None = Field(None, description="Only those of this source.")
    state: RejectionState | None = Field(None, description="Only those in this state; absent: all.")
    stage: Stage | None = Field(None, description="Only those of this stage; `field`: notes on kept items.")
    code: Line | None = Field(None, description="Only those with this code.")


async def stats(call: Call) -> Response:
    """Sums per source and in all, of one instant."""
    async with call.service.store.begin(write=False) as work:
        view = await read_stats(work, call.service.settings.sources)
    return json_answer(call, view)


async def runs(call: Call) -> Response:
    """A page of the ledger."""
    source, status = call.query.source, call.query.status

    async def fetch(work: UnitOfWork, before: int | None, limit: int) -> Sequence[Run]:
        return await work.runs.list(RunQuery(source=source, status=status, before=before, limit=limit))

    return await newest_first(call, "runs", {"source": source, "status": status}, fetch, run_view, id_name="run_id")


async def run(call: Call) -> Response:
    """One run. Raises Problem: 404."""
    async with call.service.store.begin(write=False) as work:
        found = await work.runs.get(call.path.run_id)
        if found is None:
            raise not_found(f"There is no run {call.path.run_id}. GET /runs lists those there are.")
        body = {
            **run_view(found),
            "resumed_runs": [run_view(each) for each in await _resumed(work, found)],
            "slot": await _slot(work, found),
        }
    return json_answer(call, body)


async def rejections(call: Call) -> Response:
    """A page of rejections."""
    query = call.query
    filters = {"source": query.source, "state": query.state, "stage": query.stage, "code": query.code}

    async def fetch(work: UnitOfWork, before: int | None, limit: int) -> Sequence[StoredRejection]:
        return await work.rejections.list(RejectionQuery(**filters, before=before, limit=limit))

    return await newest_first(call, "rejections", filters, fetch, rejection_view, id_name="rejection_id")


async def _resumed(work: UnitOfWork, last: Run) -> list[Run]:
    chain: list[Run] = []
    while last.resumes is not None and len(chain) < _CHAIN:
        before = await work.runs.get(last.resumes)
        if before is None:  # pruned
            break
        chain.append(before)
        last = before
    return chain


async def _slot(work: UnitOfWork, found: Run) -> dict[str, Any] | None:
    if found.trigger is not Trigger.SCHEDULE:
        return None
    slots = await work.schedules.slots(found.source, limit=_SLOTS)
    of_run = [slot for slot in slots if slot.run_id == found.run_id]
    return slot_view(of_run[-1]) if of_run else None  # later ones were skipped because of it


OPERATIONS: Final = (
    Operation(
        "GET",
        "/stats",
        "Sums per source and in all",
        stats,
        {200: Answer("Records by outcome, runs by status, durations, newest runs.", StatsAnswer)},
        "ledger",
        description="Sums since the first run, which no pruning lowers. Runs under way are counted as far as they are.",
    ),
    Operation(
        "GET",
        "/runs",
        "The ledger of runs, newest first",
        runs,
        {200: Answer("A page of runs.", RunsAnswer, headers=NEXT)},
        "ledger",
        query=RunsQuery,
    ),
    Operation(
        "GET",
        "/runs/{run_id}",
        "One run",
        run,
        {200: Answer("The run.", RunAnswer), 404: Answer("There is no such run (any more).", ProblemBody)},
        "ledger",
        path_model=RunPath,
    ),
    Operation(
        "GET",
        "/rejections",
        "Refused items and noted values, newest first",
        rejections,
        {200: Answer("A page of rejections.", RejectionsAnswer, headers=NEXT)},
        "ledger",
        query=RejectionsQuery,
    ),
)
