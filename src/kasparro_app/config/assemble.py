"""From a finished draft to validated tables and sources, with every fault noted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from kasparro_app.config.draft import Draft
from kasparro_app.config.faults import nearest
from kasparro_app.config.paths import MISSING, KeyPath, lookup
from kasparro_app.config.schedule import jitter_fault, schedule_fault
from kasparro_app.config.tables import Tables
from kasparro_core.config import SourceConfig
from kasparro_core.normalize.compiler import compile_mapping
from kasparro_core.normalize.zones import load_zone

PRODUCTION = "production"
_UNKNOWN_KIND = "unknown kind"
_NAMED = re.compile(r"`(\w+)`")
_WORDS = re.compile(r"\w+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def spread_defaults(draft: Draft) -> None:
    """Lay `[defaults]` under every source whose type knows the key; a key that no type knows is a fault."""
    defaults = draft.document.get("defaults", {})
    if not isinstance(defaults, Mapping):
        draft.faults.add(("defaults",), "expected a table")
        return
    known = {key for model in draft.models.values() for key in model.model_fields}
    for key in defaults:
        if key not in known:
            draft.faults.unknown(("defaults", key), known)
    for name in draft.source_names():
        _inherit(draft, name, {key: value for key, value in defaults.items() if key in known})


def _inherit(draft: Draft, name: str, defaults: Mapping[str, Any]) -> None:
    model = draft.source_model(name)
    for key, value in defaults.items():
        path: KeyPath = ("sources", name, key)
        if model is not None and key in model.model_fields and lookup(draft.document, path) is MISSING:
            draft.inherit(path, value, ("defaults", key))


def assemble_tables(draft: Draft) -> Tables | None:
    """All tables but the sources. None when they hold a fault."""
    document = {key: value for key, value in draft.document.items() if key not in {"sources", "defaults"}}
    known = [*Tables.model_fields, "sources", "defaults"]
    for key in [key for key in document if key not in known]:
        draft.faults.unknown((key,), known, "table" if isinstance(document.pop(key), Mapping) else "key")
    try:
        tables = Tables.model_validate(document)
    except ValidationError as error:
        draft.faults.invalid((), Tables, document, error)
        return None
    _check_chaos(draft, tables)
    return tables


def _check_chaos(draft: Draft, tables: Tables) -> None:
    """Faults on purpose are for trying things out: what calls itself production refuses to start with them."""
    if tables.chaos.enabled and tables.environment.strip().lower() == PRODUCTION:
        draft.faults.add(
            ("chaos", "enabled"),
            f"faults are never injected where `environment` is {tables.environment!r}: switch them off here, and try "
            "them out in another environment with a database of its own",
        )


def assemble_sources(draft: Draft) -> dict[str, SourceConfig]:
    """The sources without a fault, by name."""
    sources = draft.document.get("sources", {})
    if not isinstance(sources, Mapping):
        draft.faults.add(("sources",), "expected tables named [sources.NAME]")
        return {}
    assembled = {name: _source(draft, name, table) for name, table in sources.items()}
    return {name: config for name, config in assembled.items() if config is not None}


def _source(draft: Draft, name: str, table: Any) -> SourceConfig | None:
    path: KeyPath = ("sources", name)
    if not isinstance(table, Mapping):
        draft.faults.add(path, "expected a table")
        return None
    if not _NAME.fullmatch(name):
        draft.faults.add(path, "expected a name of letters, digits, _ - and . (at most 64)")
    model = draft.source_model(name)
    if model is None:
        _type_fault(draft, path, table)
        return None
    try:
        config = model.model_validate(table)
    except ValidationError as error:
        draft.faults.invalid(path, model, table, error)
        return None
    _check_schedule(draft, path, config)
    return _with_good_mapping(draft, path, table, config)


def _check_schedule(draft: Draft, path: KeyPath, config: SourceConfig) -> None:
    fault = schedule_fault(config.schedule)
    if fault:
        draft.faults.add((*path, "schedule"), f"{fault}, found {config.schedule!r}")
    elif fault := jitter_fault(config.jitter, config.schedule):
        draft.faults.add((*path, "jitter"), f"{fault}, found {config.jitter!r}")
    try:
        load_zone(config.timezone)
    except ValueError as unknown:
        draft.faults.add((*path, "timezone"), str(unknown))


def _type_fault(draft: Draft, path: KeyPath, table: Mapping[str, Any]) -> None:
    known = ", ".join(sorted(draft.models))
    if "type" not in table:
        draft.faults.add((*path, "type"), f"this key is required: one of {known}")
    elif not isinstance(table["type"], str):
        draft.faults.add((*path, "type"), f"expected one of {known}")
    else:
        draft.faults.unknown((*path, "type"), draft.models, value=table["type"], what="source type")


def _with_good_mapping(
    draft: Draft, path: KeyPath, table: Mapping[str, Any], config: SourceConfig
) -> SourceConfig | None:
    """Compile the mapping once, so that an unknown kind or contradicting rules are found before anything is read."""
    try:
        compile_mapping(config.record_mapping(str(path[-1])))
    except ValidationError as error:
        draft.faults.invalid((*path, "mapping"), type(config), table.get("mapping", {}), error)
        return None
    except ValueError as error:
        draft.faults.add((*path, *_fault_path(table, str(error))), _with_near_kind(config, str(error)))
        return None
    return config


def _fault_path(table: Mapping[str, Any], fault: str) -> KeyPath:
    """The key that a fault of the mapping is about: the first rule that its sentence names."""
    if fault.startswith(_UNKNOWN_KIND):
        return ("kind",)
    for name in _NAMED.findall(fault):
        for path in (("mapping", name), ("mapping", "attributes", name)):
            if lookup(table, path) is not MISSING:
                return path
    return ("mapping",)


def _with_near_kind(config: SourceConfig, fault: str) -> str:
    if not fault.startswith(_UNKNOWN_KIND):
        return fault
    close = nearest(str(config.kind), _WORDS.findall(fault.partition("known are ")[2].partition(" (")[0]))
    return f'{fault}; did you mean "{close}"?' if close else fault
