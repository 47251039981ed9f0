"""`kasparro state show`, `reset`, `export` and `import`: the committed positions, by hand."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import run_async, say
from kasparro_app.cli.output import print_views
from kasparro_app.cli.read import ask

if TYPE_CHECKING:
    from kasparro_app.container import Container
    from kasparro_app.settings import Settings
    from kasparro_core.model import Checkpoint
    from kasparro_core.ports import UnitOfWork
    from kasparro_core.services.state import BroughtIn, Forgotten, State
    from kasparro_core.services.state_document import StateDocument

verbs = typer.Typer(help="Positions of the sources.", no_args_is_help=True, rich_markup_mode=None)
SHOWN = ("source", "partition", "version", "run_id", "updated_at", "cursor")
FORGOTTEN = ("source", "partition", "version", "run_id", "validators", "cursor")
BROUGHT_IN = ("source", "partition", "done", "version", "cursor")
STREAM = "-"


@verbs.command("show")
def show_state(
    context: typer.Context,
    source: Annotated[str | None, typer.Argument(metavar="[SOURCE]", help="Default: all.")] = None,
    *,
    windows: Annotated[bool, typer.Option("--windows", help="Each window of a backfill in a line of its own.")] = False,
    as_json: AsJson = False,
) -> None:
    """The committed position of each partition."""
    from kasparro_app.views import checkpoint_view
    from kasparro_app.windows_view import folded_views

    settings = invocation(context).settings()
    checkpoints = _stored(settings, source)
    each = windows or as_json
    views = [checkpoint_view(checkpoint) for checkpoint in checkpoints] if each else folded_views(checkpoints)
    print_views(views, SHOWN, as_json=as_json, nothing="No positions yet.")


@verbs.command("reset")
def reset_state(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="The source that is to be read from the start.")],
    *,
    partition: Annotated[
        str | None, typer.Option("--partition", metavar="NAME", help="Only this file, feed or window of the source.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Forget where reading stands, so that the next run reads from the start. Records stay."""
    settings = invocation(context).settings()
    known = [each for each in _stored(settings, source) if each.cursor]
    chosen = known if partition is None else [each for each in known if each.partition == partition]
    if partition is not None and not chosen:
        raise _unknown_partition(source, partition, [each.partition for each in known])
    if chosen and not yes and sys.stdin.isatty() and sys.stdout.isatty():
        typer.confirm(f"Forget {_counted(len(chosen), 'position')} of {source}?", abort=True)
    forgotten = run_async(_reset(settings, source, partition))
    views = [
        {
            "source": each.checkpoint.source,
            "partition": each.checkpoint.partition,
            "version": each.checkpoint.version,
            "run_id": each.checkpoint.run_id,
            "validators": each.validators,
            "cursor": dict(each.checkpoint.cursor),
        }
        for each in forgotten
    ]
    print_views(views, FORGOTTEN, as_json=as_json, nothing=f"{source} has no position: there is nothing to forget.")
    if forgotten:
        say(f"Forgot {_counted(len(forgotten), 'position')} of {source}. {_what_follows(source, partition)}")


@verbs.command("export")
def export_state(
    context: typer.Context,
    sources: Annotated[
        list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Default: all that have a position.")
    ] = None,
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Default: standard output.")
    ] = None,
) -> None:
    """Write the positions as a JSON document, to import it into another database or later into this one."""
    import json

    settings = invocation(context).settings()
    document = run_async(_export(settings, sources))
    exported = {each["source"]: len(each["partitions"]) for each in document["sources"]}
    for name in [name for name in sources or () if name not in exported]:
        known_source(settings, name)
        say(f"note: {name} has no position yet")
    text = json.dumps(document, indent=2) + "\n"
    if output is None or str(output) == STREAM:
        sys.stdout.write(text)
    else:
        output.write_text(text, encoding="utf-8")
        say(f"Wrote {_counted(sum(exported.values()), 'position')} of {_counted(len(exported), 'source')} to {output}.")


@verbs.command("import")
def import_state(
    context: typer.Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="What `state export` wrote; - for standard input.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing: say what would be done.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace positions that are there already.")] = False,
    as_json: AsJson = False,
) -> None:
    """Go on from the positions of a document: all of them, or none."""
    from kasparro_core.services.state_document import read_document

    settings = invocation(context).settings()
    document = read_document(_given(file))
    done = run_async(_import(settings, document, force=force, dry_run=dry_run))
    views = [{name: getattr(each, name) for name in BROUGHT_IN[:-1]} | {"cursor": dict(each.cursor)} for each in done]
    print_views(views, BROUGHT_IN, as_json=as_json, nothing="The document holds no positions.")
    for name in sorted({each.source for each in done if each.bare}):
        say(f"note: this database holds no records of {name}; what was read before does not come with its position")
    if dry_run:
        say("Nothing was changed (--dry-run).")


def _given(file: str) -> bytes:
    """The bytes of a file, or of standard input. Raises ConfigurationError."""
    from kasparro_core.errors import ConfigurationError

    if file == STREAM:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be read: {error.strerror}") from error


def _stored(settings: Settings, source: str | None) -> list[Checkpoint]:
    """The checkpoints (of one source). Raises ConfigurationError for a name that neither file nor database knows."""

    async def question(work: UnitOfWork) -> list[Checkpoint]:
        return await work.checkpoints.list(source)

    checkpoints = run_async(ask(settings, question))
    if source is not None and not checkpoints:
        known_source(settings, source)
    return checkpoints


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[State, Container]]:
    from kasparro_app.runtime import container_of, open_store
    from kasparro_core.services.state import State

    container = container_of(settings)
    async with open_store(container) as store:
        await store.migrate()
        yield State(store, container.handle(), container.clock(), container.runner().claims), container


async def _reset(settings: Settings, source: str, partition: str | None) -> list[Forgotten]:
    async with _opened(settings) as (state, _):
        return await state.reset(source, partition)


async def _export(settings: Settings, sources: Sequence[str] | None) -> dict[str, Any]:
    from kasparro_app.version import program_version

    async with _opened(settings) as (state, _):
        return await state.export(sources or None, program=program_version())


async def _import(settings: Settings, document: StateDocument, *, force: bool, dry_run: bool) -> list[BroughtIn]:
    from kasparro_core.ports import Positioned

    async with _opened(settings) as (state, container):
        built = {name: container.sound_source(each.type, name, each) for name, each in settings.sources.items()}
        sources = {name: source for name, source in built.items() if isinstance(source, Positioned)}
        return await state.bring_in(document, sources, force=force, dry_run=dry_run)


def _unknown_partition(source: str, partition: str, known: Sequence[str]) -> Exception:
    from kasparro_app.config.faults import near
    from kasparro_core.errors import ConfigurationError

    return ConfigurationError(f"Source {source!r} has no position for partition {partition!r}{near(partition, known)}")


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _what_follows(source: str, partition: str | None) -> str:
    from kasparro_app.windows_view import is_window

    what = "everything" if partition is None else f"{partition} as a whole"
    who = "backfill" if partition is not None and is_window(partition) else "run"
    return f"The next {who} of {source} reads {what} again; what is as it was is counted unchanged."
