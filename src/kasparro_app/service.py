"""The running service: what request handlers, the scheduler and the event streams share in one process."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from kasparro_app.settings import Settings
from kasparro_core.ports import Clock, Store
from kasparro_core.services.desk import Desk
from kasparro_core.services.jobs import SourceJob


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
    """`stopping` is set when the process was told to end: streams end, nothing new is begun."""

    settings: Settings
    options: ServeOptions
    store: Store
    clock: Clock
    jobs: Mapping[str, SourceJob]
    desk: Desk
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
