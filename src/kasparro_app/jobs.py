"""From a source's configuration to what a run needs to know about it."""

from __future__ import annotations

from kasparro_core.config import SourceConfig
from kasparro_core.ports import Source
from kasparro_core.services.jobs import SourceJob

_SIDE_BY_SIDE = {"feed": 8}
"""Feeds of a list wait for their hosts, so several are read at once; files and pages of one API are read in turn."""


def job_of(config: SourceConfig, source: Source) -> SourceJob:
    """The job of a configured source. Raises ConfigurationError for a mapping that makes no sense."""
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
    )
