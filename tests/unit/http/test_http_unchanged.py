"""An HTTP source knows a page again: by a 304, or by its bytes; and forgets what nobody will ask with any more."""

from __future__ import annotations

import hashlib
import json
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from yarl import URL

from kasparro_adapters.http import HttpSource, HttpSourceConfig
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.model import FetchFacts
from kasparro_core.ports import FetchResponse, ReadContext

START = datetime(2026, 11, 21, 8, tzinfo=UTC)
PAGES = {"paginate": {"type": "page", "size_param": "n", "size": 2}}
LINKS = {"paginate": {"type": "link_header"}}


class Clock:
    """Stands still unless it is moved."""

    at = START

    def now(self):
        return self.at


class Bare:
    """A Fetcher over a function from query to (body, headers); it answers 304 to the ETag that it gives, if it gives
    one. `conditional` says of each request whether it was one."""

    def __init__(self, answer, clock):
        self.answer, self.clock = answer, clock
        self.conditional, self.statuses = [], []

    async def fetch(self, request, /, *, sink=None):
        url = URL(request.url).update_query(request.params)
        told = self.answer(dict(url.query))
        if isinstance(told, Exception):
            raise told
        rows, headers = told
        known = request.validator
        self.conditional.append(known is not None)
        same = known is not None and "etag" in headers and known.etag == headers["etag"]
        self.statuses.append(304 if same else 200)
        facts = FetchFacts(self.clock.now(), str(url), self.statuses[-1], requests=1)
        body = b"" if same else json.dumps(rows).encode()
        return FetchResponse(self.statuses[-1], str(url), headers, body, facts)


class Reader:
    """Reads as the runner does: it keeps cursor and validators of each batch, and drops the outdated ones."""

    def __init__(self, answer, **config):
        self.clock = Clock()
        self.api = Bare(answer, self.clock)
        self.use(**config)
        self.cursor, self.validators, self.batches = None, {}, []

    def use(self, **config):
        given = {"type": "http", "url": "https://api.example/items", **config}
        self.source = HttpSource("api", HttpSourceConfig.model_validate(given), self.api, self.clock)

    async def read(self, *, full=False, batches=None):
        """The ids of one run, or of its first batches."""
        self.api.conditional, self.api.statuses, self.batches = [], [], []
        known = {} if full else dict(self.validators)
        context = ReadContext(self.clock.now(), self.cursor, known, full=full)
        async with aclosing(self.source.read("", context)) as found:
            async for batch in found:
                self.cursor = json.loads(json.dumps(batch.cursor))
                self.validators.update({each.request_hash: each for each in batch.validators})
                for gone in batch.outdated:
                    del self.validators[gone]
                self.batches.append(batch)
                if len(self.batches) == batches:
                    break
        return [item.data["id"] for batch in self.batches for item in batch.items]


def pages(total, headers=lambda query: {}, state=None):
    """An API of pages of two; `state` is mixed into every row."""
    state = state if state is not None else {}

    def answer(query):
        at = (int(query["page"]) - 1) * 2
        return [{"id": n, **state} for n in range(1, total + 1)[at : at + 2]], headers(query)

    return answer


async def test_the_same_bytes_are_not_understood_again():
    """Without validators of the upstream a second run asks plainly, follows all pages, and yields no item and no
    payload; one page that changed is read, the others are not."""
    state = {}

    def answer(query):
        rows, headers = pages(5)(query)
        return [{**row, "price": state.get(row["id"], 1)} for row in rows], headers

    reader = Reader(answer, **PAGES)
    assert await reader.read() == [1, 2, 3, 4, 5]
    assert await reader.read() == []
    assert reader.api.conditional == [False] * 3
    assert [batch.raw for batch in reader.batches] == [None] * 3
    assert [batch.known for batch in reader.batches] == [2, 2, 1]
    assert [batch.validators for batch in reader.batches] == [()] * 3
    state[4] = 2
    assert await reader.read() == [3, 4]
    assert await reader.read() == []


async def test_full_reads_the_same_bytes_again():
    """A full run takes no notice of what is remembered."""
    reader = Reader(pages(3), **PAGES)
    await reader.read()
    assert await reader.read(full=True) == [1, 2, 3]


async def test_other_rules_read_the_same_bytes_again():
    """Another mapping, or another way with items of a new shape, makes something else of a body that is known."""
    reader = Reader(pages(3), **PAGES)
    await reader.read()
    for change in ({"mapping": {"key": "id", "title": "id"}}, {"drift": "discard_row"}):
        reader.use(**PAGES, **change)
        assert await reader.read() == [1, 2, 3]
        assert await reader.read() == []


