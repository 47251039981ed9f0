"""`kasparro migrate`."""

from __future__ import annotations

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import run_async


def migrate(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Bring the database to this version. `run` does it by itself on an empty or older database."""
    from kasparro_app.runtime import container_of, open_store
    from kasparro_app.settings import Settings
    from kasparro_app.views import json_object

    async def work(settings: Settings) -> tuple[str | None, str]:
        async with open_store(container_of(settings)) as store:
            return await store.revision(), await store.migrate()

    before, after = run_async(work(invocation(context).settings()))
    if as_json:
        print(json_object({"before": before, "after": after}))
    elif before == after:
        print(f"The database is at revision {after}, nothing to do.")
    else:
        print(f"The database went from {before or 'empty'} to revision {after}.")
