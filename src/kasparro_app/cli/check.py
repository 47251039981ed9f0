"""`kasparro check`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import typer

from kasparro_app.cli.context import AsJson, SourceNames, chosen_sources, invocation
from kasparro_app.cli.exits import FAILED, leave, run_async, say
from kasparro_app.cli.output import print_views

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.ports import Clock, Source

COLUMNS = ("source", "ok", "seen")


def check(context: typer.Context, sources: SourceNames = None, *, as_json: AsJson = False) -> None:
    """Validate the configuration, reach each source, fetch one batch of it, store nothing.

    Exit code 1: a source cannot be read; 2: the configuration has a fault.
    """
    settings = invocation(context).settings_to_read_with()
    views = run_async(_check(settings, chosen_sources(settings, sources)))
    print_views(views, COLUMNS, as_json=as_json, nothing="No sources.")
    for view in [view for view in views if not view["ok"]]:
        say(f"{view['source']}: {view['error_code']}: {view['error']}")
    leave(0 if all(view["ok"] for view in views) else FAILED)


async def _check(settings: Settings, names: Sequence[str]) -> list[dict[str, Any]]:
    from kasparro_app.runtime import container_of, open_sources

    container = container_of(settings, alone=True)
    async with open_sources(settings, container, names) as sources:
        looks = [_look(settings, sources, name, container.clock()) for name in names]
        return await asyncio.gather(*looks)


async def _look(settings: Settings, sources: Mapping[str, Source], name: str, clock: Clock) -> dict[str, Any]:
    from kasparro_core.errors import KasparroError

    try:
        seen = await _first_batch(settings, sources[name], clock)
    except KasparroError as error:
        return {"source": name, "ok": False, "seen": None, "error_code": error.code, "error": str(error)}
    return {"source": name, "ok": True, "seen": seen, "error_code": None, "error": None}


async def _first_batch(settings: Settings, source: Source, clock: Clock) -> str:
    from kasparro_core.services.preview import preview

    mapping = settings.sources[source.name].record_mapping(source.name)
    async with aclosing(preview(source, mapping, clock)) as batches:  # type: ignore[type-var]
        async for batch in batches:
            records, rejected = len(batch.normalized.records), len(batch.rejections)
            where = f" in {batch.partition}" if batch.partition else ""
            return f"{records} records of kind {mapping.kind}, {rejected} rejected{where}"
    return "nothing to read"
