"""What is known of a run beside its counters, gathered where it ends."""

from __future__ import annotations

from dataclasses import replace

from kasparro_core.model import Run, RunFacts
from kasparro_core.ports import UnitOfWork
from kasparro_core.services.partition_states import PartitionBook


async def write_facts(
    work: UnitOfWork,
    run: Run,
    code_version: str | None,
    book: PartitionBook | None = None,
    *,
    comparable: bool = False,
) -> RunFacts:
    """In the unit of work that ends a run, when its last record is written and its shape concluded. `book`: what it
    learned of its source; a replay asks nobody, and has none. Returns what was written."""
    facts = RunFacts(code_version=code_version, change_seq=await work.records.last_change(), comparable=comparable)
    if book is not None:
        facts = replace(facts, latency=book.latencies.summary(), newest=book.glance.newest)
        facts = facts if book.shapes is None else book.shapes.told_in(facts)
    await work.runs.put_facts(run.run_id, facts)
    return facts
