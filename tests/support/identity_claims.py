"""Claims that are easily alike, and what people say of them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from random import Random

from hypothesis import strategies as st

from kasparro_core.identity import keys_of
from kasparro_core.model.entity import AssetId, Claim, Market, Naming, Ruling, Rulings, Verdict

SOURCES = ("alpha", "beta", "gamma")
_WORDS = ("Bitcoin", "Bitcoin", "Moon", "Nano", "Nano", "Network", "Token", "V2", "[OLD]", "(BSC)", "Cash", "Ωmega")
_SYMBOLS = ("btc", "XBT", "NANO", "xno", "$NANO", "NANOv2")
_CONTRACTS = tuple(f"{chain}:0x{digit * 40}" for chain in ("ethereum", "base") for digit in "ab")
_ASSETS = tuple(AssetId(source, f"{source[0]}-{number}") for source in SOURCES for number in range(4))


def claim(source: str, external_id: str, symbol: str | None, name: str | None, rank: int | None = None) -> Claim:
    """What a source says of one of its ids."""
    return Claim(AssetId(source, external_id), "asset", symbol, name, market=Market(rank=rank))


def assets() -> st.SearchStrategy[AssetId]:
    """One of a dozen ids of three sources."""
    return st.sampled_from(_ASSETS)


def many_claims(most: int = 10) -> st.SearchStrategy[list[Claim]]:
    """Claims of different assets, with names, symbols, contracts and references that others have, too."""
    return st.lists(st.sampled_from(_POOL), min_size=1, max_size=most, unique_by=lambda each: each.asset)


def other_claims(some: Sequence[Claim]) -> st.SearchStrategy[list[Claim]]:
    """Other things that could be said of the same assets."""
    return st.tuples(*(st.sampled_from(_BY_ASSET[each.asset]) for each in some)).map(list)


def _drawn(random: Random) -> Claim:
    asset = random.choice(_ASSETS)
    seldom = [0] * 8 + [1, 2]
    return Claim(
        asset,
        random.choice(["asset"] * 9 + ["note"]),
        random.choice((None, *_SYMBOLS)),
        " ".join(random.choices(_WORDS, k=random.choice((0, 1, 1, 2, 2, 3)))) or None,
        contracts=tuple(sorted(random.sample(_CONTRACTS, random.choice(seldom)))),
        refs=tuple(sorted(random.sample(_ASSETS, random.choice(seldom)))),
        former=tuple(other.external_id for other in random.sample(_ASSETS, random.choice([0] * 12 + [1]))),
        market=Market(rank=random.choice((None, None, 7, 900, 2500, 6000))),
    )


_POOL = [_drawn(Random(seed)) for seed in range(3000)]
_BY_ASSET = {asset: [each for each in _POOL if each.asset == asset] for asset in _ASSETS}


def rulings() -> st.SearchStrategy[list[Ruling]]:
    """Rulings on any of the assets, contradictory ones too, numbered in order."""
    said = st.tuples(st.sampled_from(Verdict), st.lists(assets(), min_size=2, max_size=2, unique=True))
    return st.lists(said, max_size=6).map(
        lambda all_said: [Ruling(number, verdict, *pair) for number, (verdict, pair) in enumerate(all_said, 1)]
    )


def namings() -> st.SearchStrategy[list[Naming]]:
    """Lines of a mapping file: each asset once."""
    names = st.sampled_from(("my-bitcoin", "my-moon", "btc-bitcoin"))
    return st.dictionaries(assets(), names, max_size=4).map(lambda given: [Naming(*pair) for pair in given.items()])


def closed(
    everyone: Sequence[Claim], start: Iterable[AssetId], said: Rulings, homes: dict[AssetId, str]
) -> list[Claim]:
    """The claims that a decision on some assets has to look at. `homes`: the entity that each asset is in now."""
    ties: dict[str, set[AssetId]] = {}
    for each in everyone:
        for tie in _ties(each, said, homes):
            ties.setdefault(tie, set()).add(each.asset)
    by_asset = {each.asset: each for each in everyone}
    found: set[AssetId] = set()
    waiting = [asset for asset in start if asset in by_asset]
    while waiting:
        asset = waiting.pop()
        if asset not in found:
            found.add(asset)
            waiting += [other for tie in _ties(by_asset[asset], said, homes) for other in ties[tie] - found]
    return [by_asset[asset] for asset in sorted(found)]


def _ties(each: Claim, said: Rulings, homes: dict[AssetId, str]) -> Collection[str]:
    asset = each.asset
    same = [ruling for ruling in said.rulings if ruling.verdict is Verdict.SAME and asset in (ruling.a, ruling.b)]
    return [
        *keys_of(each).binding,
        *(f"ruling {ruling.ruling_id}" for ruling in same),
        *(f"entity {naming.entity_id}" for naming in said.namings if naming.asset == asset),
        *([f"entity {homes[asset]}"] if asset in homes else []),
    ]
