"""The unit of work over one session."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.repositories.answers import SqlAnswers
from kasparro_adapters.sql.repositories.checkpoints import SqlCheckpoints
from kasparro_adapters.sql.repositories.entities import SqlEntities
from kasparro_adapters.sql.repositories.events import SqlEvents
from kasparro_adapters.sql.repositories.findings import SqlFindings
from kasparro_adapters.sql.repositories.histories import SqlHistories
from kasparro_adapters.sql.repositories.identity import SqlIdentity
from kasparro_adapters.sql.repositories.keys import SqlKeys
from kasparro_adapters.sql.repositories.leases import SqlLeases
from kasparro_adapters.sql.repositories.mentions import SqlMentions
from kasparro_adapters.sql.repositories.partitions import SqlPartitions
from kasparro_adapters.sql.repositories.rates import SqlRates
from kasparro_adapters.sql.repositories.raw import SqlRaw
from kasparro_adapters.sql.repositories.records import SqlRecords
from kasparro_adapters.sql.repositories.rejections import SqlRejections
from kasparro_adapters.sql.repositories.retention import SqlRetention
from kasparro_adapters.sql.repositories.runs import SqlRuns
from kasparro_adapters.sql.repositories.schedules import SqlSchedules
from kasparro_adapters.sql.repositories.schemas import SqlSchemas
from kasparro_adapters.sql.repositories.totals import SqlTotals
from kasparro_adapters.sql.repositories.validators import SqlValidators
from kasparro_adapters.sql.session import Session


class SqlUnitOfWork:
    """One transaction and its repositories. Nothing can be done with it once it is committed or a statement failed."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self.records = SqlRecords(session, database)
        self.raw = SqlRaw(session, database)
        self.runs = SqlRuns(session, database)
        self.checkpoints = SqlCheckpoints(session, database)
        self.partitions = SqlPartitions(session, database)
        self.rejections = SqlRejections(session, database)
        self.validators = SqlValidators(session, database)
        self.leases = SqlLeases(session, database)
        self.totals = SqlTotals(session, database)
        self.events = SqlEvents(session, database)
        self.keys = SqlKeys(session, database)
        self.schedules = SqlSchedules(session, database)
        self.answers = SqlAnswers(session, database)
        self.entities = SqlEntities(session, database)
        self.identity = SqlIdentity(session, database)
        self.mentions = SqlMentions(session, database)
        self.findings = SqlFindings(session, database)
        self.schemas = SqlSchemas(session, database)
        self.histories = SqlHistories(session, database)
        self.retention = SqlRetention(session, database)
        self.rates = SqlRates(session, database)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """Undo what the body did when it raises UnstorableError, and go on."""
        async with self._session.savepoint():
            yield

    async def commit(self) -> None:
        """Make it all visible and durable, at once."""
        await self._session.commit()
