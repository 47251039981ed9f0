"""What a database holds at one instant, read by the raw drivers in one snapshot. Imports nothing of the product."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg

Cursor = Mapping[str, Any]
COUNTED = ("fetched", "inserted", "updated", "unchanged", "rejected", "batches")


class Record(NamedTuple):
    source: str
    key: str
    raw_id: int | None
    raw_index: int
    run_id: int


class Ran(NamedTuple):
    """A row of `runs`; `counters` in the order of COUNTED."""

    run_id: int
    source: str
    status: str
    resumes: int | None
    counters: tuple[int, ...]


class Read(NamedTuple):
    """A row of `run_batches`; `counters` in the order of COUNTED."""

    run_id: int
    partition: str
    raw_id: int | None
    counters: tuple[int, ...]


class Raw(NamedTuple):
    raw_id: int
    source: str
    partition: str
    content_hash: str
    record_count: int


class Refused(NamedTuple):
    source: str
    run_id: int
    raw_id: int | None
    stage: str
    times: int
    key: str | None


class Point(NamedTuple):
    """A row of `checkpoints`."""

    source: str
    partition: str
    cursor: Cursor
    version: int
    run_id: int | None


class Held(NamedTuple):
    """A row of `leases`; `overdue` seconds ago it ended, by the database's clock (negative: it lasts)."""

    source: str
    owner: str
    token: int
    run_id: int | None
    overdue: float


@dataclass(frozen=True)
class State:
    """A database at one instant. `payloads` are the stored bytes by raw_id, where they were asked for;
    `unlinked` are assets of records without an entity that stands, and links of no record."""

    records: list[Record]
    runs: dict[int, Ran]
    reads: list[Read]
    raw: dict[int, Raw]
    rejections: list[Refused]
    points: list[Point]
    leases: list[Held]
    payloads: dict[int, bytes] = field(default_factory=dict)
    unlinked: list[tuple[str, str]] = field(default_factory=list)


EMPTY = State([], {}, [], {}, [], [], [])
"""A database before its tables were made."""


def look(url: str, *, payloads: bool = False) -> State:
    """The state of a SQLite file or a PostgreSQL database, in one snapshot. Raises where some tables are there and some
    are not."""
    try:
        with connected(url) as ask:
            return state_of(ask(statements_of(url, payloads=payloads)))
    except (sqlite3.OperationalError, asyncpg.UndefinedTableError) as error:
        if _NO_TABLES.search(str(error)):
            return EMPTY
        raise


_SQL = {
    "records": "SELECT source, key, raw_id, raw_index, run_id FROM records",
    "runs": f"SELECT run_id, source, status, resumes, {', '.join(COUNTED)} FROM runs",
    "reads": "SELECT run_id, partition, raw_id, counters FROM run_batches",
    "raw": "SELECT raw_id, source, partition, content_hash, record_count FROM raw_batches",
    "rejections": "SELECT source, run_id, raw_id, stage, times, key FROM rejections",
    "points": "SELECT source, partition, cursor, version, run_id FROM checkpoints",
    "unlinked": """
        SELECT source, external_id FROM records AS r
        WHERE external_id IS NOT NULL AND kind <> 'article' AND NOT EXISTS (
            SELECT 1 FROM entity_links AS l JOIN entities AS e ON e.entity_id = l.entity_id
            WHERE l.source = r.source AND l.external_id = r.external_id AND e.merged_into IS NULL)
        UNION ALL SELECT source, external_id FROM entity_links AS l WHERE NOT EXISTS (
            SELECT 1 FROM records AS r WHERE r.source = l.source AND r.external_id = l.external_id)
    """,
}
_LEASES = "SELECT source, owner, token, run_id, {overdue} FROM leases"
_OVERDUE_SQLITE = "(julianday('now') - julianday(expires_at)) * 86400.0"
_OVERDUE_POSTGRES = "extract(epoch FROM clock_timestamp() - expires_at)::float8"
_PAYLOADS = "SELECT raw_id, codec, payload FROM raw_batches"

_NO_TABLES = re.compile(r'no such table: records|relation "records" does not exist|unable to open database file')
"""What is read first is not there, or there is no file yet."""

Answers = dict[str, list[tuple[Any, ...]]]
Ask = Callable[[Mapping[str, str]], Answers]


def statements_of(url: str, *, payloads: bool) -> dict[str, str]:
    overdue = _OVERDUE_SQLITE if url.startswith("sqlite") else _OVERDUE_POSTGRES
    statements = {**_SQL, "leases": _LEASES.format(overdue=overdue)}
    return {**statements, "payloads": _PAYLOADS} if payloads else statements


def state_of(answers: Answers) -> State:
    runs = (Ran(*row[:4], tuple(row[4:])) for row in answers["runs"])
    raw = (Raw(*row) for row in answers["raw"])
    return State(
        records=[Record(*row) for row in answers["records"]],
        runs={run.run_id: run for run in runs},
        reads=[Read(*row[:3], tuple(json.loads(row[3])[name] for name in COUNTED)) for row in answers["reads"]],
        raw={row.raw_id: row for row in raw},
        rejections=[Refused(*row) for row in answers["rejections"]],
        points=[Point(*row[:2], json.loads(row[2]), *row[3:]) for row in answers["points"]],
        leases=[Held(*row) for row in answers["leases"]],
        unlinked=[(source, external_id) for source, external_id in answers["unlinked"]],
        payloads={row[0]: _unpacked(*row[1:]) for row in answers.get("payloads", ())},
    )


def _unpacked(codec: str, packed: bytes) -> bytes:
    if codec != "zlib":
        raise ValueError(f"a payload is packed as {codec!r}, which this oracle cannot read")
    return zlib.decompress(packed)


@contextmanager
def connected(url: str) -> Iterator[Ask]:
    """Asks several statements of one snapshot, again and again over one connection."""
    if url.startswith("sqlite"):
        # Read only: such a connection never moves the write-ahead log into the file, so that recovery after a crash
        # stays the product's to do.
        address = Path(url.removeprefix("sqlite:///")).absolute().as_uri() + "?mode=ro"
        with closing(sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)) as connection:
            yield lambda statements: _ask_sqlite(connection, statements)
        return
    with asyncio.Runner() as runner:
        connection = runner.run(asyncpg.connect(urlsplit(url)._replace(scheme="postgresql").geturl()))
        try:
            yield lambda statements: runner.run(_ask_postgres(connection, statements))
        finally:
            runner.run(connection.close())


def _ask_sqlite(connection: sqlite3.Connection, statements: Mapping[str, str]) -> Answers:
    connection.execute("BEGIN")
    try:
        return {name: connection.execute(sql).fetchall() for name, sql in statements.items()}
    finally:
        connection.execute("ROLLBACK")


async def _ask_postgres(connection: Any, statements: Mapping[str, str]) -> Answers:
    async with connection.transaction(isolation="repeatable_read", readonly=True):
        return {name: [tuple(row) for row in await connection.fetch(sql)] for name, sql in statements.items()}
