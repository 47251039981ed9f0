"""One contract, three kinds of process handle: memory, file lock, advisory lock."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable

import pytest
from scripted import SteppingClock

from kasparro_adapters.memory import MemoryHandle, MemoryOwners
from kasparro_core.ports import ProcessHandle
from kasparro_core.testing import ProcessHandleContract


@pytest.fixture(params=["memory", "sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def new_handle(request: pytest.FixtureRequest) -> Callable[[], ProcessHandle]:
    """Makes handles beside one database."""
    if request.param == "memory":
        owners = MemoryOwners()
        return lambda: MemoryHandle(owners)
    from kasparro_adapters.sql import process_handle

    url = request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url")
    return lambda: process_handle(url, SteppingClock())


@pytest.fixture
async def handles(new_handle: Callable[[], ProcessHandle]) -> AsyncIterator[Callable[[], ProcessHandle]]:
    """The same, closed after the test."""
    made: list[ProcessHandle] = []

    def make() -> ProcessHandle:
        made.append(new_handle())
        return made[-1]

    yield make
    for handle in made:
        await handle.close()


class TestHandles(ProcessHandleContract):
    """ProcessHandle."""
