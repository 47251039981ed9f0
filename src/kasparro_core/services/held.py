"""What a retry and a replay of refused items leave alone: items of a shape that waits to be accepted."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Container, Mapping
from dataclasses import replace

from kasparro_core.drift import memory_of
from kasparro_core.model import Decoded, Rejection, RejectionQuery, RejectionState, Stage, StoredRejection
from kasparro_core.normalize.canonical import canonical_json
from kasparro_core.ports import Store

_PAGE = 500
_NOTES = "drift_"


async def matching(store: Store, query: RejectionQuery) -> AsyncIterator[list[StoredRejection]]:
    """All that match, newest first, page by page, so that no read transaction stays open; `limit` is that of a page."""
    while True:
        async with store.begin(write=False) as work:
            page = await work.rejections.list(query)
        if page:
            yield page
        if len(page) < query.limit:
            return
        query = replace(query, before=page[-1].rejection_id)


async def waits(store: Store, source: str) -> bool:
    """Whether a shape of the source waits to be accepted. Raises StorageError."""
    async with store.begin(write=False) as work:
        newest = await work.schemas.newest(source, limit=1)
    return any(version.accepted_at is None for version in newest)


def is_of_shape(rejection: StoredRejection) -> bool:
    """Whether it is about the shape of its item: refused for it, or with a value left out."""
    return rejection.stage == Stage.DRIFT or (rejection.stage == Stage.FIELD and rejection.code.startswith(_NOTES))


async def _waiting(store: Store, source: str) -> set[tuple[str, str]]:
    """Code and path of each change that waits to be accepted."""
    async with store.begin(write=False) as work:
        newest = await work.schemas.newest(source, limit=1)
    waiting = [version for version in newest if version.accepted_at is None]
    return {(_NOTES + each["change"], each["path"]) for version in waiting for each in memory_of(version).changes}


class Held:
    """Refused items by their content: wherever it is stored, the same item is refused for the same. `count` of them
    are open."""

    def __init__(self, found: Mapping[bytes, Rejection], count: int = 0) -> None:
        self._found = found
        self.count = count

    @classmethod
    async def load(cls, store: Store, source: str) -> Held:
        """Those of stage `drift`, while a shape of the source waits; of those that are resolved, because their record
        came in another shape, only what was refused for a change that waits. Raises StorageError."""
        changes, found, count = await _waiting(store, source), dict[bytes, Rejection](), 0
        if changes:
            async for page in matching(store, RejectionQuery(source=source, stage=Stage.DRIFT, limit=_PAGE)):
                count += sum(each.state == RejectionState.OPEN for each in page)
                found |= {_digest(each.payload): _told(each) for each in page if _counts(each, changes)}
        return cls(found, count)

    def apart(self, decoded: Decoded) -> Decoded:
        """The payload with these items refused as they were."""
        if not self._found:
            return decoded
        kept, refused = [], list(decoded.rejections)
        for item in decoded.items:
            known = self._found.get(_digest(canonical_json(item.data)))
            if known is None:
                kept.append(item)
            else:
                refused.append(replace(known, payload=item.data, index=item.index))
        return Decoded(kept, refused)


def _counts(stored: StoredRejection, changes: Container[tuple[str, str]]) -> bool:
    return stored.state != RejectionState.RESOLVED or (stored.code, stored.path) in changes


def _told(stored: StoredRejection) -> Rejection:
    return Rejection(Stage.DRIFT, stored.code, stored.path, stored.message, None, stored.raw_index, stored.key)


def _digest(payload: str) -> bytes:
    """Of the text as any store gives it back: some hold a lone surrogate as its escape."""
    return hashlib.sha256(payload.encode("utf-8", "backslashreplace")).digest()
