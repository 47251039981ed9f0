"""`kasparro sources` and `runs`: the read side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import run_async, say
from kasparro_app.cli.output import print_views

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from kasparro_app.settings import Settings
    from kasparro_core.ports import Store, UnitOfWork

T = TypeVar("T")

OneSource = Annotated[str | None, typer.Option("--source", help="Only this source.")]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1_000_000, help="At most so many.")]

SOURCE_COLUMNS = ("source", "type", "kind", "schedule", "enabled", "records", "last_status", "last_run_at", "anomalies")
RUN_COLUMNS = (
    "run_id", "source", "trigger", "status", "started_at", "seconds", "fetched", "inserted", "updated", "unchanged",
    "rejected", "error",
)  # fmt: skip


@asynccontextmanager
async def opened_store(settings: Settings) -> AsyncIterator[Store]:
    """The database for reading. An empty one is given its tables first; a newer one is refused."""
    from kasparro_app.runtime import container_of, open_store

    async with open_store(container_of(settings)) as store:
        await store.migrate()
        yield store


async def known_to(work: UnitOfWork, settings: Settings, source: str | None) -> None:
    """Raises ConfigurationError for the name of a source that neither the file nor the database knows."""
    from kasparro_core.model import RejectionQuery, RunQuery

    if source is None or source in settings.sources:
        return
    if await work.runs.list(RunQuery(source=source, limit=1)):
        return
    if not await work.rejections.list(RejectionQuery(source=source, limit=1)):
        known_source(settings, source)


async def ask(settings: Settings, question: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """The answer of one read transaction."""
    async with opened_store(settings) as store, store.begin(write=False) as work:
        return await question(work)


def sources(context: typer.Context, *, as_json: AsJson = False) -> None:
    """The configured sources, how many records each has, and how its last run ended."""
    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> list[dict[str, Any]]:
        alarms = await work.findings.open_anomalies()
        return [
            {**await _source_view(work, settings, name), "anomalies": alarms.get(name, 0)} for name in settings.sources
        ]

    views = run_async(ask(settings, question))
    print_views(views, SOURCE_COLUMNS, as_json=as_json, nothing="No sources are configured.")
    for remark in [] if as_json else [remark for view in views for remark in _remarks(view)]:
        say(remark)


def _remarks(view: dict[str, Any]) -> list[str]:
    """What of a source needs a person, and does not fit into a table."""
    name = view["source"]
    gone = [each["partition"] or "it" for each in view["failed_partitions"] if each["state"] == "gone"]
    return [
        *(
            f"{name}: {what} was taken down for good; timed runs leave it alone until a run by hand finds it"
            for what in gone
        ),
        *(f"{name}: {each['partition'] or 'it'} has moved to {each['url']}" for each in view["moved_partitions"]),
        *([f"{name}: {view['gaps']} times everything was new; items in between may be lost"] if view["gaps"] else []),
    ]


async def _source_view(work: UnitOfWork, settings: Settings, name: str) -> dict[str, Any]:
    from kasparro_core.model import RecordQuery

    config = settings.sources[name]
    latest = next(iter(await work.runs.latest(name)), None)
    last = latest.last if latest else None
    states = await work.partitions.list(name)
    return {
        "source": name,
        "type": config.type,
        "kind": config.record_mapping(name).kind,
        "schedule": config.schedule,
        "enabled": config.enabled,
        "records": await work.records.count(RecordQuery(source=name)),
        "last_run_id": last.run_id if last else None,
        "last_status": str(last.status) if last else None,
        "last_run_at": last.started_at if last else None,
        "last_error": last.error if last else None,
        "failed_partitions": [
            {"partition": state.partition, "state": state.state, "error": state.last_error}
            for state in states
            if state.state != "ok"
        ],
        "moved_partitions": [{"partition": state.partition, "url": state.url} for state in states if state.url],
        "gaps": sum(state.gaps for state in states),
    }


def runs(
    context: typer.Context,
    *,
    source: OneSource = None,
    status: Annotated[str | None, typer.Option("--status", help="Only runs in this status.")] = None,
    limit: Limit = 20,
    as_json: AsJson = False,
) -> None:
    """The ledger of runs, newest first."""
    from kasparro_app.views import run_view
    from kasparro_core.model import Run, RunQuery, RunStatus

    settings = invocation(context).settings()
    wanted = one_of("--status", status, list(RunStatus))

    async def question(work: UnitOfWork) -> list[Run]:
        return await work.runs.list(RunQuery(source=source, status=wanted, limit=limit))

    views = [run_view(run) for run in run_async(ask(settings, question))]
    print_views(views, RUN_COLUMNS, as_json=as_json, nothing="No runs.")


def one_of(option: str, value: str | None, known: list[str]) -> str | None:
    """The value of an option, if it is one of the known words. A usage error with a near name if not."""
    from kasparro_app.config.faults import nearest

    words = [str(word) for word in known]
    if value is not None and value not in words:
        close = nearest(value, words)
        meant = f'; did you mean "{close}"?' if close else ""
        raise typer.BadParameter(f"{value!r} is none of {', '.join(words)}{meant}", param_hint=option)
    return value
