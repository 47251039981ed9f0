"""Keys: made, hashed, compared."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

import pytest

from kasparro_app import keys as module
from kasparro_app.api.auth import is_loopback, principal_of
from kasparro_app.keys import PREFIX, key_hash, known_key, make_key
from kasparro_core.model import ApiKey, Scope

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def stored(name: str, key: str, scope: Scope = Scope.READ, *, revoked: bool = False) -> ApiKey:
    """A key as it is kept."""
    return ApiKey(name, scope, key_hash(key), NOW, NOW if revoked else None)


def test_a_key_is_long_and_new_each_time() -> None:
    """A key is recognisable and holds 256 random bits; no two are the same."""
    made = {make_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith(PREFIX) and len(key) == len(PREFIX) + 43 for key in made)


def test_the_hash_is_sha_256() -> None:
    """What is stored is the SHA-256 of the key; it is neither the key nor shown by the stored value."""
    assert key_hash("kasp_x") == sha256(b"kasp_x").hexdigest()
    assert key_hash("kasp_x") not in repr(stored("a", "kasp_x"))


def test_all_keys_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each stored key is compared, by the comparison of constant time, also behind the one that fits."""
    compared: list[str] = []
    genuine = module.hmac.compare_digest

    def watched(one: str, other: str) -> bool:
        compared.append(one)
        return genuine(one, other)

    monkeypatch.setattr(module.hmac, "compare_digest", watched)
    keys = [stored(name, name) for name in "abcd"]
    assert known_key("b", keys) == keys[1]
    assert compared == [key.key_hash for key in keys]


def test_a_revoked_key_is_nobody() -> None:
    """A revoked key gives no principal, nor do several of which one does not work; else the widest scope counts."""
    keys = [stored("old", "o", Scope.ADMIN, revoked=True), stored("r", "r"), stored("t", "t", Scope.TRIGGER)]
    assert principal_of(["o"], keys) is None
    assert principal_of(["nothing"], keys) is None
    assert principal_of(["r", "t", "o"], keys) is None
    best = principal_of(["r", "t"], keys)
    assert best is not None
    assert (best.name, best.scope) == ("t", Scope.TRIGGER)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.8.0.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil.test", False), ("", False)],
)  # fmt: skip
def test_loopback_is_told_by_address(host: str, expected: bool) -> None:
    """Only an address of this machine alone counts as loopback."""
    assert is_loopback(host) is expected
