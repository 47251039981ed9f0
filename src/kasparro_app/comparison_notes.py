"""What two runs side by side cannot tell, and why: nothing is guessed."""

from __future__ import annotations

from collections.abc import Iterator

from kasparro_app.comparison import Compared
from kasparro_core.model import PastRun
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.model.span import Fate
from kasparro_core.policy.baseline import FEWEST


def notes(compared: Compared) -> list[str]:
    """A sentence for each thing that is not known."""
    runs = [compared.a] if compared.a.run.run_id == compared.b.run.run_id else [compared.a, compared.b]
    return [*(note for each in runs for note in _of_run(each)), *_of_expectation(compared), *_of_records(compared)]


def _of_run(past: PastRun) -> Iterator[str]:
    run, facts = past
    name = f"Run {run.run_id}"
    if run.finished_at is None:
        yield f"{name} is not over: its figures are those of now, and it has no duration yet."
    elif facts is None:
        yield (
            f"{name} left no facts (its process died, or it ran before they were kept): its versions, its latencies "
            "and how empty its items were are not known."
        )
    elif not facts.items:
        yield f"{name} looked at no items: it has no null rates."
    elif facts.null_rates_cut:
        yield f"{name} has more paths than null rates are kept of: those deepest in the items are missing."


def _of_expectation(compared: Compared) -> Iterator[str]:
    run = compared.b.run
    if run.trigger in OF_THE_PAST:
        yield f"Run {run.run_id} is a {run.trigger}: nothing is expected of its figures."
    elif compared.usual is not None and compared.usual.baseline.expected("fetched") is None:
        yield (
            f"Fewer than {FEWEST} successful runs before run {run.run_id} can be compared with it, so no ranges are "
            "expected."
        )


def _of_records(compared: Compared) -> Iterator[str]:
    earlier, later = (each.run.run_id for each in compared.in_order)
    unknown = (compared.fates or {}).get(Fate.UNKNOWN)
    if unknown is not None:
        yield (
            f"Of {unknown.count:,} records it is not known whether they changed between runs {earlier} and {later}: "
            f"they were written again after run {later}, and their states before that are not kept (the source keeps "
            "no history, or its versions were pruned)."
        )
