"""Keys of the API: making them, and telling whether one is known."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

from kasparro_core.model import ApiKey

PREFIX: Final = "kasp_"
"""What every key begins with, so that a leaked one is recognised as such."""
_BYTES: Final = 32


def make_key() -> str:
    """A new key: 32 random bytes as text. It is shown once and never kept; its hash is."""
    return PREFIX + secrets.token_urlsafe(_BYTES)


def key_hash(key: str) -> str:
    """The SHA-256 (hex) of a key. No salt and no slow hash: a key of 256 random bits cannot be guessed."""
    return sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def known_key(presented: str, keys: Iterable[ApiKey]) -> ApiKey | None:
    """The key that was presented, revoked or not, or None. All are compared, each in constant time, so that the time
    taken tells nothing about which or whether."""
    digest = key_hash(presented)
    found: ApiKey | None = None
    for key in keys:
        found = key if hmac.compare_digest(key.key_hash, digest) else found
    return found
