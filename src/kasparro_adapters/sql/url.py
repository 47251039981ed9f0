"""Database URLs: what the user may write, what the driver wants, and what may be shown."""

from __future__ import annotations

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kasparro_core.errors import ConfigurationError

_POSTGRES = frozenset({"postgresql", "postgres", "postgresql+asyncpg"})
_SQLITE = frozenset({"sqlite", "sqlite+aiosqlite"})
_FORMS = "Write sqlite:///file.db (relative), sqlite:////path/file.db or postgresql://user:password@host/database."
_POSTGRES_OPTIONS = frozenset(
    {"host", "port", "ssl", "command_timeout", "timeout", "statement_cache_size", "prepared_statement_cache_size"}
)
_RENAMED = {"sslmode": "ssl", "connect_timeout": "timeout"}
_NUMBERS = {"timeout": float, "command_timeout": float, "statement_cache_size": int}


def parse_url(url: str) -> URL:
    """The URL in SQLAlchemy's form. Raises ConfigurationError, without the password, for one that cannot be used."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigurationError("The database URL cannot be understood.", hint=_FORMS) from None
    if parsed.drivername in _SQLITE:
        return _sqlite(parsed)
    if parsed.drivername in _POSTGRES:
        return _postgres(parsed)
    raise ConfigurationError(f"The database URL begins with {parsed.drivername!r}: not supported.", hint=_FORMS)


def shown(url: URL) -> str:
    """The URL for messages: no password and no options (they may hold one)."""
    bare = URL.create(url.get_backend_name(), url.username, None, url.host, url.port, url.database)
    return bare.render_as_string()


def connect_options(url: URL) -> dict[str, float]:
    """The options of the query that the driver wants as numbers."""
    return {name: kind(str(url.query[name])) for name, kind in _NUMBERS.items() if name in url.query}


def _sqlite(url: URL) -> URL:
    if url.database in (None, "", ":memory:"):
        raise ConfigurationError("A SQLite database in memory cannot be shared or resumed: name a file.", hint=_FORMS)
    if url.host:
        raise ConfigurationError("A SQLite URL names no host: it has three slashes before the path.", hint=_FORMS)
    if url.query:
        raise ConfigurationError("A SQLite URL takes no options after '?'.", hint=_FORMS)
    return url.set(drivername="sqlite+aiosqlite")


def _postgres(url: URL) -> URL:
    query = {_RENAMED.get(name, name): value for name, value in url.query.items()}
    unknown = sorted(set(query) - _POSTGRES_OPTIONS)
    if unknown:
        known = ", ".join(sorted(_POSTGRES_OPTIONS | set(_RENAMED)))
        raise ConfigurationError(f"The database URL has an unknown option {unknown[0]!r}.", hint=f"Known are: {known}.")
    parsed = url.set(drivername="postgresql+asyncpg", query=query)
    try:
        connect_options(parsed)
    except ValueError:
        raise ConfigurationError("An option of the database URL is not a number.") from None
    return parsed
