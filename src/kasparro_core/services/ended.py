"""The end of a run of which its own process heard nothing."""

from __future__ import annotations

from kasparro_core.errors import ConflictError
from kasparro_core.model import Run
from kasparro_core.ports import Observer, Store
from kasparro_core.services.claims import TAKEN_OVER


async def ended_unheard(store: Store, observer: Observer, run: Run) -> Run:
    """The run as it ended although this process heard nothing of it: by its own commit whose answer was lost.
    Raises ConflictError when it was ended by whoever took it over: then nothing more of it is written."""
    async with store.begin(write=False) as work:
        stored = await work.runs.get(run.run_id)
    if stored is None:
        raise ConflictError(f"run {run.run_id} of source {run.source!r} is not in the ledger any more")
    observer.run_finished(stored)
    if stored.error_code == TAKEN_OVER:
        raise ConflictError(
            f"Run {run.run_id} of source {run.source!r} was taken over: this process stood still, or was without "
            "its database, for longer than its lease.",
            hint="What it had committed stays, and the run that took over goes on from there.",
        )
    return stored
