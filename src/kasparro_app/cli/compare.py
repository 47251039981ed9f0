"""`kasparro compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.output import cell, print_table
from kasparro_app.cli.read import ask
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    from kasparro_app.comparison import Compared
    from kasparro_core.ports import UnitOfWork

METRICS = ("metric", "a", "b", "delta", "ratio")
FIELDS = ("path", "change", "before", "after", "run_id")
ANOMALIES = ("run_id", "metric", "found", "expected_low", "expected_high")


def compare(
    context: typer.Context,
    run_a: Annotated[int, typer.Argument(metavar="RUN_A", min=1, help="A run, as `runs` shows it.")],
    run_b: Annotated[int, typer.Argument(metavar="RUN_B", min=1, help="Another run of the same source.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Two runs of one source side by side: every figure, what changed between them, what stands out."""
    from kasparro_app.comparison import DifferentSourcesError, UnknownRunError, compare_runs, comparison_view
    from kasparro_app.views import json_object

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> Compared:
        return await compare_runs(work, run_a, run_b)

    try:
        view = comparison_view(run_async(ask(settings, question)))
    except (UnknownRunError, DifferentSourcesError) as error:
        raise ConfigurationError(str(error), hint="`kasparro runs` lists the runs.") from error
    if as_json:
        print(json_object(view))
    else:
        _print(view)


def _print(view: dict[str, Any]) -> None:
    print(f"source {view['source']}")
    _table(METRICS, view["metrics"])
    for word in view["changed"]:
        print(f"{word}: {cell(view['a'][word]) or 'none'} -> {cell(view['b'][word]) or 'none'}")
    for heading, columns, rows in (
        ("Changes of shape between them:", FIELDS, view["changed_fields"]),
        ("What stands out:", ANOMALIES, view["anomalies"]),
    ):
        if rows:
            print(heading)
            _table(columns, rows)


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    print_table(columns, [[cell(row[column]) for column in columns] for row in rows])
