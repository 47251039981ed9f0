"""What normalizing costs: microseconds a record, and as a multiple of parsing the same records with the json module.

    python benchmarks/normalize.py [RECORDS]

The multiple is what to compare between machines. Records are made here, from a fixed seed.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from kasparro_core import RawRecord, RecordMapping, compile_mapping, parse_json, prepare
from kasparro_core.normalize.quotes import QuoteAttributes

REPEATS = 7
FIGURES = (
    "market_cap", "fully_diluted_valuation", "volume_24h", "high_24h", "low_24h", "price_change_24h",
    "price_change_percentage_24h", "market_cap_change_24h", "market_cap_change_percentage_24h", "circulating_supply",
    "total_supply", "max_supply", "ath", "ath_change_percentage", "atl", "atl_change_percentage",
)  # fmt: skip
DATES = ("ath_date", "atl_date")

QUOTES = RecordMapping(
    source="quotes",
    kind="quote",
    key="id",
    external_id="id",
    title="name",
    symbol="symbol",
    value="current_price",
    currency={"const": "USD"},
    occurred_at="last_updated",
    attributes={name: name for name in (*FIGURES, *DATES, "rank", "image") if name in QuoteAttributes.model_fields},
)
CANDLES = RecordMapping(
    source="candles",
    kind="candle",
    key="unix",
    occurred_at={"field": "unix", "unit": "ms"},
    value="close",
    attributes={name: name for name in ("open", "high", "low", "close", "volume")},
)
ITEMS = RecordMapping(source="items")


def quotes(count: int) -> list[dict[str, Any]]:
    """Rows like those of a market API: numbers by chance int or float, a few nulls."""
    rng = random.Random(1)
    return [
        {
            "id": f"coin-{i}",
            "symbol": f"c{i}",
            "name": f"Coin {i}",
            "image": f"https://assets.example.com/coins/images/{i}/large/coin.png?{1547033579 + i}",
            "rank": i + 1,
            "current_price": rng.random() * 10 ** rng.randint(-6, 5),
            **{name: _figure(rng) for name in FIGURES},
            **{name: _time(rng) for name in (*DATES, "last_updated")},
        }
        for i in range(count)
    ]


def candles(count: int) -> list[dict[str, Any]]:
    """Rows like those of a CSV of minute candles: all text."""
    rng = random.Random(2)
    return [
        {"unix": str(1_700_000_000_000 + 60_000 * i)}
        | {name: f"{rng.random() * 60_000:.2f}" for name in ("open", "high", "low", "close", "volume")}
        for i in range(count)
    ]


def _figure(rng: random.Random) -> float | None:
    if rng.random() < 0.05:
        return None
    return rng.randint(0, 10**12) if rng.random() < 0.5 else round(rng.random() * 10**6, 5)


def _time(rng: random.Random) -> str:
    return f"20{rng.randint(13, 25)}-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}T17:08:13.{rng.randint(0, 999):03}Z"


def best(work: Callable[[], Any]) -> float:
    """The least CPU seconds of several runs: the figure that other processes disturb least."""
    seconds = []
    for _ in range(REPEATS):
        start = time.process_time()
        work()
        seconds.append(time.process_time() - start)
    return min(seconds)


def measure(name: str, mapping: RecordMapping, rows: list[dict[str, Any]]) -> None:
    """Print one line."""
    text = json.dumps(rows)
    compiled = compile_mapping(mapping)
    items = [RawRecord(index, row) for index, row in enumerate(parse_json(text))]
    normalized = compiled.normalize(items)
    if len(normalized.records) != len(rows) or normalized.notes:
        raise SystemExit(f"{name}: the rows of the benchmark are not clean")
    parse, ready = (
        best(work) / len(rows) * 1e6
        for work in (lambda: json.loads(text, parse_float=Decimal), lambda: prepare(compiled.normalize(items)))
    )
    print(
        f"{name:8} json.loads {parse:6.2f} µs   normalized and ready to be stored {ready:6.2f} µs "
        f"= {ready / parse:5.2f} x json.loads"
    )


def main() -> None:
    """Measure quotes of 20 attributes, candles of 6 columns, and unmapped items."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    measure("quotes", QUOTES, quotes(count))
    measure("candles", CANDLES, candles(count))
    measure("items", ITEMS, candles(count))


if __name__ == "__main__":
    main()
