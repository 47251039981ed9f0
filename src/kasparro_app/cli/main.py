"""`kasparro`: the verbs. Each loads its libraries when it is called, so that `--help` is quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kasparro_app.cli import (
    anomalies,
    backfill,
    check,
    compare,
    demo,
    doctor,
    entities,
    export,
    healthcheck,
    init,
    keys,
    migrate,
    preview,
    prune,
    read,
    rejections,
    replay,
    run,
    schema,
    serve,
    state,
    stats,
)
from kasparro_app.cli.context import Invocation
from kasparro_app.cli.exits import guarded
from kasparro_app.collector import collect_seldom

app = typer.Typer(
    name="kasparro",
    help="Reads APIs, CSV files and feeds, normalizes them, and writes each record exactly once.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if not wanted:
        return
    from kasparro_app.version import program_version

    print(f"kasparro {program_version()}")
    raise typer.Exit


@app.callback()
def root(
    context: typer.Context,
    config: Annotated[
        Path | None, typer.Option("--config", "-c", metavar="FILE", help="Default: ./kasparro.toml")
    ] = None,
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """What comes before the verb."""
    context.obj = Invocation(config)


for _name, _verb in (
    ("demo", demo.demo),
    ("init", init.init),
    ("check", check.check),
    ("preview", preview.preview),
    ("run", run.run),
    ("serve", serve.serve),
    ("sources", read.sources),
    ("runs", read.runs),
    ("stats", stats.stats),
    ("compare", compare.compare),
    ("export", export.export),
    ("replay", replay.replay),
    ("backfill", backfill.backfill),
    ("prune", prune.prune),
    ("migrate", migrate.migrate),
    ("doctor", doctor.doctor),
    ("healthcheck", healthcheck.healthcheck),
):
    app.command(_name)(_verb)
app.add_typer(rejections.verbs, name="rejections")
app.add_typer(anomalies.verbs, name="anomalies")
app.add_typer(entities.verbs, name="entities")
app.add_typer(schema.verbs, name="schema")
app.add_typer(keys.verbs, name="keys")
app.add_typer(state.verbs, name="state")


def main() -> None:
    """The entry point of the command `kasparro`."""
    collect_seldom()
    guarded(lambda: app(prog_name="kasparro"))
