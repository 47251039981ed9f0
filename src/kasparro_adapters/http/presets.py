"""Presets: everything about a known API but the key, as configuration. Each key can be overridden."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Preset:
    """A named piece of configuration. `build` gets the merged query parameters, on which a mapping may depend."""

    name: str
    about: str
    params: Mapping[str, Any]
    build: Callable[[Mapping[str, Any]], Table]


def _coingecko_markets(params: Mapping[str, Any]) -> Table:
    return {
        "url": "https://api.coingecko.com/api/v3/coins/markets",
        "paginate": {"type": "page", "param": "page", "size_param": "per_page", "size": 250, "start": 1},
        "auth": {"type": "api_key", "header": "x-cg-demo-api-key"},
        "limit": {"requests": 30, "per": "minute", "burst": 5},
        "kind": "quote",
        "mapping": {
            # a coin without an id (the recorded lists hold one) is known by its name
            "key": [["id", "name"]],
            "external_id": "id",
            "title": "name",
            "symbol": "symbol",
            "value": "current_price",
            "currency": {"const": str(params["vs_currency"]).upper()},
            "occurred_at": "last_updated",
            "attributes": {
                "market_cap": "market_cap",
                "rank": "market_cap_rank",
                "volume_24h": "total_volume",
                "high_24h": "high_24h",
                "low_24h": "low_24h",
                "price_change_24h": "price_change_24h",
                "price_change_percentage_24h": "price_change_percentage_24h",
                "fully_diluted_valuation": "fully_diluted_valuation",
                "circulating_supply": "circulating_supply",
                "total_supply": "total_supply",
                "max_supply": "max_supply",
                "ath": "ath",
                "ath_date": {"field": "ath_date", "type": "timestamp"},
                "atl": "atl",
                "atl_date": {"field": "atl_date", "type": "timestamp"},
                "image": "image",
            },
        },
    }


def _coinpaprika_tickers(params: Mapping[str, Any]) -> Table:
    currency = str(params["quotes"]).partition(",")[0].strip().upper()
    quote = f"quotes.{currency}"
    return {
        "url": "https://api.coinpaprika.com/v1/tickers",
        "auth": {"type": "api_key", "header": "Authorization"},
        "limit": {"requests": 20, "per": "minute", "burst": 2},
        "max_bytes": 256 * 1024 * 1024,
        "timeout": 120,
        "kind": "quote",
        "mapping": {
            "key": ["id"],
            "external_id": "id",
            "title": "name",
            "symbol": "symbol",
            "value": f"{quote}.price",
            "currency": {"const": currency},
            "occurred_at": "last_updated",
            "attributes": {
                "market_cap": f"{quote}.market_cap",
                "rank": "rank",
                "volume_24h": f"{quote}.volume_24h",
                "price_change_percentage_1h": f"{quote}.percent_change_1h",
                "price_change_percentage_24h": f"{quote}.percent_change_24h",
                "price_change_percentage_7d": f"{quote}.percent_change_7d",
                "circulating_supply": "circulating_supply",
                "total_supply": "total_supply",
                "max_supply": "max_supply",
                "beta_value": "beta_value",
                "ath": f"{quote}.ath_price",
                "ath_date": {"field": f"{quote}.ath_date", "type": "timestamp"},
            },
        },
    }


def _coinpaprika_changelog(_params: Mapping[str, Any]) -> Table:
    return {
        "url": "https://api-pro.coinpaprika.com/v1/changelog/ids",
        "paginate": {"type": "page", "param": "page", "size": 100, "start": 1},
        "auth": {"type": "api_key", "header": "Authorization"},
        "limit": {"requests": 20, "per": "minute", "burst": 2},
        "kind": "rename",
        "mapping": {
            "key": ["old_id", "new_id", "changed_at"],
            "external_id": "new_id",
            "occurred_at": "changed_at",
            "attributes": {"of": {"const": "coinpaprika"}, "old_id": "old_id", "new_id": "new_id"},
        },
    }


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "coingecko.markets",
            "Prices of all coins, by market capitalization, 250 a page; works without a key. The currency of the "
            "records follows the parameter `vs_currency`.",
            {"vs_currency": "usd", "order": "market_cap_desc"},
            _coingecko_markets,
        ),
        Preset(
            "coinpaprika.tickers",
            "All tickers in one answer; works without a key. Value and currency follow the first of the parameter "
            "`quotes`.",
            {"quotes": "USD"},
            _coinpaprika_tickers,
        ),
        Preset(
            "coinpaprika.changelog",
            "Which ids CoinPaprika has given up for which others; needs a paid plan and its key. The ids are those of "
            "the source named `coinpaprika`; `mapping.attributes.of` names another one.",
            {},
            _coinpaprika_changelog,
        ),
    )
}
"""All presets by name."""


def resolve_preset(given: Table) -> Table:
    """A source's table with what its `preset` adds.

    What the table says wins. Tables inside it (params, headers, auth, limit, retry, mapping) are merged key by key,
    `attributes` of the mapping included, except where the table names another `type`. `auth` without anything given
    is left out: it is optional. Raises ValueError for an unknown preset.
    """
    name = given.get("preset")
    if name is None:
        return given
    preset = PRESETS.get(str(name))
    if preset is None:
        raise ValueError(_unknown(str(name)))
    params = given.get("params")
    merged_params = {**preset.params, **(params if isinstance(params, dict) else {})}
    base: Table = {**preset.build(merged_params), "params": preset.params}
    auth = given.get("auth")
    if not auth or (isinstance(auth, dict) and not any(auth.values())):
        base.pop("auth", None)
        given = {key: value for key, value in given.items() if key != "auth"}
    return _merged(base, given)


def _merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> Table:
    result = dict(base)
    for key, value in given.items():
        known = base.get(key)
        if isinstance(known, Mapping) and isinstance(value, Mapping) and _extends(known, value):
            result[key] = _merged(known, value)
        else:
            result[key] = value
    return result


def _extends(known: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    """True where the given table completes the preset's; a rule of the mapping (`field`, `const`) replaces."""
    if "const" in known or "field" in known:
        return False
    return value.get("type") in (None, known.get("type"))


def _unknown(name: str) -> str:
    near = difflib.get_close_matches(name, PRESETS, n=1, cutoff=0.5)
    guess = f" Did you mean {near[0]!r}?" if near else ""
    return f"unknown preset {name!r}; there are {', '.join(sorted(PRESETS))}.{guess}"
