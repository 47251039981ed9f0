"""The configuration of an HTTP source, and its presets."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from kasparro_adapters.http import PRESETS, HttpSourceConfig, resolve_preset
from kasparro_core.normalize.compiler import compile_mapping


def config(**given):
    return HttpSourceConfig.model_validate({"type": "http", **given})


def test_a_preset_gives_everything_but_the_key():
    """`coingecko.markets` alone is a complete source: address, paging, budget, kind and mapping, without auth."""
    source = config(preset="coingecko.markets")
    assert source.url == "https://api.coingecko.com/api/v3/coins/markets"
    assert source.params == {"vs_currency": "usd", "order": "market_cap_desc"}
    assert (source.paginate.type, source.paginate.size, source.paginate.size_params()) == (
        "page",
        250,
        {"per_page": "250"},
    )
    assert source.limit is not None
    assert source.auth is None
    assert source.kind == "quote"
    assert source.record_mapping("cg").currency.const == "USD"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_compiles(name):
    """The mapping of each preset is accepted by the compiler, and its name is its key in the table."""
    assert compile_mapping(config(preset=name).record_mapping("s"))
    assert PRESETS[name].name == name
    assert PRESETS[name].about


def test_a_key_completes_the_auth_of_the_preset():
    """`auth = { key = ... }` is sent where the preset says, for CoinPaprika without "Bearer"."""
    gecko = config(preset="coingecko.markets", auth={"key": "CG-1"})
    paprika = config(preset="coinpaprika.tickers", auth={"key": "pk"})
    assert gecko.request("s", gecko.url).secret_headers == {"x-cg-demo-api-key": "CG-1"}
    assert paprika.request("s", paprika.url).secret_headers == {"Authorization": "pk"}


def test_the_header_of_a_key_can_be_overridden():
    """A paid plan with another header replaces just that part."""
    source = config(
        preset="coingecko.markets",
        url="https://pro-api.coingecko.com/api/v3/coins/markets",
        auth={"key": "p", "header": "x-cg-pro-api-key"},
    )
    assert source.request("s", source.url).secret_headers == {"x-cg-pro-api-key": "p"}


def test_another_kind_of_auth_replaces_the_presets():
    """An `auth` that names another type is taken as it stands."""
    source = config(preset="coingecko.markets", auth={"type": "bearer", "token": "t"})
    assert source.request("s", source.url).secret_headers == {"Authorization": "Bearer t"}


@pytest.mark.parametrize("auth", [None, {}, {"key": None}, {"key": ""}])
def test_an_absent_key_leaves_a_preset_keyless(auth):
    """A key that is not there is no auth at all: both presets work without."""
    assert config(preset="coinpaprika.tickers", auth=auth).auth is None


def test_parameters_are_merged_and_the_currency_follows():
    """Given parameters win, the others stay; the currency of the records follows `vs_currency` and `quotes`."""
    gecko = config(preset="coingecko.markets", params={"vs_currency": "eur", "ids": "bitcoin"})
    assert gecko.params == {"vs_currency": "eur", "order": "market_cap_desc", "ids": "bitcoin"}
    assert gecko.record_mapping("s").currency.const == "EUR"
    paprika = config(preset="coinpaprika.tickers", params={"quotes": "btc,USD"}).record_mapping("s")
    assert (paprika.currency.const, paprika.value) == ("BTC", "quotes.BTC.price")


def test_a_mapping_replaces_whole_targets_and_adds_attributes():
    """A target that is given replaces the preset's rule, the others stay; attributes are merged by name."""
    mapping = config(
        preset="coingecko.markets",
        mapping={"currency": {"const": "XYZ"}, "title": "symbol", "attributes": {"rank": "r", "more": "m"}},
    ).record_mapping("s")
    assert (mapping.currency.const, mapping.title, mapping.value) == ("XYZ", "symbol", "current_price")
    assert mapping.attributes["rank"] == "r"
    assert mapping.attributes["more"] == "m"
    assert mapping.attributes["market_cap"] == "market_cap"


