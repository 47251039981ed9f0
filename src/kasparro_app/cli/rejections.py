"""`kasparro rejections list`, `show`, `retry`, `drop` and `export`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import DEGRADED, FAILED, leave, run_async, say
from kasparro_app.cli.output import print_pairs, print_views
from kasparro_app.cli.read import Limit, OneSource, ask, known_to, one_of, opened_store
from kasparro_app.ids import MOST_ID

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.model import RejectionQuery, StoredRejection
    from kasparro_core.ports import Store, UnitOfWork
    from kasparro_core.services.rejections import Choice, Retried

verbs = typer.Typer(help="What was refused, and why.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("rejection_id", "source", "stage", "code", "path", "message", "times", "state", "last_seen_at")
_PAGE = 500
RETRIED = ("source", "chosen", "resolved", "still_open", "without_payload", "held", "inserted", "updated")

State = Annotated[str, typer.Option("--state", help="open, resolved, dropped or all.")]
OneStage = Annotated[str | None, typer.Option("--stage", help="decode, normalize, store, drift or field.")]
OneCode = Annotated[str | None, typer.Option("--code", help="Only this code.")]
Ids = Annotated[
    list[int] | None, typer.Argument(metavar="[ID]...", min=1, max=MOST_ID, help="As `rejections list` shows them.")
]
All = Annotated[bool, typer.Option("--all", help="All that are open, of every source.")]


@verbs.command("list")
def list_rejections(
    context: typer.Context,
    *,
    source: OneSource = None,
    state: State = "open",
    stage: OneStage = None,
    code: OneCode = None,
    before: Annotated[
        int | None,
        typer.Option(
            "--before", metavar="ID", min=1, max=MOST_ID, help="Only those listed behind this one: the next page."
        ),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Rejected items and noted values, newest first."""
    from kasparro_app.views import rejection_view

    settings = invocation(context).settings()
    query = replace(_query(source, state, stage, code), before=before, limit=limit)

    async def question(work: UnitOfWork) -> list[StoredRejection]:
        await known_to(work, settings, source)
        return await work.rejections.list(query)

    views = [rejection_view(rejection) for rejection in run_async(ask(settings, question))]
    print_views(views, COLUMNS, as_json=as_json, nothing="No rejections.")


