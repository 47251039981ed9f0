"""Answers to requests with an Idempotency-Key."""

from __future__ import annotations

from dataclasses import asdict

from sqlalchemy import select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.service_tables import idempotency_keys
from kasparro_adapters.sql.session import Session
from kasparro_core.errors import ConflictError
from kasparro_core.model import GivenAnswer


class SqlAnswers:
    """The AnswerStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def get(self, key: str, /) -> GivenAnswer | None:
        """The answer under a key, or None."""
        row = await self._session.first(select(idempotency_keys).where(idempotency_keys.c.key == key))
        return None if row is None else GivenAnswer(**row._mapping)

    async def put(self, answer: GivenAnswer, /) -> None:
        """Insert, or find that there is one. Waits for another transaction that is about to keep one."""
        insert = self._database.insert(idempotency_keys).on_conflict_do_nothing().returning(idempotency_keys.c.key)
        if await self._session.first(insert.values(asdict(answer))) is None:
            raise ConflictError("A request with this Idempotency-Key has been answered already.", code="answered")
