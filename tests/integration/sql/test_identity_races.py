"""Two that decide at the same time, on real connections: one coin is never made twice, and nobody waits for ever.

Nothing is tried again here: a deadlock would fail the test that meets it. KASPARRO_TEST_RACE_ASSETS gives how many
assets there are (by default few)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from random import Random

import pytest
from assets import bring, coin, commit, from_nothing, groups, homes, market

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.stripes import stripes_of
from kasparro_core.model import Observation, Record
from kasparro_core.model.entity import AssetId, EntityQuery, Verdict
from kasparro_core.services.identify import identify, rule
from kasparro_core.testing.build import later, prepared

SIZE = int(os.environ.get("KASPARRO_TEST_RACE_ASSETS", "60"))
postgres_alone = pytest.mark.postgres


@pytest.fixture
async def stores(database_url: str) -> AsyncIterator[list[SqlStore]]:
    """Two processes' stores of one database."""
    opened = [SqlStore(database_url), SqlStore(database_url)]
    yield opened
    for each in opened:
        await each.close()


@pytest.fixture
async def on_postgres(postgres_url: str) -> AsyncIterator[SqlStore]:
    """A database that lets two units of work write at once."""
    opened = SqlStore(postgres_url)
    yield opened
    await opened.close()


async def _load(store: SqlStore, batches: Sequence[Sequence[Record]]) -> None:
    for batch in batches:
        await commit(store, *batch)


async def _replay(store: SqlStore, batches: Sequence[Sequence[Record]]) -> None:
    """As a replay that changes no record: nothing but the blocks keeps two of them apart."""

    for batch in batches:
        async with store.begin() as work:
            seen = Observation(batch[0].source, 1, None, later(1))
            await identify(work, [prepared(record) for record in batch], seen)
            await work.commit()


def _parts(records: Sequence[Record], source: str, seed: int) -> list[list[Record]]:
    rows = [record for record in records if record.source == source]
    Random(seed).shuffle(rows)
    return [rows[start : start + 7] for start in range(0, len(rows), 7)]


@pytest.mark.parametrize("load", [_load, _replay], ids=["runs", "replays"])
async def test_two_sources_load_at_the_same_time(stores: list[SqlStore], load) -> None:  # type: ignore[no-untyped-def]
    """From two processes, in other orders: the groups are those of all claims together, and each id is given once."""
    records = market(1, ["a", "b"], SIZE)
    await asyncio.gather(
        *(
            load(store, _parts(records, source, seed))
            for seed, (store, source) in enumerate(zip(stores, "ab", strict=True))
        )
    )
    kept = await groups(stores[0])
    assert kept == await from_nothing(stores[0])
    assert len([group for group in kept if len(group) > 1]) > SIZE // 10
    async with stores[0].begin(write=False) as work:
        standing = await work.entities.list(EntityQuery(merged=False, limit=10_000))
    assert len(standing) == len(kept)


async def test_a_person_decides_while_sources_load(stores: list[SqlStore]) -> None:
    """Merges by hand beside two loads: nobody meets a deadlock, and every word holds in the end."""
    records = market(2, ["a", "b"], SIZE)
    first = [record for record in records if record.source == "a"][:10]
    await commit(stores[0], *first)
    assets = [AssetId("a", record.external_id or "") for record in first]
    pairs = list(zip(assets[::2], assets[1::2], strict=True))

    async def merge(pair: tuple[AssetId, AssetId]) -> None:
        async with stores[1].begin() as work:
            await rule(work, Verdict.SAME, [pair], later(5))
            await work.commit()

    async def merge_all() -> None:
        for pair in pairs:
            await merge(pair)

    await asyncio.gather(
        _load(stores[0], _parts(records, "a", 3)), _load(stores[1], _parts(records, "b", 4)), merge_all()
    )
    found = await homes(stores[0])
    assert all(found[one] == found[other] for one, other in pairs)
    assert await groups(stores[0]) == await from_nothing(stores[0])


async def test_a_unit_of_work_that_dies_leaves_the_other_one_right(stores: list[SqlStore]) -> None:
    """What the first one wrote and did not commit is not there for the second, which makes the entity itself."""
    with pytest.raises(RuntimeError, match="killed"):
        async with stores[0].begin() as work:
            await bring(work, [coin("a", "bitcoin", "BTC", "Bitcoin")])
            raise RuntimeError("killed")
    await commit(stores[1], coin("b", "btc-bitcoin", "BTC", "Bitcoin"))
    assert await homes(stores[0]) == {AssetId("b", "btc-bitcoin"): "btc-bitcoin"}


def _two_stripes() -> tuple[str, str]:
    keys = [f"s:asset:{n}" for n in range(9)]
    return keys[0], next(key for key in keys if stripes_of([key]) != stripes_of(keys[:1]))


@postgres_alone
async def test_others_wait_for_the_same_block_alone(on_postgres: SqlStore) -> None:
    """A block that nobody holds is had at once; one that is held is had when it is given back."""
    mine, other = _two_stripes()
    async with on_postgres.begin() as first:
        await first.identity.lock([mine])
        async with on_postgres.begin() as second:
            await second.identity.lock([other])
        waiting = asyncio.ensure_future(_locked(on_postgres, [mine]))
        await _blocked(on_postgres)
        assert not waiting.done()
    assert await waiting


@postgres_alone
async def test_two_that_need_more_do_not_wait_for_one_another(on_postgres: SqlStore) -> None:
    """Each holds what the other one needs next: who begins anew gives back what it held, so that both come through."""
    mine, other = _two_stripes()
    async with on_postgres.begin() as first, on_postgres.begin() as second:
        assert await first.identity.lock([mine])
        assert await second.identity.lock([other])
        waiting = asyncio.ensure_future(first.identity.lock([mine, other]))
        await _blocked(on_postgres)
        later_on = asyncio.ensure_future(second.identity.lock([mine, other]))
        assert await waiting is False
        await first.commit()
        assert await later_on is False
        await second.commit()


@postgres_alone
async def test_a_load_and_a_person_never_wait_for_one_another(on_postgres: SqlStore) -> None:
    """A load holds the row that gives out change_seqs when it comes to its blocks; a person holds all blocks and asks
    for that row never, and for the row of events last of all: so the load waits, and the person comes through."""
    known = [coin("a", str(n), f"S{n}", f"Thing {n}") for n in range(3)]
    await commit(on_postgres, *known)
    async with on_postgres.begin() as person:
        await rule(person, Verdict.SAME, [(AssetId("a", "0"), AssetId("a", "1"))], later(1))
        load = asyncio.ensure_future(commit(on_postgres, coin("b", "1", "S1", "Thing 1")))
        await _blocked(on_postgres)
        await rule(person, Verdict.SAME, [(AssetId("a", "1"), AssetId("a", "2"))], later(1))
        await person.commit()
    await load
    assert len(set((await homes(on_postgres)).values())) == 1


async def _locked(store: SqlStore, keys: list[str]) -> bool:
    async with store.begin() as work:
        return await work.identity.lock(keys)


async def _blocked(store: SqlStore) -> None:
    """Until somebody waits for a lock of blocks: asked of the server, which knows."""
    asked = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
    async with store.begin(write=False) as work:
        for _ in range(20_000):
            if (await work._session.driver_sql(asked)).scalar_one():
                return
    raise AssertionError("nobody waits for a block")
