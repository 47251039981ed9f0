"""Samples for the demo: the same bytes on every machine, every time.

They hold one bad row (a candle without a price), one edit (an article that appears again, corrected), one repeat (a
coin at the border of two pages) and one asset in two sources (Bitcoin).
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from xml.sax.saxutils import escape

SEED = 20240101
DAYS = 30
COINS = 60
PAGE_SIZE = 25
FIRST_DAY = date(2024, 1, 1)
BAD_ROW = ("SOL", 19)
_ASSETS = {"BTC": 42265.25, "ETH": 2281.5, "SOL": 101.75}
_KNOWN = (("bitcoin", "btc", "Bitcoin"), ("ethereum", "eth", "Ethereum"), ("solana", "sol", "Solana"))
_SYLLABLES = ("al", "bo", "ce", "do", "er", "fi", "ga", "ho", "in", "ju", "ka", "lu", "mi", "no", "or", "pa", "ri")
_HEADLINES = (
    "Bitcoin starts the year above 42,000 dollars",
    "Exchange reserves fall for the third week",
    "Developers agree on the date of the next upgrade",
    "Miners move older coins",
    "A stablecoin issuer publishes its audit",
    "Layer two fees halve",
    "Regulator opens a consultation on custody",
    "Open interest climbs to a new high",
)


def candles_csv() -> str:
    """Daily candles of three assets, one of them without a readable close."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("symbol", "date", "open", "high", "low", "close", "volume"))
    random = Random(SEED)  # noqa: S311 - the same numbers each time are the point
    for symbol, price in _ASSETS.items():
        rows.writerows(_candles(symbol, price, random))
    return text.getvalue()


def _candles(symbol: str, price: float, random: Random) -> Iterator[tuple[str, ...]]:
    opened = price
    for day in range(DAYS):
        closed = opened * (0.97 + 0.06 * random.random())
        high = max(opened, closed) * (1 + 0.01 * random.random())
        low = min(opened, closed) * (1 - 0.01 * random.random())
        shown_close = "n/a" if (symbol, day) == BAD_ROW else f"{closed:.2f}"
        volume = f"{random.random() * 9000 + 1000:.4f}"
        at = (FIRST_DAY + timedelta(days=day)).isoformat()
        yield symbol, at, f"{opened:.2f}", f"{high:.2f}", f"{low:.2f}", shown_close, volume
        opened = closed


def market_rows() -> list[dict[str, Any]]:
    """Coins by market capitalization as the API serves them; the last of the first page comes again on the second."""
    random = Random(SEED + 1)  # noqa: S311 - the same numbers each time are the point
    coins = [_coin(rank, random) for rank in range(1, COINS + 1)]
    return [*coins[:PAGE_SIZE], coins[PAGE_SIZE - 1], *coins[PAGE_SIZE:]]


def _coin(rank: int, random: Random) -> dict[str, Any]:
    name = "".join(_SYLLABLES[int(random.random() * len(_SYLLABLES))] for _ in range(4))
    identity, symbol, title = _KNOWN[rank - 1] if rank <= len(_KNOWN) else (name, name[:4], name.capitalize())
    drawn = float(f"{random.random() * 10 ** (2 - rank / 8):.6g}")
    price = list(_ASSETS.values())[rank - 1] if rank <= len(_ASSETS) else drawn
    return {
        "id": identity if rank <= len(_KNOWN) else f"{identity}-{rank}",
        "symbol": symbol,
        "name": title,
        "current_price": price,
        "market_cap": int(9e11 / rank**1.2),
        "market_cap_rank": rank,
        "total_volume": int(3e10 / rank * (0.5 + random.random())),
        "high_24h": price,
        "low_24h": price,
        "circulating_supply": float(int(9e11 / rank**1.2 / price)),
        "last_updated": "2024-01-31T00:00:00.000Z",
    }


def news_rss() -> str:
    """A feed whose last entry corrects its first one under the same guid."""
    start = datetime(2024, 1, 2, 8, 0, tzinfo=UTC)
    entries = [_entry(number, title, start + timedelta(hours=9 * number)) for number, title in enumerate(_HEADLINES)]
    entries.append(_entry(0, "Bitcoin starts the year above 45,000 dollars (corrected)", start))
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<rss version="2.0"><channel>\n'
        "<title>Kasparro sample news</title><link>https://news.example/</link>\n"
        "<description>Made up for the demo.</description>\n" + "".join(entries) + "</channel></rss>\n"
    )


def _entry(number: int, title: str, at: datetime) -> str:
    link = f"https://news.example/{at:%Y/%m/%d}/{number}"
    return (
        f'<item><guid isPermaLink="false">sample-{number}</guid><title>{escape(title)}</title><link>{link}</link>'
        f"<pubDate>{at:%a, %d %b %Y %H:%M:%S} +0000</pubDate>"
        f"<description>{escape(f'<p>{title}.</p>')}</description></item>\n"
    )


def write_samples(folder: Path) -> None:
    """Put the samples into a folder; a file that already has the right bytes is left alone."""
    samples = {
        "candles.csv": candles_csv(),
        "news.xml": news_rss(),
        "markets.json": json.dumps(market_rows(), indent=1) + "\n",
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in samples.items():
        file = folder / name
        if not file.is_file() or file.read_bytes() != text.encode():
            file.write_bytes(text.encode())
