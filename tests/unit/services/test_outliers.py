"""Which records of a run stand out, told once, over the in-memory store and scripted sources."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from scripted import EPOCH, LinesDecoder, ScriptedSource, SteppingClock, Told

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_adapters.memory.histories import MemoryHistories
from kasparro_core.errors import KasparroError, PermanentSourceError
from kasparro_core.model import EventType, Run, Trigger
from kasparro_core.model.anomaly import Anomaly, AnomalyQuery, AnomalyScope, AnomalyState
from kasparro_core.model.entity import AssetId
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.policy.plausible import FEWEST_SIBLINGS
from kasparro_core.services import outliers
from kasparro_core.services.jobs import SourceJob
from kasparro_core.services.outlier_findings import MOST_SINGLE
from kasparro_core.services.run import Runner
from kasparro_core.testing.histories import link

FIGURES = {"rank": "rank", "market_cap": "cap", "volume_24h": "volume"}
METRICS = frozenset(outliers.RecordMetric)


def quotes(source: str) -> RecordMapping:
    return RecordMapping(
        source=source, kind="quote", key=["id"], external_id="id", symbol="symbol", value="price",
        currency={"const": "USD"}, occurred_at="at", attributes=FIGURES,
    )  # fmt: skip


CANDLES = RecordMapping(
    source="candles", kind="candle", key=["coin", "at"], external_id="coin", value="close", occurred_at="at"
)


class Market:
    """One store, sources that are read every five minutes, and what is found."""

    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore(self.clock.now)
        self.told = Told()
        self._runner = Runner(
            self.store, MemoryHandle(MemoryOwners()), self.clock, {"lines": LinesDecoder()}, self.told
        )

    def row(self, coin: str, price: float, *, minutes: float = 0, **fields: Any) -> dict[str, Any]:
        """A quote as of now, or so many minutes later."""
        at = self.clock.now() + timedelta(minutes=minutes)
        return {"id": coin, "symbol": "S", "price": price, "at": at.isoformat(), **fields}

    async def read(
        self,
        *rows: dict[str, Any],
        name: str = "market",
        trigger: Trigger = Trigger.CLI,
        minutes: float = 5,
        fails: KasparroError | None = None,
        **job: Any,
    ) -> Run:
        """One run that finds these rows; then time goes by."""
        mapping = job.pop("mapping", None) or quotes(name)
        source = ScriptedSource({"": [fails or list(rows)]}, name=name, clock=self.clock)
        given = {"history": mapping.kind == "quote", "max_rejected": 1, **job}
        run = await self._runner.run(SourceJob(source, mapping, **given), trigger=trigger, full=True)
        assert run is not None
        self.clock.skip(60 * minutes)
        return run

    async def found(self) -> Sequence[Anomaly]:
        """What was found of records, the oldest first."""
        async with self.store.begin(write=False) as work:
            found = await work.findings.anomalies(AnomalyQuery(limit=500))
        return [each for each in reversed(found) if each.metric in METRICS]

    async def subjects(self) -> list[tuple[str, str, str]]:
        """Metric, subject and state of each."""
        return [(each.metric, each.subject, str(each.state)) for each in await self.found()]

    def notes(self) -> int:
        """How many findings of records the observer was told."""
        told = [event for event in self.told.events if event[0] == "noted" and event[2] == str(EventType.ANOMALY)]
        return sum(1 for event in told if event[3]["metric"] in METRICS)


@pytest.fixture
def market() -> Market:
    return Market()


async def calm(market: Market, runs: int, *coins: str, **job: Any) -> None:
    """So many runs in which the price of each coin goes up and down by 1 %."""
    for n in range(runs):
        await market.read(*(market.row(coin, 100 + n % 3) for coin in coins or ["btc"]), **job)


async def test_a_value_off_its_history_is_told_once_and_is_over_when_it_comes_back(market: Market) -> None:
    """A price a hundred times too high is a finding of the record, with its numbers; the next sound price ends it, and
    another fault is another finding."""
    await calm(market, 24, "btc", "eth")
    run = await market.read(market.row("btc", 10_000), market.row("eth", 101))
    (found,) = await market.found()
    assert (found.source, found.run_id, found.scope) == ("market", run.run_id, AnomalyScope.RECORD)
    assert (found.metric, found.subject, found.found) == ("record_value", "btc", Decimal(10_000))
    assert found.expected_low is not None
    assert found.expected_high is not None
    assert found.expected_low < 100 < found.expected_high < 300
    assert found.explanation.startswith("btc is at 10,000 USD, outside of the ")
    assert found.evidence["history"] == 24
    await market.read(market.row("btc", 101), market.row("eth", 100))
    assert await market.subjects() == [("record_value", "btc", "resolved")]
    await market.read(market.row("btc", 1), market.row("eth", 99))
    assert await market.subjects() == [("record_value", "btc", "resolved"), ("record_value", "btc", "open")]
    assert market.notes() == 2


async def test_what_a_run_did_not_change_is_not_judged_again(market: Market) -> None:
    """The price stays wrong and is not sent again: the finding stands as it was; another coin's moves do not end it."""
    await calm(market, 12, "btc", "eth")
    wrong = market.row("btc", 10_000)
    for n in range(3):
        await market.read(wrong, market.row("eth", 100 + n))
    (found,) = await market.found()
    assert (found.state, found.times) == (AnomalyState.OPEN, 1)
    assert market.notes() == 1


