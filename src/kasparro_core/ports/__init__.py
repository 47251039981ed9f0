"""What the core needs from the outside, as Protocols: their docstrings are the contract, and nobody subclasses them."""

from kasparro_core.ports.budgets import Budgets, Change, RateStore
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Effort, Fetcher, FetchRequest, FetchResponse, RateRules, RetryRules
from kasparro_core.ports.histories import Histories
from kasparro_core.ports.identity import EntityStore, IdentityStore
from kasparro_core.ports.ledger import RawStore, RunLog
from kasparro_core.ports.mentions import MentionStore
from kasparro_core.ports.observer import Observer
from kasparro_core.ports.ownership import Liveness, ProcessHandle
from kasparro_core.ports.service import (
    AnswerStore,
    EventLog,
    FindingStore,
    KeyStore,
    Retention,
    ScheduleStore,
    SchemaStore,
    TotalsStore,
)
from kasparro_core.ports.source import Decoder, Originated, Positioned, ReadContext, Source
from kasparro_core.ports.storage import (
    CheckpointStore,
    LeaseStore,
    PartitionStore,
    RecordRepository,
    RejectionStore,
    ValidatorStore,
)
from kasparro_core.ports.unit import Store, UnitOfWork

__all__ = [
    "AnswerStore",
    "Budgets",
    "Change",
    "CheckpointStore",
    "Clock",
    "Decoder",
    "Effort",
    "EntityStore",
    "EventLog",
    "FetchRequest",
    "FetchResponse",
    "Fetcher",
    "FindingStore",
    "Histories",
    "IdentityStore",
    "KeyStore",
    "LeaseStore",
    "Liveness",
    "MentionStore",
    "Observer",
    "Originated",
    "PartitionStore",
    "Positioned",
    "ProcessHandle",
    "RateRules",
    "RateStore",
    "RawStore",
    "ReadContext",
    "RecordRepository",
    "RejectionStore",
    "Retention",
    "RetryRules",
    "RunLog",
    "ScheduleStore",
    "SchemaStore",
    "Source",
    "Store",
    "TotalsStore",
    "UnitOfWork",
    "ValidatorStore",
]