def test_every_key_of_a_preset_can_be_overridden():
    """Limit, paging and records are merged or replaced like any key."""
    source = config(preset="coingecko.markets", limit={"requests": 5}, paginate={"size": 100}, kind="item", timeout=3)
    assert (source.limit.requests, source.limit.per) == (5, "minute")
    assert (source.paginate.type, source.paginate.size) == ("page", 100)
    assert (source.kind, source.timeout) == ("item", 3)
    assert config(preset="coingecko.markets", paginate={"type": "none"}).paginate.type == "none"


def test_an_unknown_preset_names_the_known_and_a_near_one():
    """A mistyped preset says what there is and what was probably meant."""
    with pytest.raises(
        ValidationError, match=r"coingecko\.markets, coinpaprika\.changelog.*Did you mean 'coingecko\.markets'"
    ):
        config(preset="coingeko.market")


def test_resolving_changes_nothing_without_a_preset():
    """A table without a preset is left as it is, and the table given is never changed."""
    given = {"type": "http", "url": "https://a.example/"}
    assert resolve_preset(given) is given
    with_preset = {"preset": "coingecko.markets", "params": {"x": 1}}
    resolve_preset(with_preset)
    assert with_preset == {"preset": "coingecko.markets", "params": {"x": 1}}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({}, "url"),
        ({"url": "ftp://a.example/x"}, "http"),
        ({"url": "a.example"}, "http"),
        ({"url": "https://u:p@a.example/"}, "auth"),
        ({"url": "https://a.example", "paginate": {"type": "pages"}}, "page"),
        ({"url": "https://a.example", "headers": {"X-A": "1\r\nX-B: 2"}}, "line break"),
        ({"url": "https://a.example", "auth": {"type": "bearer", "token": "t\n"}}, "line break"),
        ({"url": "https://a.example", "paginate": {"type": "page", "size_param": "n"}}, "size"),
        ({"url": "https://a.example", "paginate": {"type": "page", "sise": 3}}, "sise"),
        ({"url": "https://a.example", "paginate": {"type": "cursor"}}, "path"),
        ({"url": "https://a.example", "paginate": {"type": "page", "max_pages": 0}}, "max_pages"),
        ({"url": "https://a.example", "reccords": "x"}, "reccords"),
        ({"url": "https://a.example", "incremental": {"cursor": "u", "param": "s", "lookback": "1 fortnight"}}, "1h"),
        (
            {"url": "https://a.example", "incremental": {"cursor": "u", "param": "s", "type": "int", "lookback": "1h"}},
            "instant",
        ),
        (
            {"url": "https://a.example", "incremental": {"cursor": "u", "param": "s", "type": "text", "lookback": 1}},
            "lookback",
        ),
        ({"url": "https://a.example", "incremental": {"cursor": "u", "param": "s", "start": "soon"}}, "start"),
    ],
)
def test_faults_are_named(given, says):
    """Each wrong or missing key is an error that says what was expected."""
    with pytest.raises(ValidationError, match=says):
        config(**given)


def test_an_address_with_a_password_is_not_shown_with_it():
    """The error about a password in the address does not repeat our own words with it."""
    with pytest.raises(ValidationError) as caught:
        config(url="https://u:hunter2@a.example/")
    assert all("hunter2" not in each["msg"] for each in caught.value.errors())


@pytest.mark.parametrize(
    ("mapping", "marks"),
    [
        ({"key": ["symbol", "date"], "occurred_at": "date"}, False),
        ({"key": ["symbol", ["day", "date"]], "occurred_at": {"field": ["date", "day"], "format": "%Y-%m-%d"}}, False),
        ({"key": "at", "occurred_at": {"field": "at", "unit": "s"}}, False),
        ({"key": ["symbol", "date"], "occurred_at": "updated"}, True),
        ({"key": ["symbol", "date"]}, True),
        ({"key": "id", "occurred_at": {"const": "2026-01-01"}}, True),
        (None, True),
    ],
)
def test_what_is_listed_by_moments_is_not_marked_unasked(mapping, marks):
    """Where the time of an item is part of its key, each moment brings new keys, and the old ones are not gone."""
    given = {"type": "http", "url": "https://a.example/", "kind": "quote", "mapping": mapping}
    assert HttpSourceConfig.model_validate(given).marks_gone("quote") is marks
    asked = HttpSourceConfig.model_validate({**given, "mark_gone": True})
    assert asked.marks_gone("quote") is True
