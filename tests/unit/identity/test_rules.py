"""The rules of identity by example: what is one, what is not, and what is left to a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import product

import pytest
from identity_claims import claim

from kasparro_core.identity import resolve
from kasparro_core.model.entity import AssetId, Candidate, Claim, EntityLink, Market, Rulings

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
WBTC = "ethereum:0x2260fac5e5542a773aa44fbcfedf7c193bc2c599"


def gecko(external_id: str, symbol: str, name: str, rank: int | None = None) -> Claim:
    return claim("gecko", external_id, symbol, name, rank)


def paprika(external_id: str, symbol: str, name: str, rank: int | None = None) -> Claim:
    return claim("paprika", external_id, symbol, name, rank)


def links_of(*claims: Claim) -> dict[str, EntityLink]:
    """The link of each external_id."""
    return {link.external_id: link for link in resolve(claims, Rulings(), {}).links}


def method(one: Claim, other: Claim, *others: Claim) -> str | None:
    """How the two were found to be one; None where they were not."""
    links = links_of(one, other, *others)
    mine, theirs = links[one.asset.external_id], links[other.asset.external_id]
    return str(mine.method) if mine.entity_id == theirs.entity_id else None


def candidates(*claims: Claim) -> list[Candidate]:
    return list(resolve(claims, Rulings(), {}).candidates)


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("bitcoin", "btc", "Bitcoin"), ("btc-bitcoin", "BTC", "Bitcoin"), "exact"),
        (("ripple", "xrp", "XRP"), ("xrp-xrp", "XRP", "XRP"), "exact"),
        (("matic-network", "matic", "Polygon"), ("matic-polygon", "MATIC", "Polygon"), "exact"),
        (("nano", "xno", "Nano"), ("nano-nano", "NANO", "Nano"), "exact"),
        (("yearn-finance", "yfi", "yearn.finance"), ("yfi-yearnfinance", "YFI", "Yearn Finance"), "exact"),
        (("lodz", "ldz", "Łódź"), ("ldz-lodz", "LDZ", "Lodz"), "exact"),
        (("metauniverse", "metauniverse", "MetaUniverse"),
         ("metauniverse-metauniverse", "METAUNIVER", "MetaUniverse"), "exact"),
        (("binancecoin", "bnb", "BNB"), ("bnb-binance-coin", "BNB", "Binance Coin"), "near"),
        (("hathor", "htr", "Hathor"), ("htr-hathor-network", "HTR", "Hathor Network"), "near"),
        (("crypto-com-chain", "cro", "Cronos"), ("cro-cryptocom-chain", "CRO", "Crypto.com Coin"), "near"),
        (("nftmall", "gem", "NFTmall"), ("gem-nftmall-gem", "GEM", "NFTmall (GEM)"), "near"),
        (("ethlend", "lend", "Aave [OLD]"), ("lend-ethlend", "LEND", "Aave"), "near"),
    ],
)  # fmt: skip
def test_the_same_coin_under_other_names(one, other, found):
    """Providers spell names and symbols each in their way, rename them, and keep the names of old in their ids."""
    assert method(gecko(*one), paprika(*other)) == found


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("dechart", "dch", "DeChart"), ("dch-doge-cash", "DCH", "Doge Cash", 3837)),
        (("wrapped-bitcoin", "btc", "Wrapped Bitcoin"), ("btc-bitcoin", "BTC", "Bitcoin", 1)),
        (("ethereum-wormhole", "eth", "Ethereum (Wormhole)"), ("eth-ethereum", "ETH", "Ethereum", 2)),
        (("tenshi", "tenshi", "Tenshi v2"), ("tenshi-tenshi", "TENSHI", "Tenshi", 2686)),
        (("nosana", "nos", "Nosana"), ("nos-nos", "NOS", "nOS", 1205)),
        (("ref-finance", "ref", "Ref Finance"), ("ref-reftoken", "REF", "RefToken")),
        (("ibex", "ibex", "IBEX"), ("ibex-ibex-35-token", "IBEX", "IBEX 35 Token", 4248)),
        (("swarm-bzz", "bzz", "Swarm"), ("swm-swarm", "SWM", "Swarm", 1144)),
        (("threshold", "t", "Threshold"), ("t-atampt", "T", "AT&T", 5164)),
    ],
)
def test_other_coins_of_one_symbol_or_name(one, other):
    """One symbol, or one name, and two things: they stay two."""
    assert method(gecko(*one), paprika(*other)) is None


@pytest.mark.parametrize("names", [("Alpha Beta Coin", "Arctic Bear Club"), (None, None)])
def test_numbers_are_no_names(names):
    """Every source counts from 1: that two of them call something 1234, or abc-1234, says nothing."""
    for one, other in product(("1234", "abc-1234"), repeat=2):
        both = [claim("gecko", one, "ABC", names[0]), claim("list", other, "ABC", names[1])]
        assert {link.method for link in resolve(both, Rulings(), {}).links} == {"own"}


def test_a_rank_supports_names_that_say_no_more_than_the_symbol():
    """ "REEF" and "Reef Finance" may be two that chose one word; among the best ranked, with a symbol of its own, it is
    one, and without a rank a person is asked."""
    one = gecko("reef-finance", "reef", "Reef Finance")
    assert method(one, paprika("reef-reef", "REEF", "Reef", 206)) == "near"
    assert method(one, paprika("reef-reef", "REEF", "Reef")) is None
    assert candidates(one, paprika("reef-reef", "REEF", "Reef"))


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        (("mxc", "mxc", "MXC"), ("mxc-machine-xchange-coin", "MXC", "Machine Xchange Coin", 300), "near"),
        (("stp-network", "stpt", "STP Network"), ("stpt-stpt", "STPT", "STPT", 291), "near"),
        (("mxc", "mxc", "MXC"), ("mxc-machine-xchange-coin", "MXC", "Machine Xchange Coin", 1300), None),
        (("eldorado-token", "erd", "Eldorado Token"), ("erd-elrond", "ERD", "Elrond", 255), None),
        (("paint-swap", "brush", "Paint Swap"), ("brush-brush", "BRUSH", "BRUSH", 925), None),
        (("clbcoin", "clb", "CLBcoin"), ("clb-cloudbric", "CLB", "Cloudbric", 743), None),
    ],
)
def test_what_a_symbol_stands_for(one, other, found):
    """A name that is but a symbol, and a name of several words that it abbreviates: one, among the best thousand.
    Letters that come in the name by chance are not enough."""
    assert method(gecko(*one), paprika(*other)) == found


def test_ranks_of_other_years_support_nothing():
    """A list of 2024 and one of 2019: a symbol that nobody else has now may have been somebody else's then."""
    one = replace(gecko("reef-finance", "reef", "Reef Finance"), market=Market(seen_at=NOON))
    ranked = [Market(206, seen_at=NOON - timedelta(days=days)) for days in (30, 1700)]
    found = [method(one, replace(paprika("reef-reef", "REEF", "Reef"), market=market)) for market in ranked]
    assert found == ["near", None]


