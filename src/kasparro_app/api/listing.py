"""Lists in descending order of an id, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from kasparro_app.api.answers import page_answer
from kasparro_app.api.cursors import decode_cursor, encode_cursor
from kasparro_app.api.operation import Call
from kasparro_app.views import View
from kasparro_core.ports import UnitOfWork

T = TypeVar("T")
Fetch = Callable[[UnitOfWork, int | None, int], Awaitable[Sequence[T]]]
"""Rows with an id below the given one (None: from the newest on), at most so many."""


async def newest_first(
    call: Call,
    kind: str,
    filters: Mapping[str, Any],
    fetch: Fetch[T],
    view: Callable[[T], View],
    *,
    id_name: str,
) -> Response:
    """One page of a list. Its cursor holds for these filters alone. Raises Problem (422) for any other cursor."""
    limit = call.query.limit
    before = None
    if call.query.cursor is not None:
        (before,) = decode_cursor(call.query.cursor, kind, filters)
    async with call.service.store.begin(write=False) as work:
        rows = await fetch(work, before, limit + 1)
    shown, more = rows[:limit], len(rows) > limit
    cursor = encode_cursor(kind, filters, [getattr(shown[-1], id_name)]) if more else None
    return page_answer(call, map(view, shown), limit=limit, next_cursor=cursor)
