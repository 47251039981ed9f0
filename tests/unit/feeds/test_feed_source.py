"""The feed source over a scripted web and over files."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from pydantic import ValidationError

from kasparro_adapters.feeds import FeedDecoder, FeedSource, FeedSourceConfig
from kasparro_core.errors import PermanentSourceError, SourceError
from kasparro_core.model import Batch, FetchFacts, Validator
from kasparro_core.ports import Decoder, FetchRequest, FetchResponse, ReadContext
from kasparro_core.testing import SourceContract

NOW = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)


def feed(*titles: str) -> bytes:
    """An RSS feed with these entries."""
    items = "".join(f"<item><guid isPermaLink='false'>{title}</guid><title>{title}</title></item>" for title in titles)
    return f'<rss version="2.0"><channel><title>f</title>{items}</channel></rss>'.encode()


class Web:
    """A Fetcher over a dict of bodies; knows ETags when asked to, and keeps what it was asked."""

    def __init__(self, **bodies: bytes | Exception) -> None:
        self.bodies: dict[str, bytes | Exception] = {
            f"https://{host}.example/feed": body for host, body in bodies.items()
        }
        self.etags = False
        self.requests: list[FetchRequest] = []

    async def fetch(self, request: FetchRequest, /, *, sink: BinaryIO | None = None) -> FetchResponse:
        self.requests.append(request)
        body = self.bodies[request.url]
        if isinstance(body, Exception):
            raise body
        etag = f'"{len(body)}"' if self.etags else None
        facts = FetchFacts(NOW, url=request.url, status=200, bytes_fetched=len(body), requests=1)
        headers = {"content-type": "application/rss+xml"} | ({"etag": etag} if etag else {})
        if etag and request.validator and request.validator.etag == etag:
            return FetchResponse(304, request.url, headers, b"", replace(facts, status=304, bytes_fetched=0))
        return FetchResponse(200, request.url, headers, body, facts)


class Ticking:
    """A clock that moves a second each time it is looked at."""

    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        self.at += timedelta(seconds=1)
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    async def sleep(self, seconds: float, /) -> None:
        self.at += timedelta(seconds=seconds)


def source(web: Web | None = None, root: Path = Path(), **config: Any) -> FeedSource:
    """A source of this configuration over a scripted web."""
    return FeedSource("news", FeedSourceConfig(**config), root, web or Web(), Ticking())


async def read(feeds: FeedSource, partition: str = "", **context: Any) -> Batch:
    """The one batch of a read."""
    async with aclosing(cast("Any", feeds.read(partition, ReadContext(now=NOW, **context)))) as batches:
        (batch,) = [batch async for batch in batches]
    return cast("Batch", batch)


def titles(batch: Batch) -> list[str]:
    """The titles of a batch's items."""
    return [item.data["title"] for item in batch.items]


def remembered(*batches: Batch) -> Mapping[str, Validator]:
    """The validators that the store would hand to the next read."""
    return {validator.request_hash: validator for batch in batches for validator in batch.validators}


class TestFeedSources(SourceContract):
    """Three ways to name feeds keep the contract of sources."""

    OPML = b"""<opml version="1.0"><body><outline text="group"><outline type="rss" xmlUrl="https://a.example/feed"/>
    <outline type="rss" xmlUrl="https://b.example/feed"/></outline><outline xmlUrl="ftp://c.example/x"/></body></opml>"""

    @pytest.fixture(params=["url", "urls", "opml", "file"])
    def config(self, request: pytest.FixtureRequest, tmp_path: Path) -> dict[str, Any]:
        (tmp_path / "list.opml").write_bytes(self.OPML)
        (tmp_path / "feed.xml.gz").write_bytes(gzip.compress(feed("one", "two")))
        return {
            "url": {"url": "https://a.example/feed"},
            "urls": {"urls": ["https://a.example/feed", "https://b.example/feed"]},
            "opml": {"opml": "list.opml"},
            "file": {"url": "feed.xml.gz"},
        }[request.param]

    @pytest.fixture
    def make_source(self, config: dict[str, Any], tmp_path: Path) -> Callable[[], FeedSource]:
        web = Web(a=feed("one", "two"), b=feed("three"))
        return lambda: source(web, tmp_path, **config)

    @pytest.fixture
    def expected(self, config: dict[str, Any]) -> Mapping[str, Sequence[Mapping[str, Any]]]:
        first, second = ([dict(item.data) for item in _items(feed(*names))] for names in (("one", "two"), ("three",)))
        one = {"": first}
        return one if "url" in config else {"https://a.example/feed": first, "https://b.example/feed": second}

    @pytest.fixture
    def decoders(self) -> Mapping[str, Decoder]:
        return {"feed": FeedDecoder()}