@pytest.mark.parametrize("name", ["Filecoin [Futures]", "Filecoin [IOU]", "Filecoin (ERC-20)", "Filecoin (Wormhole)"])
def test_a_claim_on_a_thing_is_not_the_thing(name):
    """What providers put into brackets: futures, promises and copies on other chains."""
    assert method(gecko("filecoin", "fil", "Filecoin"), paprika("fil-filecoin", "FIL", name, 30)) is None


def test_copies_on_other_chains_share_no_symbol():
    """A bridged copy leaves its original alone with the symbol."""
    copy = gecko("feg-wormhole", "feg", "FEG (Wormhole)")
    assert method(gecko("feg-token", "feg", "FEG Token"), paprika("feg-feg", "FEG", "FEG", 4219), copy) == "near"


def test_a_price_of_the_day_supports_as_a_rank_does():
    """Prices of one day that agree speak for two names that say little; prices of other days say nothing."""
    market = Market(value=Decimal("0.0123"), currency="USD", seen_at=NOON)
    one = replace(gecko("reef-finance", "reef", "Reef Finance"), market=market)
    other = paprika("reef-reef", "REEF", "Reef")
    assert method(one, replace(other, market=market._replace(seen_at=NOON + timedelta(hours=3)))) == "near"
    assert method(one, replace(other, market=market._replace(seen_at=NOON + timedelta(days=300)))) is None
    assert method(one, replace(other, market=market._replace(currency="EUR"))) is None


def test_a_price_of_the_day_contradicts_what_is_only_near():
    """Names that are nearly the same, and prices of one day far apart: left to a person."""
    market = Market(value=Decimal("0.0123"), currency="USD", seen_at=NOON)
    one = replace(gecko("hathor", "htr", "Hathor"), market=market)
    other = replace(paprika("htr-hathor-network", "HTR", "Hathor Network"), market=market._replace(value=Decimal(9)))
    assert method(one, other) is None
    assert [found.reason for found in candidates(one, other)] == ["the prices differ"]


def test_pegged_prices_support_nothing():
    """All dollar coins cost a dollar."""
    market = Market(value=Decimal("1.001"), currency="USD", seen_at=NOON)
    one = replace(gecko("usdx-network", "usdx", "USDX Network"), market=market)
    other = replace(paprika("usdx-usdx", "USDX", "USDX"), market=market._replace(value=Decimal("0.999")))
    assert method(one, other) is None


