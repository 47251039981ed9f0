"""What every verb is given: the configuration file, loaded when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.exits import say
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    from kasparro_app.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON on standard output.")]
SourceNames = Annotated[list[str] | None, typer.Argument(metavar="[SOURCE]...", help="Default: all enabled sources.")]


@dataclass(frozen=True)
class Invocation:
    """What stood before the verb."""

    config: Path | None

    def settings(self, *, serving: bool = False) -> Settings:
        """Load the configuration and set up the log, for a service if it is one. Raises ConfigurationError."""
        from kasparro_app.logs import set_up_log_of
        from kasparro_app.settings import load_settings

        settings = load_settings(self.config)
        set_up_log_of(settings, serving=serving)
        return settings

    def settings_to_read_with(self) -> Settings:
        """The same for a verb that reaches the sources: what is odd about their secrets is said."""
        settings = self.settings()
        for notice in settings.notices:
            say(f"note: {notice}")
        return settings


def invocation(context: typer.Context) -> Invocation:
    """The invocation that a verb belongs to."""
    found = context.find_object(Invocation)
    return found if found is not None else Invocation(None)


def chosen_sources(settings: Settings, names: Iterable[str] | None) -> list[str]:
    """The named sources, or all enabled ones. Raises ConfigurationError for an unknown name, or when there is none."""
    if not settings.sources:
        raise ConfigurationError(
            "No sources are configured.", hint="`kasparro init` writes a kasparro.toml to start from."
        )
    if names:
        for name in names:
            known_source(settings, name)
        return list(dict.fromkeys(names))
    enabled = [name for name, config in settings.sources.items() if config.enabled]
    if not enabled:
        raise ConfigurationError("All sources are switched off (`enabled = false`).")
    return enabled


def known_source(settings: Settings, name: str) -> str:
    """The name, if it is that of a source. Raises ConfigurationError with a near name."""
    from kasparro_app.config.faults import near

    if name not in settings.sources:
        raise ConfigurationError(f"Unknown source {name!r}{near(name, settings.sources)}")
    return name
