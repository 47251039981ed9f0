"""Recorded lists of assets as claims, and the table that says which of them are the same coin."""

from __future__ import annotations

import csv
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from kasparro_core.model.entity import AssetId, Claim, Market

GECKO, PAPRIKA = "coingecko", "coinpaprika"

_TABLE = Path(__file__).parent.parent / "data" / "identity" / "truth.csv"
_ANOTHER = "KASPARRO_TEST_TRUTH"


class Pair(NamedTuple):
    """A line of the table."""

    gecko: AssetId
    paprika: AssetId
    same: bool
    why: str


def listed_assets(shared_data: Callable[..., Path]) -> list[Claim]:
    """The CoinGecko list of 12,794 rows, one of them without an id, and the CoinPaprika list of 13,383 rows with its
    ranks, both of 2022."""
    gecko = _rows(shared_data("data", "coingecko", "recorded", "coins_list.200.2.json.gz"))
    paprika = _rows(shared_data("data", "coinpaprika", "dump_coins_2022-05.json.gz"))
    return [_claim(GECKO, row) for row in gecko if row["id"]] + [_claim(PAPRIKA, row) for row in paprika]


def truth() -> list[Pair]:
    """All lines of the table, or of another one of its columns that KASPARRO_TEST_TRUTH names."""
    with Path(os.environ.get(_ANOTHER, _TABLE)).open(encoding="utf-8", newline="") as file:
        return [
            Pair(
                AssetId(GECKO, row["coingecko_id"]), AssetId(PAPRIKA, row["coinpaprika_id"]), row["same"] == "yes",
                row.get("why", ""),
            )
            for row in csv.DictReader(file)
        ]  # fmt: skip


def _rows(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(gzip.decompress(path.read_bytes()))
    return found


def _claim(source: str, row: dict[str, Any]) -> Claim:
    texts = [row[field].strip() or None for field in ("symbol", "name")]
    return Claim(AssetId(source, row["id"]), "asset", *texts, market=Market(rank=row.get("rank") or None))