def test_a_contract_on_the_same_chain_is_evidence():
    """The same address on the same chain is one thing, whatever it is called; on another chain it is not."""
    one, other = gecko("wbtc", "wbtc", "Wrapped BTC"), paprika("x-y", "BTCW", "Bitcoin on Ethereum")
    assert method(replace(one, contracts=(WBTC,)), replace(other, contracts=(WBTC,))) == "contract"
    elsewhere = WBTC.replace("ethereum", "base")
    assert method(replace(one, contracts=(WBTC,)), replace(other, contracts=(elsewhere,))) is None


def test_other_contracts_on_a_chain_keep_namesakes_apart():
    """Name, symbol and id agree, the contracts on one chain do not: a copy, or the token before a migration."""
    one, other = gecko("tenset", "10set", "Tenset"), paprika("10set-tenset", "10SET", "Tenset")
    assert method(one, other) == "exact"
    apart = replace(one, contracts=(WBTC,)), replace(other, contracts=(f"ethereum:0x{'1' * 40}",))
    assert method(*apart) is None
    assert [found.reason for found in candidates(*apart)] == ["contracts on the same chain differ"]


def test_ids_that_name_each_other_are_evidence():
    """A source that names the other's id joins the two; two that name the same silent one do not."""
    silent = paprika("a-b", "AB", "Alphabet")
    naming = replace(gecko("abc", "abc", "ABC Coin"), refs=(silent.asset,))
    also = replace(gecko("abd", "abd", "ABD Coin"), refs=(silent.asset,))
    assert method(naming, silent) == "reference"
    assert method(naming, silent, also) is None
    assert method(naming, replace(silent, refs=(naming.asset,)), also) == "reference"


def test_a_renamed_id_moves_the_link():
    """The new id of a source is in the entity of its old one: two of one source, with evidence."""
    old = paprika("lend-ethlend", "LEND", "ETHLend")
    new = replace(paprika("aave-new", "AAVE", "Aave"), former=("lend-ethlend",))
    links = links_of(old, new)
    assert len({link.entity_id for link in links.values()}) == 1
    assert links["aave-new"].method == "reference"


def test_what_a_source_lists_twice_stays_two():
    """The better of two listings gets the link, by words, id or rank; the other is a candidate."""
    one = gecko("gold-coin", "gold", "Gold Coin")
    first, second = paprika("gold-gold-coin", "GOLD", "Gold Coin", 900), paprika("gold-goldcoin", "GOLD", "GoldCoin")
    links = links_of(one, first, second)
    assert links["gold-coin"].entity_id == links["gold-gold-coin"].entity_id != links["gold-goldcoin"].entity_id
    assert [found.b for found in candidates(one, first, second)] == [second.asset]


def test_two_listings_that_are_as_good_are_both_left_to_a_person():
    """Nothing tells which of the two is meant: no link at all, and two candidates."""
    one = gecko("gold-coin", "gold", "Gold Coin")
    twins = [paprika(f"gold-gold-coin{number}", "GOLD", "Gold Coin") for number in (7, 8)]
    assert len({link.entity_id for link in links_of(one, *twins).values()}) == 3
    assert [found.reason for found in candidates(one, *twins)] == ["another pair is as likely"] * 2


def test_old_and_new_go_by_what_each_source_marks():
    """One source marks the old token, the other the new one: the unmarked names are two tokens, though they agree."""
    old, new = gecko("olympus-v1", "ohm", "Olympus v1"), gecko("olympus", "ohm", "Olympus")
    their_old, their_new = (
        paprika("ohm-olympus", "OHM", "Olympus", 2325),
        paprika("ohmv2-olympus-v2", "OHMv2", "Olympus V2"),
    )
    links = links_of(old, new, their_old, their_new)
    assert links["olympus-v1"].entity_id == links["ohm-olympus"].entity_id
    assert links["olympus"].entity_id == links["ohmv2-olympus-v2"].entity_id != links["ohm-olympus"].entity_id


def test_a_renamed_symbol_takes_name_id_and_rank():
    """A long name that both have alone, the same id, a rank, and nobody else by either symbol: one. Any of these
    missing, a person is asked."""
    one, other = (
        gecko("morpheus-network", "mnw", "Morpheus Network"),
        paprika("mrph-morpheusnetwork", "MRPH", "Morpheus Network", 350),
    )
    assert method(one, other) == "near"
    assert method(one, other, paprika("mnw-minnow", "MNW", "Minnow")) is None
    assert method(one, replace(other, market=Market())) is None
    assert candidates(one, replace(other, market=Market()))


