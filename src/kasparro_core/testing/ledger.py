"""The contracts of RawStore and RunLog."""

from __future__ import annotations

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import (
    BatchRead,
    Counters,
    RawPayload,
    Run,
    RunQuery,
    RunStatus,
    Trigger,
    pack,
)
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, begin_run, committed_run, later, payload
from kasparro_core.testing.ended import COUNTERS, EndedRunContract
from kasparro_core.testing.facts import RunFactsContract


class RawStoreContract:
    """Payloads by content. Needs a fixture `store`: migrated and empty."""

    async def test_keeps_the_exact_bytes_and_facts(self, store: Store) -> None:
        """Any byte and any JSON fact comes back as it was, with what the payload belongs to."""
        raw = RawPayload(bytes(range(256)) * 300, {"format": "csv", "header": ["a", "ü"], "first_line": 7, "x": None})
        packed = pack(raw, 42)
        async with store.begin() as work:
            raw_id = await work.raw.put("s", "p", packed)
            await work.commit()
        async with store.begin(write=False) as work:
            stored = await work.raw.get(raw_id)
        assert stored is not None
        assert stored.raw == raw
        assert (stored.raw_id, stored.source, stored.partition) == (raw_id, "s", "p")
        assert (stored.content_hash, stored.record_count) == (packed.content_hash, 42)

    async def test_keeps_an_empty_payload(self, store: Store) -> None:
        """No bytes at all is a payload too."""
        async with store.begin() as work:
            raw_id = await work.raw.put("s", "", pack(RawPayload(b"", {"format": "csv"}), 0))
            stored = await work.raw.get(raw_id)
        assert stored is not None
        assert stored.raw.payload == b""

    async def test_stores_the_same_bytes_once(self, store: Store) -> None:
        """The same bytes with the same facts in one partition are one payload, within and across units of work."""
        async with store.begin() as work:
            first = await work.raw.put("s", "p", payload("same"))
            assert await work.raw.put("s", "p", payload("same")) == first
            await work.commit()
        async with store.begin() as work:
            assert await work.raw.put("s", "p", payload("same")) == first
            await work.commit()

    async def test_tells_payloads_apart_by_bytes_facts_source_and_partition(self, store: Store) -> None:
        """A difference in any of the four makes another payload."""
        facts = pack(RawPayload(b"same", {"format": "json", "records": "data"}), 1)
        async with store.begin() as work:
            ids = [
                await work.raw.put("s", "p", payload("same")),
                await work.raw.put("s", "p", payload("other")),
                await work.raw.put("s", "p", facts),
                await work.raw.put("t", "p", payload("same")),
                await work.raw.put("s", "q", payload("same")),
            ]
            assert len(set(ids)) == 5
            for raw_id, source, partition in [(ids[0], "s", "p"), (ids[3], "t", "p"), (ids[4], "s", "q")]:
                stored = await work.raw.get(raw_id)
                assert stored is not None
                assert (stored.source, stored.partition) == (source, partition)

    async def test_get_of_an_unknown_payload_is_none(self, store: Store) -> None:
        """No payload is None, not an error."""
        async with store.begin(write=False) as work:
            assert await work.raw.get(999_999) is None


