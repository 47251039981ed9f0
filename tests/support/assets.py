"""Assets of several sources: brought into a store as a batch brings them, and looked at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from random import Random
from typing import Any

from kasparro_core.identity.resolve import resolve
from kasparro_core.model import Observation, Record
from kasparro_core.model.entity import AssetId, EntityLink, EntityQuery, Known, Rulings
from kasparro_core.ports import Store, UnitOfWork
from kasparro_core.services.identify import identify
from kasparro_core.testing.build import bring_in, later, prepared

Groups = set[frozenset[AssetId]]


def coin(source: str, external_id: str, symbol: str, name: str, **attributes: Any) -> Record:
    """A quote of an asset."""
    return Record(source, external_id, "quote", external_id, title=name, symbol=symbol, attributes=attributes)


async def bring(work: UnitOfWork, records: Sequence[Record], *, at: int = 0) -> None:
    """A batch of one source, in a unit of work that somebody else commits."""
    source = records[0].source
    await bring_in(work, records, seen=later(at), source=source)
    await identify(work, [prepared(record) for record in records], Observation(source, 1, None, later(at)))


async def commit(store: Store, *records: Record, at: int = 0) -> None:
    """A batch of one source, committed."""
    async with store.begin() as work:
        await bring(work, records, at=at)
        await work.commit()


async def all_known(store: Store) -> list[Known]:
    """Everything that is kept of every asset that is linked to an entity that stands."""
    async with store.begin(write=False) as work:
        listed = await work.entities.list(EntityQuery(merged=False, limit=100_000))
        links = [link for each in listed for link in await work.entities.links(each.entity_id)]
        known = await work.entities.claims([AssetId(link.source, link.external_id) for link in links])
    return list(known.values())


async def homes(store: Store) -> dict[AssetId, str]:
    """The entity of every asset."""
    return {known.claim.asset: known.link.entity_id for known in await all_known(store)}


def groups_of(links: Iterable[EntityLink]) -> Groups:
    """Which assets are one."""
    found: defaultdict[str, set[AssetId]] = defaultdict(set)
    for link in links:
        found[link.entity_id].add(AssetId(link.source, link.external_id))
    return {frozenset(group) for group in found.values()}


async def groups(store: Store) -> Groups:
    """Which assets are one, as it is kept."""
    return groups_of(known.link for known in await all_known(store))


async def from_nothing(store: Store) -> Groups:
    """Which assets are one, by all claims that are kept resolved at once."""
    known = await all_known(store)
    async with store.begin(write=False) as work:
        said: Rulings = await work.identity.said([each.claim.asset for each in known])
    return groups_of(resolve([each.claim for each in known], said, {}).links)


def market(seed: int, sources: Sequence[str], count: int) -> list[Record]:
    """What several sources list: shared symbols, near names, names that change between sources, and contracts."""
    random, found = Random(seed), []
    for n in range(count):
        symbol = f"S{random.randrange(count // 2)}"
        for source in sources:
            if random.random() < 0.3:
                continue
            name = random.choice([f"Thing {n}", f"Thing {n}", f"Thing {n} Token", f"Wrapped Thing {n}"])
            chain = {"platforms": {"ethereum": f"0x{n % (count // 3):040x}"}} if random.random() < 0.2 else {}
            found.append(coin(source, f"{source}-{n}", symbol, name, **chain))
    return found
