"""From a source's configuration to what a run needs to know about it."""

from __future__ import annotations

from kasparro_app.config.schedule import interval_seconds
from kasparro_core.config import SourceConfig
from kasparro_core.drift import ItemStyle
from kasparro_core.model.drift import DriftRule
from kasparro_core.policy.courtesy import patience
from kasparro_core.ports import Source
from kasparro_core.services.jobs import SourceJob

_SIDE_BY_SIDE = {"feed": 8}
"""Feeds of a list wait for their hosts, so several are read at once; files and pages of one API are read in turn."""

_STYLES = {"csv": ItemStyle.CELLS, "feed": ItemStyle.SPARSE}


def job_of(config: SourceConfig, source: Source, *, identity: bool = True) -> SourceJob:
    """The job of a configured source; `identity`: whether any source is linked to entities.

    Raises ConfigurationError for a mapping that makes no sense.
    """
    mapping = config.record_mapping(source.name)
    return SourceJob(
        source=source,
        mapping=mapping,
        history=config.keeps_history(mapping.kind),
        keep_raw=config.raw == "keep",
        max_rejected=config.max_rejected,
        fail_rejected=config.fail_rejected,
        parallel_partitions=_SIDE_BY_SIDE.get(config.type, 1),
        read_ahead=config.type == "csv",
        windows_as_of_then=_shows_then(config),
        drift=DriftRule(config.drift),
        item_style=_STYLES.get(config.type, ItemStyle.JSON),
        patience=patience(interval_seconds(config.schedule)),
        mark_gone=config.marks_gone(mapping.kind),
        mark_gone_max=config.mark_gone_max,
        anomalies=config.anomalies,
        identity=identity and config.identity,
    )


def _shows_then(config: SourceConfig) -> bool:
    """Whether past windows of the source show things as they were then."""
    backfill = getattr(config, "backfill", None)
    return backfill is not None and backfill.state == "then"
