"""An HTTP source that is asked for past windows: what it sends, where, and what it refuses."""

from __future__ import annotations

import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from pydantic import ValidationError

from kasparro_adapters.http import HttpSource, HttpSourceConfig, WindowedHttpSource, make_http_source
from kasparro_adapters.http.backfill import BackfillOptions
from kasparro_core.errors import CheckpointError, ConfigurationError
from kasparro_core.model import Batch, FetchFacts
from kasparro_core.model.window import Window, seen_as_of
from kasparro_core.policy.windows import Step, cut
from kasparro_core.ports import FetchResponse, ReadContext
from kasparro_core.ports.source import Windowed

DAY = Window(datetime(2024, 2, 28, tzinfo=UTC), datetime(2024, 2, 29, tzinfo=UTC))
HOUR = Window(datetime(2024, 2, 28, 6, tzinfo=UTC), datetime(2024, 2, 28, 7, tzinfo=UTC))
NOW = datetime(2026, 11, 21, tzinfo=UTC)
BOTH = {"start_param": "from", "end_param": "to"}


class Still:
    """A clock that stands still."""

    def now(self) -> datetime:
        return NOW

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float, /) -> None:
        """At once."""


class Api:
    """Gives pages of two rows, as many as `pages` says, and lists addresses and parameters of the requests."""

    def __init__(self, pages: int = 1) -> None:
        self.pages = pages
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def fetch(self, request: Any, /, *, sink: Any = None) -> FetchResponse:
        self.asked.append((request.url, dict(request.params)))
        count = 2 if len(self.asked) < self.pages else 1
        body = json.dumps([{"id": f"{len(self.asked)}-{n}"} for n in range(count)]).encode()
        facts = FetchFacts(NOW, url=request.url, status=200, requests=1)
        return FetchResponse(200, request.url, {"etag": '"x"'}, body, facts)


def configured(backfill: dict[str, Any] | None = None, **more: Any) -> HttpSourceConfig:
    given = {"type": "http", "url": "https://api.example/items", "backfill": {"state": "now", **(backfill or BOTH)}}
    return HttpSourceConfig.model_validate({**given, **more})


async def batches(config: HttpSourceConfig, api: Api, window: Window, cursor: Any = None) -> list[Batch]:
    source = make_http_source("api", config, api, Still())
    context = ReadContext(NOW, cursor)
    async with aclosing(source.read(window.partition, context)) as found:
        return [batch async for batch in found]


@pytest.mark.parametrize(
    ("options", "window", "expected"),
    [
        (BOTH, HOUR, {"from": "2024-02-28T06:00:00Z", "to": "2024-02-28T07:00:00Z"}),
        ({**BOTH, "send": "date"}, DAY, {"from": "2024-02-28", "to": "2024-02-29"}),
        ({**BOTH, "send": "date", "inclusive": True}, DAY, {"from": "2024-02-28", "to": "2024-02-28"}),
        ({**BOTH, "send": "s"}, HOUR, {"from": "1709100000", "to": "1709103600"}),
        ({**BOTH, "send": "s", "inclusive": True}, HOUR, {"from": "1709100000", "to": "1709103600"}),
        ({**BOTH, "send": "ms"}, HOUR, {"from": "1709100000000", "to": "1709103600000"}),
        ({"param": "date", "send": "%d-%m-%Y"}, DAY, {"date": "28-02-2024"}),
        ({**BOTH, "send": "%Y-%m-%dT%H:%M"}, HOUR, {"from": "2024-02-28T06:00", "to": "2024-02-28T07:00"}),
    ],
)
async def test_the_bounds_are_sent_as_declared(
    options: dict[str, Any], window: Window, expected: dict[str, str]
) -> None:
    """Instants, dates, epoch numbers and patterns; a day that the upstream includes is the last one of the window,
    an instant is sent as it is."""
    api = Api()
    await batches(configured(options), api, window)
    assert api.asked == [("https://api.example/items", expected)]


async def test_the_bounds_may_stand_in_an_address_of_their_own() -> None:
    """`{start}` and `{end}` in `url` are filled in; parameters of the source go along."""
    api = Api()
    address = {"url": "https://archive.example/v1/{start}..{end}.json", "send": "date"}
    await batches(configured(address, params={"base": "usd"}), api, DAY)
    assert api.asked == [("https://archive.example/v1/2024-02-28..2024-02-29.json", {"base": "usd"})]


