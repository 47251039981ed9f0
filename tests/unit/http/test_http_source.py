"""Walks of an HTTP source over a scripted fetcher: cursors, resuming, validators, marks, loops."""

from __future__ import annotations

import hashlib
import json
from contextlib import aclosing
from datetime import UTC, datetime, timedelta

import pytest
from yarl import URL

from kasparro_adapters.http import HttpSource, HttpSourceConfig, JsonDecoder
from kasparro_core.errors import CheckpointError, PagingLoopError, PermanentSourceError
from kasparro_core.model import FetchFacts
from kasparro_core.ports import FetchResponse, ReadContext

START = datetime(2026, 11, 21, 8, tzinfo=UTC)


class Ticking:
    """A clock that moves one second with each look."""

    def __init__(self):
        self.at = START

    def now(self):
        self.at += timedelta(seconds=1)
        return self.at

    def monotonic(self):
        return self.at.timestamp()

    async def sleep(self, seconds, /):
        self.at += timedelta(seconds=seconds)


class Api:
    """A Fetcher over a function from query to body; ETags are hashes. Lists the queries and the statuses."""

    def __init__(self, answer, clock, headers=None):
        self.answer, self.clock, self.headers = answer, clock, headers or (lambda query: {})
        self.asked, self.answers, self.hosts = [], [], []

    async def fetch(self, request, /, *, sink=None):
        url = URL(request.url).update_query(request.params)
        query = dict(url.query)
        self.asked.append(query)
        self.hosts.append(url.host)
        body = self.answer(query)
        if isinstance(body, Exception):
            raise body
        body = json.dumps(body).encode()
        etag = f'W/"{hashlib.md5(body).hexdigest()}"'
        same = request.validator is not None and request.validator.etag == etag
        self.answers.append(304 if same else 200)
        facts = FetchFacts(observed_at=self.clock.now(), url=str(url), status=self.answers[-1], requests=1)
        headers = {"etag": etag, **self.headers(query)}
        return FetchResponse(self.answers[-1], str(url), headers, b"" if same else body, facts)


class Reader:
    """Reads a source again and again as the runner does: it keeps the cursor and the validators of each batch."""

    def __init__(self, answer, headers=None, walk_ttl=3600.0, **config):
        self.clock = Ticking()
        self.api = Api(answer, self.clock, headers)
        given = {"type": "http", "url": "https://api.example/items", **config}
        self.source = HttpSource("api", HttpSourceConfig.model_validate(given), self.api, self.clock, walk_ttl=walk_ttl)
        self.cursor, self.validators = None, {}

    async def read(self, *, batches=None, full=False):
        """The items of one run, or of its first `batches` batches (as if it were killed then)."""
        self.api.asked.clear()
        self.api.answers.clear()
        validators = {} if full else dict(self.validators)
        context = ReadContext(now=self.clock.now(), cursor=self.cursor, validators=validators, full=full)
        items, count = [], 0
        async with aclosing(self.source.read("", context)) as found:
            async for batch in found:
                self.cursor = json.loads(json.dumps(batch.cursor))
                self.validators.update({each.request_hash: each for each in batch.validators})
                items += [item.data["id"] for item in batch.items]
                count += 1
                if count == batches:
                    break
        return items


def numbered(total, size):
    """An API by page number over ids 1..total."""
    return lambda query: [
        {"id": n} for n in range(1, total + 1)[(int(query["page"]) - 1) * size : int(query["page"]) * size]
    ]


PAGES = {"paginate": {"type": "page", "size_param": "n", "size": 3}}


def tokens(total, size):
    """An API by token over ids 1..total."""

    def answer(query):
        at = int(query.get("cursor", "0"))
        rows = [{"id": n} for n in range(1, total + 1)[at : at + size]]
        return {"items": rows, "next": str(at + size) if at + size < total else None}

    return answer


TOKENS = {"records": "items", "paginate": {"type": "cursor", "path": "next"}}


def linked(total, size):
    """An API whose bodies hold the address of the next page."""

    def answer(query):
        at = int(query.get("at", "0"))
        rows = [{"id": n} for n in range(1, total + 1)[at : at + size]]
        return {"items": rows, "next": f"/items?at={at + size}" if at + size < total else None}

    return answer


LINKS = {"records": "items", "paginate": {"type": "next_link", "path": "next"}}


