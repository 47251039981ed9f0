"""`kasparro schema show`, `diff` and `accept`: what the items of a source look like, and what changed about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import FAILED, run_async, say
from kasparro_app.cli.output import cell, print_table, print_views
from kasparro_app.cli.read import ask

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kasparro_app.settings import Settings
    from kasparro_core.model.drift import SchemaVersion
    from kasparro_core.ports import UnitOfWork

verbs = typer.Typer(help="The shape of a source.", no_args_is_help=True, rich_markup_mode=None)
FIELDS = ("path", "kinds", "required", "presence", "nulls")
CHANGES = ("version", "change", "path", "before", "after", "confidence", "accepted_at")
ACCEPTED = ("source", "version", "changes", "accepted_at")

_MOST = 2**31 - 1
"""The greatest number that a version can have: every store keeps it in 32 bits."""

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="As `kasparro sources` shows it.")]


@verbs.command("show")
def show_schema(
    context: typer.Context,
    source: Source,
    *,
    version: Annotated[
        int | None, typer.Option("--version", min=1, max=_MOST, metavar="N", help="Default: the newest accepted one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """The fields of a source, as its runs have seen them."""
    from kasparro_app.views import json_object
    from kasparro_core.services.schemas import one_version, version_view

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> SchemaVersion | None:
        return await one_version(work, source, version)

    found = _answer(settings, source, question)
    if found is None:
        what = "shape yet: its first run remembers one" if version is None else f"version {version}"
        say(f"error: {source} has no {what}")
        raise typer.Exit(FAILED)
    view = version_view(found)
    if as_json:
        print(json_object(view))
        return
    state = f"accepted {cell(found.accepted_at)}" if found.accepted_at else "waiting to be accepted"
    print(f"{source}: version {found.version}, {state}, by about {view['items']} items")
    print_table(FIELDS, [[_shown(name, field[name]) for name in FIELDS] for field in view["fields"]])


@verbs.command("diff")
def diff_schema(
    context: typer.Context,
    source: Source,
    *,
    first: Annotated[
        int | None,
        typer.Option("--from", min=0, max=_MOST, metavar="N", help="Default: the version before the last one."),
    ] = None,
    last: Annotated[
        int | None, typer.Option("--to", min=1, max=_MOST, metavar="N", help="Default: the newest version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What changed from one version of the shape to another."""
    from kasparro_core.services.schemas import change_views, versions_between

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> Sequence[SchemaVersion]:
        return await versions_between(work, source, first, last)

    versions = _answer(settings, source, question)
    print_views(change_views(versions), CHANGES, as_json=as_json, nothing=f"{source}: nothing changed.")
    if versions and versions[-1].accepted_at is None:
        say(f"Version {versions[-1].version} waits: `kasparro schema accept {source}` accepts it.")


@verbs.command("accept")
def accept_schema(context: typer.Context, source: Source, *, as_json: AsJson = False) -> None:
    """Accept the shape that waits, so that runs write items of it."""
    from kasparro_core.drift import memory_of

    settings = invocation(context).settings()
    known_source(settings, source)
    accepted = run_async(_accept(settings, source))
    views = [
        {
            "source": source,
            "version": each.version,
            "changes": len(memory_of(each).changes),
            "accepted_at": each.accepted_at,
        }
        for each in [accepted]
        if each is not None
    ]
    print_views(views, ACCEPTED, as_json=as_json, nothing=f"{source}: no shape waits to be accepted.")
    if accepted is not None and settings.sources[source].drift.startswith("discard"):
        say(f"`kasparro replay {source}` brings in what was discarded meanwhile.")


async def _accept(settings: Settings, source: str) -> SchemaVersion | None:
    from kasparro_app.runtime import container_of, open_store
    from kasparro_core.services.schemas import accept
    from kasparro_core.services.state import State

    container = container_of(settings)
    async with open_store(container) as store:
        await store.migrate()
        clock = container.clock()
        return await accept(State(store, container.handle(), clock, container.runner().claims), clock, source)


def _answer(settings: Settings, source: str, question: Any) -> Any:
    """What the database says of a configured source. Raises ConfigurationError for another."""
    known_source(settings, source)
    return run_async(ask(settings, question))


def _shown(name: str, value: Any) -> str:
    if name in {"presence", "nulls"} and value is not None:
        return f"{value:.0%}"
    return cell(value)