async def test_a_window_is_walked_page_by_page_without_the_live_mark() -> None:
    """Every page has the bounds, none asks from a mark; the cursor of the last page, and no other, is complete."""
    api = Api(pages=3)
    config = configured(
        paginate={"type": "page", "size_param": "n", "size": 2},
        incremental={"cursor": "id", "param": "since", "type": "text", "start": "0"},
    )
    source = make_http_source("api", config, api, Still())
    assert isinstance(source, WindowedHttpSource)
    found = await batches(config, api, DAY)
    assert [params["page"] for _, params in api.asked] == ["1", "2", "3"]
    assert all("since" not in params and params["from"].startswith("2024-02-28") for _, params in api.asked)
    assert [source.is_complete(batch.cursor) for batch in found] == [False, False, True]


async def test_a_window_that_was_broken_off_goes_on_at_its_page() -> None:
    """Read again from the cursor of its first page, the second one is asked for, and not the first."""
    paged = {"paginate": {"type": "page", "size_param": "n", "size": 2}}
    first = (await batches(configured(**paged), Api(pages=3), DAY))[0]
    api = Api(pages=1)
    await batches(configured(**paged), api, DAY, cursor=first.cursor)
    assert [params["page"] for _, params in api.asked] == ["2"]


def test_a_reset_position_and_the_live_one_of_a_walk_are_not_complete() -> None:
    """Complete is what a finished walk leaves, and nothing else."""
    source = make_http_source("api", configured(), Api(), Still())
    assert isinstance(source, Windowed)
    walk = {"at": {}, "started_at": "2024-01-01T00:00:00Z", "rules": "of others", "pages": 1}
    assert [source.is_complete(each) for each in ({}, {"next": {}, "walk": walk}, {"$slice": {}}, {"next": {}})] == [
        False, False, False, True,
    ]  # fmt: skip


def test_without_backfill_a_source_takes_no_windows() -> None:
    """It is an HTTP source as ever."""
    source = make_http_source("api", configured().model_copy(update={"backfill": None}), Api(), Still())
    assert type(source) is HttpSource
    assert not isinstance(source, Windowed)


def test_the_position_of_a_window_can_be_judged() -> None:
    """As the live one, it may be brought in where a read would understand it; a name of no window is refused."""
    source = make_http_source("api", configured(), Api(), Still())
    source.check_position(DAY.partition, {"next": {}})
    with pytest.raises(CheckpointError, match=r"partition 'backfill:2024-02-28T00:00:00Z/"):
        source.check_position(DAY.partition, {"page": 3})
    with pytest.raises(CheckpointError, match="one partition"):
        source.check_position("backfill:today", {"next": {}})


@pytest.mark.parametrize("options", [{**BOTH, "send": "date"}, {"param": "day", "send": "%Y-%m-%d"}])
def test_a_bound_that_cannot_be_told_is_refused(options: dict[str, Any]) -> None:
    """An hour of an upstream that is asked by days: the sentence names source, bound and setting."""
    source = make_http_source("api", configured(options), Api(), Still())
    assert isinstance(source, WindowedHttpSource)
    source.check_window(DAY)
    with pytest.raises(ConfigurationError, match=r"source 'api' .*`backfill.send` = .* cannot tell 2024-02-28T06"):
        source.check_window(HOUR)


@pytest.mark.parametrize("options", [{"param": "day"}, {"url": "https://api.example/{start}"}])
def test_what_is_asked_for_by_its_start_is_no_longer_than_an_answer(options: dict[str, Any]) -> None:
    """Of a week only the first day would be asked for: it is refused, with the setting that says how long an answer is;
    where both bounds are sent, and where an answer holds a week, it is taken."""
    week = Window(DAY.start, DAY.start + timedelta(days=7))
    by_start = make_http_source("api", configured({**options, "send": "date"}), Api(), Still())
    assert isinstance(by_start, WindowedHttpSource)
    by_start.check_window(DAY)
    with pytest.raises(ConfigurationError, match=r"source 'api' .* sends the start alone, and an answer holds '1d'"):
        by_start.check_window(week)
    for more in (BOTH, {**options, "chunk": "1w"}):
        taking = make_http_source("api", configured({**more, "send": "date"}), Api(), Still())
        assert isinstance(taking, WindowedHttpSource)
        taking.check_window(week)


