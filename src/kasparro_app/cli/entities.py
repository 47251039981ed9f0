"""`kasparro entities`: canonical things, what their sources say, and what people decide about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from shlex import quote
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.entity_lines import agreement_lines, told
from kasparro_app.cli.exits import run_async, say
from kasparro_app.cli.output import cell, print_pairs, print_table, print_views
from kasparro_app.cli.read import Limit, ask, opened_store
from kasparro_app.ids import MOST_ID

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.model.entity import Entity, Ruling
    from kasparro_core.ports import UnitOfWork
    from kasparro_core.services.afresh import Afresh
    from kasparro_core.services.by_hand import ByHand, Decided

verbs = typer.Typer(help="The same thing across sources.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("entity_id", "kind", "symbol", "name", "merged_into")
SIDES = ("source", "external_id", "title", "symbol", "value", "currency", "at", "left_out")
LINKS = ("source", "external_id", "method", "confidence", "linked_with", "decided_at")
PAIRS = ("confidence", "reason", "a", "b", "same", "different")
RULINGS = ("ruling_id", "act", "verdict", "a", "b", "decided_at", "undone_at")

Name = Annotated[str, typer.Argument(metavar="NAME", help="An entity_id, or an asset as SOURCE:ID.")]


@verbs.command("list")
def list_entities(
    context: typer.Context,
    *,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol, in either case.")] = None,
    q: Annotated[
        str | None, typer.Option("--q", help="Only with this text in name, id or symbol, whatever the case.")
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Also those that turned out to be another one.")] = False,
    after: Annotated[
        str | None, typer.Option("--after", metavar="ID", help="Only those listed behind this one: the next page.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Entities by their ids."""
    from kasparro_app.views import entity_view
    from kasparro_core.model.entity import EntityQuery

    settings = invocation(context).settings()
    query = EntityQuery(kind, None if symbol is None else symbol.upper(), q, after, limit, merged)

    async def question(work: UnitOfWork) -> Sequence[Entity]:
        return await work.entities.list(query)

    views = [entity_view(entity) for entity in run_async(ask(settings, question))]
    columns = COLUMNS if merged else COLUMNS[:-1]
    print_views(views, columns, as_json=as_json, nothing="No entities.")


