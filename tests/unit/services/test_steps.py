"""Steps that a cancellation must not tear off half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from scripted import SteppingClock

from kasparro_core.errors import PermanentStorageError, TransientStorageError
from kasparro_core.services.steps import retried, unbroken, whole

Guard = Callable[[Awaitable[int]], Awaitable[int]]


@pytest.mark.parametrize("guard", [unbroken, whole])
async def test_a_step_ends_although_its_caller_is_cancelled_twice(guard: Guard) -> None:
    """Neither the first nor a second cancellation takes effect before the step is done."""
    go_on, ended = asyncio.Event(), asyncio.Event()

    async def step() -> int:
        await go_on.wait()
        ended.set()
        return 1

    async def caller() -> int:
        return await guard(step())

    task = asyncio.create_task(caller())
    for _ in range(2):
        await asyncio.sleep(0)
        task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()


@pytest.mark.parametrize(("guard", "seen"), [(unbroken, ValueError), (whole, asyncio.CancelledError)])
async def test_what_a_cancelled_caller_sees_of_a_failing_step(guard: Guard, seen: type[BaseException]) -> None:
    """`unbroken` tells the failure, `whole` the cancellation; undisturbed, both tell the failure."""
    go_on = asyncio.Event()

    async def step() -> int:
        await go_on.wait()
        raise ValueError

    async def caller() -> int:
        return await guard(step())

    task = asyncio.create_task(caller())
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    with pytest.raises(seen):
        await task
    with pytest.raises(ValueError):
        await caller()


async def test_a_passing_fault_is_tried_five_times_over_four_seconds() -> None:
    """Long enough for a server that restarts; then the last fault comes out. What is no passing fault comes out at
    once."""
    clock, attempts = SteppingClock(), []

    async def attempt() -> None:
        attempts.append(1)
        raise TransientStorageError("away")

    with pytest.raises(TransientStorageError):
        await retried(clock, attempt)
    assert (len(attempts), round(sum(clock.slept), 1)) == (5, 4.0)

    async def refuse() -> None:
        attempts.append(1)
        raise PermanentStorageError("full")

    with pytest.raises(PermanentStorageError):
        await retried(clock, refuse)
    assert len(attempts) == 6