def test_months_by_their_start_may_be_laid_from_a_last_day_on() -> None:
    """From January the 31st on, February's window is a month although its own 29th of March comes before the 31st."""
    source = make_http_source("api", configured({"param": "day", "send": "date", "chunk": "1mo"}), Api(), Still())
    assert isinstance(source, WindowedHttpSource)
    start = datetime(2024, 1, 31, tzinfo=UTC)
    for window in cut(start, start + timedelta(days=400), Step.parse("1mo")):
        source.check_window(window)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "nothing says where a window begins"),
        ({"start_param": "from"}, "needs both of its ends"),
        ({"end_param": "to"}, "nothing says where a window begins"),
        ({"param": "day", "end_param": "to"}, "needs both of its ends"),
        ({"url": "https://api.example/{from}"}, "found {from}"),
        ({"url": "ftp://api.example/{start}"}, "begins with http"),
        ({"url": "https://me:secret@api.example/{start}"}, "do not belong into the address"),
        ({**BOTH, "send": "epoch"}, 'expected "iso"'),
        ({**BOTH, "send": "%H:%M"}, 'expected "iso"'),
        ({**BOTH, "chunk": "0d"}, "expected a length"),
        ({**BOTH, "chunk": "1 fortnight"}, "expected a length"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], said: str) -> None:
    """With a sentence that says what is missing, and without showing a secret."""
    with pytest.raises(ValidationError) as refused:
        BackfillOptions.model_validate(options)
    assert said in str(refused.value.errors(include_input=False)[0]["msg"])


def test_undated_windows_need_to_say_what_they_show() -> None:
    """Without `occurred_at` old states cannot be told from new ones: `state` is asked for, but of articles."""
    given = {"type": "http", "url": "https://api.example/items", "backfill": BOTH}
    with pytest.raises(ValidationError, match="needs `state`"):
        HttpSourceConfig.model_validate(given)
    with pytest.raises(ValidationError, match="needs `state`"):
        HttpSourceConfig.model_validate({**given, "mapping": {"key": "id"}})
    for more in ({"kind": "article"}, {"mapping": {"occurred_at": "at"}}, {"backfill": {**BOTH, "state": "then"}}):
        assert HttpSourceConfig.model_validate({**given, **more}).backfill is not None


def test_what_a_live_listing_does_not_show_is_not_gone() -> None:
    """A source with past windows marks nothing unless it is asked to: old records need not be listed any more."""
    given = {"type": "http", "url": "https://api.example/items", "backfill": {**BOTH, "state": "now"}}
    assert HttpSourceConfig.model_validate({**given, "backfill": None}).marks_gone("item") is True
    assert HttpSourceConfig.model_validate(given).marks_gone("item") is False
    assert HttpSourceConfig.model_validate({**given, "mark_gone": True}).marks_gone("item") is True


@pytest.mark.parametrize(
    ("step", "starts"),
    [
        ("1mo", ["2024-01-31", "2024-02-29", "2024-03-31", "2024-04-30"]),
        ("2w", ["2024-01-31", "2024-02-14", "2024-02-28", "2024-03-13", "2024-03-27", "2024-04-10", "2024-04-24"]),
    ],
)
def test_a_span_is_cut_side_by_side(step: str, starts: list[str]) -> None:
    """Months keep their day or take the last one; nothing lies between two windows; the last one ends with the span."""
    end = datetime(2024, 5, 2, 12, tzinfo=UTC)
    windows = cut(datetime(2024, 1, 31, tzinfo=UTC), end, Step.parse(step))
    assert [window.start.date().isoformat() for window in windows] == starts
    assert all(one.end == other.start for one, other in pairwise(windows))
    assert windows[-1].end == end


@pytest.mark.parametrize(
    "name", ["", "backfill:", "backfill:2024-01-01/2024-01-02", "2024-01-01T00:00:00Z/2024-01-02T00:00:00Z", "a.csv"]
)
def test_other_names_are_no_windows(name: str) -> None:
    """Only the exact name of a window is one, so that each has a single position."""
    assert Window.of(name) is None
    assert Window.of(DAY.partition) == DAY


def test_what_is_seen_of_a_window_is_as_of_its_end() -> None:
    """Not later than it was seen, and of other partitions when it was seen."""
    assert seen_as_of(DAY.partition, NOW) == DAY.end
    assert seen_as_of(DAY.partition, DAY.start) == DAY.start
    assert seen_as_of("", NOW) == NOW
    assert seen_as_of(Window(NOW, NOW + timedelta(1)).partition, NOW) == NOW
