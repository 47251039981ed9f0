"""The running service: what request handlers, the scheduler and the event streams share in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from kasparro_app.feed import EventFeed
from kasparro_app.health import Vitals, read_vitals
from kasparro_app.probe import Probe
from kasparro_app.settings import Settings
from kasparro_core.ports import Clock, Store
from kasparro_core.services.desk import Desk
from kasparro_core.services.jobs import SourceJob

STREAMS_AT_ONCE = 2
"""So many whole results are read at one time; one waits for the database while the other is written out."""


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How `kasparro serve` was called. `insecure`: on loopback, changing calls need no key."""

    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    scheduler: bool = True
    insecure: bool = False


@dataclass
class Service:
    """`stopping` is set when the process was told to end: streams end, nothing new is begun. `vitals` and `revision`
    ask the database without waiting long; `feed` tells its events."""

    settings: Settings
    options: ServeOptions
    store: Store
    clock: Clock
    jobs: Mapping[str, SourceJob]
    desk: Desk
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    vitals: Probe[Vitals] = field(init=False)
    revision: Probe[str | None] = field(init=False)
    feed: EventFeed = field(init=False)
    stream_turns: asyncio.Semaphore = field(init=False)
    """Whole results take turns by pages: however many are under way, other requests find the event loop and a
    connection to the database."""

    def __post_init__(self) -> None:
        self.vitals = Probe(lambda: read_vitals(self.store))
        self.revision = Probe(self.store.revision)
        self.feed = EventFeed(self.store, self.stopping)
        self.stream_turns = asyncio.Semaphore(STREAMS_AT_ONCE)
