"""`kasparro demo`."""

from __future__ import annotations

import json
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kasparro_app.cli.exits import leave, run_async, say
from kasparro_app.cli.output import cell, print_table
from kasparro_app.cli.run import cycle, print_outcomes
from kasparro_app.cli.serve import Host, Port
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

    from kasparro_app.config.paths import KeyPath
    from kasparro_app.cycle import Outcome
    from kasparro_app.demo.findings import Findings
    from kasparro_app.serving.ending import Ending
    from kasparro_core.model import Record

FOLDER = Path("kasparro-demo")
CONFIG = "kasparro.toml"
SCHEDULE = "every 30s"
DEFAULT_HOST = "127.0.0.1"
DEFAULT_PORT = 8000


def demo(
    *,
    serve: Annotated[
        bool, typer.Option("--serve", help="Go on as the service over the samples, with the status page.")
    ] = False,
    host: Host = None,
    port: Port = None,
) -> None:
    """A first look without any network: samples in ./kasparro-demo, an API, a CSV file and a feed into SQLite."""
    if serve:
        _serve(FOLDER, host, port)
        return
    if host is not None or port is not None:
        raise ConfigurationError("--host and --port belong to --serve.")
    from kasparro_app.cycle import exit_code

    make_demo(FOLDER)
    outcomes, findings = run_async(_ingest(FOLDER))
    print("What came in:\n")
    print_outcomes(outcomes, as_json=False)
    _tell(outcomes, findings)
    leave(exit_code(outcomes))


def make_demo(folder: Path) -> None:
    """The configuration (unless there is one, which may have been changed) and the samples."""
    from kasparro_app.demo.samples import write_samples

    write_samples(folder / "samples")
    config = folder / CONFIG
    if not config.exists():
        template = files("kasparro_app").joinpath("templates", "demo.toml")
        config.write_bytes(template.read_bytes())


def _serve(folder: Path, host: str | None, port: int | None) -> None:
    """The service answers first; its first cycle brings the samples in. The environment is left out of it."""
    from kasparro_app.serving.ending import Ending

    ending = Ending()
    ending.guard_start()
    from kasparro_app.demo.server import sample_socket
    from kasparro_app.serving.listening import listen
    from kasparro_app.serving.worker import serve_alone

    where = host or DEFAULT_HOST, DEFAULT_PORT if port is None else port
    with listen(*where) as listening, sample_socket() as samples:
        _tell_addresses(listening, folder)
        serve_alone(partial(_demo_app, folder, where, samples, ending), listening, ending)


def _demo_app(folder: Path, where: tuple[str, int], samples: socket.socket, ending: Ending) -> Starlette:
    from kasparro_app.demo.server import pages_address, sample_api
    from kasparro_app.logs import set_up_log_of
    from kasparro_app.service import ServeOptions
    from kasparro_app.serving.assembly import application
    from kasparro_app.settings import load_settings

    make_demo(folder)
    values: dict[KeyPath, str] = {
        ("sources", "market", "url"): pages_address(samples),
        ("defaults", "schedule"): SCHEDULE,
    }
    settings = load_settings(folder / CONFIG, environ={}, values=values)
    set_up_log_of(settings, serving=True)
    rows = _market_rows(folder)
    return application(settings, ServeOptions(*where), ending, beside=lambda: sample_api(rows, samples))


def _tell_addresses(listening: socket.socket, folder: Path) -> None:
    from kasparro_app.serving.listening import address_of

    address = address_of(listening)
    say(f"Kasparro listens on {address} (Ctrl-C ends it)")
    print(
        f"""The samples of {folder} come in within seconds, and are looked at again {SCHEDULE}.

  {address}/            the status page
  {address}/data        the records
  {address}/docs        everything that can be asked
  {address}/health      how it is doing
""",
        flush=True,
    )


def _market_rows(folder: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads((folder / "samples" / "markets.json").read_text(encoding="utf-8"))
    return rows


async def _ingest(folder: Path) -> tuple[list[Outcome], Findings]:
    """One cycle, with the API served meanwhile. The environment is left out of it: the demo stays in its folder."""
    from kasparro_app.cli.read import opened_store
    from kasparro_app.demo.findings import look
    from kasparro_app.demo.server import sample_api
    from kasparro_app.settings import load_settings

    async with sample_api(_market_rows(folder)) as address:
        values: dict[KeyPath, str] = {("sources", "market", "url"): address}
        settings = load_settings(folder / CONFIG, environ={}, values=values)
        names = [name for name, config in settings.sources.items() if config.enabled]
        say(f"Serving a sample API at {address}")
        outcomes = await cycle(settings, names)
    async with opened_store(settings) as store:
        return outcomes, await look(store, names)


def _tell(outcomes: list[Outcome], findings: Findings) -> None:
    if all(outcome.run and outcome.run.counters.changed_nothing for outcome in outcomes):
        total = sum(findings.totals.values())
        print(f"\nNothing has changed since the last time: {total} records, none written again.")
    _tell_findings(findings)
    print(
        f"""
What to try next:

  cd {FOLDER}
  kasparro sources                          the three sources and how they did
  kasparro rejections list                  what was refused, and why
  kasparro export --symbol BTC              one asset, as two sources know it
  kasparro export --format csv > all.csv    everything, for a spreadsheet
  kasparro preview samples/candles.csv      what a file becomes, without storing it
  kasparro run prices news                  read again: nothing is written twice
  kasparro replay prices                    normalize the stored bytes again, without the source

For real data, in an empty folder: kasparro init --template crypto && kasparro run
As a service with a status page and an API: kasparro demo --serve"""
    )


def _tell_findings(findings: Findings) -> None:
    for refused in findings.rejections:
        print(f"\nRefused: {refused.source}, {refused.path}: {refused.message}\n  {cell(refused.payload, limit=100)}")
    for edit in findings.edits:
        print(f"\nEdited:  {edit.now.title}\n  earlier version kept: {edit.before.title}")
    if len(findings.shared) > 1:
        print("\nOne asset in two sources:\n")
        _print_records(findings.shared)
    print("\nA few records:\n")
    _print_records(findings.few)


def _print_records(records: list[Record]) -> None:
    columns = ("source", "kind", "key", "title", "symbol", "value", "occurred_at")
    print_table(columns, [[cell(getattr(record, column), limit=44) for column in columns] for record in records])