def _items(payload: bytes) -> Sequence[Any]:
    from kasparro_core.model import RawPayload

    return FeedDecoder().decode(RawPayload(payload, {"format": "feed", "url": "", "content_type": ""})).items


async def test_an_unchanged_feed_costs_a_304() -> None:
    """With an ETag the second read asks conditionally and yields an item-less batch with the same cursor."""
    web = Web(a=feed("one"))
    web.etags = True
    feeds = source(web, url="https://a.example/feed")
    first = await read(feeds)
    second = await read(feeds, cursor=first.cursor, validators=remembered(first))
    assert titles(first) == ["one"]
    assert (second.raw, second.items, second.cursor, second.fetch.status) == (None, (), first.cursor, 304)


async def test_a_body_of_which_items_were_refused_is_looked_at_again() -> None:
    """Known bytes do not turn a failed run into an unchanged one; and another `drift` asks for the whole document,
    since it may take what was refused."""
    web = Web(a=feed("one"))
    web.etags = True
    address = "https://a.example/feed"
    feeds = source(web, url=address)
    first = await read(feeds)
    (validator,) = first.validators
    known = {validator.request_hash: replace(validator, etag=None, refused=1)}
    again = await read(feeds, cursor=first.cursor, validators=known)
    assert [item.data for item in again.items] == [item.data for item in first.items]
    hashes = {source(web, url=address, drift=drift).request_hash(address) for drift in ("evolve", "discard_row")}
    assert len(hashes) == 2
    assert validator.request_hash in hashes


async def test_an_unchanged_body_is_known_without_validators() -> None:
    """Where the server knows no validators, the hash of the body says that nothing changed."""
    feeds = source(Web(a=feed("one")), url="https://a.example/feed")
    first = await read(feeds)
    second = await read(feeds, cursor=first.cursor, validators=remembered(first))
    assert (second.raw, second.items, second.cursor) == (None, (), first.cursor)
    assert second.validators == first.validators


async def test_a_full_read_ignores_what_is_remembered() -> None:
    """`full` asks unconditionally and yields the items again."""
    web = Web(a=feed("one"))
    web.etags = True
    feeds = source(web, url="https://a.example/feed")
    first = await read(feeds)
    again = await read(feeds, cursor=first.cursor, validators=remembered(first), full=True)
    assert titles(again) == ["one"]
    assert web.requests[-1].validator is None


async def test_another_mapping_reads_the_feed_again() -> None:
    """What is remembered holds for one mapping and one address path, on any host."""
    web = Web(a=feed("one"))
    web.etags = True
    first = await read(source(web, url="https://a.example/feed"))
    other = source(web, url="https://a.example/feed", mapping={"title": "id"})
    assert titles(await read(other, validators=remembered(first))) == ["one"]
    moved = source(web, url="https://b.example/feed")
    assert moved.request_hash("https://b.example/feed") in remembered(first)


async def test_a_changed_feed_yields_all_its_items() -> None:
    """A body with another hash is a new batch with a new cursor."""
    web = Web(a=feed("one"))
    feeds = source(web, url="https://a.example/feed")
    first = await read(feeds)
    web.bodies["https://a.example/feed"] = feed("two", "one")
    second = await read(feeds, cursor=first.cursor, validators=remembered(first))
    assert titles(second) == ["two", "one"]
    assert second.cursor != first.cursor


async def test_gzip_on_disk_is_recognized_and_bounded(tmp_path: Path) -> None:
    """The payload is the decompressed feed; a bomb, a damaged and a cut file are typed errors."""
    (tmp_path / "f.xml").write_bytes(gzip.compress(feed("one")) + gzip.compress(b"<!-- more -->"))
    batch = await read(source(root=tmp_path, url="f.xml"))
    assert batch.raw is not None
    assert batch.raw.payload == feed("one") + b"<!-- more -->"
    packed = gzip.compress(b" " * 5_000_000)
    for content, code in [
        (packed, "feed_too_large"),
        (packed[:-9], "decompression"),
        (b"\x1f\x8bxxxxxx", "decompression"),
    ]:
        (tmp_path / "f.xml").write_bytes(content)
        limit = 1_000_000 if code == "feed_too_large" else 16_000_000
        with pytest.raises(PermanentSourceError) as caught:
            await read(source(root=tmp_path, url="f.xml", max_bytes=limit))
        assert caught.value.code == code


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"<html>down</html>", "html_for_feed"),
        (b"", "empty_body"),
        (PermanentSourceError("no", code="http_410"), "gone"),
        (PermanentSourceError("no", code="http_404"), "http_404"),
    ],
)
async def test_a_failing_feed_is_named(body: bytes | Exception, code: str) -> None:
    """The error says which source and which feed, without a secret of its address."""
    web = Web()
    web.bodies["https://me:pw@a.example/feed?token=abc"] = body
    feeds = source(web, urls=["https://me:pw@a.example/feed?token=abc"])
    (partition,) = await feeds.partitions()
    with pytest.raises(SourceError) as caught:
        await read(feeds, partition)
    error = caught.value
    assert (error.code, error.source, partition) == (code, "news", "https://a.example/feed?token=***")
    assert partition in str(error)
    assert "abc" not in str(error)
    assert "pw" not in str(error)