class RunLogContract(EndedRunContract, RunFactsContract):
    """The ledger. Needs a fixture `store`: migrated and empty."""

    async def test_starts_a_running_run_with_zero_counters(self, store: Store) -> None:
        """A new run is running, unfinished, without counts or error, and reads back as it was returned."""
        async with store.begin() as work:
            run = await work.runs.start("s", Trigger.SCHEDULE, later(3))
            await work.commit()
        assert run == Run(run.run_id, "s", Trigger.SCHEDULE, RunStatus.RUNNING, later(3))
        assert await _get(store, run.run_id) == run

    async def test_remembers_which_run_is_resumed(self, store: Store) -> None:
        """`resumes` names the run that was taken over."""
        dead = await committed_run(store)
        async with store.begin() as work:
            run = await work.runs.start(SOURCE, Trigger.RECOVERY, later(9), resumes=dead.run_id)
            await work.commit()
        stored = await _get(store, run.run_id)
        assert stored is not None
        assert (stored.resumes, stored.trigger) == (dead.run_id, Trigger.RECOVERY)

    async def test_adds_to_every_counter(self, store: Store) -> None:
        """Deltas add up field by field, and touch no other run."""
        run, other = await committed_run(store), await committed_run(store)
        async with store.begin() as work:
            await work.runs.add(run.run_id, COUNTERS)
            await work.runs.add(run.run_id, Counters(fetched=100, retries=2**40))
            await work.commit()
        stored, untouched = await _get(store, run.run_id), await _get(store, other.run_id)
        assert stored is not None
        assert stored.counters == COUNTERS.plus(Counters(fetched=100, retries=2**40))
        assert untouched == other

    async def test_finishes_a_run_with_its_error(self, store: Store) -> None:
        """The final state, instant, code and error are kept beside the counters."""
        run = await committed_run(store)
        async with store.begin() as work:
            await work.runs.add(run.run_id, COUNTERS)
            finished = await work.runs.finish(
                run.run_id, RunStatus.FAILED, later(8), error_code="transient", error="the host is unreachable: ü"
            )
            await work.commit()
        assert finished == Run(
            run_id=run.run_id,
            source=run.source,
            trigger=run.trigger,
            status=RunStatus.FAILED,
            started_at=run.started_at,
            finished_at=later(8),
            counters=COUNTERS,
            error_code="transient",
            error="the host is unreachable: ü",
        )
        assert await _get(store, run.run_id) == finished

    @pytest.mark.parametrize("status", [status for status in RunStatus if status is not RunStatus.RUNNING])
    async def test_a_run_that_is_not_running_takes_nothing_more(self, store: Store, status: RunStatus) -> None:
        """add and finish on a run in a final state are conflicts, and leave it as it was."""
        run = await committed_run(store)
        async with store.begin() as work:
            await work.runs.finish(run.run_id, status, later(1))
            await work.commit()
        before = await _get(store, run.run_id)
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await work.runs.add(run.run_id, Counters(fetched=1))
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, later(2))
        assert await _get(store, run.run_id) == before

    async def test_an_unknown_run_takes_nothing(self, store: Store) -> None:
        """add and finish on a run that does not exist are conflicts; get is None."""
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await work.runs.add(999_999, Counters(fetched=1))
        with pytest.raises(ConflictError):
            async with store.begin() as work:
                await work.runs.finish(999_999, RunStatus.FAILED, later(1))
        assert await _get(store, 999_999) is None

    async def test_lists_runs_newest_first(self, store: Store) -> None:
        """The latest run comes first; source, status and limit select."""
        runs = [await committed_run(store, source, later(n)) for n, source in enumerate(["a", "b", "a", "b", "a"])]
        ids = [run.run_id for run in runs]
        async with store.begin() as work:
            await work.runs.finish(ids[2], RunStatus.DEGRADED, later(10))
            await work.commit()
        assert await _list(store, RunQuery()) == ids[::-1]
        assert await _list(store, RunQuery(source="a")) == [ids[4], ids[2], ids[0]]
        assert await _list(store, RunQuery(source="a", status="running")) == [ids[4], ids[0]]
        assert await _list(store, RunQuery(status="degraded")) == [ids[2]]
        assert await _list(store, RunQuery(limit=2)) == [ids[4], ids[3]]
        assert await _list(store, RunQuery(source="none")) == []

    async def test_pages_through_runs(self, store: Store) -> None:
        """`before` goes on where a page ended, with filters too."""
        ids = [(await committed_run(store, source)).run_id for source in "abab"]
        assert await _list(store, RunQuery(before=ids[2])) == [ids[1], ids[0]]
        assert await _list(store, RunQuery(before=ids[3], limit=1)) == [ids[2]]
        assert await _list(store, RunQuery(source="b", before=ids[3])) == [ids[1]]
        assert await _list(store, RunQuery(before=ids[0])) == []

    async def test_lists_reads_in_the_order_of_their_commits(self, store: Store) -> None:
        """Reads of all partitions and runs come in the order in which they were noted, with their facts."""
        run = await committed_run(store)
        noted = [("b", 1), ("a", 1), ("b", 2), ("a", 2)]
        for n, (partition, seq) in enumerate(noted):
            await _note(store, run.run_id, partition, seq, f"{partition}{seq}", n)
        second = await committed_run(store)
        await _note(store, second.run_id, "a", 1, "a1", 9)
        reads = await _reads(store)
        assert [(read.run_id, read.partition, read.seq) for read in reads] == [
            *((run.run_id, *place) for place in noted),
            (second.run_id, "a", 1),
        ]
        assert [read.read_id for read in reads] == sorted({read.read_id for read in reads})
        assert reads[0].read_id > 0
        assert (reads[1].url, reads[1].status, reads[1].observed_at) == ("https://x.example/a", 200, later(1))
        assert reads[4].raw_id == reads[1].raw_id

    async def test_lists_reads_of_runs_that_overlap_as_they_were_committed(self, store: Store) -> None:
        """An older run that notes a read after a younger one did comes after it."""
        old, young = await committed_run(store), await committed_run(store)
        await _note(store, young.run_id, "a", 1, "x", 1)
        await _note(store, old.run_id, "b", 1, "y", 2)
        assert [read.run_id for read in await _reads(store)] == [young.run_id, old.run_id]

    async def test_lists_only_reads_with_a_payload_of_the_source(self, store: Store) -> None:
        """A 304 is noted but is nothing to replay; another source's reads are not listed."""
        run, foreign = await committed_run(store), await committed_run(store, "foreign")
        async with store.begin() as work:
            not_modified = BatchRead(run.run_id, "", 1, None, "https://x.example/", 304, later(1))
            await work.runs.record_read(not_modified, counters=Counters(batches=1))
            await work.commit()
        await _note(store, foreign.run_id, "", 1, "theirs", 2)
        await _note(store, run.run_id, "", 2, "ours", 3)
        assert [(read.run_id, read.seq) for read in await _reads(store)] == [(run.run_id, 2)]

    async def test_slices_of_one_read_are_one_row(self, store: Store) -> None:
        """The same run, partition and seq again is the same read, also across units of work."""
        run = await committed_run(store)
        for n in range(3):
            await _note(store, run.run_id, "", 1, "big", n)
        await _note(store, run.run_id, "", 2, "next", 5)
        assert [(read.seq, read.observed_at) for read in await _reads(store)] == [(1, later(0)), (2, later(5))]

    async def test_pages_through_reads(self, store: Store) -> None:
        """`after` and `limit` walk all reads without a gap or a repeat."""
        run = await committed_run(store)
        for seq in range(1, 6):
            await _note(store, run.run_id, "", seq, f"{seq}", seq)
        walked: list[int] = []
        after = 0
        async with store.begin(write=False) as work:
            while page := await work.runs.reads(SOURCE, after=after, limit=2):
                walked += [read.seq for read in page]
                after = page[-1].read_id
        assert walked == [1, 2, 3, 4, 5]

    async def test_keeps_the_order_of_runs_within_a_unit_of_work(self, store: Store) -> None:
        """Run ids grow in the order of start."""
        async with store.begin() as work:
            ids = [(await begin_run(work)).run_id for _ in range(5)]
            await work.commit()
        assert ids == sorted(set(ids))


async def _note(store: Store, run_id: int, partition: str, seq: int, body: str, second: int) -> None:
    async with store.begin() as work:
        run = await work.runs.get(run_id)
        assert run is not None
        raw_id = await work.raw.put(run.source, partition, payload(body))
        url = f"https://x.example/{partition}"
        read = BatchRead(run_id, partition, seq, raw_id, url, 200, later(second))
        await work.runs.record_read(read, counters=Counters(fetched=1))
        await work.commit()


async def _reads(store: Store) -> list[BatchRead]:
    async with store.begin(write=False) as work:
        return list(await work.runs.reads(SOURCE))


async def _get(store: Store, run_id: int) -> Run | None:
    async with store.begin(write=False) as work:
        return await work.runs.get(run_id)


async def _list(store: Store, query: RunQuery) -> list[int]:
    async with store.begin(write=False) as work:
        return [run.run_id for run in await work.runs.list(query)]
