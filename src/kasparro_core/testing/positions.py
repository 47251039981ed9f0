"""The contracts of CheckpointStore, PartitionStore and ValidatorStore."""

from __future__ import annotations

import asyncio

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import Checkpoint, Cursor, PartitionState, Validator
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, bring_in, committed_run, later, record, table


class CheckpointContract:
    """Positions, guarded by compare-and-set. Needs a fixture `store`: migrated and empty."""

    async def test_there_is_none_before_the_first_save(self, store: Store) -> None:
        """An unknown partition has no checkpoint."""
        assert await _get(store) is None

    async def test_the_first_save_expects_version_zero_and_makes_version_one(self, store: Store) -> None:
        """What is saved is what is returned and what reads back, run and instant included."""
        run = await committed_run(store)
        saved = await _save(store, {"page": 2}, expected=0, run_id=run.run_id)
        assert saved == Checkpoint(SOURCE, "", {"page": 2}, 1, run.run_id, later(5))
        assert await _get(store) == saved

    async def test_each_save_raises_the_version_by_one(self, store: Store) -> None:
        """Versions are 1, 2, 3; the cursor is replaced, not merged; a save may come from no run."""
        await _save(store, {"page": 2}, expected=0)
        await _save(store, {"offset": 7}, expected=1)
        saved = await _save(store, {}, expected=2)
        assert (saved.version, saved.cursor, saved.run_id) == (3, {}, None)
        assert await _get(store) == saved

    async def test_keeps_any_json_in_a_cursor(self, store: Store) -> None:
        """Nested objects, big integers, empty texts, null and letters of any script come back equal."""
        cursor = {"a": {"b": [1, 2**70, None, True, "", "ü🜲"]}, "t": "2026-01-02T03:04:05.678901Z", "": 0.5}
        await _save(store, cursor, expected=0)
        stored = await _get(store)
        assert stored is not None
        assert stored.cursor == cursor

    @pytest.mark.parametrize("expected", [0, 1, 3])
    async def test_a_save_that_expects_another_version_is_a_conflict(self, store: Store, expected: int) -> None:
        """Neither an older nor a newer expectation moves the checkpoint."""
        await _save(store, {"n": 1}, expected=0)
        before = await _save(store, {"n": 2}, expected=1)
        with pytest.raises(ConflictError):
            await _save(store, {"n": 9}, expected=expected)
        assert await _get(store) == before

    async def test_a_first_save_that_expects_a_checkpoint_is_a_conflict(self, store: Store) -> None:
        """Where there is none, only version 0 is right."""
        with pytest.raises(ConflictError):
            await _save(store, {"n": 1}, expected=1)
        assert await _get(store) is None

    async def test_a_conflict_takes_the_whole_unit_of_work_with_it(self, store: Store) -> None:
        """What was written beside a losing save is not there afterwards."""
        await _save(store, {"n": 1}, expected=0)
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await bring_in(work, [record("k")])
                await work.checkpoints.save(SOURCE, "", {"n": 2}, expected_version=0, run_id=None, at=later(9))
        assert await table(store) == {}

    @pytest.mark.parametrize("version", [0, 1])
    async def test_of_two_savers_at_once_one_wins_and_the_other_leaves_nothing(
        self, store: Store, version: int
    ) -> None:
        """Two tasks save on one version: one ConflictError, and only the winner's records are there."""
        if version:
            await _save(store, {"by": "nobody"}, expected=0)

        async def saver(name: str) -> str:
            async with store.begin() as work:
                await bring_in(work, [record(name)])
                await work.checkpoints.save(
                    SOURCE, "", {"by": name}, expected_version=version, run_id=None, at=later(9)
                )
                await work.commit()
            return name

        results = await asyncio.gather(saver("one"), saver("two"), return_exceptions=True)
        (winner,) = [result for result in results if isinstance(result, str)]
        (loser,) = [result for result in results if not isinstance(result, str)]
        assert isinstance(loser, ConflictError)
        stored = await _get(store)
        assert stored is not None
        assert (stored.cursor, stored.version) == ({"by": winner}, version + 1)
        assert list(await table(store)) == [winner]

    async def test_lists_checkpoints_by_source_and_partition(self, store: Store) -> None:
        """All, or those of one source, in their order; partitions of a source are independent."""
        for source, partition in [("b", ""), ("a", "z"), ("a", "b.csv"), ("a", "")]:
            await _save(store, {"p": partition}, expected=0, source=source, partition=partition)
        async with store.begin(write=False) as work:
            everything = await work.checkpoints.list()
            one = await work.checkpoints.list("a")
        assert [(row.source, row.partition) for row in everything] == [("a", ""), ("a", "b.csv"), ("a", "z"), ("b", "")]
        assert one == everything[:3]
        assert [row.cursor for row in one] == [{"p": ""}, {"p": "b.csv"}, {"p": "z"}]


class PartitionContract:
    """How partitions did. Needs a fixture `store`: migrated and empty."""

    async def test_inserts_then_replaces(self, store: Store) -> None:
        """A second save of one partition replaces every field."""
        moved, quiet = "https://moved.example/feed", "hours=0,23 days=Sunday"
        failed = PartitionState("s", "p", "failed", "404: not here", later(60), moved, "0f1e", quiet, 3, later(5))
        await _save_partition(store, failed)
        assert await _partitions(store) == [failed]
        await _save_partition(store, PartitionState("s", "p"))
        assert await _partitions(store) == [PartitionState("s", "p", "ok", None, None, None, None, None, 0, None)]

    async def test_lists_all_or_those_of_one_source(self, store: Store) -> None:
        """Sources and partitions do not mix."""
        states = [PartitionState("a", "x"), PartitionState("a", "y"), PartitionState("b", "x")]
        for state in states:
            await _save_partition(store, state)
        by_name = {(state.source, state.partition): state for state in await _partitions(store)}
        assert by_name == {(state.source, state.partition): state for state in states}
        async with store.begin(write=False) as work:
            assert sorted(state.partition for state in await work.partitions.list("a")) == ["x", "y"]
            assert await work.partitions.list("none") == []


