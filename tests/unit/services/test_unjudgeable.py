"""Figures that nobody thought of: a run comes to its end whatever can be said of what it brought."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from scripted import LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_core.errors import StorageError
from kasparro_core.model import Run, RunStatus
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.services import outliers, watch
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.run import Runner

FIGURES = {"rank": "rank", "market_cap": "cap", "volume_24h": "volume"}
QUOTES = RecordMapping(
    source="market", kind="quote", key=["id"], external_id="id", symbol="id", value="price",
    currency={"const": "USD"}, occurred_at="at", attributes=FIGURES,
)  # fmt: skip

SMALL = [f"{1 + n % 3}E-900" for n in range(12)]
LARGE = [f"{'-' * (n % 2)}1E+900" for n in range(12)]
CALM = [str(100 + n % 3) for n in range(12)]
DIGITS = "9" * 1_000
ZEROS = [f"0E-{n}" for n in range(12)]


class Market:
    """A store and a source that is read every five minutes."""

    def __init__(self) -> None:
        self.clock = SteppingClock()
        store = MemoryStore(self.clock.now)
        self._runner = Runner(store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, Told())

    def row(self, coin: str, price: str, **fields: Any) -> dict[str, Any]:
        """A quote as of now."""
        return {"id": coin, "price": price, "at": self.clock.now().isoformat(), **fields}

    async def read(self, *rows: dict[str, Any]) -> Run:
        """One run that finds these rows."""
        source = ScriptedSource({"": [list(rows)]}, name="market", clock=self.clock)
        run = await self._runner.run(SourceJob(source, QUOTES, history=True, max_rejected=1), full=True)
        assert run is not None
        self.clock.skip(timedelta(minutes=5).total_seconds())
        return run


@pytest.mark.parametrize(
    "prices",
    [
        pytest.param([*SMALL, "1E+900"], id="far too small for a float, then far too large"),
        pytest.param([*CALM, "1E-900", "100", DIGITS, "101"], id="a spike among usual prices"),
        pytest.param([*LARGE, "5E+999"], id="of both signs, and far too large"),
        pytest.param([*ZEROS, "0", "-1", "5"], id="zero, and below"),
    ],
)
async def test_a_run_succeeds_whatever_its_prices_are(prices: list[str], caplog: pytest.LogCaptureFixture) -> None:
    """Values that are stored exactly and that no float holds are judged like others."""
    market = Market()
    statuses = [(await market.read(market.row("a", price))).status for price in prices]
    assert statuses[-1] is RunStatus.SUCCEEDED
    assert RunStatus.FAILED not in statuses
    assert not caplog.records


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"at": "0001-01-01T00:00:00Z"}, id="the first instant there is"),
        pytest.param({"at": "9999-12-31T23:59:59Z"}, id="the last one"),
        pytest.param({"cap": "1E+900", "volume": "1E+900", "rank": 10**40}, id="far too large"),
        pytest.param({"cap": "1E-900", "volume": "1E-900", "rank": 1}, id="far too small"),
        pytest.param({"cap": "-1E+900", "volume": "-1", "rank": -(10**40)}, id="negative"),
    ],
)
async def test_a_listing_succeeds_whatever_its_figures_are(
    fields: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """Sixty quotes that are all as of the year 1, or have figures beyond any float, are a run like others."""
    market = Market()
    rows = [market.row(f"c{n}", str(1 + n), **fields) for n in range(60)]
    assert (await market.read(*rows)).status is RunStatus.SUCCEEDED
    assert not caplog.records


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), StorageError("a number is out of range")])
async def test_records_that_cannot_be_judged_do_not_fail_the_run(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Their judgement breaks off: the log has it, a bug with its place, and the run succeeds."""

    async def broken(*_args: Any) -> None:
        raise error

    monkeypatch.setattr(outliers, "_judge", broken)
    market = Market()
    with caplog.at_level(logging.WARNING):
        assert (await market.read(market.row("a", "1"))).status is RunStatus.SUCCEEDED
    (told,) = (each for each in caplog.records if "the records of run 1" in each.getMessage())
    assert (told.exc_info is None) == isinstance(error, StorageError)
    assert str(error) in caplog.text


async def test_a_run_that_cannot_be_judged_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Its judgement breaks off within the transaction that ends it: the log has it, and it has ended well."""

    def broken(*_args: Any) -> None:
        raise ValueError("math domain error")

    monkeypatch.setattr(watch, "judge", broken)
    market = Market()
    with caplog.at_level(logging.ERROR):
        assert (await market.read(market.row("a", "1"))).status is RunStatus.SUCCEEDED
    assert "run 1 could not be judged" in caplog.text
