"""Items like those of the recorded sources, made from a seed: with everything optional that the real ones have."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

START = datetime(2024, 1, 1, tzinfo=UTC)


def market_rows(count: int, seed: int = 0, tick: int = 0) -> list[dict[str, Any]]:
    """Like CoinGecko's /coins/markets: int or fraction by chance, `roi` null or an object, supplies null or not."""
    return [_market(place, random.Random(f"{seed}:{place}"), tick) for place in range(count)]


def ticker_rows(count: int, seed: int = 0, tick: int = 0, quotes: tuple[str, ...] = ("USD",)) -> list[dict[str, Any]]:
    """Like CoinPaprika's /tickers: quotes by currency, some of them without an all-time high."""
    return [_ticker(place, random.Random(f"{seed}:{place}"), tick, quotes) for place in range(count)]


def candle_rows(count: int, first: int = 0) -> list[dict[str, str]]:
    """Like the columns of a file of daily candles."""
    return [_candle(first + place) for place in range(count)]


def feed_document(count: int, first: int = 0) -> str:
    """An RSS feed; every fifth entry has an enclosure, every third a category."""
    return (
        '<?xml version="1.0"?><rss version="2.0"><channel><title>News</title><link>https://news.example</link>'
        + "".join(_entry(first + place) for place in range(count))
        + "</channel></rss>"
    )


def _market(place: int, draw: random.Random, tick: int) -> dict[str, Any]:
    price = _amount(draw, draw.gauss(0, 3), tick)
    supply = _amount(draw, 8 + draw.random())
    day = (START - timedelta(days=draw.randrange(2000))).isoformat()
    return {
        "id": f"coin-{place}",
        "symbol": f"c{place % 97}",
        "name": f"Coin {chr(65 + place % 26)}{place}",
        "image": f"https://images.example/{place}.png",
        "current_price": price,
        "market_cap": int(price * supply),
        "market_cap_rank": place + 1,
        "fully_diluted_valuation": None if draw.random() < 0.44 else int(price * supply * 2),
        "total_volume": _amount(draw, 7, tick),
        "high_24h": price * Decimal("1.03"),
        "low_24h": price * Decimal("0.97"),
        "total_supply": None if draw.random() < 0.06 else supply,
        "max_supply": None if draw.random() < 0.44 else supply,
        "ath": price * 3,
        "ath_date": day,
        "roi": None if draw.random() < 0.78 else {"times": Decimal("1.5"), "currency": "btc", "percentage": 150},
        "last_updated": (START + timedelta(minutes=tick, seconds=draw.randrange(60))).isoformat(),
    }


def _ticker(place: int, draw: random.Random, tick: int, quotes: tuple[str, ...]) -> dict[str, Any]:
    return {
        "id": f"c{place}-coin-{place}",
        "name": f"Coin {place}",
        "symbol": f"C{place}",
        "rank": place + 1,
        "circulating_supply": draw.randrange(10**9),
        "max_supply": draw.choice([0, 21_000_000]),
        "beta_value": _amount(draw, 0),
        "last_updated": (START + timedelta(minutes=tick)).isoformat(),
        "quotes": {currency: _quote(draw, tick, currency == "USD") for currency in quotes},
    }


def _quote(draw: random.Random, tick: int, own: bool) -> dict[str, Any]:
    price = _amount(draw, draw.gauss(0, 2), tick)
    return {
        "price": price,
        "volume_24h": _amount(draw, 6, tick),
        "market_cap": int(price * 10**7),
        "percent_change_24h": _amount(draw, 0) - 5,
        "ath_price": price * 2 if own else None,
        "ath_date": "2021-11-10T00:00:00Z" if own else None,
    }


def _candle(place: int) -> dict[str, str]:
    draw = random.Random(place)
    low = 100 + 50 * draw.random()
    return {
        "SNo": str(place + 1),
        "Name": "Ethereum",
        "Symbol": "ETH",
        "Date": f"{START + timedelta(days=place):%Y-%m-%d}",
        "High": f"{low * 1.1:.4f}",
        "Low": f"{low:.4f}",
        "Open": f"{low * 1.02:.4f}",
        "Close": f"{low * 1.05:.4f}",
        "Volume": f"{draw.random() * 1e7:.1f}",
    }


def _entry(place: int) -> str:
    file = f'<enclosure url="https://news.example/{place}.mp3" length="9" type="audio/mpeg"/>' if place % 5 == 0 else ""
    tag = "<category>Markets</category>" if place % 3 == 0 else ""
    when = f"{START + timedelta(hours=place):%a, %d %b %Y %H:%M:%S} GMT"
    return (
        f"<item><title>Story number {place}</title><link>https://news.example/{place}</link>"
        f"<description>What happened in hour {place}, and why.</description>"
        f'<guid isPermaLink="false">story-{place}</guid><pubDate>{when}</pubDate>{tag}{file}</item>'
    )


def _amount(draw: random.Random, magnitude: float, tick: int = 0) -> Decimal:
    """A number that is whole by chance, and moves a little with each tick."""
    value = 10**magnitude * (1 + draw.random()) * (1 + 0.01 * tick)
    return Decimal(round(value) or 1) if draw.random() < 0.1 else Decimal(f"{value:.8g}")
