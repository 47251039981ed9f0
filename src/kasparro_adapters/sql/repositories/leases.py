"""Ownership, by the database's clock."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Double, Executable, Row, bindparam, select, update

from kasparro_adapters.sql.database import Database, made_once
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import leases
from kasparro_core.errors import ConflictError
from kasparro_core.model import Lease


class SqlLeases:
    """The LeaseStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database

    async def get(self, source: str, partition: str, /) -> Lease | None:
        """The lease as the database sees it now."""
        expired = (leases.c.expires_at <= self._database.now()).label("expired")
        row = await self._session.first(
            select(leases, expired).where(leases.c.source == source, leases.c.partition == partition)
        )
        return None if row is None else _lease(row, expired=bool(row.expired))

    async def take(self, source: str, partition: str, /, *, owner: str, ttl: float, seen: Lease | None) -> Lease:
        """Insert token 1, or move the lease as it was seen one token further."""
        expires_at = self._database.now(ttl)
        if seen is None:
            insert = self._database.insert(leases).on_conflict_do_nothing().returning(leases)
            row = await self._session.first(
                insert.values(source=source, partition=partition, owner=owner, token=1, expires_at=expires_at)
            )
        else:
            values = {"owner": owner, "token": seen.token + 1, "run_id": None, "expires_at": expires_at}
            row = await self._update(_ours(seen) & (leases.c.expires_at == seen.expires_at), values)
        return _still_ours(row, source, partition)

    async def renew(self, lease: Lease, /, *, ttl: float) -> Lease:
        """Check the fence and extend; the row stays locked until the transaction ends."""
        key = {"of_source": lease.source, "of_partition": lease.partition, "of_token": lease.token}
        row = (await self._session.run(_renewal(self._database), {**key, "plus": ttl})).first()
        return _still_ours(row, lease.source, lease.partition)

    async def attach(self, lease: Lease, run_id: int, /) -> Lease:
        """Note the run that holds the lease."""
        row = await self._update(_ours(lease), {"run_id": run_id})
        return _still_ours(row, lease.source, lease.partition)

    async def release(self, lease: Lease, /) -> None:
        """Give it up, if it is still ours."""
        await self._update(_ours(lease), {"expires_at": self._database.now(), "run_id": None})

    async def _update(self, which: ColumnElement[bool], values: dict[str, Any]) -> Row[Any] | None:
        return await self._session.first(update(leases).where(which).values(values).returning(leases))


@made_once
def _renewal(database: Database) -> Executable:
    """Made once for a database: every commit runs it, and to put it together costs more than to send it."""
    ours = [leases.c[name] == bindparam(f"of_{name}") for name in ("source", "partition", "token")]
    expires_at = database.now(bindparam("plus", type_=Double))
    return update(leases).where(*ours).values(expires_at=expires_at).returning(leases)


def _ours(lease: Lease) -> ColumnElement[bool]:
    table = leases.c
    return (table.source == lease.source) & (table.partition == lease.partition) & (table.token == lease.token)


def _still_ours(row: Row[Any] | None, source: str, partition: str) -> Lease:
    if row is None:
        place = f"source {source!r}" + (f", partition {partition!r}" if partition else "")
        raise ConflictError(f"The lease of {place} belongs to another owner now.")
    return _lease(row, expired=False)


def _lease(row: Row[Any], *, expired: bool) -> Lease:
    return Lease(
        source=row.source,
        partition=row.partition,
        owner=row.owner,
        token=row.token,
        run_id=row.run_id,
        expires_at=row.expires_at,
        expired=expired,
    )
