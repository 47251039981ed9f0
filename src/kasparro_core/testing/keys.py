"""The contract of KeyStore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from kasparro_core.errors import ConflictError
from kasparro_core.model import ApiKey, Scope
from kasparro_core.ports import Store
from kasparro_core.testing.build import later


class KeyContract:
    """API keys. Needs a fixture `store`: migrated and empty."""

    async def test_keeps_keys_by_name(self, store: Store) -> None:
        """All fields come back; names are sorted by code point."""
        keys = [_key("b", Scope.ADMIN), _key("a", Scope.TRIGGER), _key("ü"), _key("B")]
        await _add(store, *keys)
        assert await _list(store) == [keys[3], keys[1], keys[0], keys[2]]

    async def test_a_name_is_given_once(self, store: Store) -> None:
        """A second key of one name is a conflict and leaves the first as it is, within a unit of work and across."""
        await _add(store, _key("ci"))
        with pytest.raises(ConflictError, match="ci"):
            await _add(store, _key("ci", Scope.ADMIN))
        with pytest.raises(ConflictError):
            await _add(store, _key("x"), _key("x", Scope.ADMIN))
        assert await _list(store) == [_key("ci")]

    async def test_a_revoked_name_stays_taken(self, store: Store) -> None:
        """Whoever reads an old log finds one key under a name."""
        await _add(store, _key("ci"))
        assert await _revoke(store, "ci", later(5))
        with pytest.raises(ConflictError):
            await _add(store, _key("ci"))

    async def test_revokes_once(self, store: Store) -> None:
        """The instant of the first revocation stays; unknown and revoked ones are told, others are not touched."""
        await _add(store, _key("a"), _key("b"))
        assert await _revoke(store, "a", later(5))
        assert not await _revoke(store, "a", later(6))
        assert not await _revoke(store, "unknown", later(6))
        assert await _list(store) == [replace(_key("a"), revoked_at=later(5)), _key("b")]


def _key(name: str, scope: Scope = Scope.READ) -> ApiKey:
    return ApiKey(name, scope, f"{name}:{scope}".encode().hex(), later(1))


async def _add(store: Store, *keys: ApiKey) -> None:
    async with store.begin() as work:
        for key in keys:
            await work.keys.add(key)
        await work.commit()


async def _revoke(store: Store, name: str, at: datetime) -> bool:
    async with store.begin() as work:
        revoked = await work.keys.revoke(name, at)
        await work.commit()
    return revoked


async def _list(store: Store) -> Sequence[ApiKey]:
    async with store.begin(write=False) as work:
        return list(await work.keys.list())
