"""Any JSON, and cursors that somebody edited: what a position may look like that no source wrote."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

SCALARS: st.SearchStrategy[Any] = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(10**40), max_value=10**40)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        ["", "7", "-1", "utf-8", "/x?page=2", "http://x/", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00"]
    )
)
JSON: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=4) | st.dictionaries(st.text(max_size=6), below, max_size=4),
    max_leaves=12,
)
OBJECTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["next", "walk", "v", "file", "offset", "seen", "$slice", "$unreadable", "page", ""])
    | st.text(max_size=6),
    JSON,
    max_size=5,
)


@st.composite
def edited(draw: st.DrawFn, cursors: list[dict[str, Any]]) -> dict[str, Any]:
    """One of the cursors, in which a member somewhere was replaced, removed or added."""
    cursor = copy.deepcopy(draw(st.sampled_from(cursors)))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(_places(cursor)))
        what = draw(st.sampled_from(["replace", "remove", "add"]))
        if what == "replace":
            holder[key] = draw(JSON)
        elif what == "remove":
            del holder[key]
        elif isinstance(holder, dict):
            holder[draw(st.text(max_size=6))] = draw(JSON)
        if not cursor:
            break
    return cursor


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every member of the value and of what it holds."""
    if isinstance(value, dict):
        keys: list[Any] = list(value)
    else:
        keys = list(range(len(value))) if isinstance(value, list) else []
    return [(value, key) for key in keys] + [place for key in keys for place in _places(value[key])]
