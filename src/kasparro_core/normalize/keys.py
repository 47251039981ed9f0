"""The natural key of an item inside its source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.normalize.paths import first_of, getter
from kasparro_core.normalize.safe import presentable
from kasparro_core.normalize.text import text, trimmed
from kasparro_core.normalize.values import Refusal, shown, with_nulls

KeyOf = Callable[[Mapping[str, Any]], str | Refusal | None]
"""From an item to its key, or why it has none. None: the key is the content hash of the record."""


def key_of(parts: Sequence[Sequence[str]], nulls: Iterable[str]) -> KeyOf:
    """The key by declared parts: one is its trimmed text, several are a JSON array of theirs. Each part is a list of
    fields of which the first that holds something counts."""
    part = with_nulls(_part, nulls)
    empty = frozenset(nulls)
    fields = [(paths[0], getter(paths[0]) if len(paths) == 1 else first_of(paths, empty)) for paths in parts]
    if len(fields) == 1:
        field, get = fields[0]

        def single(item: Mapping[str, Any]) -> str | Refusal:
            value = get(item)
            key = part(value)
            return key if type(key) is str else _refused(field, key)

        return single

    def several(item: Mapping[str, Any]) -> str | Refusal:
        texts: list[str] = []
        for field, get in fields:
            key = part(get(item))
            if type(key) is not str:
                return _refused(field, key)
            texts.append(key)
        return canonical_json(texts)

    return several


def article_key(identity: Sequence[str]) -> KeyOf:
    """The first of these fields that holds text, verbatim, since a guid is compared as it is written; else None."""
    getters = [getter(field) for field in identity]

    def key(item: Mapping[str, Any]) -> str | Refusal | None:
        for get in getters:
            value = text(get(item))
            if value is not None:
                return value
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


def _refused(field: str, refusal: Refusal | None) -> Refusal:
    if refusal is None:
        return Refusal("key_missing", f"The key field {field!r} is absent or empty.", field)
    return refusal._replace(path=field)