async def test_one_request_without_paging():
    """Without paging one batch holds everything, its exact bytes and facts, and the cursor for the next run."""
    reader = Reader(lambda query: {"data": {"rows": [{"id": 1}, 5]}}, records="data.rows")
    async with aclosing(reader.source.read("", ReadContext(now=START))) as batches:
        (batch,) = [each async for each in batches]
    assert batch.raw.payload == b'{"data": {"rows": [{"id": 1}, 5]}}'
    assert batch.raw.decode_facts == {"format": "json", "records": "data.rows"}
    decoded = JsonDecoder().decode(batch.raw)
    assert (list(batch.items), list(batch.rejections)) == (list(decoded.items), list(decoded.rejections))
    assert len(batch.rejections) == 1
    assert batch.cursor == {"next": {}}
    assert await reader.source.partitions() == ("",)


async def test_pages_until_a_short_one():
    """All pages are read in order; the final cursor stands on the very batch of the last page."""
    reader = Reader(numbered(8, 3), **PAGES)
    assert await reader.read() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [query["page"] for query in reader.api.asked] == ["1", "2", "3"]
    assert reader.cursor == {"next": {}}


async def test_an_exact_multiple_ends_with_an_empty_page():
    """Where the last page is full, an empty one tells that it was the last."""
    reader = Reader(numbered(6, 3), **PAGES)
    assert await reader.read() == [1, 2, 3, 4, 5, 6]
    assert len(reader.api.asked) == 3


async def test_an_empty_source_is_one_empty_page():
    """Nothing to read is a complete walk of one page."""
    reader = Reader(numbered(0, 3), **PAGES)
    assert await reader.read() == []
    assert reader.cursor == {"next": {}}


@pytest.mark.parametrize("seconds", [0, 60, 61], ids=["at once", "soon", "later"])
@pytest.mark.parametrize(
    ("api", "config", "later"),
    [(numbered, PAGES, [4, 5, 6, 7, 8]), (tokens, TOKENS, [7, 8]), (linked, LINKS, [7, 8])],
    ids=["page", "cursor", "next_link"],
)
async def test_a_broken_walk_goes_on(api, config, later, seconds):
    """Killed after two pages, the next run goes on where it stood; later than a minute, by number one page back, for
    rows may have moved meanwhile."""
    reader = Reader(api(8, 3), **config)
    rest = later if seconds > 60 else [7, 8]
    assert await reader.read(batches=2) == [1, 2, 3, 4, 5, 6]
    assert "walk" in reader.cursor
    reader.validators.clear()
    reader.clock.at += timedelta(seconds=seconds - 1)  # it moves by one with each look
    assert await reader.read() == rest
    assert reader.cursor == {"next": {}}


async def test_resuming_costs_a_304_for_the_page_already_committed():
    """The page that is read again is asked for with its validator, and counts nothing when it did not change."""
    reader = Reader(numbered(8, 3), **PAGES)
    await reader.read(batches=2)
    reader.clock.at += timedelta(seconds=61)
    assert await reader.read() == [7, 8]
    assert reader.api.answers == [304, 200]


@pytest.mark.parametrize(("behind", "first"), [(30, 7), (70, 4), (3700, 1)])
async def test_a_clock_that_is_behind_gives_no_calm(behind, first):
    """A page that was read in the future, by a clock that was ahead, is read again; so is a walk of an hour ahead."""
    reader = Reader(numbered(8, 3), **PAGES)
    await reader.read(batches=2)
    reader.validators.clear()
    reader.clock.at -= timedelta(seconds=behind)
    assert (await reader.read())[0] == first


async def test_a_shifted_ranking_loses_no_row_on_resume():
    """A row that slips to the page before, while nobody reads, is found because that page is read again."""
    rows = [{"id": n} for n in range(1, 9)]

    def answer(query):
        page = int(query["page"])
        return rows[(page - 1) * 3 : page * 3]

    reader = Reader(answer, **PAGES)
    seen = await reader.read(batches=2)
    rows.remove({"id": 1})
    reader.clock.at += timedelta(seconds=61)
    seen += await reader.read()
    assert set(seen) == set(range(1, 9))


async def test_an_old_walk_is_begun_anew():
    """A walk that was broken off longer than its time to live ago starts at the first page."""
    reader = Reader(numbered(8, 3), walk_ttl=600.0, **PAGES)
    await reader.read(batches=2)
    reader.validators.clear()
    reader.clock.at += timedelta(seconds=601)
    assert await reader.read() == [1, 2, 3, 4, 5, 6, 7, 8]


