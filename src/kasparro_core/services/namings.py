"""What a user's mapping file says, brought into a database."""

from __future__ import annotations

from collections.abc import Collection

from kasparro_core.model.entity import Naming
from kasparro_core.ports import Clock, Store
from kasparro_core.services.identify import name
from kasparro_core.services.steps import retried


async def settle_namings(store: Store, clock: Clock, namings: Collection[Naming]) -> int:
    """Put these namings in the place of those that are kept, and decide anew on the assets of which another thing is
    said than before; returns how many those are. Where nothing has changed it only looks. Raises StorageError."""
    async with store.begin(write=False) as work:
        if set(await work.entities.namings()) == set(namings):
            return 0

    async def once() -> int:
        async with store.begin() as work:
            changed = await name(work, sorted(namings, key=lambda each: each.asset), clock.now())
            await work.commit()
        return len(changed)

    return await retried(clock, once)
