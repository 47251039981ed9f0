"""`kasparro compare`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.output import cell, print_table
from kasparro_app.cli.read import ask
from kasparro_app.ids import MOST_ID
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    from kasparro_app.comparison import Compared
    from kasparro_core.ports import UnitOfWork

METRICS = ("metric", "a", "b", "delta", "ratio", "expected", "verdict")
NULL_RATES = ("path", "a", "b", "delta", "expected", "verdict")
FIELDS = ("path", "change", "before", "after", "run_id")
RECORDS = ("records", "count", "keys")
FATES = ("added", "changed", "gone", "returned", "unknown")
MOST_RATES = 20
"""Null rates are many: so many of them are shown, of those that differ or are not as expected the most different."""


def compare(
    context: typer.Context,
    run_a: Annotated[int, typer.Argument(metavar="RUN_A", min=1, max=MOST_ID, help="A run, as `runs` shows it.")],
    run_b: Annotated[int, typer.Argument(metavar="RUN_B", min=1, max=MOST_ID, help="Another run of the same source.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Two runs of one source side by side: every figure with what was expected, what became of the records."""
    from kasparro_app.comparison import DifferentSourcesError, UnknownRunError, compare_runs
    from kasparro_app.comparison_view import comparison_view
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
    _table(METRICS, [_shown(row) for row in view["metrics"] if row["a"] is not None or row["b"] is not None])
    for word in view["changed"]:
        print(f"{word}: {cell(view['a'][word]) or 'none'} -> {cell(view['b'][word]) or 'none'}")
    for heading, columns, rows in (
        ("How empty the items were, where that differs:", NULL_RATES, _rates(view["null_rates"])),
        ("Changes of shape between them:", FIELDS, view["changed_fields"]),
        (_of_records(view["records"]), RECORDS, _fates(view["records"])),
    ):
        if rows:
            print(heading)
            _table(columns, rows)
    if view["anomalies"]:
        print("What stands out:")
    for finding in view["anomalies"]:
        print(f"  run {finding['run_id']}: {cell(finding['explanation'], limit=None)}")
    for note in view["notes"]:
        print(f"Note: {note}")


def _rates(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    telling = [row for row in rows if row["delta"] or row["verdict"] in {"low", "high"}]
    telling.sort(key=lambda row: (-abs(row["delta"] or 0), row["path"]))
    return [_shown(row) for row in telling[:MOST_RATES]]


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its expected range in words."""
    expected, verdict = row["expected"], row["verdict"]
    return {**row, "expected": expected and _range(expected), "verdict": "" if verdict == "unknown" else verdict}


def _range(expected: dict[str, Any]) -> str:
    match expected["low"], expected["high"]:
        case None, None:
            return ""
        case None, high:
            return f"at most {cell(high)}"
        case low, None:
            return f"at least {cell(low)}"
        case low, high:
            return f"{cell(low)} to {cell(high)}"


def _of_records(records: dict[str, Any] | None) -> str:
    if records is None:
        return ""
    return f"Records, from the end of run {records['from_run']} to the end of run {records['to_run']}:"


def _fates(records: dict[str, Any] | None) -> list[dict[str, Any]]:
    found = [(name, records[name]) for name in FATES] if records else []
    return [{"records": name, "count": of["count"], "keys": ", ".join(of["keys"])} for name, of in found if of["count"]]


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    print_table(columns, [[cell(row[column]) for column in columns] for row in rows])
