"""`kasparro rejections list` and `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import FAILED, run_async, say
from kasparro_app.cli.output import print_pairs, print_views
from kasparro_app.cli.read import Limit, OneSource, ask, one_of

if TYPE_CHECKING:
    from kasparro_core.model import StoredRejection
    from kasparro_core.ports import UnitOfWork

verbs = typer.Typer(help="What was refused, and why.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("rejection_id", "source", "stage", "code", "path", "message", "times", "state", "first_seen_at")


@verbs.command("list")
def list_rejections(
    context: typer.Context,
    *,
    source: OneSource = None,
    state: Annotated[str, typer.Option("--state", help="open, resolved, dropped or all.")] = "open",
    stage: Annotated[str | None, typer.Option("--stage", help="decode, normalize, store or field.")] = None,
    code: Annotated[str | None, typer.Option("--code", help="Only this code.")] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Rejected items and noted values, newest first."""
    from kasparro_app.views import rejection_view
    from kasparro_core.model import RejectionQuery, RejectionState, Stage

    settings = invocation(context).settings()
    one_of("--state", state, [*RejectionState, "all"])
    one_of("--stage", stage, list(Stage))
    query = RejectionQuery(source, None if state == "all" else state, stage, code, limit=limit)

    async def question(work: UnitOfWork) -> list[StoredRejection]:
        return await work.rejections.list(query)

    views = [rejection_view(rejection) for rejection in run_async(ask(settings, question))]
    print_views(views, COLUMNS, as_json=as_json, nothing="No rejections.")


@verbs.command("show")
def show_rejection(
    context: typer.Context,
    rejection_id: Annotated[int, typer.Argument(metavar="ID", help="As `rejections list` shows it.")],
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