async def test_a_run_that_changed_nothing_asks_nothing(market: Market, monkeypatch: pytest.MonkeyPatch) -> None:
    """No record is read for it."""
    rows = [market.row("btc", 100)]
    await market.read(*rows)
    asked: list[str] = []
    for name in ("changed", "newest", "silent", "earlier", "late", "twins"):
        monkeypatch.setattr(MemoryHistories, name, lambda *_args, name=name, **_options: asked.append(name))
    await market.read(*rows)
    assert asked == []


@pytest.mark.parametrize("how", [{"trigger": Trigger.BACKFILL}, {"trigger": Trigger.REPLAY}, {"anomalies": False}])
async def test_the_past_and_sources_that_say_no_are_not_judged(market: Market, how: dict[str, Any]) -> None:
    """Backfills, replays, and sources with `anomalies = false`."""
    await calm(market, 12)
    await market.read(market.row("btc", 10_000), **how)
    assert await market.found() == []


async def test_without_history_a_quote_has_no_past(market: Market) -> None:
    """Nothing is compared that is not kept."""
    await calm(market, 12, history=False)
    await market.read(market.row("btc", 10_000), history=False)
    assert await market.found() == []


async def test_another_currency_is_another_series(market: Market) -> None:
    """Prices in BTC are not compared with those in USD."""
    await calm(market, 12)
    other = RecordMapping(**{**quotes("market").model_dump(exclude_unset=True), "currency": {"const": "BTC"}})
    await market.read(market.row("btc", 0.001), mapping=other)
    assert await market.found() == []


async def test_many_at_once_are_one_finding_of_the_source(market: Market) -> None:
    """A unit that changed moves all coins by a thousand: one finding with examples, that goes on while it lasts and
    leaves the single ones alone."""
    coins = [f"c{n:02d}" for n in range(MOST_SINGLE + 10)]
    await calm(market, 12, *coins)
    await market.read(market.row("c00", 100_000), *(market.row(coin, 101) for coin in coins[1:]))
    await market.read(*(market.row(coin, 0.1) for coin in coins))
    single, many = await market.found()
    assert (single.subject, single.state) == ("c00", AnomalyState.OPEN)
    assert (many.scope, many.metric, many.subject, many.found) == (AnomalyScope.SOURCE, "record_value", "", Decimal(30))
    assert many.explanation.startswith("30 of the 30 records that were looked at stand out in this way. The first of ")
    assert many.evidence["subjects"][:1] == ["c29"]
    await market.read(*(market.row(coin, 100) for coin in coins[:5]))
    assert await market.subjects() == [("record_value", "c00", "resolved"), ("record_value", "", "open")]
    await market.read(*(market.row(coin, 101) for coin in coins))
    assert await market.subjects() == [("record_value", "c00", "resolved"), ("record_value", "", "resolved")]


async def test_what_is_left_of_many_is_told_singly(market: Market) -> None:
    """Of thirty coins three go on to be wrong: they do not hide behind the finding of all, which is over."""
    coins = [f"c{n:02d}" for n in range(MOST_SINGLE + 10)]
    await calm(market, 12, *coins)
    await market.read(*(market.row(coin, 100_000) for coin in coins))
    wrong = [market.row(coin, 0.1) for coin in coins[:3]]
    await market.read(*wrong, *(market.row(coin, 101) for coin in coins[3:]))
    singly = [("record_value", coin, "open") for coin in coins[:3]]
    assert sorted(await market.subjects()) == sorted([("record_value", "", "resolved"), *singly])
    assert market.notes() == 4


