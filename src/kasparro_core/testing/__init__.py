"""Contract suites: what every adapter of a port has to pass, ready to be inherited by its tests.

    class TestMyStore(RecordRepositoryContract):
        @pytest.fixture
        async def store(self): ...

Each suite says in its docstring which fixtures it needs. Tests are asynchronous (pytest-asyncio in auto mode) and use
Hypothesis; neither is a dependency of the core, so install them (`pytest`, `pytest-asyncio`, `hypothesis`) beside it.
Register the marker `slow`.
"""

import pytest

_SUITES = (
    "anomalies",
    "answers",
    "ended",
    "entities",
    "events",
    "facts",
    "fates",
    "exactness",
    "findings",
    "histories",
    "history",
    "identity",
    "keys",
    "leases",
    "ledger",
    "listings",
    "mentions",
    "mutes",
    "order",
    "positions",
    "queries",
    "rates",
    "records",
    "rejections",
    "pruning",
    "retention",
    "retention_raw",
    "schedules",
    "schemas",
    "sources",
    "totals",
    "work",
)
# Before the suites are imported: their failing asserts then show values.
pytest.register_assert_rewrite(*(f"{__name__}.{suite}" for suite in _SUITES))

from kasparro_core.testing.anomalies import AnomalyContract  # noqa: E402
from kasparro_core.testing.answers import AnswerContract  # noqa: E402
from kasparro_core.testing.entities import EntityContract  # noqa: E402
from kasparro_core.testing.events import EventContract  # noqa: E402
from kasparro_core.testing.fates import FatesContract  # noqa: E402
from kasparro_core.testing.findings import FindingContract  # noqa: E402
from kasparro_core.testing.histories import HistoriesContract  # noqa: E402
from kasparro_core.testing.identity import IdentityContract  # noqa: E402
from kasparro_core.testing.keys import KeyContract  # noqa: E402
from kasparro_core.testing.leases import LeaseContract, ProcessHandleContract  # noqa: E402
from kasparro_core.testing.ledger import RawStoreContract, RunLogContract  # noqa: E402
from kasparro_core.testing.listings import GoneContract, ListingContract  # noqa: E402
from kasparro_core.testing.mentions import MentionContract  # noqa: E402
from kasparro_core.testing.mutes import MuteContract  # noqa: E402
from kasparro_core.testing.positions import CheckpointContract, PartitionContract, ValidatorContract  # noqa: E402
from kasparro_core.testing.queries import RecordQueryContract  # noqa: E402
from kasparro_core.testing.rates import RateContract  # noqa: E402
from kasparro_core.testing.records import RecordRepositoryContract  # noqa: E402
from kasparro_core.testing.rejections import RejectionContract  # noqa: E402
from kasparro_core.testing.retention import RetentionContract  # noqa: E402
from kasparro_core.testing.retention_raw import RawRetentionContract  # noqa: E402
from kasparro_core.testing.schedules import ScheduleContract  # noqa: E402
from kasparro_core.testing.schemas import SchemaContract  # noqa: E402
from kasparro_core.testing.sources import DecoderContract, SourceContract  # noqa: E402
from kasparro_core.testing.totals import TotalsContract  # noqa: E402
from kasparro_core.testing.work import StoreContract, UnitOfWorkContract  # noqa: E402

__all__ = [
    "AnomalyContract",
    "AnswerContract",
    "CheckpointContract",
    "DecoderContract",
    "EntityContract",
    "EventContract",
    "FatesContract",
    "FindingContract",
    "GoneContract",
    "HistoriesContract",
    "IdentityContract",
    "KeyContract",
    "LeaseContract",
    "ListingContract",
    "MentionContract",
    "MuteContract",
    "PartitionContract",
    "ProcessHandleContract",
    "RateContract",
    "RawRetentionContract",
    "RawStoreContract",
    "RecordQueryContract",
    "RecordRepositoryContract",
    "RejectionContract",
    "RetentionContract",
    "RunLogContract",
    "ScheduleContract",
    "SchemaContract",
    "SourceContract",
    "StoreContract",
    "TotalsContract",
    "UnitOfWorkContract",
    "ValidatorContract",
]
