"""How a run ended: a pure decision over its counters and its failed partitions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from kasparro_core.errors import KasparroError
from kasparro_core.model import Counters, RunStatus

BUDGET_FROM = 20
"""Rejection shares count from this many items on; below it one bad row would decide a run."""


class Verdict(NamedTuple):
    """The final state of a run."""

    status: RunStatus
    error_code: str | None = None
    error: str | None = None


STOPPED = Verdict(RunStatus.INTERRUPTED, "cancelled", "stopped before it was finished")
"""The end of a run that was cancelled."""


def verdict(
    counters: Counters,
    failures: Mapping[str, KasparroError],
    partitions: int,
    *,
    max_rejected: float,
    fail_rejected: float,
) -> Verdict:
    """All partitions failed, or too many items refused: failed. Some: degraded. Nothing changed: unchanged."""
    if failures:
        status = RunStatus.FAILED if len(failures) >= partitions else RunStatus.DEGRADED
        return Verdict(status, *_first(failures, partitions))
    share = counters.rejected / counters.fetched if counters.fetched >= BUDGET_FROM else 0.0
    if share > fail_rejected:
        return Verdict(RunStatus.FAILED, "rejected", _share(counters, share, "fail_rejected", fail_rejected))
    if share > max_rejected:
        return Verdict(RunStatus.DEGRADED, "rejected", _share(counters, share, "max_rejected", max_rejected))
    return Verdict(RunStatus.UNCHANGED if counters.changed_nothing else RunStatus.SUCCEEDED)


def _first(failures: Mapping[str, KasparroError], partitions: int) -> tuple[str, str]:
    partition, error = next(iter(failures.items()))
    prefix = f"partition {partition!r}: " if partition else ""
    more = f" ({len(failures)} of {partitions} partitions failed)" if partitions > 1 else ""
    return error.code, f"{prefix}{error}{more}"


def _share(counters: Counters, share: float, setting: str, limit: float) -> str:
    return (
        f"{counters.rejected} of {counters.fetched} items were rejected ({share:.1%}), more than {setting} = {limit:g} "
        "allows; `kasparro rejections list` shows them."
    )
