"""What a run needs to know about a source besides the source itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from kasparro_core.drift import ItemStyle
from kasparro_core.model.drift import DriftRule
from kasparro_core.model.window import seen_as_of
from kasparro_core.normalize.mapping import RecordMapping
from kasparro_core.policy.courtesy import LONGEST_PATIENCE
from kasparro_core.ports.source import Source

ARTICLE = "article"


@dataclass(frozen=True, slots=True)
class SourceJob:
    """A source with its rules. `max_rejected` and `fail_rejected` are shares (0..1) of the items of one run;
    `parallel_partitions` is how many partitions are read at once. With `read_ahead` the next batch is read while one is
    written; what was read ahead is read again after a crash, so it is meant for sources that ask nobody for it.
    `windows_as_of_then`: what a past window shows is not as things are now, but as they were at its end.
    `mark_gone`: records that a complete listing does not show are marked, unless their share of those that stood is
    more than `mark_gone_max` (0..1). `patience`: so many seconds a timed run waits for a partition that asks not to be
    asked yet. `drift`: what to do when the shape of the items changes, `item_style`: how they are written. `anomalies`:
    its runs and records are compared with their past. `identity`: its assets are linked to entities."""

    source: Source
    mapping: RecordMapping
    history: bool = False
    keep_raw: bool = True
    max_rejected: float = 0.05
    fail_rejected: float = 0.5
    parallel_partitions: int = 1
    read_ahead: bool = False
    windows_as_of_then: bool = False
    mark_gone: bool = False
    mark_gone_max: float = 0.5
    patience: float = LONGEST_PATIENCE
    drift: DriftRule = DriftRule.EVOLVE
    item_style: ItemStyle = ItemStyle.JSON
    anomalies: bool = True
    identity: bool = True

    @property
    def name(self) -> str:
        """The configured name of the source."""
        return self.source.name

    @property
    def by_occurrence(self) -> bool:
        """Articles are ordered by observation alone, everything else by (occurred_at, observed_at)."""
        return self.mapping.kind != ARTICLE

    def seen_at(self, partition: str, observed_at: datetime) -> datetime:
        """The instant that an observation of a partition stands for."""
        return seen_as_of(partition, observed_at) if self.windows_as_of_then else observed_at
