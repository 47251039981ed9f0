"""What one read gathers about its pages besides their items: which validators it used, how long answers are fresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kasparro_core.model.batch import PartitionNews, Validator
from kasparro_core.policy.freshness import fresh_until
from kasparro_core.ports.fetch import FetchResponse


class Trail:
    """The pages of one read. `known` are the validators that it started with; `whole` is False where a walk was carried
    on, so that its first pages are not among them."""

    def __init__(self, known: Mapping[str, Validator], *, whole: bool) -> None:
        self._known = set(known)
        self._unused = set(known) if whole else set()
        self._doubted: str | None = None
        self._missing: set[str] = set()
        self._ends: list[datetime | None] = []

    def asked(self, request_hash: str) -> None:
        """A page was asked for."""
        self._unused.discard(request_hash)

    def answered(self, response: FetchResponse, now: Validator) -> None:
        """It was answered; `now` is what is remembered of it."""
        if now.item_count:
            self._doubted = None
        said = {"cache-control": now.cache_control or "", "expires": now.expires or ""}
        self._ends.append(fresh_until({**response.headers, **said}, response.facts.observed_at))

    def doubted(self, request_hash: str) -> None:
        """This page was short, and the one behind it is asked for all the same."""
        self._doubted = request_hash

    def missed(self, request_hash: str) -> None:
        """There is no such page any more."""
        self._missing |= {request_hash} & self._known

    def outdated(self) -> Sequence[str]:
        """At the end of a walk: what was known of requests that it did not make any more, or in vain; and a page that
        was doubted without need, so that it is not remembered as one with something behind it."""
        return sorted(self._unused | self._missing | ({self._doubted} if self._doubted else set()))

    def news(self) -> PartitionNews:
        """At the end of a walk: it need not be repeated while all of its answers are fresh."""
        ends = [end for end in self._ends if end is not None]
        return PartitionNews(next_at=min(ends) if ends and len(ends) == len(self._ends) else None)
