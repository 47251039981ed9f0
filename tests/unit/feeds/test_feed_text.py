"""Charsets, markup and addresses of feeds."""

from __future__ import annotations

import pytest

from kasparro_adapters.feeds.address import named, request_path, shown
from kasparro_adapters.feeds.encoding import decode_text
from kasparro_adapters.feeds.markup import absolute, collapsed, plain, sanitized
from kasparro_adapters.feeds.parser import repaired
from kasparro_adapters.feeds.screen import looks_like_html, without_doctype
from kasparro_core.errors import PermanentSourceError

CYRILLIC = "Привет, мир"


@pytest.mark.parametrize(
    ("payload", "content_type", "text"),
    [
        (b"\xef\xbb\xbf<a>\xc3\xa9", "", "<a>é"),
        ("<a>é".encode("utf-16"), "", "<a>é"),
        ("<a>é".encode("utf-16-le"), "", "<a>é"),
        ("<a>é".encode("utf-32"), "", "<a>é"),
        (CYRILLIC.encode("cp1251"), 'application/rss+xml; charset="windows-1251"', CYRILLIC),
        (b"<?xml version='1.0' encoding='windows-1251'?>" + CYRILLIC.encode("cp1251"), "text/xml", None),
        (b"d\xe9j\xe0 vu", "", "déjà vu"),
        (b"d\xe9j\xe0 \x93vu\x94", "text/xml; charset=iso-8859-1", "déjà “vu”"),
        ("déjà".encode(), "text/xml; charset=iso-8859-1", "déjà"),
        ("中文".encode("gb18030"), "text/xml; charset=gb2312", "中文"),
        ("déjà".encode(), "text/xml; charset=punycode", "déjà"),
        ("déjà".encode(), "text/xml; charset=no-such", "déjà"),
        ("déjà".encode(), "text/xml; charset=rot13", "déjà"),
        ("déjà".encode(), "text/xml; charset=base64", "déjà"),
        ("日本語日本語".encode() + b"\xff", "", "日本語日本語\ufffd"),
        (b"\x81\xe9 caf\xe9", "", "\x81é café"),
    ],
)
def test_finds_the_charset(payload: bytes, content_type: str, text: str | None) -> None:
    """Byte order mark, HTTP charset, declaration, then the bytes themselves decide, and wrong labels do no harm."""
    decoded = decode_text(payload, content_type)
    assert decoded == text if text is not None else decoded.endswith(CYRILLIC)


@pytest.mark.parametrize(
    ("markup", "clean"),
    [
        ('<a href="/x" onclick="e()">x</a>', '<a href="https://b.example/x">x</a>'),
        ('<a href="javascript:e()">x</a>', "<a>x</a>"),
        ('<img src="data:image/png;base64,x">', "<img>"),
        ("<style>p{}</style><iframe src=x></iframe>y", "y"),
        ("<p>open", "<p>open</p>"),
        ("a &amp; b", "a &amp; b"),
        ("bell\x07\ud800", "bell"),
        ("<div>" * 3000 + "deep", "deep"),
        ("", ""),
    ],
)
def test_sanitizes(markup: str, clean: str) -> None:
    """Nothing that runs or reaches out by another scheme survives; hostile nesting becomes text."""
    assert sanitized(markup, "https://b.example/") == clean


