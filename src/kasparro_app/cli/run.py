"""`kasparro run`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, SourceNames, chosen_sources, invocation
from kasparro_app.cli.exits import leave, run_async, say
from kasparro_app.cli.output import cell, print_views

if TYPE_CHECKING:
    from kasparro_app.cycle import Outcome
    from kasparro_app.settings import Settings

COLUMNS = (
    "source", "status", "fetched", "inserted", "updated", "unchanged", "rejected", "batches", "requests", "seconds",
)  # fmt: skip
MOST_ALARMS = 5
"""Of more findings of one run so many are told beneath the table."""
MOST_WORDS = 600
"""Of a longer finding so many characters: it names keys as the upstream has them."""


def run(
    context: typer.Context,
    sources: SourceNames = None,
    *,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again: no validators, fingerprints or positions.")
    ] = False,
    skip_running: Annotated[
        bool, typer.Option("--skip-running", help="Skip a source that runs elsewhere instead of waiting for it.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """One cycle over the named sources, or all: fetch, normalize, write once.

    Exit code 1: a source failed (the others were still done); 3: a run is degraded.
    """
    from kasparro_app.cycle import exit_code

    settings = invocation(context).settings_to_read_with()
    names = chosen_sources(settings, sources)
    outcomes = run_async(cycle(settings, names, full=full, wait=not skip_running))
    print_outcomes(outcomes, as_json=as_json)
    leave(exit_code(outcomes))


async def cycle(settings: Settings, names: Sequence[str], *, full: bool = False, wait: bool = True) -> list[Outcome]:
    """Run the named sources with progress on standard error."""
    from kasparro_app.cli.progress import shown_progress
    from kasparro_app.cycle import run_cycle
    from kasparro_app.runtime import open_runtime

    with shown_progress() as observer:
        async with open_runtime(settings, observer=observer, names=names) as runtime:
            jobs = [runtime.jobs[name] for name in names]
            outcomes = await run_cycle(runtime.runner, jobs, full=full, wait=wait)
    return [replace(outcome, alarms=observer.alarms(outcome.run)) for outcome in outcomes]


def print_outcomes(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    """The table of runs on standard output, one line per failed source on standard error."""
    print_views([_view(outcome) for outcome in outcomes], COLUMNS, as_json=as_json, nothing="Nothing was run.")
    for outcome in outcomes:
        code, message = _fault(outcome)
        if message:
            say(f"{outcome.source}: {code}: {message}")
        elif outcome.status == "skipped":
            say(f"{outcome.source}: skipped, it runs elsewhere")
        _tell_alarms(outcome)
    if any(outcome.run and outcome.run.counters.rejected for outcome in outcomes):
        say("`kasparro rejections list` shows what was rejected, and why.")


def _tell_alarms(outcome: Outcome) -> None:
    for sentence in outcome.alarms[:MOST_ALARMS]:
        say(f"{outcome.source}: {cell(sentence, limit=MOST_WORDS)}")
    if outcome.alarms and outcome.run is not None:
        more = len(outcome.alarms) - MOST_ALARMS
        which = f"{more:,} more findings: " if more > 0 else ""
        listing = f"`kasparro anomalies list --run {outcome.run.run_id}` lists what stands out"
        say(f"{which}{listing}, `anomalies show` the numbers behind it.")


def _view(outcome: Outcome) -> dict[str, Any]:
    from kasparro_app.views import run_view

    if outcome.run is not None:
        return run_view(outcome.run)
    code, message = _fault(outcome)
    return {"source": outcome.source, "status": outcome.status, "error_code": code, "error": message}


def _fault(outcome: Outcome) -> tuple[str | None, str | None]:
    if outcome.error is not None:
        return outcome.error.code, str(outcome.error)
    return (outcome.run.error_code, outcome.run.error) if outcome.run is not None else (None, None)
