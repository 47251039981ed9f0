"""`kasparro stats`."""

from __future__ import annotations

from typing import Any

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.output import cell, print_table
from kasparro_app.cli.read import ask

COLUMNS = (
    "source", "runs", "failed", "processed", "inserted", "updated", "unchanged", "rejected", "mean_seconds",
    "p95_seconds", "last_success_at", "last_failure_at",
)  # fmt: skip


def stats(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Sums since the first run, of each source and of all."""
    from kasparro_app.figures import read_stats
    from kasparro_app.views import json_object

    settings = invocation(context).settings()
    view = run_async(ask(settings, lambda work: read_stats(work, settings.sources)))
    if as_json:
        print(json_object(view))
        return
    rows = [_row(each["source"], each) for each in view["sources"]]
    total = _row("all", view["total"])
    print_table(COLUMNS, [[cell(row[column]) for column in COLUMNS] for row in (*rows, total)])


def _row(source: str, figures: dict[str, Any]) -> dict[str, Any]:
    runs, records, durations = figures["runs"], figures["records"], figures["durations"]
    return {
        "source": source,
        "runs": runs["total"],
        "failed": runs["failed"] + runs["interrupted"],
        **records,
        "mean_seconds": durations["mean_seconds"],
        "p95_seconds": durations["p95_seconds"],
        "last_success_at": figures["last_success_at"],
        "last_failure_at": figures["last_failure_at"],
    }
