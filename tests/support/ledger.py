"""A look into a database with the raw drivers, importing nothing of the product: the oracle of the crash tests."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

import asyncpg


def query(url: str, sql: str) -> list[tuple[Any, ...]]:
    """All rows of a statement, from SQLite or PostgreSQL."""
    if url.startswith("sqlite"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(sql).fetchall()
    return asyncio.run(_fetch(url, sql))


async def _fetch(url: str, sql: str) -> list[tuple[Any, ...]]:
    parts = urlsplit(url)
    plain = parts._replace(scheme="postgresql").geturl()
    connection = await asyncpg.connect(plain)
    try:
        return [tuple(row) for row in await connection.fetch(sql)]
    finally:
        await connection.close()


def faults(url: str, source: str, keys: set[str]) -> list[str]:
    """What is wrong with a source after its runs have ended: lost, doubled or invented keys, runs that do not add up
    or never ended, payloads stored twice. Empty when all is well."""
    found = []
    stored = [row[0] for row in query(url, f"SELECT key FROM records WHERE source = '{source}'")]
    if len(stored) != len(set(stored)):
        found.append(f"doubled: {len(stored) - len(set(stored))}")
    if missing := keys - set(stored):
        found.append(f"lost: {sorted(missing)[:5]} and {len(missing)} in all")
    if extra := set(stored) - keys:
        found.append(f"invented: {sorted(extra)[:5]}")
    runs = query(
        url,
        "SELECT run_id, status, fetched, inserted, updated, unchanged, rejected FROM runs "
        f"WHERE source = '{source}' ORDER BY run_id",
    )
    found += [f"run {run[0]} is still running" for run in runs if run[1] == "running"]
    found += [f"run {run[0]} does not add up: {run}" for run in runs if run[2] != sum(run[3:])]
    inserted = sum(run[3] for run in runs)
    if inserted != len(stored):
        found.append(f"the runs inserted {inserted} records, the table holds {len(stored)}")
    contents = query(url, f"SELECT partition, content_hash FROM raw_batches WHERE source = '{source}'")
    if len(contents) != len(set(contents)):
        found.append("a payload is stored twice")
    return found