@pytest.mark.parametrize(
    ("one", "other", "name"),
    [("clbk", "CLB", "Cloudbric"), ("brgb", "BRBG", "BurgerBurn"), ("geno", "GNO", "Genopets")],
)
def test_two_writings_of_a_symbol(one, other, name):
    """One long name and id that each source has once, and symbols of which one misses a letter or has two turned: one,
    also where somebody else goes by one of them."""
    pair = gecko(name.lower(), one, name), paprika(f"{other.lower()}-{name.lower()}", other, name)
    assert method(*pair) == "near"
    assert method(*pair, gecko("stranger", other, "Somebody Else")) == "near"
    assert method(*pair, gecko("second", "q", name)) is None
    assert method(pair[0], paprika("other", other, name)) is None
    assert method(pair[0], replace(pair[1], symbol="XYZ")) is None
    assert method(pair[0], replace(pair[1], name=f"{name} V2")) is None


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("Phoenix", "PHX", "PHNX"), ("Stellar", "XLM", "XLA"), ("Genesis", "GEN", "GENS"), ("Curve", "2CRV", "3CRV"),
        ("Apple Stock Token", "AAPL", "MAAPL"), ("Staked Ether", "STETH", "SETH"), ("Yearn Vault", "YVUSDC", "YVUSDT"),
        ("Elon Musk", "ELON", "MUSK"), ("Santa Claus", "SANTA", "CLAUS"), ("Litecoin Cash", "LCC", "LCH"),
        ("Bitcoin Quarterly Future", "BTCU26", "BTCZ26"), ("Index 100 Option", "SP100C", "SP100P"),
        ("Baby Doge Inu", "BDOGEI", "BDOGI"), ("Lift Kitchen", "LIFT", "LFBTC"), ("Honey", "HNY", "HNEY"),
    ],
)  # fmt: skip
def test_other_symbols_are_others(name, one, other):
    """One name and id, and symbols that differ by more than a slip, or a name that many have: two."""
    slug = name.lower().replace(" ", "-")
    assert method(gecko(slug, one, name), paprika(f"{other.lower()}-{slug}", other, name)) is None


def test_three_sources_make_one():
    """A coin that three sources list is one entity; each link says with whom and how it was found."""
    third = claim("file", "bitcoin", "XBT", None)
    links = links_of(gecko("bitcoin", "btc", "Bitcoin"), paprika("btc-bitcoin", "BTC", "Bitcoin", 1), third)
    by_source = {
        link.source: link
        for link in resolve(
            [gecko("bitcoin", "btc", "Bitcoin"), paprika("btc-bitcoin", "BTC", "Bitcoin", 1), third], Rulings(), {}
        ).links
    }
    assert {link.entity_id for link in links.values()} == {by_source["file"].entity_id}
    assert by_source["file"].method == "near"
    assert by_source["gecko"].evidence["with"] == ["paprika", "btc-bitcoin"]


def test_a_name_that_a_crowd_has_is_nobodys():
    """A mapping that gives every row one name and one symbol makes no links, and no flood of candidates either."""
    crowd = [
        claim(source, f"{source}-{number}", "abc", "Row") for source in ("gecko", "paprika") for number in range(300)
    ]
    resolution = resolve(crowd, Rulings(), {})
    assert len({link.entity_id for link in resolution.links}) == len(crowd)
    assert not resolution.candidates


def test_kinds_are_never_mixed_by_name():
    """Two things of different kinds with one name and symbol are two."""
    assert (
        method(gecko("bitcoin", "btc", "Bitcoin"), replace(paprika("btc-bitcoin", "BTC", "Bitcoin"), kind="note"))
        is None
    )


def test_an_asset_by_itself_is_its_own_entity():
    """Nobody else knows it: a link of its own, fully sure, with a readable id."""
    link = links_of(gecko("zodiacs", "zdc", "Zodiacs"))["zodiacs"]
    assert (link.entity_id, link.method, link.confidence) == ("zdc-zodiacs", "own", 1)


def test_names_of_another_block_are_faint_candidates():
    """A name and id that differ by words that tell nothing, and another symbol: told, at the end of the list."""
    one, other = gecko("hathor", "htr", "Hathor"), paprika("hath-hathor-network", "HATH", "Hathor Network")
    found = resolve([one], Rulings(), {}, nearby=[other]).candidates
    assert [(each.a, each.b) for each in found] == [
        (AssetId("gecko", "hathor"), AssetId("paprika", "hath-hathor-network"))
    ]
    assert not resolve(
        [one], Rulings(), {}, nearby=[replace(other, name="Helium", asset=AssetId("paprika", "h-helium"))]
    ).candidates


def test_what_many_bear_is_nobodys_candidate() -> None:
    """A name that is not one thing's own is not put before a person pair by pair."""
    one = gecko("hathor", "htr", "Hathor")
    others = [paprika(f"h{number}-hathor-network", f"H{number}", "Hathor Network") for number in range(4)]
    few = resolve([one], Rulings(), {}, nearby=others[:3]).candidates
    assert (len(few), list(resolve([one], Rulings(), {}, nearby=others).candidates)) == (3, [])
