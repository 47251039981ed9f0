"""Forty ways in which upstreams change the shape of what they send, as data: what is done to a payload, and what one
event has to say about it."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Row = dict[str, Any]


@dataclass(frozen=True)
class Mutation:
    """`do` to the field at `path` of the items of `source` (all, or about that `share`), with `to` as the new name
    or value. The event says `change` and `told` (absent: the path)."""

    source: str
    do: str
    path: str
    change: str
    to: Any = None
    share: float = 1.0
    told: str | None = None

    def __str__(self) -> str:
        share = "" if self.share == 1 else f"-{self.share:.0%}"
        return f"{self.source}-{self.do}-{self.path}{share}"

    @property
    def event(self) -> tuple[str, str]:
        """What is told."""
        return self.change, self.told or self.path


MUTATIONS = [
    Mutation("coingecko", "drop", "ath", "removed"),
    Mutation("coingecko", "drop", "current_price", "removed", share=0.3),
    Mutation("coingecko", "drop", "last_updated", "removed", share=0.1),
    Mutation("coingecko", "drop", "roi", "removed"),
    Mutation("coingecko", "drop", "id", "removed"),
    Mutation("coingecko", "add", "market_cap_btc", "added", to=1),
    Mutation("coingecko", "add", "preview_listing", "added", to=False, share=0.2),
    Mutation("coingecko", "add", "links", "added", to={"homepage": "https://a.example", "twitter": None}),
    Mutation("coingecko", "rename", "current_price", "renamed", to="price_usd"),
    Mutation("coingecko", "rename", "symbol", "renamed", to="ticker"),
    Mutation("coingecko", "rename", "id", "renamed", to="coin_id"),
    Mutation("coingecko", "rename", "roi", "renamed", to="return_on_investment"),
    Mutation("coingecko", "text", "current_price", "retyped"),
    Mutation("coingecko", "text", "total_volume", "retyped", share=0.3),
    Mutation("coingecko", "wrap", "high_24h", "retyped"),
    Mutation("coingecko", "null", "current_price", "nullability"),
    Mutation("coingecko", "null", "market_cap", "nullability", share=0.4),
    Mutation("coinpaprika", "drop", "rank", "removed"),
    Mutation("coinpaprika", "drop", "quotes", "removed"),
    Mutation("coinpaprika", "drop", "quotes.USD.price", "removed"),
    Mutation("coinpaprika", "drop", "quotes.USD.market_cap", "removed", share=0.3),
    Mutation("coinpaprika", "add", "quotes.USD.percent_change_15m", "added", to=Decimal("0.25")),
    Mutation("coinpaprika", "add", "first_data_at", "added", to="2013-04-28T00:00:00Z"),
    Mutation("coinpaprika", "rename", "quotes.USD.volume_24h", "renamed", to="volume"),
    Mutation("coinpaprika", "rename", "quotes", "renamed", to="prices"),
    Mutation("coinpaprika", "rename", "circulating_supply", "renamed", to="circulatingSupply"),
    Mutation("coinpaprika", "text", "quotes.USD.price", "retyped"),
    Mutation("coinpaprika", "text", "rank", "retyped"),
    Mutation("coinpaprika", "null", "quotes.USD.ath_date", "nullability"),
    Mutation("coinpaprika", "list", "quotes", "retyped"),
    Mutation("csv", "drop", "Close", "removed"),
    Mutation("csv", "add", "Trades", "added", to="7"),
    Mutation("csv", "rename", "Close", "renamed", to="Adj Close"),
    Mutation("csv", "rename", "Date", "renamed", to="timestamp"),
    Mutation("csv", "comma", "Open", "retyped"),
    Mutation("csv", "null", "Volume", "nullability"),
    Mutation("feed", "drop", "pubDate", "removed", told="published"),
    Mutation("feed", "drop", "guid", "removed", told="id"),
    Mutation("feed", "add", "author", "added", to="editor@news.example (The Editor)"),
    Mutation("feed", "rename", "description", "renamed", to="content:encoded", told="summary"),
]


def mutated(rows: list[Row], mutation: Mutation) -> list[Row]:
    """Copies of the items with the mutation done to about every 1/share-th of them, spread evenly."""
    *outer, last = mutation.path.split(".")
    changed = copy.deepcopy(rows)
    for place, row in enumerate(changed):
        if int((place + 1) * mutation.share) > int(place * mutation.share):
            parent = row
            for step in outer:
                parent = parent[step]
            DONE[mutation.do](parent, last, mutation.to)
    return changed


def _text(parent: Row, name: str, to: Any) -> None:
    if parent[name] is not None:
        parent[name] = str(parent[name])


def _renamed(parent: Row, name: str, to: Any) -> None:
    parent[to] = parent.pop(name)


def _set(change: Callable[[Any, Any], Any]) -> Callable[[Row, str, Any], None]:
    def done(parent: Row, name: str, to: Any) -> None:
        parent[name] = change(parent.get(name), to)

    return done


DONE: Mapping[str, Callable[[Row, str, Any], None]] = {
    "drop": lambda parent, name, _: parent.__delitem__(name),
    "add": _set(lambda _, to: to),
    "rename": _renamed,
    "text": _text,
    "wrap": _set(lambda value, _: {"amount": value, "currency": "usd"}),
    "list": _set(lambda value, _: [value]),
    "null": _set(lambda value, _: "" if isinstance(value, str) and value[:1].isdigit() and "T" not in value else None),
    "comma": _set(lambda value, _: str(value).replace(".", ",")),
}


def mutated_feed(document: str, mutation: Mutation) -> str:
    """The same of the elements of a feed's entries."""
    tag = mutation.path

    def entry(match: re.Match[str]) -> str:
        text = match[0]
        if mutation.do == "drop":
            return re.sub(rf"\s*<{tag}\b.*?</{tag}>", "", text, flags=re.DOTALL)
        if mutation.do == "add":
            return text.replace("</item>", f"<{tag}>{mutation.to}</{tag}></item>")
        return re.sub(rf"<(/?){tag}\b[^>]*>", rf"<\g<1>{mutation.to}>", text)

    head = '<rss xmlns:content="http://purl.org/rss/1.0/modules/content/" '
    return re.sub(r"<item>.*?</item>", entry, document, flags=re.DOTALL).replace("<rss ", head, 1)