class ValidatorContract:
    """What makes requests conditional. Needs a fixture `store`: migrated and empty."""

    async def test_there_are_none_before_the_first_save(self, store: Store) -> None:
        """An unknown partition has an empty mapping."""
        async with store.begin(write=False) as work:
            assert await work.validators.load("s", "p") == {}

    async def test_keeps_every_field(self, store: Store) -> None:
        """A full and an empty validator come back as they were, by request_hash."""
        full = Validator("h1", 'W/"x"', "Wed, 21 Oct 2026 07:28:00 GMT", "abc", 250, "https://x.example/?page=2")
        empty = Validator("h2")
        async with store.begin() as work:
            await work.validators.save("s", "p", [full, empty])
            await work.commit()
        async with store.begin(write=False) as work:
            assert await work.validators.load("s", "p") == {"h1": full, "h2": empty}

    async def test_replaces_by_request_hash(self, store: Store) -> None:
        """A save replaces the validators it names, every field of them, and leaves the others."""
        async with store.begin() as work:
            await work.validators.save("s", "p", [Validator("h1", etag="a", next="n"), Validator("h2", etag="a")])
            await work.validators.save("s", "p", [Validator("h2", last_modified="b")])
            await work.validators.save("s", "p", [])
            await work.commit()
        async with store.begin(write=False) as work:
            loaded = await work.validators.load("s", "p")
        assert loaded == {"h1": Validator("h1", etag="a", next="n"), "h2": Validator("h2", last_modified="b")}

    async def test_takes_any_number(self, store: Store) -> None:
        """Thousands of pages in one walk are saved at once."""
        many = [Validator(f"h{n}", etag=str(n)) for n in range(5000)]
        async with store.begin() as work:
            await work.validators.save("s", "", many)
            assert len(await work.validators.load("s", "")) == 5000

    async def test_keeps_what_an_answer_said_of_itself(self, store: Store) -> None:
        """Every member comes back as it went in."""
        whole = Validator("h", '"e"', "Sat", "b" * 64, 7, "{}", "max-age=60, public", "Sat, 21 Nov 2026", 3)
        async with store.begin() as work:
            await work.validators.save("s", "p", [whole])
            assert await work.validators.load("s", "p") == {"h": whole}

    async def test_forgets_those_of_some_requests(self, store: Store) -> None:
        """Any number of requests, known or not: those of this partition go, the others stay."""
        many = [Validator(f"h{n}") for n in range(1500)]
        async with store.begin() as work:
            for partition in ("p", "q"):
                await work.validators.save("s", partition, many)
            asked = [*(validator.request_hash for validator in many[:1400]), "unknown"]
            assert await work.validators.forget("s", "p", asked) == 1400
            assert await work.validators.forget("s", "p", []) == 0
            assert len(await work.validators.load("s", "p")) == 100
            assert len(await work.validators.load("s", "q")) == 1500

    async def test_forgets_those_of_one_partition(self, store: Store) -> None:
        """All of that partition go and are counted; others stay; what is saved afterwards is there again."""
        async with store.begin() as work:
            for source, partition in [("s", "p"), ("s", "q"), ("t", "p")]:
                await work.validators.save(source, partition, [Validator("h1", etag="a"), Validator("h2")])
            await work.commit()
        async with store.begin() as work:
            assert await work.validators.forget("s", "p") == 2
            assert await work.validators.forget("s", "p") == 0
            assert await work.validators.forget("none", "") == 0
            await work.commit()
        async with store.begin() as work:
            assert await work.validators.load("s", "p") == {}
            assert len(await work.validators.load("s", "q")) == len(await work.validators.load("t", "p")) == 2
            await work.validators.save("s", "p", [Validator("h2", etag="b")])
            assert await work.validators.load("s", "p") == {"h2": Validator("h2", etag="b")}

    async def test_keeps_partitions_apart(self, store: Store) -> None:
        """The same request_hash in two partitions or sources is two validators."""
        async with store.begin() as work:
            for n, (source, partition) in enumerate([("s", "p"), ("s", "q"), ("t", "p")]):
                await work.validators.save(source, partition, [Validator("h", etag=str(n))])
            for n, (source, partition) in enumerate([("s", "p"), ("s", "q"), ("t", "p")]):
                assert await work.validators.load(source, partition) == {"h": Validator("h", etag=str(n))}


async def _get(store: Store) -> Checkpoint | None:
    async with store.begin(write=False) as work:
        return await work.checkpoints.get(SOURCE, "")


async def _save(
    store: Store,
    cursor: Cursor,
    *,
    expected: int,
    run_id: int | None = None,
    source: str = SOURCE,
    partition: str = "",
) -> Checkpoint:
    async with store.begin() as work:
        saved = await work.checkpoints.save(
            source, partition, cursor, expected_version=expected, run_id=run_id, at=later(5)
        )
        await work.commit()
    return saved


async def _save_partition(store: Store, state: PartitionState) -> None:
    async with store.begin() as work:
        await work.partitions.save(state)
        await work.commit()


async def _partitions(store: Store) -> list[PartitionState]:
    async with store.begin(write=False) as work:
        return await work.partitions.list()
