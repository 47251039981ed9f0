"""Forty changes of the shape of payloads: each is told once and rightly, and nothing else is."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from mutations import MUTATIONS, Mutation, mutated, mutated_feed
from shapely import candle_rows, feed_document, market_rows, ticker_rows
from watched import Watched, csv_payload, feed_payload, json_payload

from kasparro_core.model import RawPayload

MARKETS = "coins_markets__order-market-cap-desc-per-page-250-sparkline-false-vs-curren.200.json"
ROWS = 60
BOTH = [pytest.param(each, id=str(each)) for each in MUTATIONS]
Find = Callable[..., Path]


def made(source: str) -> Any:
    """Items (of a feed: the document) like the recorded ones."""
    match source:
        case "coingecko":
            return market_rows(ROWS)
        case "coinpaprika":
            return ticker_rows(ROWS)
        case "csv":
            return candle_rows(ROWS)
        case _:
            return feed_document(40)


def recorded(source: str, find: Find) -> Any:
    """The recorded ones."""
    match source:
        case "coingecko":
            return _exact(find("data", "coingecko", "recorded", MARKETS).read_bytes())
        case "coinpaprika":
            return _exact(gzip.decompress(find("data", "coinpaprika", "dump_tickers-default.json.gz").read_bytes()))
        case "csv":
            with find("data", "csv", "kaggle", "coin_Ethereum.csv").open(newline="") as file:
                return list(csv.DictReader(file))[-ROWS:]
        case _:
            series = find("data", "feeds", "series", "zh_bitcoinmagazine")
            return min(series.iterdir()).read_text("utf-8")


def _exact(body: bytes) -> Any:
    return msgspec.json.Decoder(float_hook=Decimal).decode(body)[:ROWS]


def payload(source: str, content: Any) -> RawPayload:
    """The content as its source sends it."""
    if source == "feed":
        return feed_payload(content.encode())
    return csv_payload(content) if source == "csv" else json_payload(content)


async def found(source: str, before: Any, mutation: Mutation) -> list[tuple[str, str]]:
    """What a run over the mutated content tells, after two over what was before, and one more over it again."""
    style = source if source in {"csv", "feed"} else "json"
    watched = Watched(style)
    change = mutated_feed if source == "feed" else mutated
    after = payload(source, change(before, mutation))
    for each in (payload(source, before), payload(source, before), after, after):
        await watched.run(each)
    return await watched.changes()


@pytest.mark.parametrize("mutation", BOTH)
async def test_a_change_of_a_made_payload_is_told_once(mutation: Mutation) -> None:
    """One event with the right change and place; none before, none for what stands in a changed field, none again."""
    assert await found(mutation.source, made(mutation.source), mutation) == [mutation.event]


@pytest.mark.parametrize("mutation", BOTH)
async def test_a_change_of_a_recorded_payload_is_told_once(mutation: Mutation, shared_data: Find) -> None:
    """The same of what CoinGecko, CoinPaprika, a file of candles and a feed have sent."""
    assert await found(mutation.source, recorded(mutation.source, shared_data), mutation) == [mutation.event]


def test_there_are_forty_of_every_kind() -> None:
    """Each source and each kind of change is among them."""
    assert len(MUTATIONS) == 40
    assert {each.source for each in MUTATIONS} == {"coingecko", "coinpaprika", "csv", "feed"}
    assert {each.change for each in MUTATIONS} == {"added", "removed", "retyped", "renamed", "nullability"}
