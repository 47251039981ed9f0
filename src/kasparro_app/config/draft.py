"""A configuration while it is put together: the document, where each value comes from, and what is wrong so far."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kasparro_app.config.faults import Faults
from kasparro_app.config.origin import Origin
from kasparro_app.config.paths import KeyPath, lookup, replaced
from kasparro_core.config import SourceConfig

Models = Mapping[str, type[SourceConfig]]
"""The configuration model of each source `type`."""


@dataclass
class Draft:
    """`root` is what relative paths of the file start from, `cwd` what those of the environment do."""

    document: dict[str, Any]
    origin: Origin
    models: Models
    root: Path
    cwd: Path
    notices: list[str] = field(default_factory=list)
    faults: Faults = field(init=False)

    def __post_init__(self) -> None:
        self.faults = Faults(self.origin)

    def source_names(self) -> list[str]:
        """The names of all sources, as written."""
        sources = self.document.get("sources")
        return list(sources) if isinstance(sources, Mapping) else []

    def source_model(self, name: str) -> type[SourceConfig] | None:
        """The model of a source by its `type`, if that is known."""
        kind = lookup(self.document, ("sources", name, "type"))
        return self.models.get(kind) if isinstance(kind, str) else None

    def set(self, path: KeyPath, value: Any, variable: str) -> None:
        """Let an environment variable set a value."""
        self.document = replaced(self.document, path, value)
        self._note(replace(self.origin, variables={**self.origin.variables, path: variable}))

    def inherit(self, path: KeyPath, value: Any, written: KeyPath) -> None:
        """Let a value of `[defaults]` stand under a source."""
        self.document = replaced(self.document, path, value)
        self._note(replace(self.origin, inherited={**self.origin.inherited, path: written}))

    def _note(self, origin: Origin) -> None:
        self.origin = origin
        self.faults.origin = origin