async def test_a_first_rank_that_nobody_trades_is_told_once_however_often_it_comes(market: Market) -> None:
    """The listing of each run shows it; it is one finding whose count grows."""
    for n in range(4):
        sound = [
            market.row(f"c{rank}", 100 + n % 2, rank=rank, cap=1e12 / rank, volume=1e10 / rank) for rank in range(2, 40)
        ]
        await market.read(market.row("ticoex-token", 0.0003, rank=1, cap=3.3e12, volume=5.4 + n / 10), *sound)
    (found,) = await market.found()
    assert (found.metric, found.subject, found.times, found.found) == (
        "record_market", "ticoex-token", 4, Decimal("5.7"),
    )  # fmt: skip
    assert (found.evidence["rank"], found.evidence["compared_with"]) == (1, 22)
    assert market.notes() == 1


async def test_a_run_that_brings_too_few_to_compare_with_ends_no_finding(market: Market) -> None:
    """Ten runs of which every second one changes three assets alone: the coin is told once, and is open in the end."""
    for n in range(10):
        count = 40 if n % 2 == 0 else 5
        sound = [market.row(f"c{rank}", n, rank=rank, cap=1e12 / rank, volume=1e10 / rank) for rank in range(2, count)]
        await market.read(market.row("ticoex-token", n, rank=1, cap=3.3e12, volume=5.4), *sound)
    (found,) = await market.found()
    assert (found.subject, found.state, found.times) == ("ticoex-token", AnomalyState.OPEN, 5)


async def test_what_is_older_than_its_siblings_is_told(market: Market) -> None:
    """One ticker in forty that is weeks old, until it is as of now."""

    def rows(old: float) -> list[dict[str, Any]]:
        return [*(market.row(f"c{n}", 1) for n in range(40)), market.row("old", 1, minutes=-old)]

    await market.read(*rows(60 * 24 * 57))
    (found,) = await market.found()
    assert (found.metric, found.subject, found.state) == ("record_behind", "old", AnomalyState.OPEN)
    assert found.found == pytest.approx(57 * 86_400, abs=5)
    await market.read(*rows(0))
    assert await market.subjects() == [("record_behind", "old", "resolved")]


async def test_what_fell_silent_while_the_others_move_is_told(market: Market) -> None:
    """A coin that moved every twenty minutes and has not for seven hours, beside forty that do; it ends when it
    moves."""
    coins = [f"c{n}" for n in range(40)]
    await calm(market, 12, *coins, "mute", minutes=20)
    stuck = market.row("mute", 100)
    for n in range(21):
        await market.read(stuck, *(market.row(coin, 100 + n % 2) for coin in coins), minutes=20, mark_gone=True)
    await market.read(stuck, *(market.row(coin, 102) for coin in coins), mark_gone=True)
    (found,) = await market.found()
    assert (found.metric, found.subject, found.evidence["others_moved"]) == ("record_silent", "mute", 40)
    assert "mute has not changed for " in found.explanation
    await market.read(market.row("mute", 100), *(market.row(coin, 101) for coin in coins), mark_gone=True)
    assert await market.subjects() == [("record_silent", "mute", "resolved")]


async def test_a_source_that_takes_back_an_instant_is_told(market: Market) -> None:
    """An hour is what caches differ by; a day is not. It stands until somebody closes it."""
    await market.read(market.row("btc", 100), market.row("eth", 10))
    await market.read(market.row("btc", 101, minutes=-60 * 24), market.row("eth", 11, minutes=-30))
    (found,) = await market.found()
    assert (found.metric, found.subject) == ("record_backwards", "btc")
    assert found.found == pytest.approx(86_400 - 300, abs=5)
    assert "btc went back in time: its source now says that it is as of " in found.explanation
    await market.read(market.row("btc", 102))
    assert await market.subjects() == [("record_backwards", "btc", "open")]


def candle(coin: str, day: int, close: float) -> dict[str, Any]:
    return {"coin": coin, "at": (EPOCH + timedelta(days=day)).isoformat(), "close": close}


async def test_a_candle_off_its_series_is_told(market: Market) -> None:
    """Within one load, beside those before and after it; and one that comes alone, beside those before."""
    rows = [candle(coin, day, price + day % 3) for coin, price in (("btc", 100), ("eth", 10)) for day in range(40)]
    rows[20]["close"] = 1.06
    await market.read(*rows, name="candles", mapping=CANDLES)
    (found,) = await market.found()
    wrong = f'["btc","{rows[20]["at"]}"]'
    assert (found.metric, found.subject, found.found) == ("record_value", wrong, Decimal("1.06"))
    await market.read(candle("btc", 40, 100), candle("eth", 40, 1000), name="candles", mapping=CANDLES)
    *_, last = await market.found()
    assert (last.found, last.evidence["history"]) == (Decimal(1000), 30)
    assert len(await market.found()) == 2


