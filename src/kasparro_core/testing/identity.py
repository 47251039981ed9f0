"""The contract of IdentityStore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from kasparro_core.errors import TransientStorageError
from kasparro_core.model.entity import (
    AssetId,
    Blocks,
    Claim,
    Crowd,
    Decision,
    Entity,
    EntityQuery,
    Known,
    Naming,
    Rename,
    Verdict,
)
from kasparro_core.ports import Store
from kasparro_core.testing.build import later
from kasparro_core.testing.entities import BITCOIN, WRAPPED, candidate, known, link, write

A, B, C, D = (AssetId("s", name) for name in "abcd")


async def put(store: Store, blocks: dict[AssetId, Blocks], homes: dict[AssetId, str] | None = None) -> None:
    """Commit assets in their blocks, each in an entity of its own where no other one is given."""
    assets = [known(*asset, (homes or {}).get(asset, f"of-{asset.external_id}")) for asset in blocks]
    await write(store, Decision(known=assets, blocks=blocks))


async def redirects(store: Store) -> dict[str, str | None]:
    """Where each id leads."""
    async with store.begin(write=False) as work:
        return {entity.entity_id: entity.merged_into for entity in await work.entities.list(EntityQuery())}


def ids(found: Sequence[Known]) -> str:
    """The external ids, one letter each."""
    return claimed([each.claim for each in found])


def claimed(found: Sequence[Claim]) -> str:
    """The external ids, one letter each."""
    return "".join(each.asset.external_id for each in found)


class IdentityContract:
    """What decides which asset is which. Needs a fixture `store`: migrated and empty."""

    async def test_claims_unlike_those_that_are_kept(self, store: Store) -> None:
        """Of one source: what is kept with another fingerprint, with its instant, and what is not kept."""
        changed = replace(known("s", "é", "x"), fingerprint="f", seen_at=later(3))
        await write(store, Decision(known=[changed, known("s", "b", "x"), known("other", "c", "x")]))
        async with store.begin(write=False) as work:
            found = await work.identity.unlike("s", {"é": "g", "b": "h", "c": "h", "none": "f"})
            assert dict(found) == {"é": later(3), "c": None, "none": None}
            assert dict(await work.identity.unlike("s", {"é": "f"})) == {}
            assert dict(await work.identity.unlike("s", {})) == {}

    async def test_what_binds_is_closed_over(self, store: Store) -> None:
        """From key to asset to key, as far as it goes; loose keys lead nowhere, and unknown assets are nothing."""
        await put(
            store,
            {
                A: Blocks(["k1"], ["n"]),
                B: Blocks(["k1", "k2"]),
                C: Blocks(["k2"], ["m"]),
                D: Blocks(["k3"], ["n", "k2"]),
            },
        )
        async with store.begin() as work:
            await work.identity.lock(["k1"])
            assert ids(await work.identity.closed([A], [])) == "abc"
            assert ids(await work.identity.closed([], ["k2"])) == "abc"
            assert ids(await work.identity.closed([D], [])) == "d"
            assert ids(await work.identity.closed([D, AssetId("s", "none")], ["k1", "none"])) == "abcd"
            assert ids(await work.identity.closed([], ["n"])) == ""
            assert ids(await work.identity.closed([], [])) == ""

    async def test_what_stands_together_is_closed_over(self, store: Store) -> None:
        """Who shares an entity belongs to the closed set, and what binds to that one, too."""
        blocks = {A: Blocks(["k1"]), B: Blocks(["k2"]), C: Blocks(["k2"]), D: Blocks(["k3"])}
        await put(store, blocks, {A: "one", B: "one"})
        async with store.begin() as work:
            assert ids(await work.identity.closed([A], [])) == "abc"
            assert ids(await work.identity.closed([], ["k3"])) == "d"

    async def test_near_is_one_hop_of_loose_keys(self, store: Store) -> None:
        """The assets of other sources that have the key loosely, and no other ones."""
        other = AssetId("t", "e")
        blocks = {A: Blocks(["k"], ["n"]), B: Blocks(["n"]), C: Blocks([], ["n", "m"]), D: Blocks([], ["m"])}
        await put(store, {**blocks, other: Blocks(["k"], ["n"])})
        async with store.begin(write=False) as work:
            near = work.identity.near
            assert claimed(await near([("u", "n")], most=9)) == "ace"
            assert claimed(await near([("s", "n"), ("t", "m"), ("u", "x")], most=9)) == "cde"
            assert claimed(await near([("s", "n")], most=9)) == "e"
            assert claimed(await near([("s", "m")], most=9)) == ""
            assert claimed(await near([], most=9)) == ""
            assert list(await near([("s", "n")], most=9)) == [known("t", "e", "of-e").claim]

    async def test_crowds_are_noted_and_forgotten(self, store: Store) -> None:
        """Each once, for its source; forgotten all at once."""
        one, other = Crowd("s", "k1"), Crowd("é", "k1")
        await write(store, Decision(crowds=[one]))
        await write(store, Decision(crowds=[other, Crowd("s", "k2")]))
        async with store.begin(write=False) as work:
            assert sorted(await work.identity.crowds()) == sorted([one, other, Crowd("s", "k2")])
        async with store.begin() as work:
            await work.identity.lock(None)
            await work.identity.disperse()
            assert list(await work.identity.crowds()) == []
            await work.commit()
        await write(store, Decision(crowds=[one]))
        async with store.begin(write=False) as work:
            assert list(await work.identity.crowds()) == [one]

    async def test_near_passes_over_what_too_many_have(self, store: Store) -> None:
        """Counted over all sources, that of who asks too."""
        await put(store, {A: Blocks([], ["n"]), B: Blocks([], ["n", "m"]), AssetId("t", "e"): Blocks([], ["n", "m"])})
        async with store.begin(write=False) as work:
            assert claimed(await work.identity.near([("t", "n")], most=3)) == "ab"
            assert claimed(await work.identity.near([("t", "n"), ("s", "m")], most=2)) == "e"

    async def test_blocks_are_put_in_the_place_of_others(self, store: Store) -> None:
        """An asset lies in the blocks of the last decision alone."""
        await put(store, {A: Blocks(["k1", "k2"], ["n"]), B: Blocks(["k1"])})
        await write(store, Decision(blocks={A: Blocks(["k2"], ["k1"])}))
        async with store.begin() as work:
            assert ids(await work.identity.closed([], ["k1"])) == "b"
            assert ids(await work.identity.closed([], ["k2"])) == "a"
            assert claimed(await work.identity.near([("t", "n")], most=9)) == ""
            assert claimed(await work.identity.near([("t", "k1")], most=9)) == "a"

    async def test_a_lock_holds_what_it_holds(self, store: Store) -> None:
        """The first lock begins; keys that it holds need no other; with everything held, nothing begins anew."""
        async with store.begin() as work:
            assert await work.identity.lock(["k1", "k2"])
            assert await work.identity.lock(["k2"])
            await work.identity.lock(None)
            assert await work.identity.lock(["k1", "x", "y"])
            assert await work.identity.lock(None)
            await work.identity.save(Decision(made=[BITCOIN]))
            await work.commit()
        assert await redirects(store) == {"btc-bitcoin": None}

    async def test_redirects_stay_flat(self, store: Store) -> None:
        """What led to an id that leads on from now on goes with it; an id that lives again leads nowhere, and what led
        elsewhere stays."""
        one, two, three, four = (Entity(name, "asset") for name in ("one", "two", "three", "four"))
        await write(store, Decision(made=[one, two, three, four]))
        await write(store, Decision(merged={"one": "two"}))
        await write(store, Decision(merged={"two": "three"}))
        assert await redirects(store) == {"one": "three", "two": "three", "three": None, "four": None}
        async with store.begin(write=False) as work:
            [again] = await work.identity.entities(["one"])
        await write(store, Decision(made=[again], merged={"three": "one"}))
        assert await redirects(store) == {"one": None, "two": "one", "three": "one", "four": None}

    async def test_an_id_is_given_once(self, store: Store) -> None:
        """A new entity under an id that was taken meanwhile: to be tried again, and nothing of the decision is kept."""
        await write(store, Decision(made=[BITCOIN]))
        with pytest.raises(TransientStorageError):
            await write(store, Decision(made=[WRAPPED, replace(BITCOIN, name="x")]))
        assert await redirects(store) == {"btc-bitcoin": None}

    async def test_entities_by_id_and_by_founder(self, store: Store) -> None:
        """Each once, the oldest first, those that redirect too."""
        nobody = Entity("x", "asset")
        await write(store, Decision(made=[nobody, WRAPPED, BITCOIN]))
        founders = [entity.founder for entity in (WRAPPED, BITCOIN) if entity.founder is not None]
        async with store.begin(write=False) as work:
            found = await work.identity.entities(["x", "btc-bitcoin", "none"], [*founders, A])
            assert [replace(entity, age=0) for entity in found] == [nobody, WRAPPED, BITCOIN]
            assert [entity.age for entity in found] == sorted(entity.age for entity in found)
            assert [entity.entity_id for entity in await work.identity.entities([], founders[:1])] == ["wbtc"]
            assert list(await work.identity.entities([])) == []

    async def test_a_link_moves(self, store: Store) -> None:
        """A later decision replaces what is kept of an asset, all of it."""
        await link(store, BITCOIN, A)
        moved = replace(known(*A, "wbtc", method="hand"), fingerprint="new", seen_at=later(5))
        await write(store, Decision(known=[moved]))
        async with store.begin(write=False) as work:
            assert dict(await work.entities.claims([A])) == {A: moved}

    async def test_candidates_are_those_of_the_last_decision(self, store: Store) -> None:
        """Those in which a decided asset stands, on either side, give way to the new ones; others stay."""
        first, second, third = candidate(1, "0.5"), candidate(2, "0.5"), candidate(3, "0.5")
        await write(store, Decision(decided=[first.a, second.a, third.a], candidates=[first, second, third]))
        again = replace(third, reason="other")
        await write(store, Decision(decided=[first.b, third.a], candidates=[again]))
        async with store.begin(write=False) as work:
            assert list(await work.entities.candidates()) == [second, again]

    async def test_a_persons_word_is_kept_and_taken_back(self, store: Store) -> None:
        """The rulings of one act are undone together, once; what is undone counts no more."""
        async with store.begin() as work:
            act = await work.identity.rule(Verdict.SAME, [(B, A), (C, A)], later(1))
            [other] = await work.identity.rule(Verdict.DIFFERENT, [(B, C)], later(2))
            await work.commit()
        assert [(each.a, each.b, each.act) for each in act] == [(A, B, act[0].ruling_id), (A, C, act[0].ruling_id)]
        async with store.begin() as work:
            assert list((await work.identity.said([B, D])).rulings) == [act[0], other]
            assert list((await work.identity.said([A, B, C])).rulings) == [*act, other]
            assert list(await work.identity.undo(act[1].ruling_id, later(3))) == list(act)
            assert list(await work.identity.undo(act[0].ruling_id, later(4))) == []
            assert list(await work.identity.undo(other.ruling_id + 7, later(4))) == []
            assert list((await work.identity.said([A, B, C])).rulings) == [other]
            await work.commit()

    async def test_namings_are_those_of_the_last_file(self, store: Store) -> None:
        """Putting a file tells of which assets another thing is said than before; nothing changes where it is the
        same."""
        first = [Naming(A, "x"), Naming(B, "x"), Naming(C, "y")]
        async with store.begin() as work:
            assert list(await work.identity.name(first)) == [A, B, C]
            assert list(await work.identity.name(list(reversed(first)))) == []
            assert list(await work.identity.name([Naming(A, "x"), Naming(B, "z"), Naming(D, "x")])) == [B, C, D]
            said = await work.identity.said([C, B, A])
            assert list(await work.entities.namings()) == sorted(
                [Naming(A, "x"), Naming(B, "z"), Naming(D, "x")], key=str
            )
            await work.commit()
        assert list(said.namings) == [Naming(A, "x"), Naming(B, "z")]
        assert list(said.rulings) == []

    async def test_former_ids_are_followed_back(self, store: Store) -> None:
        """From each id to the one before it, the latest change first, a circle once; each source has its own."""
        steps = [("s", "a", "b", 1), ("s", "b", "c", 2), ("s", "x", "c", 3), ("t", "y", "b", 1)]
        steps += [("s", "p", "q", 1), ("s", "q", "p", 2)]
        renames = [Rename(source, old, new, later(at)) for source, old, new, at in steps]
        async with store.begin() as work:
            assert list(await work.identity.rename(renames[:3])) == renames[:3]
            assert list(await work.identity.rename([*renames, renames[3]])) == renames[3:]
            assert list(await work.identity.rename([])) == []
            found = await work.identity.former([AssetId("s", name) for name in "abcq"] + [AssetId("t", "b")])
            await work.commit()
        assert dict(found) == {
            AssetId("s", "b"): ("a",),
            AssetId("s", "c"): ("x", "b", "a"),
            AssetId("s", "q"): ("p",),
            AssetId("t", "b"): ("y",),
        }
