"""The contract of EntityStore."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kasparro_core.model.entity import (
    AssetId,
    Candidate,
    Claim,
    Decision,
    Entity,
    EntityLink,
    EntityQuery,
    IdentityCounts,
    Known,
    Market,
    Verdict,
)
from kasparro_core.ports import Store
from kasparro_core.testing.build import later

BITCOIN = Entity("btc-bitcoin", "asset", "BTC", "Bitcoin", founder=AssetId("a", "B"))
WRAPPED = Entity("wbtc", "asset", "WBTC", "Wrapped BITCOIN", merged_into="btc-bitcoin", founder=AssetId("a", "w"))
STRASSE = Entity("ß", "place", None, "Hauptstraße")
NAMELESS = Entity("nameless", "asset", "BTC")
ALL = (NAMELESS, STRASSE, WRAPPED, BITCOIN)


def known(source: str, external_id: str, entity_id: str, **link: Any) -> Known:
    """What is kept of an asset that claims nothing but to be."""
    found = EntityLink(source, external_id, entity_id, "own", Decimal(1), {}, later(0))
    return Known(Claim(AssetId(source, external_id), "asset"), "h", later(0), replace(found, **link))


async def write(store: Store, decision: Decision) -> None:
    """Commit a decision."""
    async with store.begin() as work:
        await work.identity.save(decision)
        await work.commit()


async def link(store: Store, entity: Entity, *assets: tuple[str, str]) -> None:
    """Commit an entity and the links of these assets to it."""
    await write(store, Decision(made=[entity], known=[known(*asset, entity.entity_id) for asset in assets]))


def candidate(number: int, confidence: str, one: str = "a", other: str = "b") -> Candidate:
    """Two assets of two sources that may be one thing."""
    a, b = AssetId(one, f"é{number}"), AssetId(other, str(number))
    return Candidate(a, b, "near name", Decimal(confidence), {"names": ["x", None], "score": Decimal("0.1")})


class EntityContract:
    """Canonical things as people look at them. Needs a fixture `store`: migrated and empty."""

    async def test_an_empty_store_has_none(self, store: Store) -> None:
        """No entity, link, candidate or ruling is an answer, not an error."""
        async with store.begin(write=False) as work:
            assert list(await work.entities.list(EntityQuery())) == []
            assert await work.entities.get("btc-bitcoin") is None
            assert list(await work.entities.links("btc-bitcoin")) == []
            assert dict(await work.entities.claims([AssetId("a", "B")])) == {}
            assert list(await work.entities.candidates()) == []
            assert list(await work.entities.rulings(undone=True)) == []
            assert await work.entities.counts() == IdentityCounts()

    async def test_entities_come_back_as_they_are(self, store: Store) -> None:
        """Every field is there, and the absent ones are None; they are as old as the order in which they were made."""
        await write(store, Decision(made=ALL))
        async with store.begin(write=False) as work:
            found = [await work.entities.get(entity.entity_id) for entity in ALL]
            assert [entity and replace(entity, age=0) for entity in found] == list(ALL)
            ages = [entity.age for entity in found if entity]
            assert ages == sorted(set(ages))
            assert ages[0] > 0
            assert await work.entities.get("btc") is None

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (EntityQuery(), ["btc-bitcoin", "nameless", "wbtc", "ß"]),
            (EntityQuery(kind="asset"), ["btc-bitcoin", "nameless", "wbtc"]),
            (EntityQuery(symbol="BTC"), ["btc-bitcoin", "nameless"]),
            (EntityQuery(symbol="btc"), []),
            (EntityQuery(q="bitCOIN"), ["btc-bitcoin", "wbtc"]),
            (EntityQuery(q="HAUPTSTRASSE"), ["ß"]),
            (EntityQuery(q="ß"), ["ß"]),
            (EntityQuery(q="C-bIt"), ["btc-bitcoin"]),
            (EntityQuery(q="eLess"), ["nameless"]),
            (EntityQuery(q="btc"), ["btc-bitcoin", "nameless", "wbtc"]),
            (EntityQuery(q="wBt", after="btc-bitcoin"), ["wbtc"]),
            (EntityQuery(q="%"), []),
            (EntityQuery(kind="asset", symbol="BTC", q="bit"), ["btc-bitcoin"]),
            (EntityQuery(limit=2), ["btc-bitcoin", "nameless"]),
            (EntityQuery(after="btc-bitcoin", limit=2), ["nameless", "wbtc"]),
            (EntityQuery(kind="asset", after="nameless"), ["wbtc"]),
            (EntityQuery(after="ß"), []),
            (EntityQuery(q="bitcoin", merged=False), ["btc-bitcoin"]),
        ],
        ids=str,
    )
    async def test_lists_what_matches_in_order(self, store: Store, query: EntityQuery, ids: list[str]) -> None:
        """Each filter alone and together, names, ids and symbols in either case, in the order of code points."""
        await write(store, Decision(made=ALL))
        async with store.begin(write=False) as work:
            assert [entity.entity_id for entity in await work.entities.list(query)] == ids

    async def test_ids_and_symbols_are_searched_in_either_case(self, store: Store) -> None:
        """An id that has capital letters, and signs beyond ASCII as they are; a symbol in any script; what is merged
        by its own id."""
        made = [Entity("Ölwert-X", "asset", "ЛАЙТ"), replace(WRAPPED, entity_id="WRAP.1")]
        await write(store, Decision(made=made))
        wanted = {"LWERT-x": "Ölwert-X", "ölwert": None, "Ölw": "Ölwert-X", "лай": "Ölwert-X", "wrap.": "WRAP.1"}
        async with store.begin(write=False) as work:
            for text, entity_id in wanted.items():
                found = [entity.entity_id for entity in await work.entities.list(EntityQuery(q=text))]
                assert found == ([] if entity_id is None else [entity_id]), text

    async def test_links_are_those_of_one_entity(self, store: Store) -> None:
        """By source and external_id in the order of code points, with the exact confidence, evidence and instant."""
        sure = Decimal("0.1000000000000000055511151231257827")
        mine = [
            known("a", "B", "btc-bitcoin", confidence=sure, decided_at=later(7)),
            known("a", "b", "btc-bitcoin", method="exact", evidence={"names": ["x"], "by": Decimal("0.5")}),
            known("é", "1", "btc-bitcoin", confidence=Decimal(0), decided_at=None),
        ]
        await write(store, Decision(known=[mine[2], known("a", "c", "x"), mine[1], mine[0]]))
        async with store.begin(write=False) as work:
            assert list(await work.entities.links("btc-bitcoin")) == [each.link for each in mine]
            assert list(await work.entities.links("btc")) == []

    async def test_claims_come_back_as_they_are(self, store: Store) -> None:
        """A full claim and an empty one, with fingerprints and instants; unknown assets are left out."""
        market = Market(3, Decimal("1E-30"), "USD", Decimal(2**70), later(5))
        asset = AssetId("a", "B")
        others = (AssetId("b", "1"), AssetId("é", "2"))
        claim = Claim(asset, "asset", "BTC", "Bïtcoin", ("eth:0x1",), others, ("old", "older"), market)
        full = replace(known("a", "B", "btc-bitcoin"), claim=claim, fingerprint="f", seen_at=later(9))
        bare = known("b", "1", "btc-bitcoin")
        await write(store, Decision(known=[full, bare]))
        async with store.begin(write=False) as work:
            found = await work.entities.claims([others[1], asset, others[0]])
            assert dict(found) == {asset: full, others[0]: bare}

    async def test_everything_is_known_page_by_page(self, store: Store) -> None:
        """By source and external_id, code point by code point, behind the last of the page before."""
        every = [known(*asset, "x") for asset in (("a", "B"), ("a", "b"), ("a", "é"), ("b", "A"), ("é", "a"))]
        await write(store, Decision(known=[every[n] for n in (3, 0, 4, 2, 1)]))
        async with store.begin(write=False) as work:
            assert list(await work.entities.known()) == every
            assert list(await work.entities.known(limit=2)) == every[:2]
            assert list(await work.entities.known(after=every[1].claim.asset, limit=2)) == every[2:4]
            assert list(await work.entities.known(after=AssetId("a", "zz"))) == every[2:]
            assert list(await work.entities.known(after=every[4].claim.asset)) == []

    async def test_candidates_are_told_the_surest_first(self, store: Store) -> None:
        """In the order of confidence, then of the pair, page by page; those of one entity alone where one is given."""
        listed = [
            candidate(4, "1"),
            candidate(1, "0.9"),
            candidate(2, "0.9"),
            candidate(3, "0.85"),
            candidate(5, "0.2"),
        ]
        decided = [each.a for each in listed]
        await write(store, Decision(decided=decided, candidates=[listed[n] for n in (2, 4, 0, 1, 3)]))
        await link(store, BITCOIN, ("b", "2"), ("a", "é5"))
        async with store.begin(write=False) as work:
            assert list(await work.entities.candidates()) == listed
            assert list(await work.entities.candidates(limit=2)) == listed[:2]
            assert list(await work.entities.candidates(after=listed[1], limit=2)) == listed[2:4]
            assert list(await work.entities.candidates(entity_id="btc-bitcoin")) == [listed[2], listed[4]]
            assert list(await work.entities.candidates(entity_id="x")) == []

    async def test_rulings_are_told_newest_first(self, store: Store) -> None:
        """Page by page; what was undone only when asked for, with the instant."""
        pairs = [(AssetId("b", "1"), AssetId("a", "1")), (AssetId("a", "1"), AssetId("a", "2"))]
        async with store.begin() as work:
            same = await work.identity.rule(Verdict.SAME, pairs, later(1))
            [other] = await work.identity.rule(Verdict.DIFFERENT, pairs[:1], later(2))
            await work.identity.undo(same[1].ruling_id, later(3))
            await work.commit()
        async with store.begin(write=False) as work:
            assert list(await work.entities.rulings()) == [other]
            undone = [replace(each, undone_at=later(3)) for each in reversed(same)]
            assert list(await work.entities.rulings(undone=True)) == [other, *undone]
            assert list(await work.entities.rulings(undone=True, before=other.ruling_id, limit=1)) == undone[:1]

    async def test_counts_what_there_is(self, store: Store) -> None:
        """Entities that stand, merged ones, links by method and open pairs."""
        methods = ("own", "exact", "own")
        links = [known("a", str(number), "btc-bitcoin", method=method) for number, method in enumerate(methods)]
        open_pairs = [candidate(1, "0.5"), candidate(2, "0.6")]
        decision = Decision(made=ALL, known=links, decided=[pair.a for pair in open_pairs], candidates=open_pairs)
        await write(store, decision)
        async with store.begin(write=False) as work:
            assert await work.entities.counts() == IdentityCounts(3, 1, {"exact": 1, "own": 2}, 2)
