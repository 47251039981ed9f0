"""Earlier versions: the part of the RecordRepository contract about history."""

from __future__ import annotations

from kasparro_core.model import UpsertOutcome
from kasparro_core.ports import Store
from kasparro_core.testing.build import later, observe, prepared, record, table, titles, versions


class HistoryContract:
    """With history, what was superseded is kept; without it, nothing is."""

    async def test_without_history_keeps_no_version(self, store: Store) -> None:
        """An update without history leaves the latest state alone."""
        await observe(store, record("k", title="a"))
        await observe(store, record("k", title="b"), seen=later(1))
        assert await versions(store, "k") == []

    async def test_with_history_keeps_the_state_that_was_replaced(self, store: Store) -> None:
        """The version holds the old content and the observation that had brought it."""
        await observe(store, record("k", title="a", occurred_at=later(-5), attributes={"n": 1}))
        old = (await table(store))["k"]
        outcome = await observe(store, record("k", title="b", occurred_at=later(-4)), seen=later(1), history=True)
        assert outcome == UpsertOutcome(0, 1, 0)
        (version,) = await versions(store, "k")
        assert version.record == old.record
        assert (version.record_id, version.content_hash) == (old.record_id, old.content_hash)
        assert (version.raw_id, version.raw_index, version.run_id) == (old.raw_id, old.raw_index, old.run_id)
        assert version.observed_at == later(0)

    async def test_a_late_state_becomes_a_version_and_leaves_the_record_alone(self, store: Store) -> None:
        """An older occurred_at goes among the versions, counted updated; the latest state keeps every column."""
        await observe(store, record("k", title="new", occurred_at=later(9)), history=True)
        before = await table(store)
        outcome = await observe(store, record("k", title="old", occurred_at=later(1)), seen=later(60), history=True)
        assert outcome == UpsertOutcome(0, 1, 0)
        assert await table(store) == before
        (version,) = await versions(store, "k")
        assert (version.record.title, version.observed_at) == ("old", later(60))

    async def test_a_version_that_is_known_is_unchanged(self, store: Store) -> None:
        """A late state that is among the versions already is counted unchanged and not kept twice."""
        await observe(store, record("k", title="new", occurred_at=later(9)), history=True)
        await observe(store, record("k", title="old", occurred_at=later(1)), seen=later(60), history=True)
        known = await versions(store, "k")
        outcome = await observe(store, record("k", title="old", occurred_at=later(1)), seen=later(70), history=True)
        assert outcome == UpsertOutcome(0, 0, 1)
        assert await versions(store, "k") == known

    async def test_a_content_that_comes_back_is_a_version_each_time(self, store: Store) -> None:
        """a, b, a, b leaves b with the versions a, b and a: an edit and its undoing are both history."""
        outcomes = [
            await observe(store, record("k", title=title), seen=later(n), history=True)
            for n, title in enumerate(["a", "b", "a", "b"])
        ]
        assert [outcome.updated for outcome in outcomes] == [0, 1, 1, 1]
        assert (await table(store))["k"].record.title == "b"
        assert titles(await versions(store, "k")) == ["a", "b", "a"]

    async def test_lists_versions_latest_first(self, store: Store) -> None:
        """Versions come by (occurred_at, observed_at), latest first, in whatever order they arrived."""
        await observe(store, record("k", title="9", occurred_at=later(9)), history=True)
        for n, moment in enumerate([3, 1, 4, 2]):
            late = record("k", title=str(moment), occurred_at=later(moment))
            await observe(store, late, seen=later(60 + n), history=True)
        assert titles(await versions(store, "k")) == ["4", "3", "2", "1"]

    async def test_lists_versions_of_one_occurrence_by_observation(self, store: Store) -> None:
        """Where occurred_at is equal, the later observation comes first."""
        for n in range(4):
            await observe(store, record("k", title=str(n), occurred_at=later(0)), seen=later(n), history=True)
        assert titles(await versions(store, "k")) == ["2", "1", "0"]

    async def test_a_replay_of_the_latest_state_replaces_it_in_place(self, store: Store) -> None:
        """Other content from the same place of the same payload is a correction: updated, and no version."""
        await observe(store, prepared(record("k", title="wrong"), 3), seen=later(5), history=True)
        outcome = await observe(store, prepared(record("k", title="right"), 3), seen=later(5), history=True)
        assert outcome == UpsertOutcome(0, 1, 0)
        row = (await table(store))["k"]
        assert (row.record.title, row.revision) == ("right", 2)
        assert await versions(store, "k") == []

    async def test_a_replay_may_make_the_latest_state_older(self, store: Store) -> None:
        """The same observation with a mended, earlier occurred_at is a correction and not a late arrival."""
        await observe(store, prepared(record("k", occurred_at=later(9)), 3), seen=later(50), history=True)
        outcome = await observe(store, prepared(record("k", occurred_at=later(1)), 3), seen=later(50), history=True)
        assert outcome == UpsertOutcome(0, 1, 0)
        assert (await table(store))["k"].record.occurred_at == later(1)
        assert await versions(store, "k") == []

    async def test_a_replay_of_a_version_replaces_it_in_place(self, store: Store) -> None:
        """A version that is seen again at its own place with other content is replaced, not doubled."""
        await observe(store, prepared(record("k", title="wrong"), 3), seen=later(1), history=True)
        await observe(store, prepared(record("k", title="new"), 3), seen=later(2), history=True)
        before = await table(store)
        outcome = await observe(store, prepared(record("k", title="right"), 3), seen=later(1), history=True)
        assert outcome == UpsertOutcome(0, 1, 0)
        assert titles(await versions(store, "k")) == ["right"]
        assert await table(store) == before

    async def test_the_same_row_of_another_payload_is_another_observation(self, store: Store) -> None:
        """A file is read at one instant in many payloads: each state of a key in them is kept, none replaced."""
        for part, title in enumerate("abc"):
            await observe(store, record("k", title=title), history=True, part=part)
        assert (await table(store))["k"].record.title == "c"
        assert titles(await versions(store, "k")) == ["b", "a"]

    async def test_a_replay_of_one_instant_in_many_payloads_writes_nothing(self, store: Store) -> None:
        """Payloads and rows of one instant have an order: what came last stays last when all are read again."""
        pairs = [[record("k", title=f"{part}a"), record("k", title=f"{part}b")] for part in range(3)]
        for _ in range(2):
            outcomes = [await observe(store, *pair, history=True, part=part) for part, pair in enumerate(pairs)]
        assert outcomes == [UpsertOutcome(0, 0, 2)] * 3
        assert (await table(store))["k"].revision == 6

    async def test_a_replay_of_everything_adds_no_version(self, store: Store) -> None:
        """The same observations again, in their order, leave the same state and the same versions."""
        states = [prepared(record("k", title=str(n), occurred_at=later(n % 3)), n) for n in range(6)]
        for _ in range(2):
            for n, state in enumerate(states):
                await observe(store, state, seen=later(100 + n), history=True)
            left = (await table(store))["k"].record, titles(await versions(store, "k"))
            assert left == (states[5].record, ["2", "4", "1", "3", "0"])

    async def test_duplicates_of_one_batch_are_versions_of_one_another(self, store: Store) -> None:
        """Two states of a key in one payload: the first one becomes a version of the second."""
        await observe(store, record("k", title="a"), record("k", title="b"), record("k", title="c"), history=True)
        assert (await table(store))["k"].record.title == "c"
        assert titles(await versions(store, "k")) == ["b", "a"]

    async def test_keeps_versions_of_many_records_at_once(self, store: Store) -> None:
        """A batch that updates thousands of records keeps one version of each."""
        await observe(store, *(record(f"k{n}", title="a") for n in range(3000)))
        outcome = await observe(store, *(record(f"k{n}", title="b") for n in range(3000)), seen=later(1), history=True)
        assert outcome == UpsertOutcome(0, 3000, 0)
        for key in ("k0", "k1500", "k2999"):
            assert titles(await versions(store, key)) == ["a"]
