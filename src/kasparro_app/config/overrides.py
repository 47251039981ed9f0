"""`KASPARRO_SOURCES__MY_API__URL` and its like: every key of the file, set by the environment."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from kasparro_app.config.draft import Draft
from kasparro_app.config.earlier import anchored
from kasparro_app.config.faults import near
from kasparro_app.config.fields import field_names
from kasparro_app.config.paths import KeyPath, lookup
from kasparro_app.config.tables import Tables

PREFIX = "KASPARRO_"
_FILE = "_FILE"
_ENVIRONMENT = f"{PREFIX}ENVIRONMENT"
"""The one key that stands in no table, and so the one variable without `__`."""
_PATH_KEYS = frozenset({"path", "opml", "root"})


def apply_overrides(draft: Draft, environ: Mapping[str, str]) -> None:
    """Set what KASPARRO_ENVIRONMENT and the variables with `__` say. One of those that names nothing is a fault; other
    KASPARRO_* names are not ours."""
    if environ.get(_ENVIRONMENT):
        draft.set(("environment",), environ[_ENVIRONMENT], _ENVIRONMENT)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and "__" in variable:
            _apply(draft, variable, environ[variable])


def apply_secret_files(draft: Draft, environ: Mapping[str, str], names: Mapping[str, KeyPath]) -> None:
    """`DATABASE_URL_FILE` and `API_KEY_FILE`: the value stands in a file."""
    for name, path in names.items():
        if environ.get(name + _FILE):
            value = _file_value(draft, name + _FILE, environ[name + _FILE])
            if value is not None:
                draft.set(path, value, name + _FILE)


def _apply(draft: Draft, variable: str, text: str) -> None:
    parts = variable.removeprefix(PREFIX).split("__")
    path = _resolve(draft, parts)
    if isinstance(path, _Unknown) and parts[-1].endswith(_FILE):
        in_file = _resolve(draft, [*parts[:-1], parts[-1].removesuffix(_FILE)])
        if not isinstance(in_file, _Unknown):
            value = _file_value(draft, variable, text)
            return None if value is None else draft.set(in_file, value, variable)
    if isinstance(path, _Unknown):
        return draft.faults.note(f"environment variable {variable}: {path.fault}")
    value = parsed(text)
    is_path = path[-1] in _PATH_KEYS and isinstance(value, str) and path[0] == "sources"
    return draft.set(path, anchored(value, draft) if is_path else value, variable)


class _Unknown:
    def __init__(self, what: str, name: str, known: list[str]) -> None:
        self.fault = f"unknown {what} {name.lower()!r}{near(name, known)}"


def _resolve(draft: Draft, parts: list[str]) -> KeyPath | _Unknown:
    tables = [*Tables.model_fields, "sources", "defaults"]
    table = _match(parts[0], tables)
    if table is None:
        return _Unknown("table", parts[0], tables)
    if table == "sources":
        return _resolve_source(draft, parts[1:])
    if table == "defaults":
        known = sorted({name for model in draft.models.values() for name in model.model_fields})
        key = _match(parts[1], known)
        return _Unknown("key", parts[1], known) if key is None else ("defaults", key, *map(str.lower, parts[2:]))
    return _resolve_key(draft, Tables, (), [table, *parts[1:]])


def _resolve_source(draft: Draft, parts: list[str]) -> KeyPath | _Unknown:
    name = _match(parts[0], draft.source_names())
    if name is None:
        return _Unknown("source", parts[0], draft.source_names())
    model = draft.source_model(name)
    if model is None or len(parts) < 2:
        return ("sources", name, *map(str.lower, parts[1:]))
    return _resolve_key(draft, model, ("sources", name), parts[1:])


def _resolve_key(draft: Draft, model: type[BaseModel], base: KeyPath, parts: list[str]) -> KeyPath | _Unknown:
    """Each part by the model's fields; where a table takes any name, by the names it has, else in lower case."""
    path: KeyPath = ()
    for part in parts:
        known = field_names(model, path, lookup(draft.document, base))
        present = lookup(draft.document, (*base, *path))
        key = _match(part, known or (list(present) if isinstance(present, Mapping) else []))
        if key is None and known:
            return _Unknown("key", part, known)
        path = (*path, key or part.lower())
    return (*base, *path)


def _match(part: str, names: list[str]) -> str | None:
    """Variables are written in capitals with `_` for every other sign."""
    wanted = part.lower()
    return next((name for name in names if _as_variable(name) == wanted), None)


def _as_variable(name: str) -> str:
    return "".join(sign if sign.isalnum() else "_" for sign in name.lower())


def parsed(text: str) -> Any:
    """Arrays, tables and quoted text are read as JSON or TOML; anything else stays text, which the key's type reads."""
    if not text.startswith(("[", "{", '"')):
        return text
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _file_value(draft: Draft, variable: str, text: str) -> str | None:
    try:
        return Path(draft.cwd, text).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        draft.faults.note(f"environment variable {variable}: cannot read {text}: {reason}")
        return None
