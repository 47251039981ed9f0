"""Which entities an article speaks of: the signs, their order, and what is no mention."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.identity.mentions import Named, asked_for, mentions_in
from kasparro_core.identity.names import squeezed
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.model.mention import Mention


def named(entity_id: str, name: str, symbol: str, rank: int | None) -> Named:
    return Named(entity_id, frozenset({squeezed(name)}), frozenset({canonical_symbol(symbol)}), rank)


KNOWN = (
    named("bitcoin", "Bitcoin", "BTC", 1),
    named("dogecoin", "Dogecoin", "DOGE", 10),
    named("bitcoin-cash", "Bitcoin Cash", "BCH", 25),
    named("chainlink", "Chainlink", "LINK", 20),
    named("the-graph", "The Graph", "GRT", 50),
    named("near", "Near", "NEAR", 22),
    named("solana", "Solana", "SOL", 7),
    named("sol-wormhole", "SOL (Wormhole)", "SOL", 900),
    named("meta-1", "Meta", "META", 700),
    named("meta-2", "Metaverse", "META", 800),
    named("tail", "Quiet Harbour", "QHB", None),
    named("twin-1", "Twin Coin", "TWA", 400),
    named("twin-2", "Twin Coin", "TWB", 500),
)


def told(text: str) -> dict[str, str]:
    """The entities by method, out of those that the text asks for."""
    asked = asked_for(text)
    known = [each for each in KNOWN if each.names & asked.names or each.symbols & asked.symbols]
    return {mention.entity_id: mention.method for mention in mentions_in(text, known)}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Bitcoin (BTC) rises", {"bitcoin": "name_and_symbol"}),
        ("SOL crashes, Dogecoin drops", {"solana": "symbol", "dogecoin": "name"}),
        ("A coin for the NEAR box, and two coins more", {}),
        ("Quiet Harbour (QHB) is listed", {"tail": "name_and_symbol"}),
        ("Quiet Harbour is listed, a crypto token", {}),
        ("What Bitcoin Cash did, as a token", {"bitcoin-cash": "name"}),
        ("Bitcoin’s crypto winter, and bitcoin too", {"bitcoin": "name"}),
        ("$SOL jumps", {"solana": "cashtag"}),
        ("$META jumps on crypto", {}),
        ("SOL and BTC prices of tokens", {"bitcoin": "symbol", "solana": "symbol"}),
        ("SOL and BTC are letters", {"bitcoin": "symbol", "solana": "symbol"}),
        ("El Sol brilla, SOL", {}),
        ("Near the end of crypto", {}),
        ("Near and its token NEAR", {"near": "symbol"}),
        ("The Graph of a function", {"the-graph": "name"}),
        ("Twin Coin and crypto", {}),
        ("Twin Coin (TWB) and crypto", {"twin-2": "name_and_symbol"}),
        ("Chainlink is a token; a chainlink fence", {"chainlink": "name"}),
        ("Bitcoin (QHB) crypto", {}),
        ("比特币价格，Chainlink 登陆", {"chainlink": "name"}),
        ("", {}),
    ],
)
def test_signs(text: str, found: dict[str, str]) -> None:
    """Each sign counts as the module says, the longest name first; what may mean something else does not."""
    assert told(text) == found


def test_each_entity_once_by_its_surest_sign() -> None:
    """A text that names a coin in several ways mentions it once."""
    (mention,) = mentions_in("BTC crypto: $BTC, Bitcoin (BTC)", KNOWN[:1])
    assert mention == Mention("bitcoin", "name_and_symbol", Decimal("0.99"))


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """No text breaks the reading, and nothing is mentioned that the text did not ask for."""
    asked = asked_for(text)
    for mention in mentions_in(text, KNOWN):
        (one,) = (each for each in KNOWN if each.entity_id == mention.entity_id)
        assert one.names & asked.names or one.symbols & asked.symbols
