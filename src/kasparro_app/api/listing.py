"""Lists in the order of a key, page by page."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from starlette.responses import Response

from kasparro_app.api.answers import page_answer
from kasparro_app.api.cursors import ID_PLACE, PlaceValue, decode_cursor, encode_cursor
from kasparro_app.api.operation import Call
from kasparro_app.views import View
from kasparro_core.ports import UnitOfWork

T = TypeVar("T")
Fetch = Callable[[UnitOfWork, Any, int], Awaitable[Sequence[T]]]
"""Rows behind the given id or place (None: from the first on), at most so many."""


async def newest_first(
    call: Call,
    kind: str,
    filters: Mapping[str, Any],
    fetch: Fetch[T],
    view: Callable[[T], View],
    *,
    id_name: str,
) -> Response:
    """One page of a list in descending order of an id. Its cursor holds for these filters alone. Raises Problem (422)
    for any other cursor."""

    async def behind(work: UnitOfWork, place: Sequence[Any] | None, limit: int) -> Sequence[T]:
        return await fetch(work, None if place is None else place[0], limit)

    return await in_places(call, kind, filters, behind, view, place_of=lambda row: [getattr(row, id_name)])


async def in_places(
    call: Call,
    kind: str,
    filters: Mapping[str, Any],
    fetch: Fetch[T],
    view: Callable[[T], View],
    *,
    place_of: Callable[[T], Sequence[PlaceValue]],
    shape: Sequence[type[Any]] = ID_PLACE,
) -> Response:
    """One page of a list whose rows have places, the values of which are of the types of `shape`. As `newest_first`."""
    limit = call.query.limit
    place = None if call.query.cursor is None else decode_cursor(call.query.cursor, kind, filters, shape)
    async with call.service.store.begin(write=False) as work:
        rows = await fetch(work, place, limit + 1)
    shown, more = rows[:limit], len(rows) > limit
    cursor = encode_cursor(kind, filters, place_of(shown[-1])) if more else None
    return page_answer(call, map(view, shown), limit=limit, next_cursor=cursor)
