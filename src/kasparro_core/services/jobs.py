"""What a run needs to know about a source besides the source itself."""

from __future__ import annotations

from dataclasses import dataclass

from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.ports.source import Source

ARTICLE = "article"


@dataclass(frozen=True, slots=True)
class SourceJob:
    """A source with its rules. `max_rejected` and `fail_rejected` are shares (0..1) of the items of one run;
    `parallel_partitions` is how many partitions are read at once. With `read_ahead` the next batch is read while one is
    written; what was read ahead is read again after a crash, so it is meant for sources that ask nobody for it."""

    source: Source
    mapping: RecordMapping
    history: bool = False
    keep_raw: bool = True
    max_rejected: float = 0.05
    fail_rejected: float = 0.5
    parallel_partitions: int = 1
    read_ahead: bool = False

    @property
    def name(self) -> str:
        """The configured name of the source."""
        return self.source.name

    @property
    def by_occurrence(self) -> bool:
        """Articles are ordered by observation alone, everything else by (occurred_at, observed_at)."""
        return self.mapping.kind != ARTICLE