async def test_a_missing_file_and_an_unknown_partition_are_errors(tmp_path: Path) -> None:
    """What is not there is said, not skipped."""
    with pytest.raises(PermanentSourceError, match=r"there is no file .*nowhere\.xml"):
        await read(source(root=tmp_path, url="nowhere.xml"))
    with pytest.raises(PermanentSourceError, match="no feed of this source"):
        await read(source(urls=["https://a.example/feed"]), "https://z.example/feed")
    with pytest.raises(PermanentSourceError, match="is a directory") as caught:
        await read(source(root=tmp_path, url="."))
    assert caught.value.code == "file_is_directory"


async def test_a_page_of_no_use_is_on_the_account() -> None:
    """What a fetch cost is not lost when its body turns out to be no feed, or damaged."""
    for body in (b"<html>down</html>", b"\x1f\x8bxxxxxx"):
        with pytest.raises(PermanentSourceError) as caught:
            await read(source(Web(a=body), url="https://a.example/feed"))
        assert caught.value.fetch is not None
        assert (caught.value.fetch.requests, caught.value.fetch.bytes_fetched) == (1, len(body))


@pytest.mark.parametrize("listing", [b"<html></html>", b"<opml><body></body></opml>", b""])
async def test_a_list_without_feeds_is_an_error(listing: bytes) -> None:
    """An OPML address that answers something else stops the source instead of reading nothing."""
    with pytest.raises(PermanentSourceError) as caught:
        await source(Web(a=listing), opml="https://a.example/feed").partitions()
    assert caught.value.code == "opml_invalid"


async def test_a_list_may_hold_unescaped_addresses() -> None:
    """A parameter of an address, escaped or not, arrives as it is meant."""
    listing = b'<opml><body><outline xmlUrl="https://b.example/?x=1&y=2&amp;z=3"/></body></opml>'
    assert await source(Web(a=listing), opml="https://a.example/feed").partitions() == (
        "https://b.example/?x=1&y=2&z=3",
    )


async def test_a_list_of_two_minds_about_its_charset_is_read() -> None:
    """The text is decoded once; what a second declaration says about its charset is nobody's concern."""
    twice = b'<?xml version="1.0"?><?xml version="1.0" encoding="no-such"?>'
    listing = twice + b'<opml><body><outline xmlUrl="https://b.example/"/></body></opml>'
    assert await source(Web(a=listing), opml="https://a.example/feed").partitions() == ("https://b.example/",)


async def test_asks_for_feeds() -> None:
    """The request prefers feed types unless the configuration says otherwise."""
    web = Web(a=feed("one"))
    await read(source(web, url="https://a.example/feed"))
    await read(source(web, url="https://a.example/feed", headers={"accept": "text/xml"}))
    assert web.requests[0].headers["Accept"].startswith("application/atom+xml")
    assert web.requests[1].headers == {"accept": "text/xml"}


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"url": "https://a.example/", "opml": "x.opml"},
        {"urls": []},
        {"url": "ftp://a.example/feed"},
        {"opml": "https://a.example/o", "auth": {"type": "bearer", "token": "t"}},
        {"url": "https://a.example/", "max_bytes": 10**12},
        {"url": "https://a.example/", "nonsense": 1},
    ],
)
def test_refuses_a_wrong_configuration(wrong: dict[str, Any]) -> None:
    """Exactly one origin, of a kind that can be read, and no credentials for whoever a list names."""
    with pytest.raises(ValidationError):
        FeedSourceConfig(**wrong)


def test_the_article_mapping_is_the_default() -> None:
    """Without a mapping items become articles; a configured key replaces that key alone."""
    plain = FeedSourceConfig(url="x.xml").record_mapping("news")
    own = FeedSourceConfig(url="x.xml", mapping={"title": "author"}).record_mapping("news")
    assert (plain.source, plain.kind) == ("news", "article")
    assert own.title != plain.title
    assert own.model_dump(exclude={"title"}) == plain.model_dump(exclude={"title"})
