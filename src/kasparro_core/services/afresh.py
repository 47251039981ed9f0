"""All assets decided anew: for rules that have changed since their claims were new."""

from __future__ import annotations

from dataclasses import dataclass

from kasparro_core.model.entity import AssetId
from kasparro_core.ports import Clock, Store, UnitOfWork
from kasparro_core.services.identify import again
from kasparro_core.services.steps import retried

_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True)
class Afresh:
    """What came of it. `assets`: how many were decided; `moved`: how many of them stand in another entity now."""

    assets: int = 0
    moved: int = 0


async def decide_all(store: Store, clock: Clock, *, at_once: int = _AT_ONCE) -> Afresh:
    """Decide anew on every asset that is known, some at a time, beside runs and people; also on what is a crowd. Broken
    off, it has done a part: once more does the rest. Done again, it changes nothing. Raises StorageError."""
    await retried(clock, lambda: _disperse(store))
    done, after = Afresh(), None
    while True:
        step, after = await retried(clock, lambda after=after: _step(store, clock, after, at_once))  # type: ignore[misc]
        if after is None:
            return done
        done = Afresh(done.assets + step.assets, done.moved + step.moved)


async def _disperse(store: Store) -> None:
    async with store.begin() as work:
        await work.identity.lock(None)
        await work.identity.disperse()
        await work.commit()


async def _step(store: Store, clock: Clock, after: AssetId | None, at_once: int) -> tuple[Afresh, AssetId | None]:
    async with store.begin() as work:
        assets = await _next(work, after, at_once)
        if not assets:
            return Afresh(), None
        moved = await again(work, assets, clock.now())
        await work.commit()
    return Afresh(len(assets), len(moved)), assets[-1]


async def _next(work: UnitOfWork, after: AssetId | None, at_once: int) -> list[AssetId]:
    await work.identity.lock(None)
    return [known.claim.asset for known in await work.entities.known(after=after, limit=at_once)]
