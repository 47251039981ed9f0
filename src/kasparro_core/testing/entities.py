"""The contract of EntityStore."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal

import pytest

from kasparro_core.model.finding import Anomaly, DriftEvent, Entity, EntityLink, EntityQuery
from kasparro_core.ports import Store

Found = Entity | EntityLink | DriftEvent | Anomaly
Keep = Callable[[Sequence[Found]], Awaitable[None]]
"""Commits rows as they are, with the ids that they bring."""

BITCOIN = Entity(3, "asset", "BTC", "Bitcoin")
WRAPPED = Entity(5, "asset", "WBTC", "Wrapped BITCOIN", merged_into=3)
STRASSE = Entity(7, "place", None, "Hauptstraße")
NAMELESS = Entity(9, "asset", "BTC")
ALL = (NAMELESS, STRASSE, WRAPPED, BITCOIN)


class EntityContract:
    """Canonical things. Needs a fixture `store`: migrated and empty, and a fixture `keep` (see Keep) for it."""

    async def test_an_empty_store_has_none(self, store: Store) -> None:
        """No entity and no link is an answer, not an error."""
        async with store.begin(write=False) as work:
            assert list(await work.entities.list(EntityQuery())) == []
            assert await work.entities.get(3) is None
            assert list(await work.entities.links(3)) == []

    async def test_entities_come_back_as_they_are(self, store: Store, keep: Keep) -> None:
        """Every field is there, and the absent ones are None; an unknown id is None."""
        await keep(ALL)
        async with store.begin(write=False) as work:
            for entity in ALL:
                assert await work.entities.get(entity.entity_id) == entity
            assert await work.entities.get(4) is None

    @pytest.mark.parametrize(
        ("query", "ids"),
        [
            (EntityQuery(), [3, 5, 7, 9]),
            (EntityQuery(kind="asset"), [3, 5, 9]),
            (EntityQuery(symbol="BTC"), [3, 9]),
            (EntityQuery(symbol="btc"), []),
            (EntityQuery(q="bitCOIN"), [3, 5]),
            (EntityQuery(q="HAUPTSTRASSE"), [7]),
            (EntityQuery(q="%"), []),
            (EntityQuery(kind="asset", symbol="BTC", q="bit"), [3]),
            (EntityQuery(limit=2), [3, 5]),
            (EntityQuery(after=3, limit=2), [5, 7]),
            (EntityQuery(kind="asset", after=5), [9]),
            (EntityQuery(after=9), []),
        ],
        ids=str,
    )
    async def test_lists_what_matches_in_order(
        self, store: Store, keep: Keep, query: EntityQuery, ids: list[int]
    ) -> None:
        """Each filter alone and together, names whatever the case, in ascending entity_id behind `after`."""
        await keep(ALL)
        async with store.begin(write=False) as work:
            assert [entity.entity_id for entity in await work.entities.list(query)] == ids

    async def test_links_are_those_of_one_entity(self, store: Store, keep: Keep) -> None:
        """By source and external_id in the order of code points, with the exact confidence."""
        mine = [
            EntityLink("a", "B", 3, "symbol", Decimal("0.1000000000000000055511151231257827")),
            EntityLink("a", "b", 3, "name", Decimal(1)),
            EntityLink("é", "1", 3, "manual", Decimal(0)),
        ]
        await keep([mine[2], EntityLink("a", "c", 5, "symbol", Decimal("0.5")), mine[1], mine[0]])
        async with store.begin(write=False) as work:
            assert list(await work.entities.links(3)) == mine
            assert list(await work.entities.links(4)) == []
