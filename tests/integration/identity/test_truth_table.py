"""The rules of identity, judged by a table that was made without them."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from listed_assets import GECKO, PAPRIKA, Pair, listed_assets, truth

from kasparro_core.identity import resolve
from kasparro_core.model.entity import AssetId, Claim, EntityLink, Market, Rulings

PRECISION, RECALL = 0.995, 0.95


Links = dict[AssetId, EntityLink]


@pytest.fixture(scope="module")
def claims(shared_data: Callable[..., Path]) -> list[Claim]:
    return listed_assets(shared_data)


@pytest.fixture(scope="module")
def links(claims: list[Claim]) -> Links:
    begun = time.perf_counter()
    found = linked(claims)
    print(f"\n{len(claims)} assets in {time.perf_counter() - begun:.1f} s")  # noqa: T201 - what was found is told
    return found


def linked(claims: list[Claim]) -> Links:
    """The link of each asset when all are decided at once."""
    resolution = resolve(claims, Rulings(), {})
    return {AssetId(link.source, link.external_id): link for link in resolution.links}


def judged(pairs: list[Pair], links: Links) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """The pairs that are linked rightly, those that are linked wrongly, and those that should be and are not."""
    homes = {asset: link.entity_id for asset, link in links.items()}
    together = {pair: homes.get(pair.gecko, "") == homes.get(pair.paprika) for pair in pairs}
    right = [pair for pair in pairs if together[pair] and pair.same]
    wrong = [pair for pair in pairs if together[pair] and not pair.same]
    missed = [pair for pair in pairs if not together[pair] and pair.same]
    return right, wrong, missed


def told(title: str, pairs: list[Pair]) -> None:
    for pair in pairs:
        print(f"  {title}: {pair.gecko.external_id} and {pair.paprika.external_id}: {pair.why}")  # noqa: T201 - what was found is told


def test_the_table_is_met(links: Links) -> None:
    """Both whole lists resolved from nothing: hardly a link is wrong, and few are missed."""
    right, wrong, missed = judged(truth(), links)
    precision, recall = len(right) / (len(right) + len(wrong)), len(right) / (len(right) + len(missed))
    members = defaultdict(list)
    for link in links.values():
        members[link.entity_id].append(str(link.method))
    pairs = Counter(methods[0] for methods in members.values() if len(methods) > 1)
    print(f"\n{len(members)} entities, pairs {dict(pairs)}")  # noqa: T201 - what was found is told
    print(f"precision {precision:.4f}, recall {recall:.4f}")  # noqa: T201 - what was found is told
    told("wrong", wrong)
    told("missed", missed)
    assert precision >= PRECISION
    assert recall >= RECALL


def test_what_a_provider_lists_twice_stays_two(links: Links) -> None:
    """No entity has two ids of one provider: nothing in the lists is evidence for that."""
    members = Counter((link.entity_id, link.source) for link in links.values())
    assert max(members.values()) == 1
    chain, coin = AssetId(PAPRIKA, "cro-cryptocom-chain"), AssetId(PAPRIKA, "cro-cryptocom-coin")
    assert links[chain].entity_id == links[AssetId(GECKO, "crypto-com-chain")].entity_id
    assert links[coin].entity_id != links[chain].entity_id


@pytest.mark.skipif(
    "KASPARRO_TEST_RANKLESS" not in os.environ, reason="KASPARRO_TEST_RANKLESS=1 resolves all of it again"
)
def test_without_ranks_no_link_is_wrong(claims: list[Claim]) -> None:
    """Ranks only ever help: lists without them give fewer links, and these are right."""
    right, wrong, missed = judged(truth(), linked([replace(claim, market=Market()) for claim in claims]))
    print(f"\nwithout ranks: {len(right)} right, {len(missed)} missed")  # noqa: T201 - what was found is told
    told("wrong", wrong)
    assert len(right) / (len(right) + len(wrong)) >= PRECISION
