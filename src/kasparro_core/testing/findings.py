"""The contract of FindingStore, of changes of shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from decimal import Decimal

import pytest

from kasparro_core.model.finding import DriftEvent, FindingQuery
from kasparro_core.ports import Store
from kasparro_core.testing.build import later

Keep = Callable[[Sequence[DriftEvent]], Awaitable[None]]
"""Commits rows as they are, with the ids that they bring."""


def drift(drift_id: int, source: str = "s", run_id: int = 1) -> DriftEvent:
    """A change of shape; what is optional is there for even ids alone."""
    full = drift_id % 2 == 0
    return DriftEvent(
        drift_id,
        source,
        "p",
        run_id,
        later(drift_id),
        "retyped",
        "quotes.USD.prïce",
        "integer" if full else None,
        "text" if full else None,
        Decimal("0.75") if full else None,
        "evolve",
    )


_PLACES = ((2, "s", 1), (4, "other", 1), (5, "s", 2), (8, "s", 3), (9, "other", 2))
"""Id, source and run of each finding."""

QUERIES = [
    (FindingQuery(), [9, 8, 5, 4, 2]),
    (FindingQuery(source="s"), [8, 5, 2]),
    (FindingQuery(source="none"), []),
    (FindingQuery(run_id=2), [9, 5]),
    (FindingQuery(source="s", run_id=2), [5]),
    (FindingQuery(limit=2), [9, 8]),
    (FindingQuery(before=8, limit=2), [5, 4]),
    (FindingQuery(source="s", before=5), [2]),
    (FindingQuery(before=2), []),
]


class FindingContract:
    """Drift. Needs a fixture `store`: migrated and empty, and a fixture `keep` (see Keep)."""

    async def test_findings_come_back_as_they_are(self, store: Store, keep: Keep) -> None:
        """Every field is there, instants and Decimals exactly, absent ones as None."""
        await keep([drift(2), drift(3)])
        async with store.begin(write=False) as work:
            assert list(await work.findings.drift(FindingQuery())) == [drift(3), drift(2)]

    @pytest.mark.parametrize(("query", "ids"), QUERIES, ids=str)
    async def test_lists_drift_newest_first(
        self, store: Store, keep: Keep, query: FindingQuery, ids: list[int]
    ) -> None:
        """Each filter alone and together, below `before`, never more than `limit`."""
        await keep([drift(*place) for place in _PLACES])
        async with store.begin(write=False) as work:
            assert [found.drift_id for found in await work.findings.drift(query)] == ids

    async def test_added_drift_gets_ids_in_order(self, store: Store) -> None:
        """Each event under the next id, whatever id it brought, with every field exactly; ids go on in the next unit of
        work, and are not given for what was rolled back."""
        async with store.begin() as work:
            await work.findings.add_drift([drift(2), drift(3)])
            await work.findings.add_drift([])
            await work.commit()
        async with store.begin() as work:
            await work.findings.add_drift([drift(4)])
        async with store.begin() as work:
            await work.findings.add_drift([drift(6)])
            await work.commit()
        async with store.begin(write=False) as work:
            third, second, first = await work.findings.drift(FindingQuery())
        assert (first.drift_id, second.drift_id) == (1, 2)
        assert third.drift_id >= 3
        assert [replace(each, drift_id=0) for each in (first, second, third)] == [
            replace(drift(given), drift_id=0) for given in (2, 3, 6)
        ]
