"""Who decides about which blocks of identity: locks of a transaction, over stripes of the blocks' keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from zlib import crc32

from kasparro_adapters.sql.session import Session

STRIPES = 64
"""So many locks stand for all blocks: a batch that is new takes them all, which costs one short statement."""

_SPACE = 0x6B617370
"""Our own numbers among a database's advisory locks of two parts: "kasp"."""

_LOCK = f"SELECT pg_advisory_xact_lock({_SPACE}, stripe) FROM unnest($1::int[]) AS s(stripe)"

_ALL = frozenset(range(STRIPES))


def stripes_of(keys: Iterable[str]) -> frozenset[int]:
    """The stripes in which the blocks of these keys lie."""
    return frozenset(crc32(key.encode()) % STRIPES for key in keys)


class Stripes:
    """The stripes that one transaction holds. On SQLite its write lock holds them all.

    They are taken in ascending order, in one statement, so that of two transactions one just waits for the other. Who
    needs more gives all of them back first, which is why they are taken behind a savepoint. Who has `settled` something
    under them keeps them, and may meet a deadlock, which the server ends.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._held: frozenset[int] | None = None
        self._settled = False

    async def lock(self, keys: Collection[str] | None) -> bool:
        """See IdentityStore.lock."""
        wanted = _ALL if keys is None or self._session.dialect != "postgresql" else stripes_of(keys)
        if self._held is not None and wanted <= self._held:
            return True
        first = self._held is None
        if not first:
            wanted = _ALL
        if self._session.dialect == "postgresql":
            await self._take(wanted, first=first)
        self._held = wanted
        return first

    def settle(self) -> None:
        """Something was written under what is held."""
        self._settled = self._held is not None

    async def _take(self, wanted: Collection[int], *, first: bool) -> None:
        if not self._settled:
            await self._session.driver_sql("SAVEPOINT blocks" if first else "ROLLBACK TO SAVEPOINT blocks")
        await self._session.driver_sql(_LOCK, (sorted(wanted),))
