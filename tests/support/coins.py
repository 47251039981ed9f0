"""Two sources of coins in CSV files, which know the same coins by ids of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

MAPPING = {
    "key": ["id"],
    "external_id": "id",
    "title": "name",
    "symbol": "symbol",
    "value": "price",
    "currency": {"const": "USD"},
}
GECKO = ("bitcoin,BTC,Bitcoin,100", "foo-token,FOO,Foo Token,7", "solo,SOLO,Solo Coin,1")
PAPRIKA = ("btc-bitcoin,BTC,Bitcoin,101", "foo-other,FOO,Something Else,8")


def coin_sources(folder: Path) -> dict[str, Any]:
    """The configuration of the two, whose files are written: they share a bitcoin, and a symbol that says nothing."""
    write_coins(folder, "gecko", *GECKO)
    write_coins(folder, "paprika", *PAPRIKA)
    return {
        name: {"type": "csv", "path": f"{name}.csv", "kind": "quote", "mapping": MAPPING}
        for name in ("gecko", "paprika")
    }


def write_coins(folder: Path, source: str, *rows: str) -> None:
    """The file of one of them: lines of id, symbol, name and price."""
    (folder / f"{source}.csv").write_text("\n".join(("id,symbol,name,price", *rows)) + "\n", encoding="utf-8")
