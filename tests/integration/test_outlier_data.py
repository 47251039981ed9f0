"""What stands out among recorded data: the garbage that is in it, and nothing else."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kasparro_core.policy.outliers import WINDOW, Point, jumps, strayed
from kasparro_core.policy.plausible import Ranked, ages, implausible

FILES = int(os.environ.get("KASPARRO_TEST_CANDLE_FILES", "1"))
"""Of the minute candles so many files are read; there are 13, of 2.3 million candles in all."""


@pytest.fixture
def data(shared_data: Callable[..., Path]) -> Path:
    """The recorded data."""
    return shared_data("data")


def _json(path: Path) -> Any:
    raw = path.read_bytes()
    return json.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)


def _out(rows: Iterable[tuple[str, Any, Any, Any]]) -> list[str]:
    ranked = [
        Ranked(key, "USD", rank, cap, volume) for key, rank, cap, volume in rows if rank and cap and volume is not None
    ]
    return [each.asset.key for each in implausible(ranked).out]


def _behind(rows: Iterable[tuple[str, str]]) -> list[str]:
    told = ages([(key, datetime.fromisoformat(at)) for key, at in rows])
    return [] if told is None else [each.key for each in told.found]


def test_of_the_recorded_markets_one_coin_is_implausible(data: Path) -> None:
    """ticoex-token, on each page that has it; none on the others."""
    found: dict[str, list[str]] = {}
    for path in sorted((data / "coingecko/recorded").glob("coins_markets__*.json")):
        rows = _json(path)
        if isinstance(rows, list) and rows and "market_cap_rank" in rows[0]:
            figures = ((row["id"], row["market_cap_rank"], row["market_cap"], row["total_volume"]) for row in rows)
            found[path.name] = [_out(figures), "ticoex-token" in [row["id"] for row in rows]]  # type: ignore[assignment]
    assert len(found) > 5
    assert all(out == (["ticoex-token"] if there else []) for out, there in found.values())
    assert sum(there for _, there in found.values()) >= 2


@pytest.mark.parametrize("currency", ["USD", "BTC"])
def test_of_the_recorded_tickers_two_are_stale_and_none_is_implausible(data: Path, currency: str) -> None:
    """Of 2,541 tickers two had not moved for weeks, which is told; however little those at the end are traded."""
    name = "dump_tickers-default.json.gz" if currency == "USD" else "dump_tickers-quotes-btc.json.gz"
    rows = _json(data / "coinpaprika" / name)
    figures = (
        (row["id"], row["rank"], row["quotes"][currency]["market_cap"], row["quotes"][currency]["volume_24h"])
        for row in rows
    )
    assert _out(figures) == []
    assert _behind((row["id"], row["last_updated"]) for row in rows) == ["empr-empowr-coin", "808-808coin"]


def _wrong(points: Sequence[Point], *, last: bool = False) -> list[Decimal]:
    """The values that stand out of a series; with `last` each as if nothing had come after it."""
    return [
        points[at].value
        for at in range(1, len(points))
        if jumps(points[at].value, points[at - 1].value)
        and strayed(points[max(0, at - WINDOW) : at], points[at], () if last else points[at + 1 : at + 6]) is not None
    ]


def _when(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return datetime.strptime(text, "%d/%m/%Y %H:%M")


def test_of_years_of_daily_prices_none_is_wrong(data: Path) -> None:
    """40,000 closes of 23 coins, crashes and manias included: none stands out of its series. Seen as the newest one of
    its day, two did: DOGE on 2021-01-28 (4.5 times the day before) and CRO on 2019-03-12 (2.4 times)."""
    within, as_newest = {}, {}
    for path in sorted((data / "csv/kaggle").glob("coin_*.csv")):
        with path.open(newline="") as file:
            points = sorted(Point(_when(row["Date"]), Decimal(row["Close"])) for row in csv.DictReader(file))
        within[path.stem] = _wrong(points)
        as_newest[path.stem] = _wrong(points, last=True)
    assert len(within) > 15
    assert {name: wrong for name, wrong in within.items() if wrong} == {}
    assert {name: len(wrong) for name, wrong in as_newest.items() if wrong} == {
        "coin_CryptocomCoin": 1,
        "coin_Dogecoin": 1,
    }


FAT_FINGERS = {
    "bitfinex_BTCUSD_1m_2013": ["19.9", "15", "1.06", "20"],
    "bitfinex_LTCUSD_1m_2013": ["0.01", "0.0101", "0.25"],
}
"""The minutes that closed at a price which stands between two others ten or a hundred times as high."""


def test_of_millions_of_minutes_the_mistyped_ones_are_found(data: Path) -> None:
    """In 2013 a few trades at 19.9 instead of 199 closed a minute; of all other minutes none stands out."""
    paths = sorted((data / "csv/big").glob("bitfinex_*_1m_*.csv.gz"))
    chosen = [path for path in paths if path.name == "bitfinex_LTCUSD_1m_2013.csv.gz"]
    chosen += [path for path in paths if path not in chosen][: FILES - 1]
    count = 0
    for path in chosen:
        with gzip.open(path, "rt", newline="") as file:
            rows = [(int(row[0]) / 1000, row[2]) for row in csv.reader(file)]
        points = [Point(datetime.fromtimestamp(at, UTC), Decimal(close)) for at, close in rows]
        count += len(points)
        expected = [Decimal(value) for value in FAT_FINGERS.get(path.name.removesuffix(".csv.gz"), [])]
        assert _wrong(points) == expected, path.name
    print(f"\n{count:,} minutes of {len(chosen)} files judged")  # noqa: T201 - the figure that was asked for
