"""The feed decoder: every dialect, broken documents, and what is no feed at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from kasparro_adapters.feeds import FeedDecoder
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload
from kasparro_core.testing import DecoderContract

RSS = """<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE rss PUBLIC "-//Netscape Communications//DTD RSS 0.91//EN" "http://example.invalid/rss-0.91.dtd">
<rss version="2.0" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:content="http://purl.org/rss/1.0/modules/content/">
<channel><title>News</title><link>https://news.example/home/</link><language>en-us</language>
<item>
  <guid isPermaLink="false"> tag:1 </guid><link>/a?x=1&amp;y=2</link>
  <title>Fish &amp;amp; chips: &lt;b&gt;bold&lt;/b&gt;
   again</title>
  <description>&lt;p onclick="x()"&gt;Hi&lt;script&gt;x()&lt;/script&gt;
   &lt;img src="pic.png"&gt;&lt;/p&gt;</description>
  <content:encoded><![CDATA[<p>Long <a href="../b">story</a></p>]]></content:encoded>
  <dc:creator>Ann</dc:creator><pubDate>Tue, 31 Feb 2023 10:00:00 EST</pubDate><dc:date>2023-02-28</dc:date>
  <category>One</category><category>Two</category><category>One</category>
  <enclosure url="https://news.example/a.mp3" type="audio/mpeg" length="123"/>
</item>
<item><guid>https://news.example/perma</guid><title>By guid</title></item>
<item></item>
</channel></rss>"""

ATOM = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="https://blog.example/base/" xml:lang="de">
<author><name>Bo</name></author>
<entry><id>urn:1</id><title type="text">1 &lt; 2 &amp; so on</title><link href="one"/>
<summary>a &lt; b</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml">x<br/><a href="two">y</a></div></content>
<published>2024-01-02T03:04:05+01:00</published><updated>2024-02-30</updated></entry>
</feed>"""

RDF = """<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns="http://purl.org/rss/1.0/">
<channel rdf:about="https://r.example/"><title>R</title><link>https://r.example/</link></channel>
<item rdf:about="https://r.example/1"><title>Uno</title><link>https://r.example/1</link></item></rdf:RDF>"""

JSON = json.dumps(
    {
        "version": "https://jsonfeed.org/version/1.1",
        "home_page_url": "https://j.example/",
        "language": "fr",
        "authors": [{"name": "Cy"}],
        "items": [
            {
                "id": 12345678901234567890123,
                "url": "/1",
                "content_html": "<b>x</b><script>y</script>",
                "tags": ["t", 5],
            },
            {"id": 12345678901234567890123, "content_text": "a < b", "date_published": "not a date"},
            "not an item",
            {},
        ],
    }
)


def raw(document: str | bytes, **facts: Any) -> RawPayload:
    """A document as it is stored."""
    payload = document.encode() if isinstance(document, str) else document
    return RawPayload(payload, {"format": "feed", "url": "https://feeds.example/news.xml", "content_type": "", **facts})


def decode(document: str | bytes, **facts: Any) -> list[dict[str, Any]]:
    """The items of a document."""
    return [dict(item.data) for item in FeedDecoder().decode(raw(document, **facts)).items]


def refusal(document: str | bytes, **facts: Any) -> str:
    """The code of the error that a document ends in."""
    with pytest.raises(PermanentSourceError) as caught:
        decode(document, **facts)
    return caught.value.code


class TestDecoder(DecoderContract):
    """The feed decoder keeps the contract of decoders."""

    @pytest.fixture
    def decoder(self) -> FeedDecoder:
        return FeedDecoder()

    @pytest.fixture
    def payloads(self) -> Sequence[RawPayload]:
        return [raw(document) for document in (RSS, ATOM, RDF, JSON, RSS[:-40])]

    @pytest.fixture
    def bad_payloads(self) -> Sequence[RawPayload]:
        return [raw(document) for document in ("", "<!doctype html><p>x", "<a/>", '{"a": 1}', "{", "plain text")]


