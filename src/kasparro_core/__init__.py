"""Kasparro's pure core: the model, the ports, the rules. Needs pydantic alone; touches no file, network or clock.

from kasparro_core import RecordMapping, normalize
records, rejections = normalize(rows, RecordMapping(source="prices", key=["symbol", "date"], value="close"))
"""

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
)
from kasparro_core.model import PreparedRecord, RawRecord, Record, Rejection, Stage
from kasparro_core.normalize.canonical import canonical_decimal, canonical_json, parse_json
from kasparro_core.normalize.compiler import Normalized, compile_mapping, normalize, prepare
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
    "UrlText",
    "canonical_decimal",
    "canonical_json",
    "compile_mapping",
    "normalize",
    "parse_json",
    "prepare",
    "register_kind",
]
