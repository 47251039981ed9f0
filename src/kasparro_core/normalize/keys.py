"""The natural key of an item inside its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.normalize.paths import Getter, first_of, getter
from kasparro_core.normalize.safe import presentable
from kasparro_core.normalize.text import text, too_long, trimmed
from kasparro_core.normalize.values import Refusal, shown, with_nulls

MAX_KEY_BYTES = 2000
"""How long a key or an external id may be in UTF-8: PostgreSQL's indexes take at most 2,704 bytes a row."""

KeyOf = Callable[[Mapping[str, Any]], str | Refusal | None]
"""From an item to its key, or why it has none. None: the key is the content hash of the record."""


def key_of(parts: Sequence[Sequence[str]], nulls: Iterable[str]) -> KeyOf:
    """The key by declared parts: one is its trimmed text, several are a JSON array of theirs."""
    part = with_nulls(_part, nulls)
    empty = frozenset(nulls)
    fields = [(paths[0], _key_part(paths, empty)) for paths in parts]
    if len(fields) == 1:
        field, get = fields[0]

        def single(item: Mapping[str, Any]) -> str | Refusal:
            key = part(get(item))
            return _bounded(key, field) if type(key) is str else _refused(field, key)

        return single

    def several(item: Mapping[str, Any]) -> str | Refusal:
        texts: list[str] = []
        for field, get in fields:
            key = part(get(item))
            if type(key) is not str:
                return _refused(field, key)
            texts.append(key)
        return _bounded(canonical_json(texts), fields[0][0])

    return several


def _key_part(paths: Sequence[str], nulls: frozenset[str]) -> Getter:
    """The first of the fields that holds something, where the first one is there at all: blank in one item it has a
    stand-in, but renamed by the upstream it must not give every item a second key."""
    get = getter(paths[0])
    if len(paths) == 1:
        return get
    first = first_of(paths, nulls)
    return lambda item: None if get(item) is None else first(item)


def article_key(identity: Sequence[str]) -> KeyOf:
    """The first of these fields that holds text, verbatim, since a guid is compared as it is written; else None."""
    getters = [(field, getter(field)) for field in identity]

    def key(item: Mapping[str, Any]) -> str | Refusal | None:
        for field, get in getters:
            value = text(get(item))
            if value is not None:
                return _bounded(value, field) if isinstance(value, str) else _refused(field, value)
        return None

    return key


def item_key(item: Mapping[str, Any]) -> str:
    """The hash of all that the item holds, for items that nothing identifies."""
    try:
        canonical = canonical_json(item)
        canonical.encode()
    except (TypeError, ValueError, RecursionError):  # values that JSON cannot hold, or nested without end
        canonical = canonical_json(presentable(item))
    return content_hash(canonical)


def _part(value: Any) -> str | Refusal | None:
    if type(value) is not str and isinstance(value, bool | list | tuple | Mapping):
        return Refusal("key_invalid", f"Expected text or a number as key, found {shown(value)}.")
    return trimmed(value)


def _bounded(key: str, field: str) -> str | Refusal:
    refusal = too_long(key, MAX_KEY_BYTES)
    return key if refusal is None else refusal._replace(code="key_too_long", path=field)


def _refused(field: str, refusal: Refusal | None) -> Refusal:
    if refusal is None:
        return Refusal("key_missing", f"The key field {field!r} is absent or empty.", field)
    return refusal._replace(path=field)
