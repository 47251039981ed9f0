"""Hypothesis strategies for the values that stores keep, and for observations told in different orders."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import NamedTuple, TypeAlias

from hypothesis import strategies as st

from kasparro_core.model import PreparedRecord
from kasparro_core.testing.build import later, prepared, record


class Story(NamedTuple):
    """One observation of one key. `seen` and `raw_index` are its place; `occurred` its moment by the source."""

    key: str
    seen: datetime
    raw_index: int
    occurred: datetime | None

    def prepared(self, source: str) -> PreparedRecord:
        """The record; its title is unique to the observation."""
        title = f"{self.seen:%H%M%S}/{self.raw_index}"
        return prepared(record(self.key, source=source, title=title, occurred_at=self.occurred), self.raw_index)


Telling: TypeAlias = tuple[tuple[Story, ...], ...]
"""Observations in batches; all of one batch were seen at one instant."""


def texts(max_size: int = 200) -> st.SearchStrategy[str]:
    """Any text that the core lets through: no NUL, no lone surrogate."""
    return st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=max_size)


def decimals() -> st.SearchStrategy[Decimal]:
    """Finite decimals of up to 90 digits with exponents up to ±900, zero of either sign included."""
    return st.builds(
        lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
        st.integers(0, 1),
        st.lists(st.integers(0, 9), min_size=1, max_size=90).map(tuple),
        st.integers(-900, 900),
    )


def instants() -> st.SearchStrategy[datetime]:
    """Aware UTC instants with microseconds, of the years 1 to 9999."""
    return st.datetimes(timezones=st.just(UTC))


def json_values() -> st.SearchStrategy[object]:
    """JSON values whose numbers are ints and Decimals."""
    leaves = st.none() | st.booleans() | st.integers() | decimals() | texts(30)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts(10), inner, max_size=4), max_leaves=12
    )


@st.composite
def tellings(draw: st.DrawFn) -> tuple[Telling, Telling]:
    """The same observations twice, in different orders and batch sizes.

    Per key all observations have an occurred_at, or none has; their moments are distinct, so that which one is the
    latest is not a matter of order.
    """
    dated = {key: draw(st.booleans()) for key in "abc"}
    stories = [
        Story(key, later(60 * payload), index, _moment(draw, 10 * payload + index) if dated[key] else None)
        for payload in range(draw(st.integers(1, 5)))
        for index, key in enumerate(draw(st.lists(st.sampled_from("abc"), max_size=6)))
    ]
    return _telling(draw, stories), _telling(draw, stories)


def _moment(draw: st.DrawFn, count: int) -> datetime:
    """Some instant that no other `count` has."""
    return later(draw(st.integers(0, 99)) * 100 + count)


def _telling(draw: st.DrawFn, stories: list[Story]) -> Telling:
    """The stories in some order, cut into batches of neighbours that were seen at one instant."""
    size = draw(st.integers(1, 4))
    payloads = [list(group) for _, group in groupby(draw(st.permutations(stories)), key=attrgetter("seen"))]
    return tuple(tuple(told[n : n + size]) for told in payloads for n in range(0, len(told), size))
