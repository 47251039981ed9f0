"""Column types that hide what the two databases do to times, decimals and text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, DateTime, Integer, Numeric, Text, TypeDecorator
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from kasparro_core.normalize.canonical import parse_json

Name = Text().with_variant(Text(collation="C"), "postgresql")
"""Text that identifies: compared and sorted by code point on every store."""

BigId = BigInteger().with_variant(Integer(), "sqlite")
"""A 64-bit number that the database gives out (SQLite counts INTEGER columns alone)."""

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def instant_text(value: datetime) -> str:
    """UTC, ISO 8601, always six decimals and Z: sorts as text like the instants it stands for."""
    if value.tzinfo is not UTC:
        value = value.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:-6] + "Z"


def instant(read: datetime) -> datetime:
    """What a driver gave, in UTC. asyncpg keeps the first and the last instant of the calendar as infinities, which it
    gives back without a zone."""
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)


def storable(text: str) -> str:
    """The text without what no database takes (NUL, lone surrogates), each replaced by U+FFFD."""
    return _UNSTORABLE.sub("\N{REPLACEMENT CHARACTER}", text)


def storable_json(value: Any) -> Any:
    """The JSON value with texts that every database takes; they may come from outside (an error's message)."""
    match value:
        case str():
            return storable(value)
        case Mapping():
            return {storable(name): storable_json(item) for name, item in value.items()}
        case list() | tuple():
            return [storable_json(item) for item in value]
    return value


class Instant(TypeDecorator[datetime]):
    """Aware UTC datetimes with microseconds: timestamptz, or fixed-width text."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, which has no such type."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuse naive times: nobody knows which instant they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime cannot be stored: {value!r}")
        return instant_text(value) if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Always UTC, whatever the session's time zone."""
        if value is None:
            return None
        return instant(datetime.fromisoformat(value) if isinstance(value, str) else value)


class ExactDecimal(TypeDecorator[Decimal]):
    """Decimals without a limit of scale: NUMERIC, or the canonical plain text. Written by the bulk path alone."""

    impl = Numeric
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, whose numbers are binary."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Numeric())

    def process_result_value(self, value: Any, dialect: Dialect) -> Decimal | None:
        """A Decimal on both."""
        return Decimal(value) if isinstance(value, str) else value


class SearchableJson(TypeDecorator[Any]):
    """JSON that SQL users query (JSONB, or text): given as text, read parsed with exact numbers."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """JSONB where there is one."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else JSONB())

    def bind_processor(self, dialect: Dialect) -> None:
        """The text is JSON already."""

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """PostgreSQL's driver has parsed it already."""
        return parse_json(value) if dialect.name == "sqlite" and value is not None else value


class Words(TypeDecorator[str]):
    """Text from outside (messages, paths, addresses), made storable."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what no database takes."""
        return None if value is None else storable(value)
