"""The composition root: which adapter stands behind which port. The only module that names adapter classes.

Every provider is synchronous; what has to be opened and closed is opened and closed by `runtime`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dependency_injector import containers, providers

from kasparro_adapters.chaos import ChaosSource, ChaosStore, Faults
from kasparro_adapters.clock import SystemClock
from kasparro_adapters.feeds import FeedDecoder, FeedSource
from kasparro_adapters.files import CsvDecoder, CsvSource
from kasparro_adapters.http import AiohttpFetcher, JsonDecoder, make_http_source
from kasparro_adapters.sql import SqlStore, process_handle
from kasparro_adapters.sql.schema import HEAD
from kasparro_app.config.tables import ChaosTable
from kasparro_app.observers import SilentObserver
from kasparro_app.version import program_version
from kasparro_core.ports import Budgets, Clock, Decoder, Observer, ProcessHandle, Source, Store
from kasparro_core.services.backfill import Backfiller
from kasparro_core.services.budgets import StoredBudgets
from kasparro_core.services.desk import Desk
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

AT_ONCE = 64
"""Runs of one process that read and write at any moment. Each may wait minutes for an upstream that hangs, so there are
many more places than could work at once; and each may hold a payload or two in memory, so there is an end to them."""


def _faults(table: ChaosTable, clock: Clock) -> Faults | None:
    """What goes wrong on purpose. None: nothing, and nothing is wrapped."""
    if not table.enabled:
        return None
    faults = Faults(
        clock,
        rate=table.rate,
        latency=table.latency,
        seed=table.seed,
        points=table.points,
        fail_after=table.fail_after,
    )
    faults.announce()
    return faults


def _store(database: Store, faults: Faults | None) -> Store:
    return database if faults is None else ChaosStore(database, faults)


def _source(
    make: Callable[..., Source], faults: Faults | None, decoders: Mapping[str, Decoder], *args: Any, **options: Any
) -> Source:
    source = make(*args, **options)
    return source if faults is None else ChaosSource(source, faults, decoders)


class Container(containers.DeclarativeContainer):
    """`database_url` and `root` have to be given; everything else may be overridden. `chaos` may be given too.

    A source is made by `source(type, name, config, walk_ttl=seconds)` (walk_ttl for http alone).
    """

    database_url: providers.Provider[str] = providers.Dependency(instance_of=str)
    root: providers.Provider[Path] = providers.Dependency(instance_of=Path)

    chaos: providers.Provider[ChaosTable] = providers.Object(ChaosTable())

    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)
    observer: providers.Provider[Observer] = providers.Singleton(SilentObserver)
    faults: providers.Provider[Faults | None] = providers.Singleton(_faults, chaos, clock)
    database: providers.Provider[Store] = providers.Singleton(SqlStore, database_url)
    store: providers.Provider[Store] = providers.Singleton(_store, database, faults)
    handle: providers.Provider[ProcessHandle] = providers.Singleton(process_handle, database_url, clock)
    budgets: providers.Provider[Budgets] = providers.Singleton(StoredBudgets, store, clock)
    fetcher: providers.Provider[AiohttpFetcher] = providers.Singleton(AiohttpFetcher, clock, budgets=budgets)

    code_version: providers.Provider[str] = providers.Callable(program_version)
    schema_head: providers.Provider[str] = providers.Object(HEAD)

    json_decoder: providers.Provider[Decoder] = providers.Singleton(JsonDecoder)
    csv_decoder: providers.Provider[Decoder] = providers.Singleton(CsvDecoder)
    feed_decoder: providers.Provider[Decoder] = providers.Singleton(FeedDecoder)
    decoders = providers.Dict(json=json_decoder, csv=csv_decoder, feed=feed_decoder)

    http_source: providers.Provider[Source] = providers.Factory(make_http_source, fetcher=fetcher, clock=clock)
    csv_source: providers.Provider[Source] = providers.Factory(CsvSource, root=root, fetcher=fetcher, clock=clock)
    feed_source: providers.Provider[Source] = providers.Factory(FeedSource, root=root, fetcher=fetcher, clock=clock)
    sound_source: providers.Provider[Source] = providers.FactoryAggregate(
        http=http_source, csv=csv_source, feed=feed_source
    )
    source: providers.Provider[Source] = providers.Callable(_source, sound_source.provider, faults, decoders)

    runner: providers.Provider[Runner] = providers.Singleton(
        Runner,
        store=store,
        handle=handle,
        clock=clock,
        decoders=decoders,
        observer=observer,
        at_once=AT_ONCE,
        code_version=code_version,
    )
    desk: providers.Provider[Desk] = providers.Singleton(Desk, store=store, clock=clock, runner=runner)
    backfiller: providers.Provider[Backfiller] = providers.Singleton(
        Backfiller, store=store, clock=clock, runner=runner
    )
    replayer: providers.Provider[Replayer] = providers.Singleton(
        Replayer,
        store=store,
        handle=handle,
        clock=clock,
        decoders=decoders,
        observer=observer,
        code_version=code_version,
    )
