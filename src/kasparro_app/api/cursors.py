"""Opaque cursors: where a page ended, bound to what was asked for.

A cursor is the base64url text (RFC 4648, section 5, without padding) of a checksum and a JSON array: the version of
this form, the kind of list, the hash of its binding (sort and filters), and the place. The checksum is no secret: it
tells a damaged cursor, and a made-up one reaches nothing that a filter does not reach.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any

from kasparro_app.api.problems import Problem, bad_parameter
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.normalize.decimals import MAX_DIGITS, MAX_EXPONENT

_VERSION = 1
_CHECKSUM_BYTES = 9
_LONGEST = 4096
_BIGGEST = 2**63
_EXPECTED = "a cursor as the answer before gave it, with the same sort and filters"

PlaceValue = int | str | Decimal | datetime | None
"""What a place consists of. Times come back in UTC, Decimals with every digit and zero."""

ID_PLACE: Sequence[type[Any]] = (int,)
"""The shape of a place that is one id."""


def encode_cursor(kind: str, binding: Mapping[str, Any], place: Sequence[PlaceValue]) -> str:
    """The cursor of a place in a list of this kind; whoever uses it has to ask with an equal binding."""
    body = [_VERSION, kind, _hash(binding), *map(_packed, place)]
    text = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    return _base64(_checksum(text) + text)


def decode_cursor(text: str, kind: str, binding: Mapping[str, Any], shape: Sequence[Any] = ID_PLACE) -> list[Any]:
    """The place of a cursor. `shape` gives the type (or union) of each of its values.

    Raises Problem (422, `cursor`) for a text that is damaged or no cursor, and for one of another list, other filters
    or another sort.
    """
    try:
        version, its_kind, its_hash, *packed = _opened(text)
        place = [_unpacked(value) for value in packed]
        fits = all(isinstance(value, its_type) for value, its_type in zip(place, shape, strict=True))
    except (ValueError, TypeError, ArithmeticError, RecursionError):
        raise _refusal(text) from None
    if not fits or (version, its_kind, its_hash) != (_VERSION, kind, _hash(binding)):
        raise _refusal(text)
    return place


def _opened(text: str) -> list[Any]:
    if len(text) > _LONGEST:
        raise ValueError("too long")
    raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    checksum, body = raw[:_CHECKSUM_BYTES], raw[_CHECKSUM_BYTES:]
    if _base64(raw) != text or _checksum(body) != checksum:  # the decoder passes over what is not of its alphabet
        raise ValueError("damaged")
    opened = json.loads(body)
    if not isinstance(opened, list):
        raise TypeError("no array")
    return opened


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _checksum(body: bytes) -> bytes:
    return blake2b(body, digest_size=_CHECKSUM_BYTES).digest()


def _hash(binding: Mapping[str, Any]) -> str:
    """What was not asked for does not count, so that a parameter added later leaves old cursors valid."""
    return content_hash(canonical_json({name: value for name, value in binding.items() if value is not None}))


def _packed(value: PlaceValue) -> Any:
    if isinstance(value, Decimal):
        return {"d": str(value)}
    if isinstance(value, datetime):
        return {"t": value.astimezone(UTC).isoformat()}
    return value


def _unpacked(value: Any) -> PlaceValue:
    match value:
        case {"d": str(digits)}:
            return _bounded(Decimal(digits))
        case {"t": str(instant)}:
            return datetime.fromisoformat(instant).astimezone(UTC)
        case None | str():
            return value
        case int() if not isinstance(value, bool) and -_BIGGEST <= value < _BIGGEST:
            return value
    raise ValueError("no value of a place")


def _bounded(number: Decimal) -> Decimal:
    if not number.is_finite() or abs(number.adjusted()) > MAX_DIGITS + MAX_EXPONENT:
        raise ValueError("a number that no record has")
    return number


def _refusal(text: str) -> Problem:
    return bad_parameter("cursor", _EXPECTED, text[:80])
