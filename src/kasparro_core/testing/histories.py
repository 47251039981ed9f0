"""What every Histories has to pass: what a run changed, and what stood before."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from kasparro_core.model import Observation, Record
from kasparro_core.model.entity import AssetId, Claim, Decision, Entity, EntityLink, Known
from kasparro_core.model.latest import MOST_FIGURE, MOST_RANK, Earlier, Late, Latest, Twin
from kasparro_core.ports import Store, UnitOfWork
from kasparro_core.testing.build import SOURCE, START, bring_in, later, prepared, record, table

OTHER = "other"


def quote(key: str, value: str | None, at: float | None = None, **fields: Any) -> Record:
    """A quote in USD of the asset with this id, as of so many seconds after START."""
    occurred_at = None if at is None else later(at)
    figures = {name: fields.pop(name) for name in ("rank", "market_cap", "volume_24h") if name in fields}
    given: dict[str, Any] = {"external_id": key, "symbol": "S", "currency": "USD", "attributes": figures, **fields}
    return record(key, value=None if value is None else Decimal(value), occurred_at=occurred_at, **given)


async def run_of(store: Store, *records: Record, seen: float = 0, source: str = SOURCE, history: bool = True) -> int:
    """One run that brings these records in; its id."""
    async with store.begin() as work:
        await bring_in(work, records, seen=later(seen), history=history, source=source)
        await work.commit()
    return await _last_run(store, source)


async def _last_run(store: Store, source: str) -> int:
    async with store.begin(write=False) as work:
        (latest,) = await work.runs.latest(source)
        return latest.last.run_id


async def link(store: Store, entity_id: str, *assets: AssetId) -> None:
    """Make an entity of these assets."""
    known = [
        Known(Claim(asset, "asset"), "h", START, EntityLink(*asset, entity_id, "hand", Decimal(1), {}, START))
        for asset in assets
    ]
    async with store.begin() as work:
        await work.identity.save(Decision(made=[Entity(entity_id, "asset")], known=known))
        await work.commit()


async def changed(store: Store, run_id: int, *, since: datetime = START, **options: Any) -> Sequence[Latest]:
    """What a run changed among the quotes."""
    async with store.begin(write=False) as work:
        return await work.histories.changed(SOURCE, "quote", run_id, since, **options)


class HistoriesContract:
    """What the records of a run are judged by. Needs the fixture `store`."""

    async def test_what_a_run_changed_comes_with_its_figures(self, store: Store) -> None:
        """Keys, exact values, times and the figures of a quote, those seen last first; what stood before is told."""
        await run_of(store, quote("a", "1.50", 1), quote("b", "2"))
        figures = {"rank": 3, "market_cap": Decimal(3333370870735), "volume_24h": Decimal("5.4")}
        run_id = await run_of(store, quote("a", "1.75", 2, **figures), quote("c", None), seen=5)
        ids = {key: row.record_id for key, row in (await table(store)).items()}
        numbers = (Decimal("1.5"), 3, 3333370870735.0, 5.4)
        assert await changed(store, run_id) == [
            Latest(ids["c"], "c", "c", "S", None, "USD", None, later(5)),
            Latest(ids["a"], "a", "a", "S", Decimal("1.75"), "USD", later(2), later(5), *numbers),
        ]

    async def test_figures_beyond_a_float_come_as_the_furthest_ones(self, store: Store) -> None:
        """What no database compares does not make the question fail; what is too small counts as zero."""
        large: dict[str, Any] = {"rank": 10**40, "market_cap": Decimal("1E+900"), "volume_24h": Decimal("-1E+900")}
        small: dict[str, Any] = {"rank": -(10**40), "market_cap": Decimal("1E-900"), "volume_24h": None}
        run_id = await run_of(store, quote("a", "1", **large), quote("b", "1", **small))
        assert [(each.rank, each.market_cap, each.volume) for each in await changed(store, run_id)] == [
            (-MOST_RANK, 0.0, None),
            (MOST_RANK, float(MOST_FIGURE), -float(MOST_FIGURE)),
        ]

    async def test_only_what_the_run_brought_is_changed(self, store: Store) -> None:
        """Not what stayed as it was, what another run, source or kind brought, nor what is gone or was seen before."""
        await run_of(store, quote("same", "1", 1), quote("gone", "1", 1))
        await run_of(store, record("x", source=OTHER, value=Decimal(1)), seen=5, source=OTHER)
        run_id = await run_of(
            store, quote("same", "1", 1), quote("gone", "2", 2), quote("new", "3", 3), record("k", kind="item"), seen=6
        )
        async with store.begin() as work:
            await work.records.mark_gone([(await table(store))["gone"].record_id], later(7))
            await work.commit()
        assert [each.key for each in await changed(store, run_id)] == ["new"]
        assert await changed(store, run_id, since=later(7)) == []
        assert await changed(store, run_id + 1) == []

    async def test_what_was_changed_last_is_what_a_limit_leaves(self, store: Store) -> None:
        """Of many records those with the highest ids of the latest instant."""
        run_id = await run_of(store, *(quote(f"k{n}", "1") for n in range(5)))
        assert [each.key for each in await changed(store, run_id, limit=2)] == ["k4", "k3"]

    async def test_a_value_in_another_currency_stood_not_before(self, store: Store) -> None:
        """The state before counts where it is in the same currency; the last one that is."""
        await run_of(store, quote("a", "10", 1), quote("b", "10", 1, currency=None))
        await run_of(store, quote("a", "9", 2, currency="EUR"), quote("b", "11", 2, currency=None), seen=1)
        run_id = await run_of(store, quote("a", "12", 3), quote("b", "12", 3, currency=None), seen=2)
        assert [(each.key, each.before) for each in await changed(store, run_id)] == [
            ("b", Decimal(11)),
            ("a", Decimal(10)),
        ]

    async def test_the_newest_are_those_added_last(self, store: Store) -> None:
        """Whoever brought them, in descending order of ids, without what is gone or of another kind or source."""
        await run_of(store, quote("a", "1", 1), quote("b", "2", 2), quote("c", "3", 3))
        await run_of(store, quote("a", "4", 4), record("k", kind="item"), seen=3)
        await run_of(store, record("x", source=OTHER), source=OTHER)
        rows = await table(store)
        async with store.begin() as work:
            await work.records.mark_gone([rows["b"].record_id], later(7))
            found = await work.histories.newest(SOURCE, "quote", limit=2)
        assert [(each.key, each.value, each.at) for each in found] == [
            ("c", Decimal(3), later(3)),
            ("a", Decimal(4), later(4)),
        ]
        assert [each.before for each in found] == [None, None]

    async def test_those_are_silent_that_had_states_and_did_not_move(self, store: Store) -> None:
        """Those whose state was seen before the instant, with so many states, the latest first."""
        for n in range(3):
            await run_of(store, quote("a", str(n), n), quote("b", str(n), n), quote("c", str(n), n), seen=n)
        await run_of(store, quote("b", "9", 9), quote("once", "1", 1), seen=5)
        await run_of(store, quote("c", "9", 9), seen=8)
        async with store.begin(write=False) as work:
            histories = work.histories
            assert [each.key for each in await histories.silent(SOURCE, "quote", later(8), revisions=3)] == ["b", "a"]
            last = await histories.silent(SOURCE, "quote", later(8), revisions=3, limit=1)
            assert [(each.key, each.seen_at) for each in last] == [("b", later(5))]
            assert await histories.silent(SOURCE, "quote", later(8), revisions=5) == []
            assert await histories.silent(SOURCE, "item", later(8), revisions=1) == []

    async def test_earlier_states_are_those_seen_last(self, store: Store) -> None:
        """Of each record so many, those seen last first; a late state is among them."""
        for n in range(4):
            await run_of(store, quote("a", str(n), 10 * n), quote("b", str(n), 10 * n), quote("c", "1"), seen=n)
        await run_of(store, quote("a", "7.50", 5, currency="EUR"), seen=9)
        ids = {key: row.record_id for key, row in (await table(store)).items()}
        async with store.begin(write=False) as work:
            found = await work.histories.earlier([ids["a"], ids["c"], ids["b"], 99], limit=2)
            assert await work.histories.earlier([]) == {}
        assert found == {
            ids["a"]: [
                Earlier(Decimal("7.5"), "EUR", later(5), later(9)),
                Earlier(Decimal(2), "USD", later(20), later(2)),
            ],
            ids["b"]: [
                Earlier(Decimal(2), "USD", later(20), later(2)),
                Earlier(Decimal(1), "USD", later(10), later(1)),
            ],
        }

    async def test_what_came_after_a_newer_state_is_late(self, store: Store) -> None:
        """A state of an older instant that came after the one which stands, by this run and no other."""
        await run_of(store, quote("a", "1", 100), quote("b", "1", 100), quote("c", "1"))
        await run_of(store, quote("b", "0", 50), seen=1)
        run_id = await run_of(store, quote("a", "2", 40), quote("b", "3", 110), quote("c", "2"), seen=2)
        async with store.begin(write=False) as work:
            assert await work.histories.late(SOURCE, run_id, later(2)) == [Late("a", later(100), later(40), later(2))]
            assert await work.histories.late(SOURCE, run_id, later(3)) == []
            assert await work.histories.late(OTHER, run_id, later(2)) == []

    async def test_one_run_that_reads_the_newest_first_is_not_late(self, store: Store) -> None:
        """A list of one thing's states from new to old says nothing about a source that goes back."""
        async with store.begin() as work:
            await bring_in(work, [quote("a", "2", 100)], history=True)
            (latest,) = await work.runs.latest(SOURCE)
            await work.commit()
        run_id = latest.last.run_id
        async with store.begin() as work:
            await _again(work, run_id, quote("a", "1", 50), later(1))
            assert await work.histories.late(SOURCE, run_id, START) == []

    async def test_twins_are_what_other_sources_have_of_the_same_entities(self, store: Store) -> None:
        """Their quotes by source, with the value and when it held; none that is gone, has none, or is nobody's."""
        await run_of(store, quote("btc", "100", 1), quote("eth", "10", 1))
        theirs = [quote("bitcoin", "101", 2), quote("wbtc", "99"), quote("ether", None, 2), quote("lone", "1", 1)]
        await run_of(store, *(each._replace(source=OTHER) for each in theirs), seen=3, source=OTHER)
        await link(store, "btc-bitcoin", AssetId(SOURCE, "btc"), AssetId(OTHER, "bitcoin"), AssetId(OTHER, "wbtc"))
        await link(store, "eth-ethereum", AssetId(SOURCE, "eth"), AssetId(OTHER, "ether"))
        await link(store, "lone", AssetId(OTHER, "lone"))
        ids = {key: row.record_id for key, row in (await table(store, OTHER)).items()}
        twins = [
            Twin("btc", "btc-bitcoin", OTHER, ids["bitcoin"], Decimal(101), "USD", later(2)),
            Twin("btc", "btc-bitcoin", OTHER, ids["wbtc"], Decimal(99), "USD", later(3)),
        ]
        async with store.begin() as work:
            assert await work.histories.twins(SOURCE, ["eth", "btc", "nobody's"]) == twins
            assert await work.histories.twins(SOURCE, []) == []
            await work.records.mark_gone([ids["wbtc"]], later(4))
            assert await work.histories.twins(SOURCE, ["btc"]) == twins[:1]


async def _again(work: UnitOfWork, run_id: int, content: Record, seen: datetime) -> None:
    """The same run sees another record."""
    observation = Observation(SOURCE, run_id, None, seen, history=True)
    await work.records.upsert([prepared(content)], observation)
