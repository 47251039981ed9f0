"""What goes in comes out: the part of the RecordRepository contract about values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kasparro_core.errors import StorageError
from kasparro_core.model import Record
from kasparro_core.ports import Store
from kasparro_core.testing.build import later, observe, record, table
from kasparro_core.testing.strategies import decimals, instants, json_values, texts

DECIMALS = [
    "0",
    "-0",
    "0.00",
    "1.50",
    "-1.5",
    "7E-06",
    "1E+15",
    "0.1000000000000000055511151231257827",
    "12345678901234567890123",
    "1E-1000",
    "-1E-1000",
    "9.99E+999",
    "123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890",
    "0.123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890",
    "-12345678901234567890123456789012345678901234567890.12345678901234567890123456789012345678901234567890",
]

_reuses_the_store = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
)


class ExactnessContract:
    """Decimals, times and texts are the same afterwards."""

    @pytest.mark.parametrize("text", DECIMALS)
    async def test_keeps_decimals_exact(self, store: Store, text: str) -> None:
        """`value` and decimals in attributes keep every digit, whatever their size; 0 is not NULL."""
        value = Decimal(text)
        await observe(store, record("k", value=value, attributes={"volume": value, "list": [value]}))
        stored = (await table(store))["k"].record
        assert isinstance(stored.value, Decimal)
        assert stored.value == value
        assert Decimal(stored.attributes["volume"]) == value
        assert stored.attributes["list"] == [value]

    async def test_tells_zero_from_missing(self, store: Store) -> None:
        """A value of 0 is 0 and a missing one is None, also after a change from one to the other."""
        await observe(store, record("zero", value=Decimal(0)), record("none"))
        await observe(store, record("zero"), record("none", value=Decimal("0.0")), seen=later(1))
        rows = await table(store)
        assert rows["zero"].record.value is None
        assert rows["none"].record.value == 0

    async def test_keeps_a_thousand_digits(self, store: Store) -> None:
        """The longest decimal that the core lets through comes back whole."""
        value = Decimal("-" + "1234567890" * 100)
        await observe(store, record("k", value=value))
        assert (await table(store))["k"].record.value == value

    @pytest.mark.parametrize(
        "instant",
        [
            datetime(1, 1, 1, tzinfo=UTC),
            datetime(1969, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 3, 29, 1, 30, 0, 1, tzinfo=UTC),
            datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
            datetime(2026, 7, 1, 12, 0, 0, 5, tzinfo=timezone(timedelta(hours=5, minutes=45))),
        ],
        ids=str,
    )
    async def test_keeps_instants_to_the_microsecond_and_gives_them_in_utc(
        self, store: Store, instant: datetime
    ) -> None:
        """occurred_at comes back as the same instant, aware, with offset zero, whatever zone it came in."""
        await observe(store, record("k", occurred_at=instant))
        stored = (await table(store))["k"].record.occurred_at
        assert stored == instant
        assert stored.utcoffset() == timedelta(0)

    async def test_gives_its_own_instants_in_utc(self, store: Store) -> None:
        """first_seen_at and updated_at are the observation's instants, aware, in UTC, to the microsecond."""
        await observe(store, record("k", title="a"), seen=later(0.000001))
        await observe(store, record("k", title="b"), seen=later(0.000002))
        row = (await table(store))["k"]
        assert (row.first_seen_at, row.updated_at) == (later(0.000001), later(0.000002))
        assert row.first_seen_at.utcoffset() == row.updated_at.utcoffset() == timedelta(0)

    @pytest.mark.parametrize("field", ["key", "title", "attributes"])
    async def test_never_alters_a_nul_in_silence(self, store: Store, field: str) -> None:
        """A NUL is either kept as it is or refused with a StorageError that leaves nothing; never dropped or cut at."""
        value: Any = {"a": "x\0y"} if field == "attributes" else "x\0y"
        odd = record(**{"key": "k", field: value})
        try:
            await observe(store, odd)
        except StorageError:
            assert await table(store) == {}
        else:
            assert [row.record for row in (await table(store)).values()] == [odd]

    @_reuses_the_store
    @given(
        content=st.builds(
            Record,
            source=st.just("any"),
            key=st.just("k"),
            kind=st.sampled_from(["quote", "candle", "article", "item", "own"]),
            external_id=st.none() | texts(),
            title=st.none() | texts(),
            symbol=st.none() | texts(),
            value=st.none() | decimals(),
            currency=st.none() | texts(),
            url=st.none() | texts(),
            attributes=st.dictionaries(texts(10), json_values(), max_size=4),
        ),
        occurred=st.none() | instants(),
    )
    async def test_keeps_any_record_as_it_is(self, store: Store, content: Record, occurred: datetime | None) -> None:
        """Whatever the core lets through comes back equal, field by field."""
        content = content._replace(occurred_at=occurred)
        await observe(store, content, source="any", by_occurrence=False)
        stored = (await table(store, "any"))["k"].record
        assert stored == content
