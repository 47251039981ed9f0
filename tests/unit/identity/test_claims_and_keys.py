"""What records claim, and where claims lie."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from identity_claims import claim

from kasparro_core.identity import claim_of, fingerprint, keys_of
from kasparro_core.identity.claims import fingerprint_of
from kasparro_core.identity.contracts import at_odds, canonical_contract
from kasparro_core.model.entity import AssetId, Market
from kasparro_core.model.record import Record

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
QUOTE = Record("gecko", "bitcoin", "quote", "bitcoin", " Bitcoin ", "BTC", Decimal(60000), "USD", None, NOON)
WBTC = "0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599"


def test_a_quote_claims_an_asset():
    """Name, symbol and market of a quote become the claim; a candle is about the same kind of thing."""
    record = QUOTE._replace(attributes={"rank": 1, "market_cap": Decimal("1.2e12"), "volume_24h": 5})
    found = claim_of(record)
    assert (found.asset, found.kind, found.symbol, found.name) == (("gecko", "bitcoin"), "asset", "BTC", "Bitcoin")
    assert found.market == Market(1, Decimal(60000), "USD", Decimal("1.2e12"), NOON)
    assert claim_of(record._replace(kind="candle")).kind == "asset"
    assert claim_of(record._replace(kind="wallet")).kind == "wallet"


@pytest.mark.parametrize(
    "record", [QUOTE._replace(kind="article"), QUOTE._replace(kind="rename"), QUOTE._replace(external_id=None)]
)
def test_some_records_claim_nothing(record):
    """Articles, renamings and records without an id of their source say nothing of an asset."""
    assert claim_of(record) is None


def test_ranks_that_are_none():
    """0 stands for "not ranked", and a rank that is no number is none."""
    assert [claim_of(QUOTE._replace(attributes={"rank": rank})).market.rank for rank in (0, "7", True, 7)] == [
        None,
        None,
        None,
        7,
    ]


@pytest.mark.parametrize(
    "attributes",
    [
        {"platforms": {"ethereum": WBTC, "": ""}},
        {"contracts": [{"contract": WBTC.lower(), "platform": "eth-ethereum", "type": "ERC20"}]},
        {"contracts": [f"ERC20:{WBTC}", f"eth:{WBTC}"]},
        {"contract": WBTC, "chain": "Ethereum"},
        {"contract": {"address": WBTC, "chain": "eth"}},
    ],
)
def test_contracts_have_one_spelling(attributes):
    """However a source says on which chain an address is: one text, once."""
    assert claim_of(QUOTE._replace(attributes=attributes)).contracts == (f"ethereum:{WBTC.lower()}",)


@pytest.mark.parametrize("address", ["", "native", f"0x{'0' * 40}", "0x" + "Ee" * 20, "0x1"])
def test_placeholders_are_no_contracts(address):
    """What stands for a chain's own coin is shared by things that are not one."""
    assert canonical_contract("ethereum", address) is None


def test_an_address_without_a_chain_names_nothing():
    """The same address is another token on another chain."""
    assert claim_of(QUOTE._replace(attributes={"contract": WBTC})).contracts == ()


def test_addresses_that_have_a_case_keep_it():
    """Solana's addresses differ by case, those of Ethereum do not."""
    assert canonical_contract("sol", "So11111111111111111111111111111111111111112")[7:9] == "So"


def test_contracts_are_at_odds_on_a_common_chain_alone():
    """Another chain contradicts nothing, and one common address settles it."""
    assert at_odds(["ethereum:a"], ["ethereum:b"])
    assert not at_odds(["ethereum:a"], ["base:b"])
    assert not at_odds(["ethereum:a", "base:c"], ["ethereum:b", "base:c"])


def test_references_and_former_ids():
    """Ids of other sources and earlier ids, one or several; what is no text is left out."""
    attributes = {
        "refs": {"paprika": "btc-bitcoin", "lists": ["a", " ", 7]},
        "former_id": "btc-old",
        "former_ids": ["x"],
    }
    found = claim_of(QUOTE._replace(attributes=attributes))
    assert found.refs == (("lists", "a"), ("paprika", "btc-bitcoin"))
    assert found.former == ("btc-old", "x")


def test_prices_make_no_claim_new():
    """The fingerprint changes with everything but the market."""
    one = claim_of(QUOTE)
    assert fingerprint(one) == fingerprint(replace(one, market=Market(5, Decimal(1), "EUR")))
    changes = [
        {"symbol": "XBT"},
        {"name": "Bit"},
        {"contracts": ("a:b",)},
        {"refs": (AssetId("a", "b"),)},
        {"former": ("a",)},
        {"kind": "x"},
    ]
    assert len({fingerprint(one), *(fingerprint(replace(one, **change)) for change in changes)}) == 7


@pytest.mark.parametrize(
    "attributes",
    [{}, {"rank": 1}, {"contract": f"eth:{WBTC}"}, {"refs": {"x": "y"}}, {"former_id": "z"}, {"former_ids": ["z"]}],
)
def test_a_fingerprint_needs_no_claim(attributes):
    """Taken of a record, with or without what makes a claim longer, it is that of its claim."""
    record = QUOTE._replace(attributes=attributes, symbol=" BTC ")
    assert fingerprint_of(record) == fingerprint(claim_of(record))
    assert fingerprint_of(record._replace(title=" ")) == fingerprint(claim_of(record._replace(title=None)))
    assert fingerprint_of(record._replace(kind="article")) is None


def test_keys_bind_by_id_contract_symbol_and_name():
    """Everything that a decision asks about is found by the keys that two assets share."""
    given = replace(
        claim("paprika", "miota-iota", "MIOTA", "IOTA [OLD]"),
        contracts=("base:0x1",), refs=(AssetId("gecko", "iota"),), former=("iota-iota",),
    )  # fmt: skip
    assert keys_of(given).binding == (
        "c:base:0x1", "i:gecko:iota", "i:paprika:iota-iota", "i:paprika:miota-iota", "n:asset:iota", "s:asset:iota",
    )  # fmt: skip


def test_the_symbol_of_an_id_binds_too():
    """Where an id is a symbol and the name, the symbol is that of the day it was listed, or the whole of a cut one."""
    assert (
        "s:asset:attackontitan"
        in keys_of(claim("paprika", "attack-on-titan-attack-on-titan", "ATTACK ON ", "Attack On Titan")).binding
    )
    assert "s:asset:bitcoin" not in keys_of(claim("gecko", "bitcoin-cash", "bch", "Bitcoin Cash")).binding


def test_loose_keys_are_names_without_empty_words():
    """ "Hathor" and "Hathor Network" meet loosely."""
    one, other = (
        keys_of(claim("gecko", "hathor", "htr", "Hathor")),
        keys_of(claim("paprika", "h", "HTR", "Hathor Network")),
    )
    assert set(one.loose) & set(other.loose) == {"l:asset:hathor"}
