"""Opening and closing what the container makes: the HTTP session, the database, the process handle."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from dependency_injector import providers

from kasparro_app.config.schedule import interval_seconds
from kasparro_app.container import Container
from kasparro_app.jobs import job_of
from kasparro_app.settings import Settings
from kasparro_core.config import SourceConfig
from kasparro_core.ports import Clock, Observer, ProcessHandle, Source, Store
from kasparro_core.services.backfill import Backfiller
from kasparro_core.services.budgets import LocalBudgets
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.namings import settle_namings
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

_log = logging.getLogger("kasparro.identity")

WALK_TTL = 3600.0
"""Seconds after which a paged walk that broke off is begun anew, for sources without an interval."""


@dataclass(frozen=True)
class Runtime:
    """A database that is open and migrated, the services on it, and the chosen sources' jobs by name."""

    settings: Settings
    store: Store
    clock: Clock
    runner: Runner
    replayer: Replayer
    backfiller: Backfiller
    jobs: Mapping[str, SourceJob]


def container_of(settings: Settings, observer: Observer | None = None, *, alone: bool = False) -> Container:
    """A container for these settings. Opens nothing. `alone`: sources are read without a database, and the rate budgets
    are those of this process."""
    container = Container(database_url=settings.database_url, root=settings.root, chaos=settings.tables.chaos)
    if observer is not None:
        container.observer.override(providers.Object(observer))
    if alone:
        container.budgets.override(providers.Singleton(LocalBudgets, container.clock))
    return container


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    names: Iterable[str] | None = None,
    observer: Observer | None = None,
    container: Container | None = None,
) -> AsyncIterator[Runtime]:
    """Everything a run of all (or the named) sources needs. An empty or older database is migrated.

    Raises StorageError.
    """
    chosen = container or container_of(settings, observer)
    async with open_sources(settings, chosen, names) as sources, open_store(chosen) as store:
        await store.migrate()
        await say_names(settings, store, chosen.clock())
        yield Runtime(
            settings=settings,
            store=store,
            clock=chosen.clock(),
            runner=chosen.runner(),
            replayer=chosen.replayer(),
            backfiller=chosen.backfiller(),
            jobs={
                name: job_of(settings.sources[name], source, identity=settings.tables.identity.enabled)
                for name, source in sources.items()
            },
        )


async def say_names(settings: Settings, store: Store, clock: Clock) -> None:
    """Bring what the mapping file says into the database, if anything was asked of it. Raises StorageError."""
    if settings.namings is not None and settings.tables.identity.enabled:
        changed = await settle_namings(store, clock, settings.namings)
        if changed:
            _log.info("the mapping file says something new of %d assets: they are decided anew", changed)


@asynccontextmanager
async def open_store(container: Container) -> AsyncIterator[Store]:
    """The database, not migrated. The process handle, if it is taken meanwhile, is given back."""
    async with AsyncExitStack() as stack:
        store = container.store()
        stack.push_async_callback(store.close)
        stack.push_async_callback(open_handle(container).close)
        yield store


def open_handle(container: Container) -> ProcessHandle:
    """The process handle. It takes nothing before it is held."""
    return container.handle()


@asynccontextmanager
async def open_sources(
    settings: Settings, container: Container, names: Iterable[str] | None = None
) -> AsyncIterator[Mapping[str, Source]]:
    """The sources (all, or the named ones) with an open HTTP session. The database is not touched."""
    chosen = settings.sources if names is None else {name: settings.sources[name] for name in names}
    async with container.fetcher():
        yield build_sources(container, chosen)


def build_sources(container: Container, configs: Mapping[str, SourceConfig]) -> dict[str, Source]:
    """Sources by name. They can be read once the container's fetcher is open."""
    return {name: build_source(container, name, config) for name, config in configs.items()}


def build_source(container: Container, name: str, config: SourceConfig) -> Source:
    """One source from its configuration."""
    if config.type == "http":
        walk_ttl = interval_seconds(config.schedule) or WALK_TTL
        return container.source("http", name, config, walk_ttl=walk_ttl)
    return container.source(config.type, name, config)
