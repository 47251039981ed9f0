"""The schema: made by migrations, by whoever comes first, and equal to what the program expects."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from kasparro_adapters.sql import SqlStore, store
from kasparro_adapters.sql.expected import expected_metadata
from kasparro_adapters.sql.schema import HEAD
from kasparro_core.errors import PermanentStorageError


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if request.param == "sqlite":
        return f"sqlite:///{(tmp_path / 'empty.db').as_posix()}"
    return str(request.getfixturevalue("empty_postgres_url"))


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "kasparro_adapters.sql:migrations")
    config.attributes["connection"] = connection
    return config


async def _inspected(url: str, look: Any) -> Any:
    opened = SqlStore(url)
    async with opened._database.schema_change() as connection:
        found = await connection.run_sync(look)
    await opened.close()
    return found


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, expected_metadata(connection.dialect.name))


async def test_migrations_make_the_tables_that_the_program_expects(database_url: str) -> None:
    """Comparing the migrated database with the metadata finds no difference of tables, columns, types or indexes."""
    assert await _inspected(database_url, _differences) == []


async def test_the_head_in_the_code_is_the_head_of_the_scripts() -> None:
    """The constant that spares loading Alembic names the one revision without a successor."""
    config = Config()
    config.set_main_option("script_location", "kasparro_adapters.sql:migrations")
    assert ScriptDirectory.from_config(config).get_heads() == [HEAD]


async def test_an_empty_database_has_no_revision_and_stays_empty(empty_url: str) -> None:
    """Asking for the revision makes no table and no file."""
    opened = SqlStore(empty_url)
    assert await opened.revision() is None
    await opened.close()
    if empty_url.startswith("sqlite"):
        assert not Path(empty_url.removeprefix("sqlite:///")).exists()
    else:
        assert await _inspected(empty_url, lambda connection: inspect(connection).get_table_names()) == []


async def test_four_may_migrate_at_once(empty_url: str) -> None:
    """Concurrent first starts all succeed and leave one schema."""
    stores = [SqlStore(empty_url) for _ in range(4)]
    assert await asyncio.gather(*(opened.migrate() for opened in stores)) == [HEAD] * 4
    assert await stores[0].revision() == HEAD
    for opened in stores:
        await opened.close()
    assert await _inspected(empty_url, _differences) == []


async def test_a_migrated_database_is_not_migrated_again(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the revision is the newest, Alembic is not even loaded."""

    async def refuse(_database: object) -> str:
        raise AssertionError("there is nothing to migrate")

    monkeypatch.setattr(store, "migrate", refuse)
    opened = SqlStore(database_url)
    assert await opened.migrate() == HEAD
    await opened.close()


async def test_a_database_of_a_newer_program_is_refused_and_left_alone(database_url: str) -> None:
    """An unknown revision is one clear sentence with both revisions; the database keeps its own."""

    def pretend(connection: Connection) -> None:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")

    await _inspected(database_url, pretend)
    opened = SqlStore(database_url)
    with pytest.raises(PermanentStorageError, match=rf"revision '9999'.*knows '{HEAD}'.*Update Kasparro") as caught:
        await opened.migrate()
    assert caught.value.code == "storage_newer"
    assert await opened.revision() == "9999"
    await opened.close()


async def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    """DDL is transactional on both databases: half a schema never stays."""

    def clash(connection: Connection) -> None:
        connection.exec_driver_sql("CREATE TABLE leases (x integer)")

    await _inspected(empty_url, clash)
    opened = SqlStore(empty_url)
    with pytest.raises(Exception, match="leases"):
        await opened.migrate()
    assert await opened.revision() is None
    await opened.close()
    tables = await _inspected(empty_url, lambda connection: inspect(connection).get_table_names())
    assert tables == ["leases"]


async def test_the_way_back_leaves_no_table(database_url: str) -> None:
    """Downgrading to nothing drops everything that the upgrade made."""
    await _inspected(database_url, lambda connection: command.downgrade(_config(connection), "base"))
    tables = await _inspected(database_url, lambda connection: inspect(connection).get_table_names())
    assert tables == ["alembic_version"]


async def test_sqlite_never_gives_an_id_out_twice(sqlite_url: str) -> None:
    """Ids are AUTOINCREMENT: the id of a deleted row does not come back."""
    with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as connection:
        tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
    connection.close()
    for name in ("records", "record_versions", "raw_batches", "runs", "run_batches", "rejections"):
        assert "AUTOINCREMENT" in tables[name], name


async def test_tables_of_another_program_are_left_alone(empty_url: str) -> None:
    """A database that holds a foreign `records` table is refused in a sentence that names it, and nothing is made."""
    opened = SqlStore(empty_url)
    async with opened._database.schema_change() as connection:
        await connection.exec_driver_sql("CREATE TABLE records (mine INTEGER)")
    with pytest.raises(PermanentStorageError, match=r"another program.*records") as refused:
        await opened.migrate()
    assert refused.value.code == "storage_foreign"
    assert await opened.revision() is None
    async with opened._database.schema_change() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["records"]
    await opened.close()
