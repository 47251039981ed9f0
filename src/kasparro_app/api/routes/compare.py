"""/compare-runs: two runs of one source side by side."""

from __future__ import annotations

from typing import Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import json_answer
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import Problem, bad_parameter, not_found
from kasparro_app.api.shapes.common import Id
from kasparro_app.api.shapes.comparison import ComparisonAnswer
from kasparro_app.comparison import DifferentSourcesError, UnknownRunError, compare_runs
from kasparro_app.comparison_view import comparison_view


class CompareQuery(Parameters):
    """Which two runs."""

    a: Id | None = Field(None, description="The first run. Needed, unless `run_id_1` names it.")
    b: Id | None = Field(None, description="The second run. Needed, unless `run_id_2` names it.")
    run_id_1: Id | None = Field(None, description="An earlier name of `a`. Not looked at where `a` is given.")
    run_id_2: Id | None = Field(None, description="An earlier name of `b`. Not looked at where `b` is given.")


async def compare(call: Call) -> Response:
    """The comparison. Raises Problem: 400 for runs of two sources, 404, 422."""
    a = _named("a", call.query.a or call.query.run_id_1)
    b = _named("b", call.query.b or call.query.run_id_2)
    try:
        async with call.service.store.begin(write=False) as work:
            compared = await compare_runs(work, a, b)
    except UnknownRunError as error:
        raise not_found(f"{error} GET /runs lists those there are.") from error
    except DifferentSourcesError as error:
        raise Problem(400, "Different sources", str(error)) from error
    return json_answer(call, comparison_view(compared))


def _named(name: str, run_id: int | None) -> int:
    if run_id is None:
        raise bad_parameter(name, "the id of a run")
    return run_id


OPERATIONS: Final = (
    Operation(
        "GET",
        "/compare-runs",
        "Two runs of one source side by side",
        compare,
        {
            200: Answer(
                "Both runs, every figure with difference, ratio and what was expected, and what became of the records.",
                ComparisonAnswer,
            ),
            400: Answer("The runs are of two sources.", ProblemBody),
            404: Answer("There is no such run (any more).", ProblemBody),
        },
        "ledger",
        query=CompareQuery,
        description="Differences are b - a, ratios b / a. What is expected is said of run b, by the runs before it.",
    ),
)
