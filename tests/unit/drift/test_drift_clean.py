"""Healthy data: a hundred runs, and not one event."""

from __future__ import annotations

import gzip
import os
import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import msgspec
import pytest
from shapely import candle_rows, feed_document, market_rows, ticker_rows
from watched import Watched, csv_payload, feed_payload, json_payload

from kasparro_core.model import RawPayload

SERIES = ("zh_CoinDesk", "zh_bitcoinmagazine", "zh_Cointelegraph")
RUNS = int(os.environ.get("KASPARRO_DRIFT_RUNS", "100"))
Find = Callable[..., Path]
Rows = list[dict[str, Any]]


async def silent(style: str, runs: Iterator[RawPayload]) -> int:
    """How many runs there were, none of which told anything."""
    watched, count = Watched(style), 0
    for each in runs:
        await watched.run(each)
        count += 1
        assert await watched.changes() == [], f"in run {count}"
    return count


def part(rows: Rows, draw: random.Random) -> Rows:
    """All of the items in another order, or a stretch of them: what an incremental run or one with many 304s sees."""
    if draw.random() < 0.4:
        return draw.sample(rows, len(rows))
    size = min(len(rows), draw.choice((1, 3, 19, 20, 50)))
    begin = draw.randrange(len(rows) - size + 1)
    return rows[begin : begin + size]


def exact(body: bytes) -> Any:
    return msgspec.json.Decoder(float_hook=Decimal).decode(body)


async def test_made_data_is_silent() -> None:
    """Markets, tickers in one currency and in several, a growing file and a rolling feed, each many times over."""
    draw, each = random.Random(5), max(1, RUNS // 4)
    quotes = (("USD",), ("USD", "BTC"), ("BTC",))
    count = await silent("json", (json_payload(part(market_rows(60, tick=n), draw)) for n in range(each)))
    tickers = (json_payload(part(ticker_rows(60, tick=n, quotes=quotes[n % 3]), draw)) for n in range(each))
    count += await silent("json", tickers)
    count += await silent("csv", (csv_payload(candle_rows(draw.choice((1, 5, 40)), 40 * n)) for n in range(each)))
    documents = (feed_document(draw.choice((3, 12, 25)), 5 * n).encode() for n in range(each))
    count += await silent("feed", map(feed_payload, documents))
    assert count >= RUNS // 4 * 4


async def test_recorded_markets_are_silent(shared_data: Find) -> None:
    """Every recorded page of CoinGecko's markets, whole and in parts: `roi` null or an object, numbers whole by chance,
    supplies null in some pages and in others not."""
    folder = shared_data("data", "coingecko", "recorded")
    pages = [exact(path.read_bytes()) for path in sorted(folder.glob("coins_markets__*.json"))]
    whole = [page for page in pages if page and "price_change_percentage_1y_in_currency" in page[0]]
    draw = random.Random(7)
    runs = (json_payload(page if n < len(whole) else part(page, draw)) for n, page in enumerate(cycle(whole)))
    assert await silent("json", islice(runs, RUNS * 3 // 10)) >= RUNS * 3 // 10


async def test_recorded_tickers_are_silent(shared_data: Find) -> None:
    """CoinPaprika's tickers in dollars and in bitcoin by turns: the keys of `quotes` are data."""
    names = ("dump_tickers-default.json.gz", "dump_tickers-quotes-btc.json.gz")
    lists = [exact(gzip.decompress(shared_data("data", "coinpaprika", name).read_bytes()))[:300] for name in names]
    draw = random.Random(9)
    runs = (json_payload(part(rows, draw)) for rows in cycle(lists))
    assert await silent("json", islice(runs, RUNS // 5)) >= RUNS // 5


@pytest.mark.parametrize("name", SERIES)
async def test_recorded_feeds_are_silent(name: str, shared_data: Find) -> None:
    """Thirty versions of a feed, twelve hours apart."""
    paths = sorted(shared_data("data", "feeds", "series", name).iterdir())
    assert await silent("feed", (feed_payload(path.read_bytes()) for path in paths)) == 30