async def test_an_empty_page_is_known_again_too():
    """The page after the last is remembered as what it is: the end."""
    reader = Reader(pages(4), paginate={"type": "page", "size": 2, "stop": "empty"})
    assert await reader.read() == [1, 2, 3, 4]
    assert await reader.read() == []
    assert len(reader.batches) == 3


async def test_a_link_beside_the_same_body_is_followed_as_it_is_now():
    """A Link header is not in the body: of a page that is known its present next page counts."""
    key = {"now": "a"}

    def answer(query):
        if query.get("at"):
            assert query["at"] == key["now"]
            return [{"id": 2}], {}
        return [{"id": 1}], {"link": f'</items?at={key["now"]}>; rel="next"'}

    reader = Reader(answer, **LINKS)
    assert await reader.read() == [1, 2]
    key["now"] = "b"
    assert await reader.read() == [2]  # another address: nothing is known of it


async def test_a_304_may_name_another_next_page():
    """Its Link header replaces the remembered one (RFC 9111 3.2), is remembered itself, and may end the walk; a 304
    without one leaves what is remembered."""
    link = {"link": '</items?at=a>; rel="next"'}

    def answer(query):
        if "at" in query:
            return [{"id": query["at"]}], {}
        return [{"id": 1}], {"etag": '"1"', **link}

    reader = Reader(answer, **LINKS)
    assert await reader.read() == [1, "a"]
    link["link"] = '</items?at=b>; rel="next"'
    assert await reader.read() == ["b"]
    assert reader.api.statuses == [304, 200]
    link.clear()
    assert await reader.read() == []
    assert reader.api.statuses == [304, 200]
    link["link"] = '</items>; rel="first"'
    assert await reader.read() == []
    assert reader.api.statuses == [304]


async def test_an_etag_that_moves_while_the_bytes_stay_is_learned():
    """The body is known, the validator is new: it is saved, and the request after it is answered 304."""
    tag = {"etag": '"1"'}
    reader = Reader(lambda _: ([{"id": 1}], dict(tag)))
    assert await reader.read() == [1]
    tag["etag"] = '"2"'
    assert await reader.read() == []
    assert [each.etag for each in reader.batches[0].validators] == ['"2"']
    assert await reader.read() == []
    assert (reader.api.statuses, reader.batches[0].validators, reader.batches[0].known) == ([304], (), 0)


async def test_what_a_304_says_anew_is_learned():
    """Cache-Control and Last-Modified of a 304 replace the remembered ones (RFC 9111 4.3.4); an Expires that only moves
    on with the time is not worth a write, and a header that is left out stays."""
    said = {"etag": '"1"', "cache-control": "max-age=5", "last-modified": "Fri, 20 Nov 2026 08:00:00 GMT"}
    reader = Reader(lambda _: ([{"id": 1}], dict(said)))
    await reader.read()
    said["expires"] = "Sat, 21 Nov 2026 09:00:00 GMT"
    del said["last-modified"]
    await reader.read()
    assert reader.batches[0].validators == ()
    said["cache-control"] = "max-age=7"
    await reader.read()
    (known,) = reader.validators.values()
    assert (known.cache_control, known.last_modified) == ("max-age=7", "Fri, 20 Nov 2026 08:00:00 GMT")
    assert known.expires == said["expires"]


async def test_pages_that_are_not_there_any_more_are_forgotten():
    """A list that became shorter: what was remembered of its last pages goes with the end of a whole walk. The page
    behind its new end is asked for once, whether it answers with nothing or with 404."""
    for past in (([], {}), PermanentSourceError("no such page", source="api", code="http_404")):
        total = {"n": 7}

        def answer(query, total=total, past=past):
            rows, headers = pages(total["n"])(query)
            return (rows, headers) if rows else past

        reader = Reader(answer, **PAGES)
        await reader.read()
        assert len(reader.validators) == 4
        total["n"] = 3
        asked = []
        for _ in range(3):
            await reader.read()
            asked.append(len(reader.batches))
        assert asked == [3, 2, 2]
        assert len(reader.validators) == 2


