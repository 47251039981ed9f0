"""Frozen values that the ports speak in."""

from kasparro_core.model.batch import SLICE_ROWS, Batch, Cursor, Decoded, FetchFacts, Validator
from kasparro_core.model.checkpoint import Checkpoint, Lease, PartitionState
from kasparro_core.model.raw import BatchRead, PackedPayload, RawPayload, StoredRaw, pack, unpack
from kasparro_core.model.record import (
    Observation,
    PreparedRecord,
    RawRecord,
    Record,
    RecordQuery,
    RecordVersion,
    StoredRecord,
    UpsertOutcome,
)
from kasparro_core.model.rejection import (
    Rejection,
    RejectionQuery,
    RejectionState,
    Stage,
    StoredRejection,
    rejection_json,
)
from kasparro_core.model.run import Counters, Run, RunQuery, RunStatus, Trigger

__all__ = [
    "SLICE_ROWS",
    "Batch",
    "BatchRead",
    "Checkpoint",
    "Counters",
    "Cursor",
    "Decoded",
    "FetchFacts",
    "Lease",
    "Observation",
    "PackedPayload",
    "PartitionState",
    "PreparedRecord",
    "RawPayload",
    "RawRecord",
    "Record",
    "RecordQuery",
    "RecordVersion",
    "Rejection",
    "RejectionQuery",
    "RejectionState",
    "Run",
    "RunQuery",
    "RunStatus",
    "Stage",
    "StoredRaw",
    "StoredRecord",
    "StoredRejection",
    "Trigger",
    "UpsertOutcome",
    "Validator",
    "pack",
    "rejection_json",
    "unpack",
]
