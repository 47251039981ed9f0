"""The contract of MentionStore."""

from __future__ import annotations

from decimal import Decimal

from kasparro_core.model import Bound, Prunable, RecordQuery
from kasparro_core.model.entity import AssetId, Blocks, Decision, Entity
from kasparro_core.model.mention import Mention
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, later, observe, record, table
from kasparro_core.testing.entities import BITCOIN, known

SURE, LIKELY = Decimal("0.99"), Decimal("0.85")


async def told(store: Store, mentions: dict[str, list[Mention]]) -> None:
    """Commit mentions."""
    async with store.begin() as work:
        await work.mentions.put(SOURCE, mentions)
        await work.commit()


class MentionContract:
    """What articles speak of. Needs a fixture `store`: migrated and empty."""

    async def test_assets_are_found_by_either_sort_of_key(self, store: Store) -> None:
        """By symbol or name, each once and in order, and only those that are asked for."""
        one, two, other = AssetId("a", "B"), AssetId("b", "b"), AssetId("a", "c")
        blocks = {one: Blocks(["s:x"], ["n:x"]), two: Blocks(["s:x"]), other: Blocks(["s:y"])}
        assets = [known(*asset, "btc-bitcoin") for asset in blocks]
        async with store.begin() as work:
            await work.identity.save(Decision(made=[BITCOIN], known=assets, blocks=blocks))
            await work.commit()
        async with store.begin(write=False) as work:
            assert [each.claim.asset for each in await work.mentions.bearing(["s:x", "n:x", "z"])] == [one, two]
            assert list(await work.mentions.bearing([])) == []

    async def test_what_a_run_brought_is_told_by_key(self, store: Store) -> None:
        """A record that was there unchanged is not the run's."""
        await observe(store, record("old"))
        await observe(store, record("old"), record("new"))
        run_id = (await table(store))["new"].run_id
        async with store.begin(write=False) as work:
            assert set(await work.mentions.changed(SOURCE, ["old", "new", "none"], run_id)) == {"new"}

    async def test_mentions_replace_those_of_the_same_records(self, store: Store) -> None:
        """Told again, a record speaks of what it speaks of now; the others stay as they are."""
        await told(
            store, {"k": [Mention("a", "name", SURE), Mention("b", "symbol", LIKELY)], "l": [Mention("a", "x", SURE)]}
        )
        await told(store, {"k": [Mention("c", "cashtag", LIKELY)], "m": []})
        async with store.begin(write=False) as work:
            assert list(await work.mentions.of(SOURCE, "k")) == [Mention("c", "cashtag", LIKELY)]
            assert list(await work.mentions.of(SOURCE, "l")) == [Mention("a", "x", SURE)]
            assert list(await work.mentions.of(SOURCE, "m")) == []
            assert list(await work.mentions.of("another", "k")) == []

    async def test_records_are_found_by_what_they_speak_of(self, store: Store) -> None:
        """By the entity, or by what it was called before it turned out to be another one; each record once."""
        await observe(store, *(record(key) for key in ("k", "l", "m")))
        gone = Entity("xbt", "asset", merged_into="btc-bitcoin")
        async with store.begin() as work:
            await work.identity.save(Decision(made=[BITCOIN, gone, Entity("eth", "asset")]))
            await work.commit()
        both = [Mention("btc-bitcoin", "name", LIKELY), Mention("xbt", "symbol", SURE)]
        await told(store, {"k": both, "l": both[1:], "m": [Mention("eth", "name", SURE)]})
        async with store.begin(write=False) as work:
            for entity in ("btc-bitcoin", "xbt"):
                found = await work.records.select(RecordQuery(entity=entity))
                assert sorted(each.record.key for each in found) == ["k", "l"]
            assert await work.records.count(RecordQuery(entity="nobody")) == 0
            assert list(await work.mentions.of(SOURCE, "k")) == [Mention("btc-bitcoin", "symbol", SURE)]

    async def test_a_pruned_record_takes_its_mentions_along(self, store: Store) -> None:
        """What comes back under the same key speaks of nothing until it is read again."""
        await observe(store, record("k"), record("l"))
        await told(store, {key: [Mention("a", "name", SURE)] for key in "kl"})
        async with store.begin() as work:
            assert (await work.retention.prune(Prunable.RECORDS, Bound(before=later(1)), limit=1)).rows == 1
            await work.commit()
        async with store.begin(write=False) as work:
            assert list(await work.mentions.of(SOURCE, "k")) == []
            assert len(await work.mentions.of(SOURCE, "l")) == 1