async def test_a_walk_under_other_rules_is_begun_anew():
    """After a change of mapping or paging the stored place is not used: pages read before it have to come again."""
    reader = Reader(numbered(8, 3), **PAGES)
    await reader.read(batches=2)
    changed = Reader(numbered(8, 3), mapping={"key": "id"}, **PAGES)
    changed.cursor, changed.validators = reader.cursor, reader.validators
    assert await changed.read() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert changed.api.answers == [200, 200, 200]


@pytest.mark.parametrize("api_config", [(numbered, PAGES), (tokens, TOKENS), (linked, LINKS)])
async def test_the_second_run_of_an_unchanged_source_is_all_304(api_config):
    """Every page answers 304, and the walk goes on by what was remembered, to the same end."""
    api, config = api_config
    reader = Reader(api(8, 3), **config)
    await reader.read()
    assert await reader.read() == []
    assert reader.api.answers == [304, 304, 304]
    assert reader.cursor == {"next": {}}


async def test_a_304_on_one_page_and_news_on_another():
    """Only the page that changed is delivered."""
    rows = {"1": [{"id": 1}, {"id": 2}, {"id": 3}], "2": [{"id": 4}, {"id": 5}, {"id": 6}], "3": [{"id": 7}]}
    reader = Reader(lambda query: rows[query["page"]], **PAGES)
    await reader.read()
    rows["2"] = [{"id": 4}, {"id": 50}, {"id": 6}]
    assert await reader.read() == [4, 50, 6]
    assert reader.api.answers == [304, 200, 304]


async def test_full_asks_for_everything_again():
    """A full run sends no validators and starts at the first page, also inside a broken walk."""
    reader = Reader(numbered(8, 3), **PAGES)
    await reader.read(batches=2)
    assert await reader.read(full=True) == [1, 2, 3, 4, 5, 6, 7, 8]
    assert reader.api.answers == [200, 200, 200]


async def test_validators_are_the_same_on_another_host_and_key():
    """Neither host nor port nor the key in the query changes what a validator stands for; another parameter does."""

    async def hashes(**config):
        reader = Reader(numbered(2, 3), **{**PAGES, **config})
        await reader.read()
        return set(reader.validators)

    auth = {"type": "api_key", "query": "key", "key": "one"}
    plain = await hashes()
    assert plain == await hashes(url="http://127.0.0.1:9/items")
    assert await hashes(auth=auth) == await hashes(auth={**auth, "key": "two"}) == plain
    assert plain != await hashes(url="https://api.example/others")
    assert plain != await hashes(params={"vs": "usd"})
    assert plain != await hashes(mapping={"key": "id"})
    assert plain != await hashes(kind="quote")


