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

_NAMES: Final = ("a", "b")
_EARLIER: Final = ("run_id_1", "run_id_2")


class CompareQuery(Parameters):
    """Which two runs."""

    a: Id | None = Field(None, description="The first run. Needed, unless `run_id_1` and `run_id_2` are given.")
    b: Id | None = Field(None, description="The second run. Needed with `a`.")
    run_id_1: Id | None = Field(None, description="An earlier name of `a`. Not together with `a` or `b`.")
    run_id_2: Id | None = Field(None, description="An earlier name of `b`. Not together with `a` or `b`.")


async def compare(call: Call) -> Response:
    """The comparison. Raises Problem: 400 for runs of two sources, 404, 422."""
    a, b = _pair(call.query)
    try:
        async with call.service.store.begin(write=False) as work:
            compared = await compare_runs(work, a, b)
    except UnknownRunError as error:
        raise not_found(f"{error} GET /runs lists those there are.") from error
    except DifferentSourcesError as error:
        raise Problem(400, "Different sources", str(error)) from error
    return json_answer(call, comparison_view(compared))


def _pair(query: CompareQuery) -> tuple[int, int]:
    """Both runs, by one pair of names. Raises Problem: 422."""
    earlier = query.model_fields_set & set(_EARLIER)
    if earlier and query.model_fields_set - earlier:
        raise bad_parameter(min(earlier), "one pair of names, `a` and `b` or `run_id_1` and `run_id_2`, not of both")
    first, second = _EARLIER if earlier else _NAMES
    return _named(query, first), _named(query, second)


def _named(query: CompareQuery, name: str) -> int:
    run_id: int | None = getattr(query, name)
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