@verbs.command("show")
def show_entity(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """One entity: its links, the latest record of every source side by side, and what they agree on."""
    from kasparro_app.views import json_object

    settings = invocation(context).settings()
    view = run_async(ask(settings, lambda work: _shown(work, settings, name)))
    if as_json:
        print(json_object(view))
    else:
        _print_entity(view)
    if view["entity_id"] != name and ":" not in name:
        say(f"note: {name} was merged into {view['entity_id']}")


@verbs.command("review")
def review(
    context: typer.Context,
    *,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Only pairs with an asset of this entity.")
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Pairs that may be one thing, the surest first, each with the commands that say so or that they differ."""
    settings = invocation(context).settings()
    views = run_async(ask(settings, lambda work: _pairs(work, entity, limit)))
    rows = views if as_json else [{**view, "a": _asset_text(view["a"]), "b": _asset_text(view["b"])} for view in views]
    if as_json or not rows:
        print_views(rows, PAIRS, as_json=as_json, nothing="Nothing to review.")
        return
    for row in rows:
        print_pairs({name: row[name] for name in PAIRS})
        print()


@verbs.command("merge")
def merge(
    context: typer.Context,
    name: Name,
    others: Annotated[list[str], typer.Argument(metavar="OTHER...", help="What is the same thing, named likewise.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Make one entity of several. The oldest keeps its id, the others redirect; every resolution keeps to it."""
    _decide(context, lambda by_hand: by_hand.merge([name, *others]), as_json=as_json)


@verbs.command("split")
def split(
    context: typer.Context,
    name: Name,
    others: Annotated[
        list[str], typer.Argument(metavar="OTHER...", help="What is not that entity: assets of it leave it.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Tell things apart. The id stays with the asset that the entity was made for; every resolution keeps to it."""
    _decide(context, lambda by_hand: by_hand.split(name, others), as_json=as_json)


@verbs.command("undo")
def undo(
    context: typer.Context,
    ruling_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST_ID, help="As `entities rulings` shows it.")],
    *,
    as_json: AsJson = False,
) -> None:
    """Take a merge or a split back, as a whole. What it was about is decided anew."""
    _decide(context, lambda by_hand: by_hand.undo(ruling_id), as_json=as_json)


@verbs.command("rulings")
def list_rulings(
    context: typer.Context,
    *,
    undone: Annotated[bool, typer.Option("--undone", help="Also what was taken back.")] = False,
    before: Annotated[
        int | None,
        typer.Option(
            "--before", metavar="ID", min=1, max=MOST_ID, help="Only those listed behind this one: the next page."
        ),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """What people decided, newest first. Those of one act are undone together."""
    from kasparro_app.identity_view import ruling_view

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> Sequence[Ruling]:
        return await work.entities.rulings(undone=undone, before=before, limit=limit)

    views = [ruling_view(ruling) for ruling in run_async(ask(settings, question))]
    rows = views if as_json else [{**view, "a": told(view["a"]), "b": told(view["b"])} for view in views]
    print_views(rows, RULINGS if undone else RULINGS[:-1], as_json=as_json, nothing="Nothing was decided by hand.")


@verbs.command("resolve")
def resolve(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Decide anew on everything that is known: after an upgrade, whose rules may be others. What people said holds."""
    from kasparro_app.views import json_object

    done = run_async(_resolved(invocation(context).settings()))
    if as_json:
        print(json_object({"assets": done.assets, "moved": done.moved}))
    else:
        print(f"{done.assets:,} assets decided anew, {done.moved:,} of them stand in another entity now.")


async def _resolved(settings: Settings) -> Afresh:
    from kasparro_app.runtime import container_of
    from kasparro_core.services.afresh import decide_all

    async with opened_store(settings) as store:
        return await decide_all(store, container_of(settings).clock())


async def _shown(work: UnitOfWork, settings: Settings, name: str) -> dict[str, Any]:
    from kasparro_app.identity_view import side_by_side
    from kasparro_app.runtime import container_of
    from kasparro_core.services.wholes import whole_named

    return await side_by_side(work, await whole_named(work, name), container_of(settings).clock().now())


async def _pairs(work: UnitOfWork, entity: str | None, limit: int) -> list[dict[str, Any]]:
    from kasparro_app.identity_view import candidate_views
    from kasparro_core.services.wholes import whole_named

    entity_id = None if entity is None else (await whole_named(work, entity)).entity.entity_id
    found = await work.entities.candidates(entity_id=entity_id, limit=limit)
    return [{**view, **_commands(view)} for view in await candidate_views(work, found)]


def _commands(view: dict[str, Any]) -> dict[str, str]:
    names = " ".join(quote(view[side]["entity_id"] or told(view[side])) for side in ("a", "b"))
    return {"same": f"kasparro entities merge {names}", "different": f"kasparro entities split {names}"}


def _asset_text(view: dict[str, Any]) -> str:
    what = " ".join(text for text in (view["symbol"], view["name"]) if text)
    return f"{told(view)} ({what})" if what else told(view)


def _decide(context: typer.Context, decision: Callable[[ByHand], Awaitable[Decided]], *, as_json: bool) -> None:
    from kasparro_app.identity_view import decided_view
    from kasparro_app.views import json_object

    settings = invocation(context).settings()
    view = decided_view(run_async(_decided(settings, decision)))
    if as_json:
        print(json_object(view))
        return
    for entity in view["entities"]:
        print(f"{entity['entity_id']}: {', '.join(told(link) for link in entity['links'])}")
    if view["what"] != "entities.undone":
        say(f"`kasparro entities undo {view['ruling_id']}` takes it back.")


async def _decided(settings: Settings, decision: Callable[[ByHand], Awaitable[Decided]]) -> Decided:
    from kasparro_app.runtime import container_of
    from kasparro_core.services.by_hand import ByHand

    async with opened_store(settings) as store:
        return await decision(ByHand(store, container_of(settings).clock()))


def _print_entity(view: dict[str, Any]) -> None:
    print_pairs({name: view[name] for name in COLUMNS[:-1]})
    print()
    sides = [{**side["record"], **side} for side in view["sources"]]
    if sides:
        print_table(SIDES, [[cell(side[column]) for column in SIDES] for side in sides])
        print()
    for line in agreement_lines(view["agreement"]):
        print(line)
    links = [{**link, "linked_with": ":".join(link["evidence"].get("with", ()))} for link in view["links"]]
    print_table(LINKS, [[cell(link[column]) for column in LINKS] for link in links])
