"""Totals, events, keys and answers in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import islice
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.errors import ConflictError
from kasparro_core.model import Amounts, ApiKey, Event, GivenAnswer, Total
from kasparro_core.normalize.canonical import canonical_json, parse_json


class MemoryTotals:
    """The TotalsStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, source: str, amounts: Amounts, /) -> None:
        """Add to the sums, leaving out amounts of 0."""
        for (metric, label), amount in amounts.items():
            if amount:
                known = self._tx.totals.get((source, metric, label))
                sums = Total(source, metric, label, amount + (known.value if known else 0))
                self._tx.totals.put((source, metric, label), sums)

    async def list(self, source: str | None = None, /) -> Sequence[Total]:
        """All sums by source, metric and label."""
        rows = (row for row in self._tx.totals.rows() if source in (None, row.source))
        return sorted(rows, key=attrgetter("source", "metric", "label"))


class MemoryEvents:
    """The EventLog of a memory store: one writer at a time, so that ids are in the order of commits by themselves."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def append(self, event: Event, /) -> None:
        """Add an event under the next id. Its data go through JSON, as on their way to a database."""
        event_id = self._tx.next("events")
        data = parse_json(canonical_json(event.data))
        self._tx.events.put(event_id, replace(event, event_id=event_id, at=event.at.astimezone(UTC), data=data))

    async def after(self, event_id: int, /, *, limit: int = 500) -> Sequence[Event]:
        """Events with a greater id; pruning may have left gaps."""
        found = map(self._tx.events.get, range(event_id + 1, self._tx.last("events") + 1))
        return list(islice((event for event in found if event is not None), limit))

    async def last_id(self) -> int:
        """The highest id given out."""
        return self._tx.last("events")


class MemoryKeys:
    """The KeyStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def add(self, key: ApiKey, /) -> None:
        """Keep a new key."""
        if self._tx.keys.get(key.name) is not None:
            raise ConflictError(f"There is or was a key named {key.name!r} already.", hint="Choose another name.")
        self._tx.keys.put(key.name, replace(key, created_at=key.created_at.astimezone(UTC)))

    async def list(self) -> Sequence[ApiKey]:
        """All keys by name."""
        return sorted(self._tx.keys.rows(), key=attrgetter("name"))

    async def revoke(self, name: str, at: datetime, /) -> bool:
        """Revoke one that still works."""
        key = self._tx.keys.get(name)
        if key is None or key.revoked_at is not None:
            return False
        self._tx.keys.put(name, replace(key, revoked_at=at.astimezone(UTC)))
        return True


class MemoryAnswers:
    """The AnswerStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def get(self, key: str, /) -> GivenAnswer | None:
        """The answer under a key, or None."""
        return self._tx.answers.get(key)

    async def put(self, answer: GivenAnswer, /) -> None:
        """Keep an answer, or find that there is one."""
        if self._tx.answers.get(answer.key) is not None:
            raise ConflictError("A request with this Idempotency-Key has been answered already.", code="answered")
        self._tx.answers.put(answer.key, replace(answer, created_at=answer.created_at.astimezone(UTC)))
