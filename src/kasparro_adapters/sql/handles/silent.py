"""Sessions of ours that hold their locks for ever: the client is stopped in the middle of a COPY, or between preparing
a statement and running it. The server waits for the rest, and neither calls that idling nor lets a statement's timeout
end it.

One look does not tell a stopped client from a slow one: of a COPY it takes two, between which no byte came. Every other
step of a statement begins it anew for the server, so that its age tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

_COUNTED_FROM = (14,)
"""The first version of the server that counts the bytes of a COPY."""

_UNCOUNTED = 10
"""By how much older a statement has to be on a server that does not."""

_FROM = (
    " FROM pg_stat_activity AS a LEFT JOIN {counted} AS c ON c.pid = a.pid"
    " WHERE a.datname = current_database() AND a.usename = current_user"
    " AND a.application_name = current_setting('application_name')"
    " AND a.state = 'active' AND a.wait_event = 'ClientRead'"
)
_LOOK = (
    "SELECT a.pid, a.query_start, c.bytes_processed"
    + _FROM
    + " AND a.query_start < clock_timestamp() - :age * interval '1 s'"
)
_END = (
    "SELECT pg_terminate_backend(a.pid)" + _FROM + " AND a.pid = :pid AND a.query_start = :began"
    " AND c.bytes_processed IS NOT DISTINCT FROM :received"
)


class Suspect(NamedTuple):
    """A session that waits for its client: which one, in which statement, and how many bytes of it came."""

    pid: int
    began: datetime
    received: int | None


async def suspects(connection: AsyncConnection, age: float) -> Sequence[Suspect]:
    """The sessions that wait for their client in a statement older than `age` seconds."""
    if not _counts(connection):
        age *= _UNCOUNTED
    found = await connection.execute(_statement(_LOOK, connection), {"age": age})
    return [Suspect(*row) for row in found]


async def end(connection: AsyncConnection, suspect: Suspect) -> None:
    """End the session, if it stands where it stood."""
    await connection.execute(_statement(_END, connection), suspect._asdict())


def _counts(connection: AsyncConnection) -> bool:
    version = connection.dialect.server_version_info
    return version is not None and version >= _COUNTED_FROM


def _statement(template: str, connection: AsyncConnection) -> TextClause:
    none = "(SELECT NULL::integer AS pid, NULL::bigint AS bytes_processed)"
    return text(template.format(counted="pg_stat_progress_copy" if _counts(connection) else none))
