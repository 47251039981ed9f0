"""The schema's revision, and the way to the newest one. Alembic is imported only when there is something to do."""

from __future__ import annotations

from sqlalchemy import Column, Connection, MetaData, Table, Text, inspect, select

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.expected import TABLES
from kasparro_adapters.sql.session import Session
from kasparro_core.errors import PermanentStorageError

HEAD = "0005"
"""The newest revision that this program knows; the one under `migrations/versions` without a successor."""

_SCRIPTS = "kasparro_adapters.sql:migrations"
_version = Table("alembic_version", MetaData(), Column("version_num", Text))


async def stored_revision(session: Session) -> str | None:
    """The revision that the database says it has, None when it has no tables yet."""
    if not await session.sync(_has_version):
        return None
    row = await session.first(select(_version.c.version_num))
    return None if row is None else str(row[0])


async def migrate(database: Database) -> str:
    """Bring the schema to HEAD, alone. Raises PermanentStorageError for a database of a newer program."""
    async with database.schema_change() as connection:
        await connection.run_sync(_upgrade, database.shown)
    return HEAD


def _has_version(connection: Connection) -> bool:
    return inspect(connection).has_table(_version.name)


def _upgrade(connection: Connection, shown: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", _SCRIPTS)
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    current = connection.scalar(select(_version.c.version_num)) if _has_version(connection) else None
    if current is not None and current not in known:
        raise PermanentStorageError(
            f"The database {shown} has schema revision {current!r}; this program is older and knows {HEAD!r}.",
            code="storage_newer",
            hint="Update Kasparro, or use another database.",
        )
    if current is None:
        _refuse_foreign_tables(connection, shown)
    command.upgrade(config, "head")


def _refuse_foreign_tables(connection: Connection, shown: str) -> None:
    """A database without our revision must not hold tables under our names: they are somebody else's."""
    present = set(inspect(connection).get_table_names())
    foreign = sorted(present & TABLES)
    if foreign:
        raise PermanentStorageError(
            f"The database {shown} holds tables of another program under names that Kasparro needs: "
            f"{', '.join(foreign)}.",
            code="storage_foreign",
            hint="Use another database, or on PostgreSQL another schema by the role's search_path.",
        )
