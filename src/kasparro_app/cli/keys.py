"""`kasparro keys create`, `list` and `revoke`: who may call the API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import FAILED, run_async, say
from kasparro_app.cli.output import print_views
from kasparro_app.cli.read import ask, one_of, opened_store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from kasparro_app.settings import Settings
    from kasparro_app.views import View
    from kasparro_core.model import ApiKey, Scope
    from kasparro_core.ports import UnitOfWork

verbs = typer.Typer(help="Keys of the API.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("name", "scope", "created_at", "revoked_at")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
Name = Annotated[str, typer.Argument(metavar="NAME", help="What the key is called, in lists and in logs.")]


@verbs.command("create")
def create_key(
    context: typer.Context,
    name: Name,
    *,
    scope: Annotated[str, typer.Option("--scope", help="read, trigger or admin.")] = "read",
    as_json: AsJson = False,
) -> None:
    """Make a key and show it, this once: only its hash is stored. It works at once, in running services too."""
    from kasparro_app.keys import make_key
    from kasparro_app.views import json_object
    from kasparro_core.model import Scope

    settings = invocation(context).settings()
    one_of("--scope", scope, list(Scope))
    if not _NAME.fullmatch(name):
        raise typer.BadParameter(
            "expected up to 100 letters, digits and `._-`, a letter or digit first", param_hint="NAME"
        )
    key = make_key()
    view = key_view(run_async(_added(settings, name, Scope(scope), key)))
    if as_json:
        print(json_object({**view, "key": key}))
    else:
        print(key)
        say(f"This is the key {name} of scope {scope}. Keep it now: it is not shown again.")


@verbs.command("list")
def list_keys(context: typer.Context, *, as_json: AsJson = False) -> None:
    """The keys by name, the revoked ones too. The keys themselves are not stored."""
    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> Sequence[ApiKey]:
        return await work.keys.list()

    views = [key_view(key) for key in run_async(ask(settings, question))]
    print_views(views, COLUMNS, as_json=as_json, nothing="No keys. `kasparro keys create NAME` makes one.")


@verbs.command("revoke")
def revoke_key(context: typer.Context, name: Name) -> None:
    """Refuse a key from now on, in running services too. Its name stays taken."""
    settings = invocation(context).settings()
    if not run_async(_revoked(settings, name)):
        say(f"error: there is no key {name} that still works")
        raise typer.Exit(FAILED)
    print(f"{name} is revoked.")


def key_view(key: ApiKey) -> View:
    """A key without what it could be recognised by."""
    return {"name": key.name, "scope": str(key.scope), "created_at": key.created_at, "revoked_at": key.revoked_at}


async def _added(settings: Settings, name: str, scope: Scope, secret: str) -> ApiKey:
    from kasparro_app.keys import key_hash
    from kasparro_core.model import ApiKey

    key = ApiKey(name, scope, key_hash(secret), _now(settings))
    async with opened_store(settings) as store, store.begin() as work:
        await work.keys.add(key)
        await work.commit()
    return key


async def _revoked(settings: Settings, name: str) -> bool:
    async with opened_store(settings) as store, store.begin() as work:
        known = await work.keys.revoke(name, _now(settings))
        await work.commit()
    return known


def _now(settings: Settings) -> datetime:
    from kasparro_app.runtime import container_of

    return container_of(settings).clock().now()
