"""Database URLs."""

from __future__ import annotations

import pytest

from kasparro_adapters.sql import SqlStore, process_handle
from kasparro_adapters.sql.url import connect_options, parse_url, shown
from kasparro_core.errors import ConfigurationError


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///kasparro.db", "sqlite+aiosqlite"),
        ("sqlite:////var/lib/kasparro.db", "sqlite+aiosqlite"),
        ("sqlite+aiosqlite:///kasparro.db", "sqlite+aiosqlite"),
        ("postgresql://u:p@host/db", "postgresql+asyncpg"),
        ("postgres://u:p@host/db", "postgresql+asyncpg"),
        ("postgresql+asyncpg://u:p@host:5433/db", "postgresql+asyncpg"),
    ],
)
def test_takes_the_usual_forms(url: str, driver: str) -> None:
    """Every usual way to write a URL leads to the asynchronous driver."""
    assert parse_url(url).drivername == driver


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("sqlite://", "memory"),
        ("sqlite:///:memory:", "memory"),
        ("sqlite://host/file.db", "host"),
        ("sqlite:///file.db?mode=ro", "options"),
        ("mysql://u:hunter2@host/db", "mysql"),
        ("postgresql+psycopg2://u:hunter2@host/db", "psycopg2"),
        ("postgresql://u:hunter2@host/db?sslmod=require", "sslmod"),
        ("postgresql://u:hunter2@host/db?connect_timeout=soon", "number"),
        ("no url, hunter2", "understood"),
        ("postgresql://u:hunter2@host:port/db", "understood"),
        ("", "understood"),
    ],
)
def test_refuses_the_rest_without_showing_a_password(url: str, part: str) -> None:
    """One sentence says what is wrong; the password is not in it, nor in what it was raised from."""
    with pytest.raises(ConfigurationError, match=part) as caught:
        parse_url(url)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_shows_neither_password_nor_options() -> None:
    """The name for messages has user, host and database."""
    assert shown(parse_url("postgres://u:hunter2@host:5433/db?sslmode=require")) == "postgresql://u@host:5433/db"


def test_translates_libpq_options() -> None:
    """sslmode and connect_timeout, which every other tool takes, reach the driver under its own names."""
    url = parse_url("postgresql://host/db?sslmode=require&connect_timeout=3")
    assert url.query["ssl"] == "require"
    assert connect_options(url) == {"timeout": 3.0}


@pytest.mark.parametrize("make", [SqlStore, process_handle])
def test_a_store_and_a_handle_judge_the_url_when_they_are_made(make: object) -> None:
    """A wrong URL fails at once, not with the first connection."""
    assert callable(make)
    with pytest.raises(ConfigurationError):
        make("oracle://host/db")


def test_a_store_does_not_show_its_password() -> None:
    """repr() names the database alone."""
    assert repr(SqlStore("postgresql://u:hunter2@host/db")) == "SqlStore('postgresql://u@host/db')"
