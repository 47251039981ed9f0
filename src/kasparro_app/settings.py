"""Settings: kasparro.toml and the environment, validated. The only module that reads the environment."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from kasparro_adapters.feeds import FeedSourceConfig
from kasparro_adapters.files import CsvSourceConfig
from kasparro_adapters.http import PRESETS, HttpSourceConfig
from kasparro_app.config.assemble import assemble_sources, assemble_tables, spread_defaults
from kasparro_app.config.database_url import anchored_url
from kasparro_app.config.draft import Draft, Models
from kasparro_app.config.earlier import apply_earlier_names
from kasparro_app.config.entity_map import read_namings
from kasparro_app.config.folders import give_own_roots
from kasparro_app.config.origin import Origin
from kasparro_app.config.overrides import apply_overrides, apply_secret_files
from kasparro_app.config.paths import KeyPath, lookup
from kasparro_app.config.references import resolve_references
from kasparro_app.config.tables import Tables
from kasparro_app.config.toml_lines import key_lines
from kasparro_core.config import SourceConfig
from kasparro_core.errors import ConfigurationError
from kasparro_core.model.entity import Naming

DEFAULT_FILE = Path("kasparro.toml")
MODELS: Models = {"csv": CsvSourceConfig, "feed": FeedSourceConfig, "http": HttpSourceConfig}
_AT = re.compile(r"\(at line (\d+), column \d+\)")
_URL: KeyPath = ("database", "url")
_MAPPING: KeyPath = ("identity", "mapping")
_IN_FILES: Mapping[str, KeyPath] = {"DATABASE_URL": _URL, "API_KEY": ("api", "admin_key")}


@dataclass(frozen=True)
class Settings:
    """Validated settings. `file` is None without a configuration file; `root` is what relative paths start from.

    `database_url` is absolute (it may hold a password: never show it); `notices` are sentences for the user; `namings`
    is what the mapping file of `[identity]` says, None where nobody was asked: neither that file nor this one is there.
    """

    file: Path | None
    root: Path
    tables: Tables
    sources: Mapping[str, SourceConfig]
    notices: tuple[str, ...] = ()
    namings: tuple[Naming, ...] | None = None

    @property
    def database_url(self) -> str:
        """The database's URL, secrets included."""
        return self.tables.database.url.get_secret_value()


def load_settings(
    file: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    values: Mapping[KeyPath, Any] | None = None,
) -> Settings:
    """Read a configuration file (default: ./kasparro.toml if there is one) under the environment.

    `values` are set over both. Raises ConfigurationError with one sentence per fault, all of them at once.
    """
    chosen = file or (DEFAULT_FILE if DEFAULT_FILE.is_file() else None)
    if chosen is None:
        return settings_of({}, Origin("settings"), Path.cwd(), environ=environ, values=values)
    text = _read(chosen)
    document = _parse(chosen, text)
    origin = Origin(str(chosen), key_lines(text))
    return settings_of(document, origin, chosen.resolve().parent, file=chosen, environ=environ, values=values)


def settings_of(
    document: Mapping[str, Any],
    origin: Origin,
    root: Path,
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    values: Mapping[KeyPath, Any] | None = None,
    overridable: bool = True,
) -> Settings:
    """Settings from a parsed document; `environ` is the process's unless given.

    Unless `overridable`, the environment only answers `env:NAME` references. Raises ConfigurationError.
    """
    environment = os.environ if environ is None else environ
    draft = Draft(dict(document), origin, MODELS, root, Path.cwd())
    if overridable:
        apply_earlier_names(draft, environment)
        apply_secret_files(draft, environment, _IN_FILES)
        apply_overrides(draft, environment)
    for path, value in (values or {}).items():
        draft.set(path, value, "given by the caller")
    _check_presets(draft)
    resolve_references(draft, environment, frozenset(PRESETS))
    spread_defaults(draft)
    give_own_roots(draft)
    tables = assemble_tables(draft)
    sources = assemble_sources(draft)
    namings: tuple[Naming, ...] | None = None
    if tables is not None:
        tables = _with_absolute_database(draft, tables)
        namings = _namings(draft, tables, file)
    if tables is None or draft.faults.sentences:
        raise _refused(origin.name, draft.faults.sentences)
    return Settings(file, root, tables, sources, tuple(draft.notices), namings)


def hand_down(variable: str, value: str) -> None:
    """Set a variable of the environment for this process and those it starts (libraries that are told things so)."""
    os.environ[variable] = value


def _check_presets(draft: Draft) -> None:
    """An unknown preset is told at its own line, and its source set aside: nothing else of it can be judged."""
    for name in draft.source_names():
        preset = lookup(draft.document, ("sources", name, "preset"))
        if isinstance(preset, str) and preset not in PRESETS:
            draft.faults.unknown(("sources", name, "preset"), PRESETS, "preset", value=preset)
            others = {other: table for other, table in draft.document["sources"].items() if other != name}
            draft.document = {**draft.document, "sources": others}


def _with_absolute_database(draft: Draft, tables: Tables) -> Tables:
    url = tables.database.url.get_secret_value()
    root = draft.cwd if _URL in draft.origin.variables else draft.root
    return Tables.model_validate({**dict(tables), "database": {"url": anchored_url(url, root)}})


def _namings(draft: Draft, tables: Tables, file: Path | None) -> tuple[Naming, ...] | None:
    """What the mapping file says; its faults are the configuration's. A configuration file without one says nothing."""
    if tables.identity.mapping is None:
        return None if file is None else ()
    root = draft.cwd if _MAPPING in draft.origin.variables else draft.root
    namings, faults = read_namings(root / tables.identity.mapping, draft.source_names())
    for fault in faults:
        draft.faults.note(fault)
    return tuple(namings)


def _refused(name: str, faults: tuple[str, ...]) -> ConfigurationError:
    count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
    return ConfigurationError(f"{name} has {count}.", problems=faults)


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigurationError(f"There is no file {file}.", hint="`kasparro init` writes one.") from None
    except OSError as error:
        raise ConfigurationError(f"Cannot read {file}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"Cannot read {file}: it is not UTF-8 text.") from error


def _parse(file: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise _refused(str(file), (f"{_place(file, str(error))}: not TOML: {error}",)) from error


def _place(file: Path, fault: str) -> str:
    """tomllib tells line and column inside its sentence; at the very end of the text it tells none."""
    match = _AT.search(fault)
    return f"{file}:{match[1]}" if match else str(file)
