"""The contract of TotalsStore."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kasparro_core.model import Amounts, Metric, Total
from kasparro_core.ports import Store


class TotalsContract:
    """Sums for ever. Needs a fixture `store`: migrated and empty."""

    async def test_there_are_none_at_first(self, store: Store) -> None:
        """An empty store has no sums, of no source."""
        assert await totals(store) == []
        assert await totals(store, "s") == []

    async def test_amounts_add_up(self, store: Store) -> None:
        """The same metric and label grows, across units of work and within one; others stay apart."""
        await _add(store, "s", {(Metric.RETRIES, "429"): 2, (Metric.RETRIES, "timeout"): 1})
        async with store.begin() as work:
            await work.totals.add("s", {(Metric.RETRIES, "429"): 3})
            await work.totals.add("s", {(Metric.RETRIES, "429"): 4, (Metric.DRIFT, "429"): 1})
            await work.commit()
        assert await totals(store) == [
            Total("s", Metric.DRIFT, "429", 1),
            Total("s", Metric.RETRIES, "429", 9),
            Total("s", Metric.RETRIES, "timeout", 1),
        ]

    async def test_lists_by_source_metric_and_label(self, store: Store) -> None:
        """The order is by code point, whatever the order of adding; a source selects."""
        await _add(store, "b", {(Metric.RETRIES, "5xx"): 1, (Metric.RETRIES, "429"): 1, (Metric.BYTES, ""): 1})
        await _add(store, "a", {(Metric.RUNS, "failed"): 1})
        await _add(store, "B", {(Metric.RUNS, "failed"): 1})
        listed = [(total.source, str(total.metric), total.label) for total in await totals(store)]
        assert listed == [
            ("B", "runs", "failed"),
            ("a", "runs", "failed"),
            ("b", "bytes", ""),
            ("b", "retries", "429"),
            ("b", "retries", "5xx"),
        ]
        assert await totals(store, "a") == [Total("a", Metric.RUNS, "failed", 1)]

    async def test_nothing_is_kept_of_nothing(self, store: Store) -> None:
        """Amounts of 0 make no row, alone and beside others."""
        await _add(store, "s", {})
        await _add(store, "s", {(Metric.BYTES, ""): 0})
        await _add(store, "s", {(Metric.BYTES, ""): 0, (Metric.REQUESTS, ""): 1})
        assert await totals(store) == [Total("s", Metric.REQUESTS, "", 1)]

    async def test_sums_are_large(self, store: Store) -> None:
        """Years of bytes and microseconds fit."""
        await _add(store, "s", {(Metric.BYTES, ""): 2**61})
        await _add(store, "s", {(Metric.BYTES, ""): 2**61})
        assert await totals(store) == [Total("s", Metric.BYTES, "", 2**62)]

    async def test_what_is_rolled_back_does_not_count(self, store: Store) -> None:
        """Without a commit the sums are as before."""
        await _add(store, "s", {(Metric.BYTES, ""): 1})
        async with store.begin() as work:
            await work.totals.add("s", {(Metric.BYTES, ""): 1, (Metric.REQUESTS, ""): 1})
        assert await totals(store) == [Total("s", Metric.BYTES, "", 1)]

    async def test_none_is_lost_when_many_add_at_once(self, store: Store) -> None:
        """Tasks that add the same amounts in different orders all succeed, and everything is in the sums."""
        labels = [f"{n}" for n in range(20)]
        orders = [labels, labels[::-1], labels[10:] + labels[:10], labels[::2] + labels[1::2]]
        amounts = [{(Metric.REJECTIONS, label): 1 for label in order} for order in orders]
        await asyncio.gather(*(_add(store, "s", amounts[n % 4]) for n in range(20)))
        assert [total.value for total in await totals(store)] == [20] * 20


async def totals(store: Store, source: str | None = None) -> Sequence[Total]:
    """The committed sums."""
    async with store.begin(write=False) as work:
        return list(await work.totals.list(source))


async def _add(store: Store, source: str, amounts: Amounts) -> None:
    async with store.begin() as work:
        await work.totals.add(source, amounts)
        await work.commit()
