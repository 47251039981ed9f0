"""What the record repository asks of a database, in sets. Each call may carry any number of rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from kasparro_adapters.sql.bulk.plan import KnownVersion, Plan, State, Suspect
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord


class Refusal(NamedTuple):
    """Why a plan could not be carried out. `partly`: what stands before the refused record is there all the same."""

    error: UnstorableError
    partly: bool = False


class BulkWriter(Protocol):
    """Reads and writes of one transaction."""

    async def mark(self) -> int:
        """The last change_seq that this transaction can see."""
        ...

    async def claim(self, count: int) -> int:
        """Take the next `count` change_seqs and return the last one taken before; until the end of the transaction
        nobody else takes any."""
        ...

    async def differing(self, source: str, records: Sequence[PreparedRecord]) -> Mapping[str, State | None]:
        """By key, for the keys that have a record whose hash is not the stored one, or that are gone: what is stored,
        or None."""
        ...

    async def known_versions(self, suspects: Sequence[Suspect]) -> Sequence[KnownVersion]:
        """The stored versions that share record and content hash, or record and place, with a suspect."""
        ...

    async def write(self, plan: Plan, observation: Observation, first_seq: int) -> None:
        """Carry a plan out; its records get change_seqs from `first_seq` on."""
        ...

    async def attempt(self, plan: Plan, observation: Observation, first_seq: int) -> Refusal | None:
        """Carry a plan out, or nothing of it (new records: those before the refused one), and say why."""
        ...

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, first_seq: int) -> int:
        """Set `gone_at` of those that are present; they get change_seqs from `first_seq` on. Returns how many."""
        ...
