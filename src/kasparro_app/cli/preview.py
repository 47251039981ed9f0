"""`kasparro preview`."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, Invocation, invocation, known_source
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.preview_lines import JsonPrinter, Printer, TablePrinter
from kasparro_app.cli.read import one_of

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.normalize.mapping import RecordMapping
    from kasparro_core.ports import Clock, Source

DEFAULT_ROWS = 20


def preview(
    context: typer.Context,
    target: Annotated[str, typer.Argument(metavar="SOURCE|PATH|URL", help="A source, a file or an address.")],
    *,
    type: Annotated[str | None, typer.Option("--type", help="csv, feed or json; default: guessed.")] = None,
    stage: Annotated[str, typer.Option("--stage", help="raw: items as they were read; record: normalized.")] = "record",
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="At most so many items; default: 20, with --json all.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Read and normalize, store nothing. With --json: one object a line, rejections as {"rejection": ...}.

    A file needs no configuration; a CSV file without mapping gives kind `item`, every column as text.
    """
    from kasparro_app.preview_target import KINDS

    one_of("--type", type, list(KINDS))
    one_of("--stage", stage, ["raw", "record"])
    rows = limit if limit is not None or as_json else DEFAULT_ROWS
    printer = JsonPrinter(stage) if as_json else TablePrinter(stage)
    run_async(_preview(invocation(context), target, type, printer, rows))


async def _preview(start: Invocation, target: str, kind: str | None, printer: Printer, limit: int | None) -> None:
    from kasparro_core.services.preview import preview as read

    left = sys.maxsize if limit is None else limit
    async with (
        _opened(start, target, kind) as (source, mapping, clock),
        aclosing(read(source, mapping, clock)) as batches,  # type: ignore[type-var]
    ):
        async for batch in batches:
            left -= printer.show(batch, left)
            if left <= 0:
                break
    printer.end()


@asynccontextmanager
async def _opened(
    start: Invocation, target: str, kind: str | None
) -> AsyncIterator[tuple[Source, RecordMapping, Clock]]:
    """The source behind the target, with an open HTTP session."""
    from kasparro_app.preview_target import JsonFile, is_address, source_name
    from kasparro_app.runtime import container_of, open_sources

    settings, chosen = _settings(start, target, kind)
    container = container_of(settings, alone=True)
    if chosen == "json" and not is_address(target):
        file = JsonFile(source_name(target), Path(target), container.json_decoder(), container.clock())
        mapping = _item_mapping(file.name)
        yield file, mapping, container.clock()
        return
    name = next(iter(settings.sources)) if chosen else target
    async with open_sources(settings, container, [name]) as sources:
        yield sources[name], settings.sources[name].record_mapping(name), container.clock()


def _settings(start: Invocation, target: str, kind: str | None) -> tuple[Settings, str | None]:
    """Settings that hold the target as a source; the kind of a file or address, None for a configured source."""
    from kasparro_app.config.folders import with_own_root
    from kasparro_app.preview_target import is_address, kind_of_address, kind_of_file, source_name, source_table

    if is_address(target):
        chosen = kind or kind_of_address(target)
    elif _is_path(target):
        chosen = kind or kind_of_file(Path(target))
    else:
        settings = start.settings_to_read_with()
        known_source(settings, target)
        return settings, None
    table = dict(with_own_root(source_table(chosen, target), Path.cwd()))
    is_json_file = chosen == "json" and not is_address(target)
    return _made_up({} if is_json_file else {source_name(target): table}), chosen


def _is_path(target: str) -> bool:
    """A name without a dot, a slash or a wildcard that no file has is that of a source."""
    return Path(target).exists() or any(sign in target for sign in "./\\*")


def _made_up(sources: dict[str, Any]) -> Settings:
    from kasparro_app.config.origin import Origin
    from kasparro_app.settings import settings_of

    return settings_of({"sources": sources}, Origin("preview"), Path.cwd(), overridable=False)


def _item_mapping(name: str) -> RecordMapping:
    from kasparro_core.normalize.mapping import RecordMapping

    return RecordMapping(source=name)