@verbs.command("show")
def show_rejection(
    context: typer.Context,
    rejection_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, max=MOST_ID, help="As `rejections list` shows it.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """One rejection with the item as the source gave it."""
    from kasparro_app.views import json_object, rejection_view

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> StoredRejection | None:
        return await work.rejections.get(rejection_id)

    rejection = run_async(ask(settings, question))
    if rejection is None:
        say(f"error: there is no rejection {rejection_id}")
        raise typer.Exit(FAILED)
    view = rejection_view(rejection)
    if as_json:
        print(json_object(view))
    else:
        print_pairs(view)


@verbs.command("retry")
def retry_rejections(
    context: typer.Context,
    ids: Ids = None,
    *,
    source: OneSource = None,
    stage: OneStage = None,
    code: OneCode = None,
    every: All = False,
    as_json: AsJson = False,
) -> None:
    """Normalize open rejections' items again, from the stored payloads, with the mapping as it is now.

    Exit code 3: some of them are refused still.
    """
    settings = invocation(context).settings()
    done = run_async(_retry(settings, _choice(ids, source, stage, code, every=every)))
    print_views(
        [_retried_view(name, each) for name, each in done.items()],
        RETRIED,
        as_json=as_json,
        nothing="Nothing to retry.",
    )
    if any(each.without_payload for each in done.values()):
        say('Of what has no stored payload (`raw = "none"`) nothing can be read again: it waits for its source.')
    for name, each in done.items():
        say_held(name, each.held)
    leave(DEGRADED if any(each.still_open for each in done.values()) else 0)


@verbs.command("drop")
def drop_rejections(
    context: typer.Context,
    ids: Ids = None,
    *,
    source: OneSource = None,
    stage: OneStage = None,
    code: OneCode = None,
    every: All = False,
    as_json: AsJson = False,
) -> None:
    """Give open rejections up. They stay dropped when they are seen again; nothing else changes."""
    settings = invocation(context).settings()
    dropped = run_async(_drop(settings, _choice(ids, source, stage, code, every=every)))
    if as_json:
        print(f'{{"dropped":{dropped}}}')
    else:
        print(f"Dropped {dropped:,} rejection" + ("." if dropped == 1 else "s."))


@verbs.command("export")
def export_rejections(
    context: typer.Context,
    *,
    format: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
    source: OneSource = None,
    state: State = "open",
    stage: OneStage = None,
    code: OneCode = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> None:
    """Stream all that match, newest first, page by page, with their payloads.

    In CSV, a text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    one_of("--format", format, ["ndjson", "csv"])
    settings = invocation(context).settings()
    query = _query(source, state, stage, code)
    written = run_async(_export(settings, query, format, output))
    if output is not None:
        say(f"Wrote {written:,} rejections to {output}.")


def _query(source: str | None, state: str, stage: str | None, code: str | None) -> RejectionQuery:
    from kasparro_core.model import RejectionQuery, RejectionState, Stage

    one_of("--state", state, [*RejectionState, "all"])
    one_of("--stage", stage, list(Stage))
    return RejectionQuery(source, None if state == "all" else state, stage, code)


def _choice(
    ids: Sequence[int] | None, source: str | None, stage: str | None, code: str | None, *, every: bool
) -> Choice:
    """Rejections by id or by filters. A usage error where both or neither are given: nothing is chosen by oversight."""
    filtered = every or any((source, stage, code))
    if bool(ids) == bool(filtered):
        raise typer.BadParameter("expected ids, or --source, --stage, --code, or --all")
    return ids or _query(source, "open", stage, code)


def say_held(source: str, held: int) -> None:
    """Say how many were left alone for their shape."""
    if held:
        say(
            f"{source}: {held:,} of them stay open, for the shape of their items waits to be accepted: "
            f"`kasparro schema diff {source}` shows it, `kasparro schema accept {source}` accepts it."
        )


async def _retry(settings: Settings, choice: Choice) -> dict[str, Retried]:
    from kasparro_app.cli.progress import shown_progress
    from kasparro_app.runtime import open_runtime
    from kasparro_core.services.rejections import retry, select

    async with opened_store(settings) as store:
        await _known(settings, store, choice)
        chosen = await select(store, choice)
    names = [known_source(settings, name) for name in chosen]
    with shown_progress() as observer:
        async with open_runtime(settings, names=names, observer=observer) as runtime:
            return {
                name: await retry(runtime.store, runtime.replayer, runtime.jobs[name], selection)
                for name, selection in chosen.items()
            }


async def _known(settings: Settings, store: Store, choice: Choice) -> None:
    """Raises ConfigurationError where the filters name a source that nobody knows."""
    from kasparro_core.model import RejectionQuery

    if isinstance(choice, RejectionQuery):
        async with store.begin(write=False) as work:
            await known_to(work, settings, choice.source)


async def _drop(settings: Settings, choice: Choice) -> int:
    from kasparro_app.runtime import container_of
    from kasparro_core.services.rejections import drop

    async with opened_store(settings) as store:
        await _known(settings, store, choice)
        return await drop(store, container_of(settings).clock(), choice)


async def _export(settings: Settings, query: RejectionQuery, format: str, output: Path | None) -> int:
    """Returns how many. The file is made anew once the database answers, and not before."""
    from kasparro_app.rejected import csv_header, csv_line, json_line
    from kasparro_core.services.held import matching

    line_of, written = (csv_line if format == "csv" else json_line), 0
    async with opened_store(settings) as store:
        await _known(settings, store, query)
        with _stream(output) as stream:
            if format == "csv":
                stream.write(csv_header())
            async for page in matching(store, replace(query, limit=_PAGE)):
                stream.writelines(line_of(rejection) for rejection in page)
                written += len(page)
    return written


def _stream(output: Path | None) -> AbstractContextManager[TextIO]:
    return nullcontext(sys.stdout) if output is None else output.open("w", encoding="utf-8", newline="")


def _retried_view(source: str, retried: Retried) -> dict[str, Any]:
    from kasparro_app.views import run_view

    run = None if retried.run is None else run_view(retried.run)
    return {
        "source": source,
        "chosen": retried.chosen,
        "resolved": retried.resolved,
        "still_open": retried.still_open,
        "without_payload": retried.without_payload,
        "held": retried.held,
        "inserted": run["inserted"] if run else 0,
        "updated": run["updated"] if run else 0,
        "run": run,
    }
