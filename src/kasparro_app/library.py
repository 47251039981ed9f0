"""Kasparro from Python: one cycle over sources given as plain dictionaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kasparro_app.config.folders import with_own_root
from kasparro_app.config.origin import Origin
from kasparro_app.cycle import Outcome, exit_code, run_cycle
from kasparro_app.runtime import open_runtime
from kasparro_app.settings import settings_of
from kasparro_core.model import Run, Trigger


@dataclass(frozen=True)
class Report:
    """What a cycle did. `runs` holds one finished run per source; `outcomes` also the sources without a run."""

    outcomes: tuple[Outcome, ...]

    @property
    def runs(self) -> dict[str, Run]:
        """The runs by source."""
        return {outcome.source: outcome.run for outcome in self.outcomes if outcome.run is not None}

    @property
    def ok(self) -> bool:
        """True when no source failed and none is degraded."""
        return exit_code(self.outcomes) == 0


async def run(
    sources: Mapping[str, Mapping[str, Any]],
    database: str = "sqlite:///kasparro.db",
    *,
    full: bool = False,
) -> Report:
    """One cycle over `sources` (tables as in kasparro.toml, by name) into `database`.

    Relative paths start from the working directory. A path without `root` beside it may be anywhere; of what a pattern
    finds nothing is read that leads out of its folder. The environment overrides nothing here; `env:NAME` references in
    auth tables are resolved. A failing source is told in the report.
    Raises ConfigurationError with one sentence per fault.
    """
    rooted = {name: _rooted(table) for name, table in sources.items()}
    document = {"database": {"url": database}, "sources": rooted}
    settings = settings_of(document, Origin("sources"), Path.cwd(), overridable=False)
    enabled = [name for name, config in settings.sources.items() if config.enabled]
    async with open_runtime(settings, names=enabled) as runtime:
        outcomes = await run_cycle(runtime.runner, list(runtime.jobs.values()), trigger=Trigger.CLI, full=full)
    return Report(tuple(outcomes))


def _rooted(table: Any) -> Any:
    """What is no table is told with the other faults."""
    return with_own_root(table, Path.cwd()) if isinstance(table, Mapping) else table