async def test_a_source_that_moves_goes_on_at_its_new_host():
    """Neither a broken walk nor a remembered next link leads back to the host before."""
    reader = Reader(linked(8, 3), **LINKS)
    await reader.read()
    moved = Reader(linked(8, 3), **LINKS, url="http://127.0.0.1:9/items")
    moved.cursor, moved.validators = reader.cursor, reader.validators
    assert await moved.read() == []
    assert (moved.api.answers, set(moved.api.hosts)) == ([304, 304, 304], {"127.0.0.1"})
    await reader.read(batches=1)
    moved.cursor = reader.cursor
    assert await moved.read(full=False) == []
    assert set(moved.api.hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("name", ["api_key", "session"])
async def test_a_link_with_our_secret_in_it_is_kept_without(name):
    """An upstream that sends a key back in its links: no cursor holds it, by its name or by its value, and the next
    page is asked for with it all the same."""
    answer = linked(5, 3)

    def echoing(query):
        body = answer(query)
        return body if body["next"] is None else {**body, "next": f"{body['next']}&{name}=S3CRET-of-ours"}

    reader = Reader(echoing, **LINKS, params={"api_key": "S3CRET-of-ours"})
    assert await reader.read(batches=1) == [1, 2, 3]
    assert "S3CRET" not in json.dumps(reader.cursor) + str([*reader.validators.values()])
    assert await reader.read() == [4, 5]
    assert reader.api.asked == [{"at": "3", "api_key": "S3CRET-of-ours"}]


async def test_an_upstream_that_ignores_the_page_is_a_loop():
    """The same page twice stops with a typed error; what came before it was delivered once."""
    reader = Reader(lambda query: [{"id": 1}, {"id": 2}, {"id": 3}], **PAGES)
    with pytest.raises(PagingLoopError) as caught:
        await reader.read()
    assert caught.value.source == "api"
    assert len(reader.api.asked) == 2


async def test_a_changing_envelope_does_not_hide_a_loop():
    """The same items in bodies that differ by a time stamp are the same page."""
    count = iter(range(100))
    rows = [{"id": 1}, {"id": 2}, {"id": 3}]
    reader = Reader(lambda query: {"at": next(count), "rows": rows}, records="rows", **PAGES)
    with pytest.raises(PagingLoopError):
        await reader.read()
    assert len(reader.api.asked) == 2


async def test_a_loop_is_noticed_among_304s():
    """Pages that are not sent again are recognized by what was remembered of them."""
    body = {"1": [{"id": 1}, {"id": 2}, {"id": 3}], "2": [{"id": 4}, {"id": 5}, {"id": 6}], "3": []}
    reader = Reader(lambda query: body[query["page"]], **PAGES)
    await reader.read()
    body["2"] = body["1"]
    with pytest.raises(PagingLoopError):
        await reader.read()


@pytest.mark.parametrize("link", ["/items?at=1", "/items"])
async def test_links_in_a_circle_are_a_loop(link):
    """A next page that was already read is an error after its page is delivered, and the cursor does not enter it."""
    pages = {None: {"items": [{"id": 1}], "next": "/items?at=1"}, "1": {"items": [{"id": 2}], "next": link}}
    reader = Reader(lambda query: pages[query.get("at")], **LINKS)
    with pytest.raises(PagingLoopError):
        await reader.read()
    assert len(reader.api.asked) <= 3


async def test_a_walk_is_bounded():
    """An upstream without an end is stopped by max_pages, with an error that names the setting."""
    paginate = {"type": "page", "size_param": "n", "size": 1, "max_pages": 4}
    reader = Reader(lambda query: [{"id": query["page"]}], paginate=paginate)
    with pytest.raises(PermanentSourceError, match="max_pages") as caught:
        await reader.read()
    assert caught.value.code == "too_many_pages"
    assert len(reader.api.asked) == 4


async def test_a_lowered_page_size_is_noticed():
    """An upstream that gives 10 where 50 were asked for is read to its end."""
    reader = Reader(numbered(25, 10), paginate={"type": "page", "size_param": "n", "size": 50})
    assert await reader.read() == list(range(1, 26))
    assert len(reader.api.asked) == 3


async def test_a_page_asked_for_on_suspicion_may_be_missing():
    """Where exactly ten rows exist and page two is a 404, that is the end; a 404 elsewhere is an error."""
    gone = PermanentSourceError("no such page", code="http_404")

    def answer(query):
        return numbered(10, 10)(query) if query["page"] == "1" else gone

    reader = Reader(answer, paginate={"type": "page", "size_param": "n", "size": 50})
    assert await reader.read() == list(range(1, 11))
    assert reader.cursor == {"next": {}}
    strict = Reader(answer, paginate={"type": "page", "size_param": "n", "size": 10})
    with pytest.raises(PermanentSourceError):
        await strict.read()


@pytest.mark.parametrize(
    "cursor",
    [
        {},
        {"page": 3},
        {"next": 3},
        {"next": {"mark": []}},
        {"next": {}, "walk": {"at": {"at": 1}}},
        {"next": {}, "walk": 7},
    ],
)
async def test_a_foreign_cursor_is_refused(cursor):
    """A position that no HTTP source wrote is a CheckpointError that says what to do."""
    reader = Reader(numbered(3, 3), **PAGES)
    reader.cursor = cursor
    with pytest.raises(CheckpointError, match="state reset api"):
        await reader.read()


async def test_a_place_that_does_not_fit_is_refused():
    """A stored place of the right rules but the wrong form is a CheckpointError, never a guess."""
    reader = Reader(numbered(8, 3), **PAGES)
    await reader.read(batches=1)
    for at in ({"at": -1}, {"at": "2"}, {"at": True}, {"token": "x"}, {}, {"at": 1, "more": 2}):
        reader.cursor["walk"]["at"] = at
        with pytest.raises(CheckpointError):
            await reader.read()


class Changing:
    """An API of items with times that answers `since` inclusively."""

    def __init__(self):
        self.rows = [{"id": n, "at": f"2026-01-01T00:0{n}:00Z"} for n in range(1, 6)]
        self.fail_on = None

    def __call__(self, query):
        if query["page"] == self.fail_on:
            return PermanentSourceError("down", code="http_404")
        since = query.get("since", "")
        found = [row for row in self.rows if row["at"] >= since]
        page = int(query["page"])
        return found[(page - 1) * 3 : page * 3]


INCREMENTAL = {**PAGES, "incremental": {"cursor": "at", "param": "since", "lookback": "1m"}}


async def test_the_next_run_asks_from_the_mark():
    """The first run asks for all, the next from the highest time minus lookback; late rows inside it are found."""
    api = Changing()
    reader = Reader(api, **INCREMENTAL)
    assert await reader.read() == [1, 2, 3, 4, 5]
    assert "since" not in reader.api.asked[0]
    assert reader.cursor == {"next": {"mark": "2026-01-01T00:05:00Z", "of": "instant at"}}
    api.rows.append({"id": 6, "at": "2026-01-01T00:04:30Z"})
    assert await reader.read() == [4, 5, 6]
    assert reader.api.asked[0]["since"] == "2026-01-01T00:04:00Z"


async def test_the_mark_moves_only_when_the_walk_is_complete():
    """A walk that fails on its second page leaves the mark alone, and a resumed walk asks from the same mark."""
    api = Changing()
    api.rows.reverse()  # the newest come first: a mark taken from page one would lose the rest
    api.fail_on = "2"
    reader = Reader(api, **INCREMENTAL)
    with pytest.raises(PermanentSourceError):
        await reader.read()
    assert reader.cursor["next"] == {}
    assert reader.cursor["walk"]["high"] == "2026-01-01T00:05:00Z"
    api.fail_on = None
    reader.validators.clear()
    assert await reader.read() == [2, 1]
    assert all("since" not in query for query in reader.api.asked)
    assert reader.cursor == {"next": {"mark": "2026-01-01T00:05:00Z", "of": "instant at"}}


async def test_a_mark_ahead_of_now_is_not_asked_from():
    """What a clock that was ahead, or an item dated ahead, left behind would hide every change until then."""
    reader = Reader(Changing(), **INCREMENTAL)
    reader.cursor = {"next": {"mark": "2031-01-01T00:00:00Z", "of": "instant at"}}
    await reader.read()
    assert reader.api.asked[0]["since"] == "2026-11-21T07:59:01Z"
    assert reader.cursor == {"next": {"mark": "2026-11-21T08:00:01Z", "of": "instant at"}}


async def test_a_run_without_news_keeps_the_mark():
    """Nothing found, or only 304s, leaves the mark where it is."""
    api = Changing()
    reader = Reader(api, **INCREMENTAL)
    await reader.read()
    await reader.read()
    assert await reader.read() == []
    assert reader.cursor == {"next": {"mark": "2026-01-01T00:05:00Z", "of": "instant at"}}
    api.rows.clear()
    assert await reader.read() == []
    assert reader.cursor == {"next": {"mark": "2026-01-01T00:05:00Z", "of": "instant at"}}


async def test_a_full_run_ignores_the_mark_and_never_lowers_it():
    """With full everything is asked for; an older world does not pull the mark back."""
    api = Changing()
    reader = Reader(api, **INCREMENTAL)
    await reader.read()
    api.rows.pop()
    assert await reader.read(full=True) == [1, 2, 3, 4]
    assert "since" not in reader.api.asked[0]
    assert reader.cursor == {"next": {"mark": "2026-01-01T00:05:00Z", "of": "instant at"}}


async def test_the_first_run_may_begin_at_a_given_mark():
    """`start` is asked for where nothing was read yet."""
    incremental = {"cursor": "at", "param": "since", "start": "2026-01-01T00:04:00Z"}
    reader = Reader(Changing(), **{**PAGES, "incremental": incremental})
    assert await reader.read() == [4, 5]


async def test_errors_of_a_body_name_the_source():
    """A body that cannot be understood fails the walk with the source's name; pages before it were delivered."""
    reader = Reader(lambda query: {"status": "ok"}, records="data")
    with pytest.raises(PermanentSourceError) as caught:
        await reader.read()
    assert (caught.value.source, caught.value.code) == ("api", "records_not_found")
    assert caught.value.message.startswith("api: https://api.example/items (")


@pytest.mark.parametrize("records", ["data", None])
async def test_an_answer_of_no_use_is_on_the_account(records):
    """A body that cannot be understood and a page that came before both say what their request cost."""
    reader = Reader(lambda query: [{"id": 1}, {"id": 2}, {"id": 3}], **{**PAGES, "records": records})
    with pytest.raises(PermanentSourceError) as caught:
        await reader.read()
    assert caught.value.fetch.requests == 1
