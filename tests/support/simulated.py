# ruff: noqa: T201 - a command line
"""`python -m simulated FIRST [LAST]`: live through seeds, print what was found; one seed alone: with its trace.

Ends with 1 when a promise was broken. From the root: PYTHONPATH=src:tests/support .venv/bin/python -m simulated 17
"""

from __future__ import annotations

import gc
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from simulated_seed import Outcome, simulate

_SHOWN = 400


def storm(seeds: Iterable[int], *, enough: int = 1) -> tuple[list[Outcome], Counter[str]]:
    """The seeds in which something was wrong, at most `enough`, and what was counted in all of them."""
    failed: list[Outcome] = []
    counts: Counter[str] = Counter()
    for outcome in outcomes(seeds):
        counts.update(outcome.counts)
        counts["seeds"] += 1
        if outcome.faults:
            failed.append(outcome)
            if len(failed) == enough:
                break
    return failed, counts


def outcomes(seeds: Iterable[int]) -> Iterable[Outcome]:
    """Each seed's outcome. Rubbish is collected between seeds alone: where it falls is not a matter of the seed."""
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        for number, seed in enumerate(seeds):
            yield simulate(seed)
            if number % 20 == 19:
                gc.collect()
    finally:
        gc.unfreeze()
        if enabled:
            gc.enable()


def replay(outcome: Outcome) -> str:
    """What to run to see it again, and what was wrong."""
    command = f"PYTHONPATH=src:tests/support .venv/bin/python -m simulated {outcome.seed}"
    return "\n".join([f"seed {outcome.seed} (trace {outcome.hash}): {command}", *outcome.faults[:5]])


@contextmanager
def timed() -> Iterator[Callable[[int], str]]:
    """Tells how fast so many seeds were lived through since the beginning of the block; what else the machine did
    meanwhile makes the second figure."""
    begun, busy = time.perf_counter(), time.process_time()

    def pace(seeds: int) -> str:
        seconds, used = time.perf_counter() - begun, time.process_time() - busy
        return (
            f"{seeds} seeds in {seconds:.1f} s, {60 * seeds / seconds:.0f} a minute "
            f"({60 * seeds / used:.0f} a minute of processor time)"
        )

    yield pace


def main(arguments: list[str]) -> int:
    """The command line."""
    first = int(arguments[0])
    if len(arguments) == 1:
        outcome = simulate(first, keep_trace=True)
        print("\n".join(outcome.trace[-_SHOWN:]))
        print(f"trace {outcome.hash}", dict(outcome.counts), *outcome.faults, sep="\n")
        return bool(outcome.faults)
    with timed() as pace:
        failed, counts = storm(range(first, int(arguments[1])))
        print(pace(counts["seeds"]))
    print(dict(sorted(counts.items())))
    for outcome in failed:
        print(replay(outcome))
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
