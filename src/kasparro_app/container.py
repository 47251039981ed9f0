"""The composition root: which adapter stands behind which port. The only module that names adapter classes.

Every provider is synchronous; what has to be opened and closed is opened and closed by `runtime`.
"""

from __future__ import annotations

from pathlib import Path

from dependency_injector import containers, providers

from kasparro_adapters.clock import SystemClock
from kasparro_adapters.feeds import FeedDecoder, FeedSource
from kasparro_adapters.files import CsvDecoder, CsvSource
from kasparro_adapters.http import AiohttpFetcher, HttpSource, JsonDecoder
from kasparro_adapters.sql import SqlStore, process_handle
from kasparro_adapters.sql.schema import HEAD
from kasparro_app.observers import SilentObserver
from kasparro_core.ports import Clock, Decoder, Observer, ProcessHandle, Source, Store
from kasparro_core.services.desk import Desk
from kasparro_core.services.replay import Replayer
from kasparro_core.services.run import Runner

AT_ONCE = 64
"""Runs of one process that read and write at any moment. Each may wait minutes for an upstream that hangs, so there are
many more places than could work at once; and each may hold a payload or two in memory, so there is an end to them."""


class Container(containers.DeclarativeContainer):
    """`database_url` and `root` have to be given; everything else may be overridden.

    A source is made by `source(type, name, config, walk_ttl=seconds)` (walk_ttl for http alone).
    """

    database_url: providers.Provider[str] = providers.Dependency(instance_of=str)
    root: providers.Provider[Path] = providers.Dependency(instance_of=Path)

    clock: providers.Provider[Clock] = providers.Singleton(SystemClock)
    observer: providers.Provider[Observer] = providers.Singleton(SilentObserver)
    fetcher: providers.Provider[AiohttpFetcher] = providers.Singleton(AiohttpFetcher, clock)
    store: providers.Provider[Store] = providers.Singleton(SqlStore, database_url)
    handle: providers.Provider[ProcessHandle] = providers.Singleton(process_handle, database_url)

    schema_head: providers.Provider[str] = providers.Object(HEAD)

    json_decoder: providers.Provider[Decoder] = providers.Singleton(JsonDecoder)
    csv_decoder: providers.Provider[Decoder] = providers.Singleton(CsvDecoder)
    feed_decoder: providers.Provider[Decoder] = providers.Singleton(FeedDecoder)
    decoders = providers.Dict(json=json_decoder, csv=csv_decoder, feed=feed_decoder)

    http_source: providers.Provider[Source] = providers.Factory(HttpSource, fetcher=fetcher, clock=clock)
    csv_source: providers.Provider[Source] = providers.Factory(CsvSource, root=root, fetcher=fetcher, clock=clock)
    feed_source: providers.Provider[Source] = providers.Factory(FeedSource, root=root, fetcher=fetcher, clock=clock)
    source: providers.Provider[Source] = providers.FactoryAggregate(http=http_source, csv=csv_source, feed=feed_source)

    runner: providers.Provider[Runner] = providers.Singleton(
        Runner, store=store, handle=handle, clock=clock, decoders=decoders, observer=observer, at_once=AT_ONCE
    )
    desk: providers.Provider[Desk] = providers.Singleton(Desk, store=store, clock=clock, runner=runner)
    replayer: providers.Provider[Replayer] = providers.Singleton(
        Replayer, store=store, handle=handle, clock=clock, decoders=decoders, observer=observer
    )
