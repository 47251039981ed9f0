"""How a service begins while its database comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import pytest

from kasparro_adapters.memory import MemoryStore
from kasparro_app.config.origin import Origin
from kasparro_app.scheduling.clock import Clockwork
from kasparro_app.service import ServeOptions, Service
from kasparro_app.serving import lifespan
from kasparro_app.settings import settings_of
from kasparro_core.errors import TransientStorageError
from kasparro_core.ports import UnitOfWork


class Hiccups(MemoryStore):
    """A store whose first units of work meet a fault that passes."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[UnitOfWork]:
        if self.left:
            self.left -= 1
            raise TransientStorageError("The connection was lost.")
        async with super().begin(write=write) as work:
            yield work


class Idle:
    """Stands where runs are begun and ends are told: there are none."""

    error: Exception | None = None

    async def stop(self, _deadline: float) -> None:
        """Nothing runs."""

    def fail(self, error: Exception) -> None:
        self.error = error


async def test_a_fault_that_passes_while_it_looks_for_keys_ends_no_service(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    """Open to others, a service looks whether there is a key; a connection lost just then is waited out, not a bug."""
    monkeypatch.setattr(lifespan, "_RETRY", 0.0)
    ending: Any = Idle()
    desk: Any = Idle()
    clock: Any = None
    store = Hiccups(2)
    settings = settings_of({}, Origin("test"), tmp_path, overridable=False)
    service = Service(settings, ServeOptions(host="0.0.0.0"), store, clock, {}, desk)
    life = lifespan.Life(service, ending, nullcontext, None, Clockwork([]))
    async with life():
        async with asyncio.timeout(10):
            while "there is no key" not in caplog.text:
                await asyncio.sleep(0)
    assert ending.error is None
    assert store.left == 0
    assert "waits for its database" in caplog.text
