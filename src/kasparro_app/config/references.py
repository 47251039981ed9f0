"""`env:NAME` and `file:PATH` inside auth tables: secrets that stand elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kasparro_app.config.draft import Draft
from kasparro_app.config.paths import KeyPath, lookup, replaced

_ENV = "env:"
_FILE = "file:"
_SECRET_KEYS = frozenset({"key", "token", "password", "client_secret", "refresh_token"})


def resolve_references(draft: Draft, environ: Mapping[str, str], keyless_presets: frozenset[str]) -> None:
    """Put the secrets in place. A missing variable is a fault, unless the source's preset works without a key."""
    for name in draft.source_names():
        base: KeyPath = ("sources", name, "auth")
        auth = lookup(draft.document, base)
        if not isinstance(auth, Mapping) or lookup(draft.document, ("sources", name, "enabled")) is False:
            continue
        optional = lookup(draft.document, ("sources", name, "preset")) in keyless_presets
        missing = _missing_variables(auth, environ)
        if missing and optional:
            _go_keyless(draft, name, missing)
        else:
            resolved = {key: _resolved(draft, environ, (*base, key), value) for key, value in auth.items()}
            draft.document = replaced(draft.document, base, resolved)


def _missing_variables(auth: Mapping[str, Any], environ: Mapping[str, str]) -> list[str]:
    names = [value.removeprefix(_ENV) for value in auth.values() if isinstance(value, str) and value.startswith(_ENV)]
    return [name for name in names if not environ.get(name)]


def _go_keyless(draft: Draft, name: str, missing: list[str]) -> None:
    source = {key: value for key, value in draft.document["sources"][name].items() if key != "auth"}
    draft.document = replaced(draft.document, ("sources", name), source)
    draft.notices.append(f"{name}: {' and '.join(missing)} is not set, going on without a key")


def _resolved(draft: Draft, environ: Mapping[str, str], path: KeyPath, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if value.startswith(_ENV):
        variable = value.removeprefix(_ENV)
        if not environ.get(variable):
            draft.faults.add(path, f"environment variable {variable} is not set")
        return environ.get(variable) or value
    if value.startswith(_FILE):
        return _read(draft, path, value.removeprefix(_FILE))
    if path[-1] in _SECRET_KEYS and path in draft.origin.lines and path not in draft.origin.variables:
        place, _ = draft.origin.place(path)
        draft.notices.append(f"{place}: this secret stands in the file itself; env:NAME or file:PATH keep it out of it")
    return value


def _read(draft: Draft, path: KeyPath, name: str) -> str:
    file = draft.root / name
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        draft.faults.add(path, f"cannot read {file}: {error.strerror}")
    except UnicodeDecodeError:
        draft.faults.add(path, f"cannot read {file}: it is not UTF-8 text")
    return ""
