"""`kasparro prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.output import print_views

if TYPE_CHECKING:
    from collections.abc import Mapping

    from kasparro_app.settings import Settings
    from kasparro_core.model.service import Prunable, Pruned

COLUMNS = ("kind", "keep", "rows", "bytes")


def prune(
    context: typer.Context,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Delete nothing: say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Delete what `[retention]` does not keep, and what the service no longer needs of its own."""
    settings = invocation(context).settings()
    pruned = run_async(_prune(settings, dry_run=dry_run))
    kept = settings.tables.retention.model_dump()
    views = [
        {"kind": str(what), "keep": kept.get(what) or _own(what), "rows": gone.rows, "bytes": gone.bytes}
        for what, gone in pruned.items()
    ]
    print_views(views, COLUMNS, as_json=as_json, nothing="Nothing is pruned.")


async def _prune(settings: Settings, *, dry_run: bool) -> Mapping[Prunable, Pruned]:
    from kasparro_app.cli.read import opened_store
    from kasparro_app.maintenance import maintain
    from kasparro_app.runtime import container_of

    async with opened_store(settings) as store:
        return await maintain(store, container_of(settings).clock(), settings, dry_run=dry_run)


def _own(what: Prunable) -> str:
    """The age of the service's own things, as it would be written."""
    from kasparro_core.services.prune import OWN

    return f"{OWN[what].days}d"
