"""`kasparro backfill`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import DEGRADED, FAILED, OK, leave, run_async, say
from kasparro_app.cli.export import instant_of
from kasparro_app.cli.output import print_views
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import datetime

    from kasparro_app.settings import Settings
    from kasparro_core.model.window import Window
    from kasparro_core.policy.windows import Step
    from kasparro_core.ports.source import Windowed
    from kasparro_core.services.backfill import WindowState
    from kasparro_core.services.backfill_round import Backfilled

COLUMNS = (
    "source", "status", "windows", "complete", "failed", "left", "fetched", "inserted", "updated", "unchanged",
    "rejected", "requests",
)  # fmt: skip
PLANNED = ("from", "to", "state")
_DEFAULT_CHUNK = "1d"
_INSTEAD = {
    "csv": "Its files are read whole: `kasparro run {0} --full` reads all of them again.",
    "feed": "A feed shows its newest entries alone; `kasparro run {0} --full` reads those again.",
    "http": 'If the upstream can be asked for a span: `backfill = {{ start_param = "...", end_param = "..." }}` in the '
    "table of the source says how. `kasparro run {0} --full` reads what it shows now.",
}


@dataclass(frozen=True)
class _Plan:
    """What is to be read, and by whose rules."""

    settings: Settings
    source: str
    chunk: str
    windowed: Windowed
    windows: Sequence[Window]
    parallel: int
    full: bool


def backfill(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source whose past is read.")],
    *,
    start: Annotated[str, typer.Option("--from", metavar="WHEN", help="Where the first window begins.")],
    end: Annotated[str, typer.Option("--to", metavar="WHEN", help="Where the last window ends; not part of it.")],
    chunk: Annotated[
        str | None, typer.Option("--chunk", metavar="LENGTH", help="How long a window is: 6h, 1d, 1w, 1mo.")
    ] = None,
    parallel: Annotated[int, typer.Option("--parallel", min=1, max=64, help="So many windows side by side.")] = 1,
    full: Annotated[bool, typer.Option("--full", help="Read complete windows again, too.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Ask for nothing: list the windows.")] = False,
    as_json: AsJson = False,
) -> None:
    """Read the past of a source, window by window, beside its live runs.

    Broken off, the same command goes on. Exit code 1: nothing came through; 3: some windows failed.
    """
    settings = invocation(context).settings_to_read_with()
    span = instant_of("--from", start), instant_of("--to", end)
    plan = _plan(settings, known_source(settings, source), span, chunk, parallel=parallel, full=full)
    if dry_run:
        _print_plan(run_async(_states(plan)), as_json=as_json)
    else:
        leave(_print_done(plan, run_async(_backfill(plan)), as_json=as_json))


def _plan(
    settings: Settings,
    source: str,
    span: tuple[datetime | None, datetime | None],
    chunk: str | None,
    *,
    parallel: int,
    full: bool,
) -> _Plan:
    """Raises ConfigurationError for what cannot be asked for, before anything is opened."""
    from kasparro_app.runtime import container_of
    from kasparro_core.ports.source import Windowed
    from kasparro_core.services.backfill import planned

    config, container = settings.sources[source], container_of(settings)
    windowed = container.sound_source(config.type, source, config)
    if not isinstance(windowed, Windowed):
        hint = _INSTEAD[config.type].format(source)
        raise ConfigurationError(f"source {source!r} cannot be asked for a past window.", hint=hint)
    options = getattr(config, "backfill", None)
    length = chunk or (options.chunk if options is not None else _DEFAULT_CHUNK)
    first, last = span
    if first is None or last is None:  # unreachable: both options are required
        raise ConfigurationError("--from and --to are required.")
    windows = planned(source, windowed, first, last, _step(length), container.clock().now())
    return _Plan(settings, source, length, windowed, windows, parallel, full)


def _step(text: str) -> Step:
    from kasparro_core.policy.windows import Step

    try:
        return Step.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--chunk") from None


async def _states(plan: _Plan) -> Mapping[Window, WindowState]:
    from kasparro_app.runtime import open_runtime

    async with open_runtime(plan.settings, names=[plan.source]) as runtime:
        return await runtime.backfiller.states(plan.source, plan.windowed, plan.windows)


async def _backfill(plan: _Plan) -> Backfilled:
    from kasparro_app.cli.backfill_progress import shown_windows
    from kasparro_app.runtime import open_runtime

    with shown_windows(plan.source, len(plan.windows)) as shown:
        async with open_runtime(plan.settings, names=[plan.source], observer=shown) as runtime:
            return await runtime.backfiller.backfill(
                runtime.jobs[plan.source],
                plan.windowed,
                plan.windows,
                parallel=plan.parallel,
                full=plan.full,
                told=shown.window_ended,
            )


def _print_plan(states: Mapping[Window, WindowState], *, as_json: bool) -> None:
    views = [
        {"partition": window.partition, "from": window.start, "to": window.end, "state": str(state)}
        for window, state in states.items()
    ]
    print_views(views, PLANNED, as_json=as_json, nothing="No windows.")


def _print_done(plan: _Plan, done: Backfilled, *, as_json: bool) -> int:
    """The result; returns the exit code."""
    from kasparro_core.model import RunStatus

    print_views([_view(plan, done)], COLUMNS, as_json=as_json, nothing="")
    for sentence in _sentences(done):
        say(f"{plan.source}: {sentence}")
    return {RunStatus.FAILED: FAILED, RunStatus.DEGRADED: DEGRADED}.get(done.status, OK)


def _sentences(done: Backfilled) -> Iterator[str]:
    all_of_them = f"of {done.windows:,} windows"
    if done.before == done.windows:
        yield f"{done.before:,} {all_of_them} were complete already; --full reads them again."
    if done.stopped:
        yield f"{len(done.failed):,} {all_of_them} failed, the last ones in a row: the rest was not asked for."
    if done.left:
        yield f"{done.left:,} {all_of_them} were not read to their end; the same command asks for them again."
    if not done.is_heeded:
        yield (
            f"note: no item of {len(done.astray):,} {all_of_them} has an `occurred_at` inside of its window. Does the "
            "upstream heed what `backfill` sends? If not: mend it, and read them again with --full."
        )


def _view(plan: _Plan, done: Backfilled) -> dict[str, Any]:
    return {
        "source": plan.source,
        "status": str(done.status),
        "from": plan.windows[0].start,
        "to": plan.windows[-1].end,
        "chunk": plan.chunk,
        "windows": done.windows,
        "before": done.before,
        "complete": done.before + len(done.completed),
        "failed": len(done.failed),
        "left": done.left,
        "heeded": done.is_heeded,
        **done.counters._asdict(),
        "runs": [run.run_id for run in done.runs],
        "failures": [
            {"partition": window.partition, "error_code": error.code, "error": str(error)}
            for window, error in done.failed.items()
        ],
    }
