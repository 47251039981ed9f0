"""Kasparro's pure core: the model, the ports, the rules. Needs pydantic alone; touches no file, network or clock.

from kasparro_core import RecordMapping, normalize
records, rejections = normalize(rows, RecordMapping(source="prices", key=["symbol", "date"], value="close"))
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import kasparro_core.normalize  # noqa: F401  (loaded before the function of its name, which would be hidden by it later)

if TYPE_CHECKING:
    from kasparro_core.errors import (
        CheckpointError,
        ConfigurationError,
        ConflictError,
        KasparroError,
        PagingLoopError,
        PermanentSourceError,
        PermanentStorageError,
        SourceError,
        StorageError,
        TransientSourceError,
        TransientStorageError,
        UnstorableError,
    )
    from kasparro_core.model import PreparedRecord, RawRecord, Record, Rejection, Stage
    from kasparro_core.normalize.canonical import canonical_decimal, canonical_json, parse_json
    from kasparro_core.normalize.compiler import Normalized, compile_mapping, prepare
    from kasparro_core.normalize.kinds import UrlText, register_kind
    from kasparro_core.normalize.mapping import FieldRule, MappingRules, RecordMapping

__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "ConflictError",
    "FieldRule",
    "KasparroError",
    "MappingRules",
    "Normalized",
    "PagingLoopError",
    "PermanentSourceError",
    "PermanentStorageError",
    "PreparedRecord",
    "RawRecord",
    "Record",
    "RecordMapping",
    "Rejection",
    "SourceError",
    "Stage",
    "StorageError",
    "TransientSourceError",
    "TransientStorageError",
    "UnstorableError",
    "UrlText",
    "canonical_decimal",
    "canonical_json",
    "compile_mapping",
    "normalize",
    "parse_json",
    "prepare",
    "register_kind",
]

# Each name is imported when it is first asked for: a command that only prints its help needs no pydantic.
_HOME = {
    name: module
    for module, names in {
        "kasparro_core.errors": (
            "CheckpointError",
            "ConfigurationError",
            "ConflictError",
            "KasparroError",
            "PagingLoopError",
            "PermanentSourceError",
            "PermanentStorageError",
            "SourceError",
            "StorageError",
            "TransientSourceError",
            "TransientStorageError",
            "UnstorableError",
        ),
        "kasparro_core.model": ("PreparedRecord", "RawRecord", "Record", "Rejection", "Stage"),
        "kasparro_core.normalize.canonical": ("canonical_decimal", "canonical_json", "parse_json"),
        "kasparro_core.normalize.compiler": ("Normalized", "compile_mapping", "prepare"),
        "kasparro_core.normalize.kinds": ("UrlText", "register_kind"),
        "kasparro_core.normalize.mapping": ("FieldRule", "MappingRules", "RecordMapping"),
    }.items()
    for name in names
}


def normalize(rows: Iterable[Mapping[str, Any]], mapping: RecordMapping) -> Normalized:
    """Records and rejections of rows, in their order.

    Pure: touches no clock, file or network. Raises ValueError for a mapping that contradicts itself, never for a row.
    """
    from kasparro_core.normalize.compiler import normalize as run

    return run(rows, mapping)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