def test_sanitizing_twice_changes_nothing() -> None:
    """Sanitized HTML is a fixed point, so that reading a stored text again is no edit."""
    once = sanitized('<p>a<b>b<p>c & d<a href="?q=1&r=2">e', "https://b.example/")
    assert sanitized(once, "https://b.example/") == once


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("a<br>b", "a b"),
        ("<b>a</b>b", "ab"),
        ("a &lt;b&gt; &amp;amp;", "a <b> &amp;"),
        (" a\n\t b\xa0c ", "a b c"),
        ("AT&amp;T", "AT&T"),
        ("<script>x</script>y", "y"),
    ],
)
def test_makes_plain_text(markup: str, text: str) -> None:
    """Tags go, entities are decoded once, white space is one blank."""
    assert plain(markup) == text
    assert collapsed(plain(markup)) == text


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("b", "https://a.example/b"),
        (" https://c.example/x y\n", "https://c.example/x%20y"),
        ("//d.example/", "https://d.example/"),
        ("mailto:a@b.example", "mailto:a@b.example"),
        ("http://", None),
        ("http://[::1", None),
        ("urn:x", None),
        ("", None),
        (None, None),
    ],
)
def test_makes_links_absolute(url: str | None, found: str | None) -> None:
    """A link is an absolute web or mail address, or nothing."""
    assert absolute(url, "https://a.example/") == found


@pytest.mark.parametrize(
    ("address", "seen"),
    [
        ("https://user:pass@h.example/f?token=abc&n=1#x", "https://h.example/f?token=***&n=1"),
        (
            "https://h.example/f?key=1;api_key=2&sig=3&monkey=4",
            "https://h.example/f?key=***;api_key=***&sig=***&monkey=4",
        ),
        ("feeds/news.xml", "feeds/news.xml"),
    ],
)
def test_shows_no_secret(address: str, seen: str) -> None:
    """Neither user nor password nor a key in the query is shown."""
    assert shown(address) == seen


def test_names_each_feed_once() -> None:
    """Equal addresses are one feed; two that look alike when shown are told apart."""
    names = named(["https://a.example/?token=1", "https://a.example/?token=2", "https://a.example/?token=1"])
    assert list(names) == ["https://a.example/?token=***", "https://a.example/?token=***#2"]


def test_a_request_is_known_by_its_path() -> None:
    """Host and port are not part of what a validator holds for."""
    assert request_path("http://a.example:8080/f?x=1") == request_path("https://b.example/f?x=1") == "/f?x=1"


def test_cuts_out_a_plain_doctype() -> None:
    """A reference to a DTD is removed, so that nobody fetches it; what stands around it stays."""
    text = '<?xml version="1.0"?>\n<!-- c --><!DOCTYPE rss PUBLIC "-//x//y>" \'http://e.example/d\'>\n<rss/>'
    assert without_doctype(text) == "\n<!-- c -->\n<rss/>"


@pytest.mark.parametrize(
    "text",
    [
        "<!DOCTYPE a [",
        "<!doctype a [ ]><a/>",
        "<!-- x --><!DOCTYPE a SYSTEM 'x' [<!ELEMENT a ANY>]><a/>",
        "x<!ENTITY a 'b'><a/>",
    ],
)
def test_refuses_declarations(text: str) -> None:
    """An internal subset is refused in whatever spelling."""
    with pytest.raises(PermanentSourceError) as caught:
        without_doctype(text)
    assert caught.value.code == "xml_dtd"


@pytest.mark.parametrize(
    ("text", "is_page"),
    [
        ("<!-- a --> <!-- b -->\n<!DOCTYPE  html><html/>", True),
        ("<?xml version='1.0'?><html xmlns='http://www.w3.org/1999/xhtml'/>", True),
        ("<!-- <html> --><rss/>", False),
        ("<htmlish/>", False),
        ("<!---->" * 500 + "<x/>", False),
        ("<!--" * 1000, False),
    ],
)
def test_knows_a_page_by_its_first_tag(text: str, *, is_page: bool) -> None:
    """Behind comments, however many: a pattern that tried all ways to end them would not come back."""
    assert looks_like_html(text, "") is is_page


def test_repairs_references_only() -> None:
    """XML's own references and CDATA are left alone."""
    text = "&amp;&lt;&#60;&eacute;&nosuch;<![CDATA[&eacute;]]>&#0;"
    assert repaired(text) == "&amp;&lt;&#60;é&amp;nosuch;<![CDATA[&eacute;]]>\ufffd"
