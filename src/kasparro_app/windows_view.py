"""Windows of backfills as people are shown them: summed up, for there may be thousands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any

from kasparro_app.views import checkpoint_view
from kasparro_core.model import Checkpoint
from kasparro_core.model.window import Window


def is_window(partition: str) -> bool:
    """Whether a partition is a window of a backfill."""
    return Window.of(partition) is not None


def backfill_view(checkpoints: Iterable[Checkpoint], failed: int) -> dict[str, Any] | None:
    """What the windows of one source sum up to; `failed` of them did so last. None: it has none."""
    read = {window: each for each in checkpoints if each.cursor and (window := Window.of(each.partition)) is not None}
    if not read and not failed:
        return None
    return {
        "windows": len(read),
        "failed": failed,
        "starts_at": min((window.start for window in read), default=None),
        "ends_at": max((window.end for window in read), default=None),
        "read_at": max((each.updated_at for each in read.values()), default=None),
    }


def folded_views(checkpoints: Sequence[Checkpoint]) -> list[Mapping[str, Any]]:
    """The positions as lines of a table: each of a live source, and one line for all windows of a source."""
    lines: list[Mapping[str, Any]] = []
    for _, found in groupby(checkpoints, key=lambda each: each.source):
        of_source = list(found)
        lines += [checkpoint_view(each) for each in of_source if not is_window(each.partition)]
        windows = [each for each in of_source if is_window(each.partition)]
        if len(windows) > 1:
            lines.append(_summed_up(windows))
        else:
            lines += [checkpoint_view(each) for each in windows]
    return lines


def _summed_up(windows: Sequence[Checkpoint]) -> Mapping[str, Any]:
    newest = max(windows, key=lambda each: (each.updated_at, each.run_id or 0))
    summary = backfill_view(windows, 0) or {}
    return {
        **checkpoint_view(newest),
        "partition": f"{len(windows):,} windows of backfills",
        "version": None,
        "cursor": {name: summary.get(name) for name in ("starts_at", "ends_at")},
    }
