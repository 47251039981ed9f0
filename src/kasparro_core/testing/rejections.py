"""The contract of RejectionStore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from kasparro_core.model import Metric, Rejection, RejectionQuery, RejectionState, Stage, StoredRejection, Total
from kasparro_core.normalize.canonical import parse_json
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, begin_run, later, payload, rejection


class RejectionContract:
    """Refused items and noted values. Needs a fixture `store`: migrated and empty."""

    async def test_keeps_what_was_refused_and_why(self, store: Store) -> None:
        """Every field of a rejection and of its observation is there; it is open and was seen once."""
        refused = Rejection(Stage.DECODE, "row_ragged", "line 17", "expected 3 columns, found 2: ü", "a,b", 16, "k")
        run_id = await _add(store, [refused], partition="p", second=3)
        (stored,) = await _list(store)
        assert (stored.source, stored.partition, stored.run_id, stored.raw_index) == (SOURCE, "p", run_id, 16)
        assert (stored.stage, stored.code, stored.path) == ("decode", "row_ragged", "line 17")
        assert (stored.message, stored.key) == ("expected 3 columns, found 2: ü", "k")
        assert (stored.state, stored.times, stored.first_seen_at) == ("open", 1, later(3))
        assert (stored.last_seen_at, stored.closed_at) == (later(3), None)
        assert stored.raw_id is not None
        async with store.begin(write=False) as work:
            assert await work.rejections.get(stored.rejection_id) == stored
            assert await work.rejections.get(999_999) is None

    @pytest.mark.parametrize(
        "value",
        [
            {"price": Decimal("0.1000000000000000055511151231257827"), "n": 2**70, "x": [None, True, ""]},
            "1,057;x\n",
            "",
            12,
            ["a"],
        ],
        ids=["object", "text", "empty", "number", "array"],
    )
    async def test_keeps_the_payload_as_json(self, store: Store, value: Any) -> None:
        """The refused item or text comes back from its JSON with every digit."""
        await _add(store, [rejection(value=value)])
        (stored,) = await _list(store)
        assert parse_json(stored.payload) == value

    async def test_names_of_any_length_fail_no_batch(self, store: Store) -> None:
        """A field name or key longer than an index holds is kept short, and what differs stays apart."""
        long = "".join(chr(0x4E00 + n * 7919 % 20_000) for n in range(5_000))
        refused = [rejection(path=path, key=long) for path in (f"{long}a", f"{long}b", f"{long}a", "\udcff" * 900)]
        await _add(store, refused)
        one, two, three = sorted(await _list(store), key=lambda stored: -stored.times)
        assert [one.times, two.times, three.times] == [2, 1, 1]
        assert one.path.startswith(long[:80])
        assert len(one.path.encode()) <= 500
        assert one.key is None

    async def test_a_known_one_grows_times(self, store: Store) -> None:
        """The same refusal again is the same row, seen once more, with its first and its last instant."""
        await _add(store, [rejection(1)], second=1)
        await _add(store, [rejection(1)], second=2)
        await _add(store, [rejection(1)], second=3)
        await _add(store, [rejection(1)], second=2.5)
        (stored,) = await _list(store)
        assert (stored.times, stored.first_seen_at, stored.last_seen_at) == (4, later(1), later(3))

    async def test_one_that_is_given_twice_in_a_batch_grows_times(self, store: Store) -> None:
        """Duplicates within one call are one row too."""
        await _add(store, [rejection(1), rejection(2), rejection(1)])
        assert sorted(stored.times for stored in await _list(store)) == [1, 2]

    async def test_tells_rejections_apart_by_stage_code_path_payload_partition_and_source(self, store: Store) -> None:
        """A difference in any of these makes another rejection; message, place and key do not."""
        same = rejection(0)
        different = [
            rejection(0, stage=Stage.FIELD),
            rejection(0, code="other"),
            rejection(0, path="other"),
            rejection(0, value={"n": 1}),
        ]
        await _add(store, [same, *different])
        await _add(store, [same], partition="p")
        await _add(store, [same], source="other")
        assert [stored.times for stored in await _list(store)] == [1] * 7
        again = Rejection(same.stage, same.code, same.path, "other words", same.payload, 99, "other key")
        await _add(store, [again])
        assert sorted(stored.times for stored in await _list(store)) == [1] * 6 + [2]

    async def test_a_replay_leaves_a_known_one_as_it_is(self, store: Store) -> None:
        """With again=False a known rejection keeps times and state, open or resolved; a new one is kept."""
        await _add(store, [rejection(1, key="a"), rejection(2, key="b")])
        await _resolve(store, ["b"], second=2)
        before = await _list(store)
        await _add(store, [rejection(1, key="a"), rejection(2, key="b"), rejection(3)], again=False)
        after = await _list(store)
        assert after[1:] == before
        assert (after[0].times, after[0].state) == (1, "open")

    async def test_a_replay_opens_what_was_resolved_before_it_was_seen(self, store: Store) -> None:
        """Seen again by a replay at an instant after that of the load which resolved it, a rejection is open, once, and
        points to where it was seen; at that very instant it stays resolved."""
        await _add(store, [rejection(1, key="a")], second=1)
        await _resolve(store, ["a"], second=5)
        await _add(store, [rejection(1, key="a")], second=5, again=False)
        assert await _states(store) == ["resolved"]
        opened_by = await _add(store, [replace(rejection(1, key="a"), index=4)], second=6, again=False)
        (opened,) = await _list(store)
        assert (opened.state, opened.times, opened.run_id, opened.raw_index) == ("open", 1, opened_by, 4)
        assert (opened.last_seen_at, opened.closed_at) == (later(6), None)

    async def test_a_replay_resolves_only_what_was_not_seen_later(self, store: Store) -> None:
        """With again=False an item that loads resolves what was seen until then, and leaves open what came after it."""
        await _add(store, [rejection(1, key="a"), rejection(2, key="a")], second=1)
        await _add(store, [rejection(2, key="a")], second=3)
        assert await _resolve(store, ["a"], second=2, again=False) == 1
        assert [(row.raw_index, row.state, row.closed_at) for row in await _list(store)] == [
            (2, "open", None),
            (1, "resolved", later(2)),
        ]
        assert await _resolve(store, ["a"], second=3, again=False) == 1

    async def test_settling_closes_what_is_refused_no_more(self, store: Store) -> None:
        """Of the open rejections and notes that point to the given items of a payload, those that are not refused still
        are resolved as of when they were seen last; other items, payloads and dropped ones stay."""
        many = [rejection(n, key=f"k{n}", stage=Stage.FIELD if n == 4 else Stage.NORMALIZE) for n in range(6)]
        await _add(store, many, second=1)
        await _add(store, [rejection(9)], second=1)
        stored = {row.raw_index: row for row in await _list(store)}
        await _drop(store, [stored[2].rejection_id])
        raw_id = stored[0].raw_id
        assert raw_id is not None
        async with store.begin() as work:
            assert await work.rejections.settle(raw_id, [], many) == 0
            assert await work.rejections.settle(raw_id, range(1, 5), [many[1], replace(many[3], code="other")]) == 2
            assert await work.rejections.settle(raw_id, frozenset({3, 5}), [replace(many[5], index=0)]) == 0
            await work.commit()
        states = {row.raw_index: (row.state, row.closed_at) for row in await _list(store)}
        over = ("resolved", later(1))
        dropped = ("dropped", later(7))
        still = ("open", None)
        assert states == {0: still, 1: still, 2: dropped, 3: over, 4: over, 5: still, 9: still}

    async def test_drops_what_is_open(self, store: Store) -> None:
        """Dropping tells how many it closed, any number at once; what is dropped stays so when it is seen again or its
        key loads, and grows `times`."""
        await _add(store, [rejection(n, key=f"k{n}") for n in range(2_500)], second=1)
        await _resolve(store, ["k0"])
        ids = [row.rejection_id for row in await _list(store, RejectionQuery(limit=3_000))]
        assert await _drop(store, [*ids, *ids[:5], 999_999]) == 2_499
        assert await _drop(store, ids) == 0
        assert await _drop(store, []) == 0
        assert await _resolve(store, ["k1"]) == 0
        await _add(store, [rejection(1, key="k1")], second=2)
        (known,) = [row for row in await _list(store, RejectionQuery(limit=3_000)) if row.raw_index == 1]
        assert (known.state, known.times, known.closed_at, known.last_seen_at) == ("dropped", 2, later(7), later(2))

    async def test_resolve_closes_the_open_ones_of_these_keys(self, store: Store) -> None:
        """All open rejections of the keys are resolved and counted, whatever their partition; others stay open."""
        await _add(store, [rejection(1, key="a"), rejection(2, key="a"), rejection(3, key="b"), rejection(4)])
        await _add(store, [rejection(1, key="a")], partition="p")
        await _add(store, [rejection(1, key="a")], source="other")
        assert await _resolve(store, ["a", "a", "unknown"]) == 3
        assert await _states(store) == ["open", "open", "open", "resolved", "resolved", "resolved"]
        assert await _resolve(store, ["a"]) == 0

    async def test_resolve_takes_any_number_of_keys(self, store: Store) -> None:
        """No keys, and far more keys than a statement has parameters, are both fine."""
        await _add(store, [rejection(1, key="k39999")])
        assert await _resolve(store, []) == 0
        assert await _resolve(store, [f"k{n}" for n in range(40_000)]) == 1

    async def test_one_that_comes_back_after_it_was_resolved_is_open_again(self, store: Store) -> None:
        """Seen again, a resolved rejection is open, and can be resolved again."""
        await _add(store, [rejection(1, key="a")])
        await _resolve(store, ["a"])
        await _add(store, [rejection(1, key="a")])
        (stored,) = await _list(store)
        assert (stored.state, stored.times) == (RejectionState.OPEN, 2)
        assert await _resolve(store, ["a"]) == 1

    async def test_one_that_opens_again_names_what_opened_it(self, store: Store) -> None:
        """Its payload, by which it is looked into and which it keeps from being pruned, is the one that it now comes
        from; further ones add to `times` and say when alone."""
        await _add(store, [rejection(1, key="a")], second=1)
        (first,) = await _list(store)
        await _resolve(store, ["a"])
        opened_by = await _add(store, [replace(rejection(1, key="a"), index=7)], second=2)
        (opened,) = await _list(store)
        assert (opened.run_id, opened.raw_index, opened.first_seen_at) == (opened_by, 7, later(1))
        assert opened.raw_id not in (None, first.raw_id)
        await _add(store, [rejection(1, key="a")], second=3)
        assert await _list(store) == [replace(opened, times=3, last_seen_at=later(3))]

    async def test_takes_any_number(self, store: Store) -> None:
        """Thousands of refused rows of one file are kept at once, and are known the second time."""
        many = [rejection(n, key=f"k{n}") for n in range(12_000)]
        await _add(store, many)
        await _add(store, many)
        stored = await _list(store, RejectionQuery(limit=20_000))
        assert len(stored) == 12_000
        assert {row.times for row in stored} == {2}

    async def test_lists_newest_first(self, store: Store) -> None:
        """The latest comes first; source, state, stage, code and limit select."""
        await _add(store, [rejection(1, key="a"), rejection(2, code="other"), rejection(3, stage=Stage.FIELD)])
        await _add(store, [rejection(4)], source="other")
        await _resolve(store, ["a"])
        assert [row.raw_index for row in await _list(store)] == [4, 3, 2, 1]
        for query, expected in [
            (RejectionQuery(source=SOURCE), [3, 2, 1]),
            (RejectionQuery(state="resolved"), [1]),
            (RejectionQuery(stage="field"), [3]),
            (RejectionQuery(code="decimal_invalid", state="open"), [4, 3]),
            (RejectionQuery(limit=2), [4, 3]),
        ]:
            assert [row.raw_index for row in await _list(store, query)] == expected

    async def test_pages_through_rejections(self, store: Store) -> None:
        """`before` goes on where a page ended, with filters too."""
        await _add(store, [rejection(n, code="odd" if n % 2 else "even") for n in range(5)])
        ids = {row.raw_index: row.rejection_id for row in await _list(store)}
        for query, expected in [
            (RejectionQuery(before=ids[3]), [2, 1, 0]),
            (RejectionQuery(before=ids[4], limit=2), [3, 2]),
            (RejectionQuery(before=ids[4], code="even"), [2, 0]),
            (RejectionQuery(before=ids[0]), []),
        ]:
            assert [row.raw_index for row in await _list(store, query)] == expected

    async def test_counts_each_time_one_is_seen(self, store: Store) -> None:
        """The totals grow by code and source with new and known ones, and not with a replay, nor without a commit."""
        await _add(store, [rejection(1), rejection(1), rejection(2, code="other")])
        await _add(store, [rejection(1), rejection(3, stage=Stage.FIELD, code="noted")])
        await _add(store, [rejection(1)], source="theirs")
        await _add(store, [rejection(1), rejection(9)], again=False)
        async with store.begin() as work:
            run = await begin_run(work)
            await work.rejections.add(SOURCE, "", run.run_id, None, [rejection(1)], later(1))
        async with store.begin(write=False) as work:
            totals = await work.totals.list()
        assert totals == [
            Total(SOURCE, Metric.REJECTIONS, "decimal_invalid", 3),
            Total(SOURCE, Metric.REJECTIONS, "noted", 1),
            Total(SOURCE, Metric.REJECTIONS, "other", 1),
            Total("theirs", Metric.REJECTIONS, "decimal_invalid", 1),
        ]


async def _add(
    store: Store,
    rejections: Sequence[Rejection],
    *,
    source: str = SOURCE,
    partition: str = "",
    second: float = 0,
    again: bool = True,
) -> int:
    """Add in a unit of work with a run and a payload of its own; returns the run's id."""
    async with store.begin() as work:
        run = await begin_run(work, source)
        raw_id = await work.raw.put(source, partition, payload(f"{run.run_id}"))
        at = later(second)
        await work.rejections.add(source, partition, run.run_id, raw_id, rejections, at, again=again)
        await work.commit()
    return run.run_id


async def _resolve(store: Store, keys: Sequence[str], *, second: float = 5, again: bool = True) -> int:
    async with store.begin() as work:
        resolved = await work.rejections.resolve(SOURCE, keys, later(second), again=again)
        await work.commit()
    return resolved


async def _drop(store: Store, ids: Sequence[int]) -> int:
    async with store.begin() as work:
        dropped = await work.rejections.drop(ids, later(7))
        await work.commit()
    return dropped


async def _list(store: Store, query: RejectionQuery | None = None) -> list[StoredRejection]:
    async with store.begin(write=False) as work:
        return await work.rejections.list(query or RejectionQuery())


async def _states(store: Store) -> list[str]:
    return sorted(stored.state for stored in await _list(store))
