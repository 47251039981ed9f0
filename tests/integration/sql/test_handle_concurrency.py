"""Runs of one process begin side by side: its handle is asked by several tasks at once."""

from __future__ import annotations

import asyncio

from kasparro_adapters.sql import process_handle
from kasparro_core.ports import Liveness


async def test_one_handle_serves_many_tasks_at_once(database_url: str) -> None:
    """Twenty tasks hold and judge at the same time, and each is answered."""
    handle, other = process_handle(database_url), process_handle(database_url)
    try:
        await other.hold()
        await asyncio.gather(*(handle.hold() for _ in range(20)))
        answers = await asyncio.gather(*(handle.judge(other.owner) for _ in range(20)))
        assert set(answers) == {Liveness.ALIVE}
    finally:
        await handle.close()
        await other.close()
