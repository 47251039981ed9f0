"""Database URLs: which there are, and what a relative SQLite path is relative to."""

from __future__ import annotations

from pathlib import Path

_SQLITE = ("sqlite:///", "sqlite+aiosqlite:///")
_SERVERS = ("postgresql://", "postgres://", "postgresql+asyncpg://")
EXPECTED = "expected sqlite:///PATH or postgresql://USER@HOST/NAME"


def url_fault(url: str) -> str | None:
    """What is wrong with a database URL, or None. Says nothing of the URL itself, which may hold a password."""
    return None if url.startswith((*_SQLITE, *_SERVERS)) else EXPECTED


def anchored_url(url: str, root: Path) -> str:
    """The URL with an absolute path, if it is that of an SQLite file; any other as it is."""
    prefix = next((prefix for prefix in _SQLITE if url.startswith(prefix)), None)
    if prefix is None:
        return url
    name, mark, options = url.removeprefix(prefix).partition("?")
    if name in {"", ":memory:"} or name.startswith("file:"):
        return url
    return f"{prefix}{(root / name).resolve().as_posix()}{mark}{options}"


def sqlite_file(url: str) -> Path | None:
    """The file of an anchored SQLite URL, None for servers and memory."""
    for prefix in _SQLITE:
        name = url.removeprefix(prefix).partition("?")[0]
        if url.startswith(prefix) and name not in {"", ":memory:"}:
            return Path(name)
    return None
