"""Paging as pure steps: from a place in the walk and the page found there to the next place, or the end.

A place is a small JSON object that a cursor can hold: `{"at": 3}` (page or offset), `{"token": "..."}`,
`{"url": "..."}`, or `{}` for the first page of a walk by tokens or links.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from kasparro_adapters.http.config import (
    CursorPaging,
    HttpSourceConfig,
    LinkHeaderPaging,
    NextLinkPaging,
    NoPaging,
    OffsetPaging,
    PagePaging,
)
from kasparro_adapters.http.links import follow, may_be_kept, next_link
from kasparro_core.errors import PermanentSourceError
from kasparro_core.normalize.paths import getter
from kasparro_core.normalize.values import shown

Place = Mapping[str, Any]

PLAUSIBLE_CAPS = frozenset({10, 20, 25, 30, 40, 50, 60, 75, 100, 150, 200, 250, 300, 400, 500, 1000, 2000, 5000})
"""Page sizes that an upstream may lower a larger one to without saying so."""


@dataclass(frozen=True, slots=True)
class Page:
    """What came back: rows on the page, the final address, headers (lower case) and the parsed body."""

    rows: int
    url: str
    headers: Mapping[str, str]
    document: Any


class Pager(Protocol):
    """How one kind of paging moves on."""

    @property
    def rereads(self) -> bool:
        """True where a walk that was broken off for long reads its last page again, because rows of a live ranking move
        from page to page."""
        ...

    @property
    def first(self) -> Place:
        """Where a walk begins."""
        ...

    def params(self, place: Place, /) -> dict[str, str]:
        """The query parameters of a place."""
        ...

    def after(self, place: Place, page: Page, /) -> Place | None:
        """The next place, None at the end."""
        ...

    def beyond(self, place: Place, rows: int, /) -> Place | None:
        """The place behind a page of so many rows that counts as the last one because it is short; None where nothing
        can be behind the end."""
        ...

    def knows(self, place: Place, /) -> bool:
        """True for a place of this kind."""
        ...


@dataclass(frozen=True, slots=True)
class SinglePager:
    """No paging."""

    rereads: bool = True
    first: Place = field(default_factory=dict)

    def params(self, _: Place, /) -> dict[str, str]:
        """None."""
        return {}

    def after(self, _: Place, __: Page, /) -> Place | None:
        """The first page is the last."""
        return None

    def beyond(self, _: Place, __: int, /) -> Place | None:
        """There is one page."""
        return None

    def knows(self, place: Place, /) -> bool:
        """Only the first place exists."""
        return not place


@dataclass(frozen=True, slots=True)
class CountedPager:
    """Pages by number or offset. A place is `{"at": n}`; where the upstream lowered the page size, also
    `{"size": rows}`, and `{"probe": true}` on the page that is asked for to tell whether it did."""

    options: PagePaging | OffsetPaging
    rereads: bool = True

    @property
    def first(self) -> Place:
        """The first page's number, or the first offset."""
        return {"at": self.options.start}

    def params(self, place: Place, /) -> dict[str, str]:
        """Position and size."""
        return {**self.options.size_params(), self.options.param: str(place["at"])}

    def after(self, place: Place, page: Page, /) -> Place | None:
        """The next number until a page is empty, or short of what counts as full."""
        if page.rows == 0:
            return None
        following = self._next(place, page.rows)
        lowered = {"size": place["size"]} if "size" in place else {}
        full = place.get("size", self.options.size)
        if self.options.stop == "empty" or full is None or page.rows >= full:
            return {"at": following, **lowered}
        if place == self.first and page.rows in PLAUSIBLE_CAPS:
            return {"at": following, "size": page.rows, "probe": True}
        return None

    def beyond(self, place: Place, rows: int, /) -> Place | None:
        """Where the next page began when this one was full, asked for on suspicion; behind an empty one is nothing."""
        full = place.get("size", self.options.size)
        if rows == 0 or full is None:
            return None
        return {**place, "at": self._next(place, full), "probe": True}

    def knows(self, place: Place, /) -> bool:
        """A whole number at `at` that is not before the first, and perhaps a lowered size."""
        bounds = {"at": self.options.start, "size": 1}
        numbers = {"size": 1, **place}
        return (
            set(place) <= {"at", "size", "probe"}
            and place.get("probe", True) is True
            and all(type(numbers.get(name)) is int and numbers[name] >= least for name, least in bounds.items())
        )

    def _next(self, place: Place, rows: int) -> int:
        number: int = place["at"]
        return number + (1 if isinstance(self.options, PagePaging) else rows)


@dataclass(frozen=True, slots=True)
class CursorPager:
    """Pages by a token in the body."""

    options: CursorPaging
    rereads: bool = False
    first: Place = field(default_factory=dict)

    def params(self, place: Place, /) -> dict[str, str]:
        """The size, and the token but for the first page."""
        token = {self.options.param: str(place["token"])} if place else {}
        return {**self.options.size_params(), **token}

    def after(self, _: Place, page: Page, /) -> Place | None:
        """The body's own token."""
        if self.options.more is not None and not _at(page.document, self.options.more):
            return None
        token = _at(page.document, self.options.path)
        if token is None or token is False or token == "":
            return None
        if not isinstance(token, str | int) or isinstance(token, bool):
            message = f"Expected the next page's token (text or int) at `{self.options.path}`, found {shown(token)}."
            raise PermanentSourceError(message, code="bad_next_page")
        return {"token": str(token)}

    def beyond(self, _: Place, __: int, /) -> Place | None:
        """The upstream says itself what is the last page."""
        return None

    def knows(self, place: Place, /) -> bool:
        """The first place, or a token."""
        return not place or (set(place) == {"token"} and isinstance(place["token"], str) and place["token"] != "")


@dataclass(frozen=True, slots=True)
class LinkPager:
    """Pages by the address of the next one, in the body or in the Link header."""

    config: HttpSourceConfig
    options: NextLinkPaging | LinkHeaderPaging
    rereads: bool = False
    first: Place = field(default_factory=dict)

    def params(self, place: Place, /) -> dict[str, str]:
        """The size, on the first page alone: a link is complete."""
        return {} if place else self.options.size_params()

    def after(self, _: Place, page: Page, /) -> Place | None:
        """The link, made absolute, if it stays on the origin."""
        link = self._link(page)
        if link is None or link == "":
            return None
        if not isinstance(link, str):
            raise PermanentSourceError(f"Expected the next page's address, found {shown(link)}.", code="bad_next_page")
        return {"url": follow(self.config, page.url, link)}

    def beyond(self, _: Place, __: int, /) -> Place | None:
        """The upstream says itself what is the last page."""
        return None

    def knows(self, place: Place, /) -> bool:
        """The first place, or an address that a link may have led to."""
        return not place or (set(place) == {"url"} and may_be_kept(self.config, place["url"]))

    def _link(self, page: Page) -> Any:
        if isinstance(self.options, NextLinkPaging):
            return _at(page.document, self.options.path)
        return next_link(page.headers.get("link", ""))


def pager_of(config: HttpSourceConfig) -> Pager:
    """The pager of a source."""
    match config.paginate:
        case NoPaging():
            return SinglePager()
        case CursorPaging() as options:
            return CursorPager(options)
        case NextLinkPaging() | LinkHeaderPaging() as options:
            return LinkPager(config, options)
        case PagePaging() | OffsetPaging() as options:
            return CountedPager(options)


def _at(document: Any, path: str) -> Any:
    return getter(path)(document) if isinstance(document, dict) else None
