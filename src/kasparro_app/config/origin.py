"""Where each value of a configuration comes from: a line of the file, a variable of the environment, the caller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kasparro_app.config.paths import KeyPath


@dataclass(frozen=True)
class Origin:
    """`name` is the file as the user wrote it (or what stands in its place); `lines` as `key_lines` gives them.

    `variables` names the environment variable that set a path; `inherited` the place in `[defaults]` that did.
    """

    name: str
    lines: Mapping[KeyPath, int] = field(default_factory=dict)
    variables: Mapping[KeyPath, str] = field(default_factory=dict)
    inherited: Mapping[KeyPath, KeyPath] = field(default_factory=dict)

    def place(self, path: KeyPath) -> tuple[str, KeyPath]:
        """Where the value at `path` was written ("kasparro.toml:12"), and the path as it is written there."""
        for length in range(len(path), 0, -1):
            above = path[:length]
            if above in self.variables:
                return f"environment variable {self.variables[above]}", path
            if above in self.inherited:
                written = (*self.inherited[above], *path[length:])
                return self.place(written)
            if above in self.lines:
                return f"{self.name}:{self.lines[above]}", path
        return self.name, path
