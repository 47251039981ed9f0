"""The contract of RunLog: what is known of a run beside its counters, and the history of a source."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

from kasparro_core.model import Latency, PastRun, Run, RunFacts, RunStatus, Trigger
from kasparro_core.model.service import Bound, Prunable
from kasparro_core.ports import Store
from kasparro_core.testing.build import SOURCE, committed_run, later
from kasparro_core.testing.pruning import prune

FACTS = RunFacts(
    code_version="1.2.3",
    schema_version=4,
    change_seq=2**40,
    latency=Latency(7, Decimal("12.5"), Decimal("99.01"), Decimal("1234.567")),
    items=250,
    null_rates={"prïce": Decimal("0.004"), "quotes.USD.price": Decimal(0), "gone": Decimal(1)},
    null_rates_cut=True,
    newest=later(12.345678),
    comparable=True,
)
"""Every fact, none of them a default."""


class RunFactsContract:
    """Part of RunLogContract."""

    async def test_the_facts_of_a_run_come_back_as_they_are(self, store: Store) -> None:
        """Every fact with its exact number, those that are not known, and of a run without any: none."""
        full, bare, none = [await committed_run(store) for _ in range(3)]
        async with store.begin() as work:
            await work.runs.put_facts(full.run_id, FACTS)
            await work.runs.put_facts(bare.run_id, RunFacts())
            assert await work.runs.facts(full.run_id) == FACTS
            await work.commit()
        async with store.begin(write=False) as work:
            assert await work.runs.facts(full.run_id) == FACTS
            assert await work.runs.facts(bare.run_id) == RunFacts()
            assert await work.runs.facts(none.run_id) is None

    async def test_facts_take_the_place_of_those_before(self, store: Store) -> None:
        """Written again, only the new ones are known; rolled back, the ones before."""
        run, new = await committed_run(store), replace(FACTS, latency=None, null_rates={"other": Decimal("0.5")})
        for facts in (FACTS, new):
            async with store.begin() as work:
                await work.runs.put_facts(run.run_id, facts)
                await work.commit()
        async with store.begin() as work:
            await work.runs.put_facts(run.run_id, FACTS)
        async with store.begin(write=False) as work:
            assert await work.runs.facts(run.run_id) == new

    async def test_the_history_is_what_ended_before(self, store: Store) -> None:
        """The runs of this source that are over, newest first, however they ended, with their facts; not the run
        itself, later ones, one that is under way, nor replays and backfills."""
        first = await ended_run(store, 0, RunStatus.FAILED)
        for second, trigger in enumerate((Trigger.REPLAY, Trigger.BACKFILL), 1):
            await ended_run(store, second, RunStatus.SUCCEEDED, trigger)
        await committed_run(store)
        await ended_run(store, 4, RunStatus.SUCCEEDED, source="other")
        last = await ended_run(store, 5, RunStatus.UNCHANGED, facts=FACTS)
        later_one = await ended_run(store, 6, RunStatus.SUCCEEDED)
        async with store.begin(write=False) as work:
            history = await work.runs.history(SOURCE, before=later_one.run_id)
            assert list(history) == [PastRun(last, FACTS), PastRun(first)]
            assert list(await work.runs.history(SOURCE, before=later_one.run_id, limit=1)) == [PastRun(last, FACTS)]
            assert list(await work.runs.history(SOURCE, before=first.run_id)) == []

    async def test_runs_of_some_spans(self, store: Store) -> None:
        """Of each span the newest runs that began in it, its first instant included and its last one not; each once,
        newest first, with their facts. No span: none."""
        runs = [await ended_run(store, second, RunStatus.FAILED, facts=FACTS) for second in (0, 1, 2, 3, 5, 9)]
        await ended_run(store, 1, RunStatus.SUCCEEDED, Trigger.BACKFILL)
        await ended_run(store, 1, RunStatus.SUCCEEDED, source="other")
        last = await ended_run(store, 2, RunStatus.SUCCEEDED)
        spans = [(later(5), later(9)), (later(0), later(3)), (later(100), later(200))]
        async with store.begin(write=False) as work:
            found = await work.runs.alike(SOURCE, spans, before=last.run_id, limit=2)
            assert list(found) == [PastRun(runs[place], FACTS) for place in (4, 2, 1)]
            assert list(await work.runs.alike(SOURCE, spans[1:], before=runs[1].run_id)) == [PastRun(runs[0], FACTS)]
            assert list(await work.runs.alike(SOURCE, [], before=last.run_id)) == []

    async def test_facts_go_with_their_run(self, store: Store) -> None:
        """A pruned run leaves none behind; those of a run that stays do."""
        old, new = [await ended_run(store, second, RunStatus.SUCCEEDED, facts=FACTS) for second in (0, 1)]
        assert (await prune(store, Prunable.RUNS, Bound(before=later(9)))).rows == 1
        async with store.begin(write=False) as work:
            assert await work.runs.facts(old.run_id) is None
            assert await work.runs.facts(new.run_id) == FACTS


async def ended_run(
    store: Store,
    second: float,
    status: RunStatus,
    trigger: Trigger = Trigger.CLI,
    *,
    source: str = SOURCE,
    facts: RunFacts | None = None,
) -> Run:
    """A run that began at that second and is over, with these facts."""
    async with store.begin() as work:
        run = await work.runs.start(source, trigger, later(second))
        run = await work.runs.finish(run.run_id, status, later(second))
        if facts is not None:
            await work.runs.put_facts(run.run_id, facts)
        await work.commit()
    return run
