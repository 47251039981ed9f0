"""Names in one spelling, and what their words tell."""

from __future__ import annotations

import doctest

import pytest
from identity_claims import claim

from kasparro_core.identity import contracts, names, symbols, vocabulary
from kasparro_core.identity.likeness import likeness
from kasparro_core.identity.names import folded, squeezed, words_of
from kasparro_core.identity.symbols import canonical_symbol
from kasparro_core.identity.traits import traits_of
from kasparro_core.identity.vocabulary import core_of, untagged
from kasparro_core.identity.wording import Same


@pytest.mark.parametrize("module", [contracts, names, symbols, vocabulary])
def test_the_examples_in_the_docstrings_are_true(module):
    """What the docstrings show is what comes out."""
    failed, tried = doctest.testmod(module)
    assert tried
    assert not failed


@pytest.mark.parametrize(
    ("one", "other"),
    [("Ωmega", "omega"), ("Биткоин", "bitkoin"), ("ＢＩＴ", "bit"), ("Żółw", "zolw"), ("𝓑it", "bit"),
     ("ﬁx", "fix"), ("İstanbul", "istanbul")],
)  # fmt: skip
def test_folding_leaves_no_case_accent_or_script(one, other):
    """Styled, accented, Greek and Cyrillic letters become the Latin ones that they stand for."""
    assert folded(one) == other


def test_folding_twice_changes_nothing():
    """The folded form is its own."""
    for text in ("ǅungla", "ΌΣΟΣ", "Straße", "İ", "ﬃ", "Ⅷ", "щука"):
        assert folded(folded(text)) == folded(text)


def test_scripts_without_latin_letters_stay():
    """Chinese names are compared as they are; signs and emoji are no words."""
    assert words_of("比特币 Coin 🐰!") == ("比特币", "coin")
    assert squeezed("$$$") == ""


@pytest.mark.parametrize(
    ("given", "canonical"),
    [("BTC", "btc"), ("xbt", "btc"), ("XNO", "nano"), ("$UP", "up"), ("kfs g", "kfsg"), ("$$$", "$$$"),
     ("ＢＴＣ", "btc"), ("🐰", "🐰")],
)  # fmt: skip
def test_symbols_have_one_spelling(given, canonical):
    """Case, signs and blanks tell nothing, and well-known renamings are followed."""
    assert canonical_symbol(given) == canonical


@pytest.mark.parametrize(
    ("name", "core"),
    [("Hathor Network", "hathor"), ("StakeCubeCoin", "stakecube"), ("The Token", "thetoken"), ("DAO", "dao"),
     ("Curve DAO Token", "curve"), ("BitToken Coin", "bit")],
)  # fmt: skip
def test_cores_drop_what_tells_nothing_and_never_everything(name, core):
    """A name that is nothing but such words is its own core."""
    assert core_of(words_of(name)) == core


@pytest.mark.parametrize(
    ("name", "bare", "tags"),
    [("SafeMoon [OLD]", "safemoon", {"old"}), ("Thorecash (ERC-20)", "thorecash", {"erc20"}),
     ("DegemV2", "degem", {"v2"}),
     ("Linear (BSC)", "linear", {"bsc"}), ("New World Order", "newworldorder", set()), ("OLD", "old", set()),
     ("TerraUSD (Wormhole)", "terrausd", {"wormhole"}), ("Digitex Futures", "digitexfutures", set())],
)  # fmt: skip
def test_tags_are_told_from_names(name, bare, tags):
    """What tells a thing from its namesake is a tag; what a name begins with is none."""
    words, found = untagged(words_of(name))
    assert ("".join(words), set(found)) == (bare, tags)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("Fei USD", "fei usd", Same.WORDS), ("FeiUSD", "Fei-USD", Same.SQUEEZED),
        ("Hathor", "Hathor Network", Same.CORE),
        ("BeeKan / Beenews", "BeeKan", Same.CORE), ("Ubique Chain (UCOT)", "Ubique Chain", Same.CORE),
        ("Hive Dollar", "Hive Backed Dollar", Same.PART),
        ("Legend of Fantasy War", "Legends of Fantasy War", Same.PART),
        ("Gameflip", "FLIP", Same.INSIDE), ("Bitcoin", "Bitcoin Cash", Same.NO), ("Wrapped Terra", "Terra", Same.NO),
        ("IBEX", "IBEX 35", Same.NO), ("Moon Swap", "Moon Farm", Same.NO), ("Solana", "Cardano", Same.NO),
    ],
)  # fmt: skip
def test_how_far_names_agree(one, other, same):
    """From word by word down to nothing; a word that makes another thing of a name ends it."""
    pair = likeness(traits_of(claim("a", "x1", "zzz", one)), traits_of(claim("b", "y2", "zzz", other)))
    assert pair.name is same
