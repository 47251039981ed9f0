"""Kasparro's application: settings, composition and faces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kasparro_app.library import Report

__all__ = ["run"]


async def run(
    sources: Mapping[str, Mapping[str, Any]],
    database: str = "sqlite:///kasparro.db",
    *,
    full: bool = False,
) -> Report:
    """See `kasparro_app.library.run`, which is loaded with all its libraries at the first call."""
    from kasparro_app.library import run as run_sources

    return await run_sources(sources, database, full=full)