@pytest.mark.parametrize("paging", [{"type": "page"}, {"type": "offset", "param": "page"}])
async def test_a_short_page_with_known_ones_behind_it_is_not_the_end(paging):
    """An upstream leaves a row out after it has counted the page: the walk goes on to the page that had rows before, in
    this walk and, with the short page known by then, in the next."""
    hidden = set()

    def answer(query):
        at = int(query["page"])
        start = (at - 1) * 2 if paging["type"] == "page" else at
        return [{"id": n} for n in range(1, 8)[start : start + 2] if n not in hidden], {}

    reader = Reader(answer, paginate={**paging, "size_param": "n", "size": 2})
    assert await reader.read() == [1, 2, 3, 4, 5, 6, 7]
    hidden.add(4)
    assert await reader.read() == [3]
    assert len(reader.batches) == 4
    assert await reader.read() == []
    assert len(reader.batches) == 4
    hidden.clear()
    assert await reader.read() == [3, 4]
    assert len(reader.batches) == 4


async def test_a_mark_that_moves_leaves_nothing_behind():
    """Each run of an incremental source asks for something else: only the last question is remembered."""
    newest = {"n": 1}

    def answer(_):
        return [{"id": newest["n"], "at": newest["n"]}], {}

    reader = Reader(answer, incremental={"cursor": "at", "param": "since", "type": "int"})
    for n in range(1, 6):
        newest["n"] = n
        assert await reader.read() == [n]
        assert len(reader.validators) == 1


async def test_a_walk_that_is_carried_on_forgets_nothing():
    """It does not ask for the first pages again, and they are still what they were."""
    failing = {"page": None}

    def answer(query):
        if query["page"] == failing["page"]:
            raise AssertionError("not reached")
        return pages(5)(query)

    reader = Reader(answer, **PAGES)
    await reader.read()
    reader.cursor = None
    assert await reader.read(batches=1) == []
    assert await reader.read() == []
    assert len(reader.batches) == 2
    assert len(reader.validators) == 3
    assert all(not batch.outdated for batch in reader.batches)


async def test_a_walk_that_fails_forgets_nothing():
    """What a broken walk did not come to may be there next time."""
    broken = {"on": False}

    def answer(query):
        if broken["on"] and query["page"] == "2":
            return TransientSourceError("down", source="api")
        return pages(5)(query)

    reader = Reader(answer, **PAGES)
    await reader.read()
    broken["on"] = True
    with pytest.raises(TransientSourceError):
        await reader.read()
    assert len(reader.validators) == 3


@pytest.mark.parametrize(
    ("of_pages", "seconds"),
    [
        (["max-age=60", "max-age=30", "public, max-age=300"], 30),
        (["max-age=60", "no-cache", "max-age=60"], None),
        (["max-age=60", "", "max-age=60"], None),
    ],
)
async def test_fresh_answers_let_timed_runs_wait(of_pages, seconds):
    """With `when_fresh = "wait"` a walk says until when all of its answers are fresh, also when they are known again;
    one that is not leaves nothing to wait for. Otherwise nothing is said."""

    def headers(query):
        said = of_pages[int(query["page"]) - 1]
        return {"cache-control": said} if said else {}

    reader = Reader(pages(5, headers), **PAGES, when_fresh="wait")
    until = None if seconds is None else START + timedelta(seconds=seconds)
    for _ in range(2):
        await reader.read()
        assert [batch.news for batch in reader.batches[:-1]] == [None, None]
        assert reader.batches[-1].news.next_at == until
    reader.use(**PAGES)
    await reader.read()
    assert reader.batches[-1].news is None


async def test_a_304_without_a_word_is_as_fresh_as_its_answer_was():
    """A remembered max-age begins anew with a 304 that does not repeat it."""
    said = {"etag": '"1"', "cache-control": "max-age=60"}
    reader = Reader(lambda _: ([{"id": 1}], dict(said)), when_fresh="wait")
    await reader.read()
    del said["cache-control"]
    reader.clock.at += timedelta(minutes=10)
    await reader.read()
    assert reader.api.statuses == [304]
    assert reader.batches[-1].news.next_at == reader.clock.at + timedelta(seconds=60)


async def test_a_page_with_refused_items_is_not_taken_as_known():
    """Where the runner noted that some items of a page were refused, its bytes are looked at again."""
    reader = Reader(lambda _: ([{"id": 1}, {"id": 2}], {}))
    await reader.read()
    reader.validators = {key: replace(each, refused=1) for key, each in reader.validators.items()}
    assert await reader.read() == [1, 2]
    assert await reader.read() == []


async def test_a_body_hash_is_of_the_bytes():
    """What is remembered of a page is the SHA-256 of its body."""
    reader = Reader(lambda _: ([{"id": 1}], {}))
    await reader.read()
    (known,) = reader.validators.values()
    assert known.body_hash == hashlib.sha256(b'[{"id": 1}]').hexdigest()
    assert replace(known, body_hash=None, item_count=0, request_hash="") == type(known)("")
