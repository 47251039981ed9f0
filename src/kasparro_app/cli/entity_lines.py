"""What the sources of an entity agree on, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from kasparro_app.cli.output import cell

_HOUR, _DAY = 3600, 86400


def told(asset: Mapping[str, Any]) -> str:
    """An asset as it is named: SOURCE:ID."""
    return f"{asset['source']}:{asset['external_id']}"


def agreement_lines(agreed: Mapping[str, Any]) -> Iterator[str]:
    """Prices, what else the sources agree on, where they differ, and which are not compared; an empty line behind."""
    lines = [*map(_price_line, agreed["prices"])]
    common = [field["field"] for field in agreed["fields"] if field["agree"]]
    lines += [f"sources agree on {', '.join(common)}"] if common else []
    lines += [_field_line(field) for field in agreed["fields"] if not field["agree"]]
    lines += [
        f"{out['source']} is {out['reason']} and not compared: {_span(out['behind_seconds'])}"
        for out in agreed["left_out"]
    ]
    yield from [*lines, ""] if lines else ()


def _price_line(price: Mapping[str, Any]) -> str:
    low, high, currency = cell(price["low"]), cell(price["high"]), price["currency"] or "no currency"
    share = f"{price['share'] * 100:.2f} %"
    verdict = "agree" if price["agree"] else "differ"
    return (
        f"price in {currency}: sources {verdict}, {low} ({price['low_source']}) to {high} ({price['high_source']}), "
        f"spread {cell(price['spread'])} ({share})"
    )


def _field_line(field: Mapping[str, Any]) -> str:
    values = ", ".join(f"{each['source']} {cell(each['value'])}" for each in field["values"])
    return f"{field['field']}: sources differ: {values}"


def _span(seconds: Decimal) -> str:
    size = abs(seconds)
    length, unit = next(((n, word) for n, word in ((_DAY, "d"), (_HOUR, "h"), (60, "min")) if size >= n), (1, "s"))
    return f"{size / length:.1f} {unit} {'newer' if seconds < 0 else 'older'} than the newest"
