"""Which observation wins: the part of the RecordRepository contract about the order of states."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro_core.model import RecordVersion, StoredRecord, UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.build import later, observe, record, table, versions
from kasparro_core.testing.strategies import Telling, tellings

_sources = count()
_reuses_the_store = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


class OrderContract:
    """An older observation never overwrites a newer one."""

    async def test_never_replaces_a_newer_occurrence_with_an_older_one(self, store: Store) -> None:
        """A strictly older occurred_at changes nothing without history, however late it is seen."""
        await observe(store, record("k", title="new", occurred_at=later(9)))
        before = await table(store)
        outcome = await observe(store, record("k", title="old", occurred_at=later(1)), seen=later(60))
        assert outcome == UpsertOutcome(0, 0, 1)
        assert await table(store) == before

    async def test_tells_occurrences_apart_by_a_microsecond(self, store: Store) -> None:
        """The smallest difference in occurred_at decides."""
        await observe(store, record("k", title="a", occurred_at=later(1)), seen=later(5))
        await observe(store, record("k", title="old", occurred_at=later(0.999999)), seen=later(6))
        assert (await table(store))["k"].record.title == "a"
        await observe(store, record("k", title="new", occurred_at=later(1.000001)), seen=later(4))
        assert (await table(store))["k"].record.title == "new"

    async def test_takes_a_newer_occurrence_although_it_was_fetched_earlier(self, store: Store) -> None:
        """occurred_at goes before the instant of fetching."""
        await observe(store, record("k", title="old", occurred_at=later(1)), seen=later(60))
        outcome = await observe(store, record("k", title="new", occurred_at=later(9)), seen=later(30))
        assert outcome == UpsertOutcome(0, 1, 0)
        row = (await table(store))["k"]
        assert (row.record.title, row.updated_at) == ("new", later(30))

    @pytest.mark.parametrize(
        ("stored", "arriving"),
        [(1, 1), (None, None), (1, None), (None, 1)],
        ids=["equal", "both-missing", "new-missing", "stored-missing"],
    )
    async def test_where_occurrence_does_not_decide_the_later_observation_wins(
        self, store: Store, stored: int | None, arriving: int | None
    ) -> None:
        """Equal or missing occurred_at: a fetch at the same instant or later replaces; an earlier one does not."""
        first = record("k", title="first", occurred_at=None if stored is None else later(stored))
        when = None if arriving is None else later(arriving)
        await observe(store, first, seen=later(30))
        earlier = await observe(store, record("k", title="earlier", occurred_at=when), seen=later(29))
        assert earlier == UpsertOutcome(0, 0, 1)
        assert (await table(store))["k"].record == first
        same = await observe(store, record("k", title="same", occurred_at=when), seen=later(30))
        assert same == UpsertOutcome(0, 1, 0)
        assert (await table(store))["k"].record.title == "same"

    async def test_goes_by_observation_alone_where_occurrence_does_not_count(self, store: Store) -> None:
        """With by_occurrence=False (articles) the later fetch wins even with an older occurred_at."""
        await observe(store, record("k", title="a", occurred_at=later(9)), seen=later(1), by_occurrence=False)
        await observe(store, record("k", title="b", occurred_at=later(1)), seen=later(2), by_occurrence=False)
        assert (await table(store))["k"].record.title == "b"
        outcome = await observe(
            store, record("k", title="c", occurred_at=later(20)), seen=later(1.5), by_occurrence=False
        )
        assert outcome == UpsertOutcome(0, 0, 1)

    @_reuses_the_store
    @given(pair=tellings(), history=st.booleans())
    async def test_order_and_batch_size_never_change_the_final_table(
        self, store: Store, pair: tuple[Telling, Telling], *, history: bool
    ) -> None:
        """However the same observations are ordered and cut into batches, the same states and versions are left."""
        one, other = _new_source(), _new_source()
        await _tell(store, pair[0], one, history=history)
        await _tell(store, pair[1], other, history=history)
        assert await _left(store, one) == await _left(store, other)

    @_reuses_the_store
    @given(pair=tellings(), history=st.booleans())
    async def test_repeating_everything_changes_nothing(
        self, store: Store, pair: tuple[Telling, Telling], *, history: bool
    ) -> None:
        """A second pass over the same observations, in any order, writes no row and no version."""
        source = _new_source()
        await _tell(store, pair[0], source, history=history)
        before = await table(store, source), await _left(store, source)
        for outcome in await _tell(store, pair[1], source, history=history):
            assert (outcome.inserted, outcome.updated) == (0, 0)
        assert (await table(store, source), await _left(store, source)) == before


def _new_source() -> str:
    """A source of its own for each example: they share one store."""
    return f"story-{next(_sources)}"


async def _tell(store: Store, telling: Telling, source: str, *, history: bool) -> list[UpsertOutcome]:
    return [
        await observe(
            store, *(story.prepared(source) for story in stories), seen=stories[0].seen, history=history, source=source
        )
        for stories in telling
    ]


async def _left(store: Store, source: str) -> dict[str, Any]:
    """States and versions by key, without what counts writes and without the source's name."""
    rows = await table(store, source)
    return {key: (_state(row), [_state(v) for v in await versions(store, key, source)]) for key, row in rows.items()}


def _state(row: StoredRecord | RecordVersion) -> Any:
    seen = row.updated_at if isinstance(row, StoredRecord) else row.observed_at
    return row.record._replace(source=""), row.raw_index, seen
