"""Names of the environment that earlier versions knew; each sets one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from kasparro_app.config.draft import Draft
from kasparro_app.config.paths import KeyPath


def _seconds(text: str) -> str:
    return f"every {text.strip()}s"


def _switch(text: str) -> str:
    return text.strip().lower()  # read as true or false like every other one; a typing error must not switch it off


_NAMES: dict[str, tuple[KeyPath, Callable[[str], Any]]] = {
    "DATABASE_URL": (("database", "url"), str),
    "API_KEY": (("api", "admin_key"), str),
    "ETL_BATCH_SIZE": (("defaults", "batch_rows"), str),
    "ETL_INTERVAL_SECONDS": (("defaults", "schedule"), _seconds),
    "CHAOS_MODE": (("chaos", "enabled"), _switch),
    "LOG_LEVEL": (("log", "level"), str),
    "ENVIRONMENT": (("environment",), str),
}
CSV_PATH = "CSV_PATH"


def apply_earlier_names(draft: Draft, environ: Mapping[str, str]) -> None:
    """Set what DATABASE_URL, API_KEY, CSV_PATH (the source `csv`), ETL_* and the others say; empty ones say nothing."""
    for name, (path, convert) in _NAMES.items():
        if environ.get(name):
            draft.set(path, convert(environ[name]), name)
    if environ.get(CSV_PATH):
        if "csv" not in draft.source_names():
            draft.set(("sources", "csv", "type"), "csv", CSV_PATH)
        draft.set(("sources", "csv", "path"), anchored(environ[CSV_PATH], draft), CSV_PATH)


def anchored(path: str, draft: Draft) -> str:
    """A path of the environment: relative to the working directory. A URL stays as it is."""
    return path if "://" in path else str(draft.cwd / path)