def test_reads_an_rss_item_in_full() -> None:
    """Every field of an RSS item arrives in the agreed shape, sanitized, absolute, its dates as text."""
    first = decode(RSS)[0]
    assert first == {
        "id": "tag:1",
        "link": "https://news.example/a?x=1&y=2",
        "title": "Fish & chips: bold again",
        "summary": '<p>Hi\n   <img src="https://news.example/home/pic.png"></p>',
        "content": '<p>Long <a href="https://news.example/b">story</a></p>',
        "author": "Ann",
        "published": "Tue, 31 Feb 2023 10:00:00 EST",
        "updated": "2023-02-28",
        "tags": ["One", "Two"],
        "enclosures": [{"url": "https://news.example/a.mp3", "type": "audio/mpeg", "length": 123}],
        "language": "en-us",
    }


def test_a_permanent_guid_stands_in_for_the_link() -> None:
    """A guid that is a permalink is the link of an item without one, and stays the id as it is written."""
    second = decode(RSS)[1]
    assert (second["id"], second["link"]) == ("https://news.example/perma", "https://news.example/perma")


@pytest.mark.parametrize("guid", ["abc", "/relative", "HTTP://Example.COM:80/%7Ea/../b", "http://[broken"])
def test_ids_are_never_resolved_or_normalized(guid: str) -> None:
    """The text of a guid is the id, whatever it looks like; only an absolute one may be a link."""
    item = decode(f'<rss version="2.0"><channel><item><guid>{guid}</guid><title>t</title></item></channel></rss>')[0]
    assert item["id"] == guid
    assert item["link"] in (None, guid)


def test_an_entry_that_says_nothing_is_rejected() -> None:
    """An empty item is a rejection with its place, and takes nothing from the others."""
    decoded = FeedDecoder().decode(raw(RSS))
    assert [item.index for item in decoded.items] == [0, 1]
    assert [(refused.code, refused.index) for refused in decoded.rejections] == [("empty_entry", 2)]


def test_reads_an_atom_entry() -> None:
    """Atom text stays text, xhtml becomes HTML, xml:base and the feed's author and language reach the entry."""
    entry = decode(ATOM)[0]
    assert entry["title"] == "1 < 2 & so on"
    assert entry["summary"] == "a &lt; b"
    assert entry["content"] == 'x<br><a href="https://blog.example/base/two">y</a>'
    assert entry["link"] == "https://blog.example/base/one"
    assert (entry["author"], entry["language"]) == ("Bo", "de")
    assert (entry["published"], entry["updated"]) == ("2024-01-02T03:04:05+01:00", "2024-02-30")


def test_reads_rdf() -> None:
    """An RSS 1.0 item is known by its rdf:about."""
    assert decode(RDF)[0]["id"] == "https://r.example/1"


def test_reads_json_feed_tolerantly() -> None:
    """Numeric ids keep all digits, equal ids stay two items, a bad date stays text, odd items are rejected."""
    decoded = FeedDecoder().decode(raw(JSON))
    first, second = (item.data for item in decoded.items)
    assert first["id"] == second["id"] == "12345678901234567890123"
    assert (first["link"], first["content"], first["tags"]) == ("https://j.example/1", "<b>x</b>", ["t", "5"])
    assert (second["content"], second["published"]) == ("a &lt; b", "not a date")
    assert (first["author"], first["language"]) == ("Cy", "fr")
    assert [(refused.code, refused.index) for refused in decoded.rejections] == [
        ("item_invalid", 2),
        ("empty_entry", 3),
    ]


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (b"", "empty_body"),
        (b"\xef\xbb\xbf \n", "empty_body"),
        ("<!DOCTYPE html><html><body>503</body></html>", "html_for_feed"),
        ("<html><head></head></html>", "html_for_feed"),
        ("<svg/>", "not_a_feed"),
        ("no markup at all", "not_a_feed"),
        ('{"items": []}', "not_a_feed"),
        ('{"version": "https://jsonfeed.org/version/1", "items": {}}', "not_a_feed"),
        ("{" + "[" * 100_000, "not_a_feed"),
        ('<!DOCTYPE r [<!ENTITY a "b">]><rss version="2.0"/>', "xml_dtd"),
        ('<!DOCTYPE r SYSTEM "x" [<!ENTITY % a SYSTEM "file:///etc/passwd">%a;]><rss version="2.0"/>', "xml_dtd"),
        ('<rss version="2.0">' + "<a>" * 5000, "xml_depth"),
        ("<rss " + " ".join(f'a{n}=""' for n in range(2000)) + "/>", "xml_elements"),
    ],
)
def test_refuses_what_is_no_feed(document: str | bytes, code: str) -> None:
    """A page, an empty body, other XML or JSON, or an XML bomb is a typed error and never an empty feed."""
    assert refusal(document) == code


