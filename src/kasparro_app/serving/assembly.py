"""From settings to the application of one serving process. Opens nothing: the application's lifespan does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from pathlib import Path

from starlette.applications import Starlette

from kasparro_app.api.app import build_app
from kasparro_app.container import Container
from kasparro_app.jobs import job_of
from kasparro_app.maintenance import maintain
from kasparro_app.observers import LoggingObserver
from kasparro_app.runtime import build_sources, container_of, open_store
from kasparro_app.scheduling.clock import Beat, Clockwork
from kasparro_app.scheduling.slots import rules_of
from kasparro_app.scheduling.upkeep import Upkeep
from kasparro_app.service import ServeOptions, Service
from kasparro_app.serving.ending import Ending
from kasparro_app.serving.lifespan import Life
from kasparro_app.settings import Settings
from kasparro_core.services.recovery import Recovery
from kasparro_core.services.timetable import Timetable

LOOK_FOR_SLOTS = 0.5
LOOK_FOR_DEAD_RUNS = 2.0
LOOK_FOR_UPKEEP = 60.0

Beside = Callable[[], AbstractAsyncContextManager[object]]


def application(
    settings: Settings,
    options: ServeOptions,
    ending: Ending,
    *,
    runtime: Path | None = None,
    beside: Beside = nullcontext,
) -> Starlette:
    """The application with its lifespan; `beside` is open as long. Raises ConfigurationError."""
    container = container_of(settings, LoggingObserver())
    service = service_of(settings, options, container, ending)
    timetable = Timetable(service.store, service.desk, rules_of(settings.sources), service.jobs)
    life = Life(
        service=service,
        ending=ending,
        opened=lambda: _opened(container, beside),
        timetable=timetable if options.scheduler else None,
        clockwork=Clockwork(_beats(service, container, timetable)),
    )
    return build_app(service, lifespan=life, runtime=runtime)


def service_of(settings: Settings, options: ServeOptions, container: Container, ending: Ending) -> Service:
    """The service on a container, with the jobs of all sources that are enabled. Raises ConfigurationError."""
    enabled = {name: config for name, config in settings.sources.items() if config.enabled}
    sources = build_sources(container, enabled)
    return Service(
        settings=settings,
        options=options,
        store=container.store(),
        clock=container.clock(),
        jobs={
            name: job_of(enabled[name], source, identity=settings.tables.identity.enabled)
            for name, source in sources.items()
        },
        desk=container.desk(),
        stopping=ending.stopping,
    )


def _beats(service: Service, container: Container, timetable: Timetable) -> list[Beat]:
    recovery = Recovery(service.store, container.runner().claims, service.desk, service.jobs)
    upkeep = Upkeep(service.store, lambda: maintain(service.store, service.clock, service.settings))
    return [
        Beat("the scheduler", LOOK_FOR_SLOTS, timetable.tick),
        Beat("the look-out for dead runs", LOOK_FOR_DEAD_RUNS, recovery.look),
        Beat("the daily maintenance", LOOK_FOR_UPKEEP, upkeep.tick),
    ]


@asynccontextmanager
async def _opened(container: Container, beside: Beside) -> AsyncIterator[None]:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(beside())
        await stack.enter_async_context(container.fetcher())
        await stack.enter_async_context(open_store(container))
        yield