async def test_series_of_no_asset_are_not_judged(market: Market) -> None:
    """Candles that name neither an id nor a symbol may be those of many assets."""
    mapping = RecordMapping(source="candles", kind="candle", key=["at"], value="close", occurred_at="at")
    rows = [candle("", day, 100) for day in range(40)]
    rows[20]["close"] = 1.06
    await market.read(*rows, name="candles", mapping=mapping)
    assert await market.found() == []


async def test_two_sources_that_disagree_are_told_once(market: Market) -> None:
    """The run that sees it tells it, the other source's run does not tell it again; it ends when they agree."""
    await market.read(market.row("btc", 100), market.row("eth", 10), name="a")
    await market.read(market.row("bitcoin", 101), market.row("ether", 10), name="b")
    await link(market.store, "btc-bitcoin", AssetId("a", "btc"), AssetId("b", "bitcoin"))
    await link(market.store, "eth-ethereum", AssetId("a", "eth"), AssetId("b", "ether"))
    await market.read(market.row("bitcoin", 250), market.row("ether", 10.1), name="b")
    (found,) = await market.found()
    assert (found.source, found.metric, found.subject) == ("b", "spread", "btc-bitcoin")
    assert (found.found, found.expected_high) == (Decimal("2.5"), Decimal(2))
    assert found.evidence["values"] == {"a": "100", "b": "250"}
    await market.read(market.row("btc", 101), name="a")
    assert await market.subjects() == [("spread", "btc-bitcoin", "open")]
    await market.read(market.row("bitcoin", 101.5), name="b")
    assert await market.subjects() == [("spread", "btc-bitcoin", "resolved")]


async def test_a_spread_that_was_always_there_is_usual(market: Market) -> None:
    """Two markets that differed by a factor of three for an hour: known, and not told; ten is."""
    await market.read(market.row("btc", 100), name="a")
    await market.read(market.row("bitcoin", 300), name="b")
    for n in range(6):
        await market.read(market.row("btc", 100 + n), name="a", minutes=1)
        await market.read(market.row("bitcoin", 300 + n), name="b")
    await link(market.store, "btc-bitcoin", AssetId("a", "btc"), AssetId("b", "bitcoin"))
    await market.read(market.row("btc", 99), name="a", minutes=1)
    await market.read(market.row("bitcoin", 310), name="b")
    assert await market.found() == []
    await market.read(market.row("btc", 31), name="a")
    assert await market.subjects() == [("spread", "btc-bitcoin", "open")]


async def test_a_wide_spread_that_grows_by_a_little_is_usual(market: Market) -> None:
    """Two markets that have always differed by a factor of eight, and now by four percent more than ever, are not
    told of; by half as much again, they are."""
    for n in range(10):
        await market.read(market.row("btc", 100 + n % 2 / 10), name="a", minutes=1)
        await market.read(market.row("bitcoin", 796), name="b")
    await link(market.store, "btc-bitcoin", AssetId("a", "btc"), AssetId("b", "bitcoin"))
    await market.read(market.row("btc", 100), name="a", minutes=1)
    await market.read(market.row("bitcoin", 828), name="b")
    assert await market.found() == []
    await market.read(market.row("bitcoin", 1250), name="b")
    assert await market.subjects() == [("spread", "btc-bitcoin", "open")]


async def test_the_records_changed_last_are_judged_and_the_others_counted(
    market: Market, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is left out of a large run is said in the log."""
    caplog.set_level("INFO", logger="kasparro.anomalies")
    monkeypatch.setattr(outliers, "MOST", 3)
    await market.read(*(market.row(f"c{n}", 1) for n in range(3)))
    assert caplog.messages == []
    await market.read(*(market.row(f"c{n}", 2) for n in range(5)))
    assert caplog.messages == ["source market: the 3 records changed last are judged, 2 were left out"]


@pytest.mark.parametrize("outage", [False, True], ids=["nobody asked", "nobody answered"])
async def test_what_nobody_looked_at_was_not_silent(market: Market, *, outage: bool) -> None:
    """After three days in which the source was not read, or could not be, a coin that moves now and then has not fallen
    silent: the runs in which it could have moved are few."""
    coins = [f"c{n:02d}" for n in range(FEWEST_SIBLINGS + 1)]
    slow = market.row("slow", 0)
    for n in range(45):
        slow = market.row("slow", 100 + n) if n % 3 == 0 else slow
        await market.read(slow, *(market.row(coin, 100 + n % 3) for coin in coins), mark_gone=True)
    for _ in range(72):
        if outage:
            await market.read(fails=PermanentSourceError("down", source="market"), mark_gone=True)
        market.clock.skip(3_600)
    await market.read(slow, *(market.row(coin, 100) for coin in coins), mark_gone=True)
    assert await market.found() == []