def test_a_page_is_known_by_its_type_too() -> None:
    """Something served as text/html that is no feed is called a page."""
    assert refusal("<p>moved</p>", content_type="text/html; charset=utf-8") == "html_for_feed"


def test_an_entity_bomb_in_utf16_is_refused() -> None:
    """The screen reads the text that the parser reads, whatever charset the bytes are in."""
    assert refusal('<?xml version="1.0"?><!DOCTYPE r [<!ENTITY a "b">]><rss/>'.encode("utf-16")) == "xml_dtd"


@pytest.mark.parametrize(
    "document",
    [
        "\n\n" + RSS,
        RSS[: RSS.index("<item></item>")],
        RSS.replace("By guid", "By&nbsp;guid &undefined; & more"),
        RSS.replace("By guid", "By \x00\x08guid&#0;&#xD800;&#99999999999;"),
        RSS.replace("</channel></rss>", "<![CDATA[never closed"),
    ],
    ids=["blank lines first", "cut off", "entities", "controls", "open cdata"],
)
def test_broken_feeds_give_what_they_have(document: str) -> None:
    """A document that is not well-formed still gives its entries."""
    items = decode(document)
    assert [item["id"] for item in items] == ["tag:1", "https://news.example/perma"]
    assert items[1]["title"].startswith("By")
    assert not set("\x00\x08") & set(items[1]["title"])


@pytest.mark.parametrize("close", ["</channel></rss>", ""], ids=["whole", "cut"])
def test_a_fault_in_one_element_costs_no_entry(close: str) -> None:
    """An element in a place where feedparser itself stumbles over it leaves its entry and the others alone."""
    stray = "<item><textInput><link>/x</link></textInput><guid>1</guid><title>t</title></item>"
    found = decode(f'<rss version="2.0"><channel>{stray}{stray}{close}')
    assert [entry["title"] for entry in found] == ["t", "t"]


def test_a_base_that_is_no_address_is_ignored() -> None:
    """Markup in the place of a host name does not stop the feed."""
    document = """<feed xmlns="http://www.w3.org/2005/Atom" xml:base="http://exa&lt;b&gt;mple.org/"><entry><id>1</id>
    <summary type="html">&lt;a href="/x"&gt;y&lt;/a&gt;</summary></entry></feed>"""
    assert decode(document)[0]["summary"] == '<a href="https://feeds.example/x">y</a>'


def test_html_entities_survive_in_broken_feeds() -> None:
    """HTML's entity names mean their characters, and CDATA keeps its text."""
    document = (
        "<rss version='2.0'><channel><item><title>a&eacute;b&mdash;c</title><link>https://e.example/?a=1&b=2</link>"
    )
    item = decode(document + "<description><![CDATA[x &amp; y &eacute;]]></description></item></channel></rss>")[0]
    assert (item["title"], item["link"]) == ("aéb—c", "https://e.example/?a=1&b=2")
    assert item["summary"] == "x &amp; y é"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "ftp://a.example/x"])
def test_links_are_web_addresses_or_nothing(link: str) -> None:
    """A link of any other scheme is no link."""
    document = f'<rss version="2.0"><channel><item><title>t</title><link>{link}</link></item></channel></rss>'
    assert decode(document)[0]["link"] is None


def test_a_file_stands_in_for_a_missing_link() -> None:
    """An entry that is nothing but a file is found, and told from others, by the file's address."""
    document = '<rss version="2.0"><channel><item><enclosure url="https://e.example/1.mp3"/></item></channel></rss>'
    assert decode(document)[0]["link"] == "https://e.example/1.mp3"


def test_without_an_address_the_feeds_own_link_is_the_base() -> None:
    """A file from disk resolves relative links against the page that the feed names."""
    assert decode(RSS, url="")[0]["link"] == "https://news.example/a?x=1&y=2"


def test_an_elsewhere_title_does_not_replace_the_entrys() -> None:
    """A media title beside the entry's own does not win, and does not change how the title is read."""
    document = """<feed xmlns="http://www.w3.org/2005/Atom" xmlns:media="http://search.yahoo.com/mrss/"><entry>
    <id>1</id><title>a &lt;b&gt; c</title><media:title>other</media:title></entry></feed>"""
    assert decode(document)[0]["title"] == "a <b> c"
