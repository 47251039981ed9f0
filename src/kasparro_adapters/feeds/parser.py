"""feedparser, driven by us: its understanding of every dialect, without its guesses of charset, dates and addresses."""

from __future__ import annotations

import html
import io
import re
import xml.sax
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import Any
from urllib.parse import urljoin
from xml.parsers import expat as pyexpat
from xml.sax import handler
from xml.sax.xmlreader import InputSource

from feedparser.api import LooseFeedParser, StrictFeedParser
from feedparser.exceptions import UndeclaredNamespace

from kasparro_adapters.feeds.markup import absolute
from kasparro_core.errors import PermanentSourceError

_MAX_DEPTH = 512
_MAX_ELEMENTS = 500_000
_FIXED = "No setting raises this limit."
_MANY_TAGS = 200_000
_MAX_ATTRIBUTES = 1_000
_MAX_TAGS = 1_000
_MAX_LINKS = 100
_MAX_SKIPPED = 100
_MAX_BROKEN = 8 * 1024 * 1024
_REFERENCE = re.compile(r"<!\[CDATA\[.*?(?:\]\]>|\Z)|&(#[xX][0-9A-Fa-f]+|#[0-9]+|[A-Za-z][A-Za-z0-9]*);", re.DOTALL)
_PREDEFINED = {"amp", "lt", "gt", "quot", "apos"}
_RSS_090 = "http://channel.netscape.com/rdf/simple/0.9/"
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# What feedparser raises of its own on hostile input.
_PARSER_FAULTS = (AssertionError, AttributeError, LookupError, RecursionError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class ParsedFeed:
    """What feedparser understood. `version` is "" for a document that is no feed."""

    version: str
    feed: dict[str, Any]
    entries: Sequence[dict[str, Any]]
    url: str | None
    home: str | None

    @property
    def atom(self) -> bool:
        """True for any Atom."""
        return self.version.startswith("atom")

    def base(self, declared: str | None) -> str | None:
        """What relative addresses stand under: the `xml:base` that was in force, else the document's own base."""
        if not declared or declared == self.url:
            return self.home
        return absolute(declared, self.home) or self.home


def _home(feed: dict[str, Any], url: str | None, *, atom: bool) -> str | None:
    """Atom counts from its own address (RFC 3986), RSS by custom from the page it belongs to."""
    home = absolute(dict.get(feed, "link"), url)  # feedparser's own get() would put another field in its place
    links = islice(dict.get(feed, "links") or (), _MAX_LINKS)
    selves = (link.get("href") for link in links if link.get("rel") == "self")
    own = url or next(filter(None, (absolute(href, None) for href in selves)), None)
    return (own or home) if atom else (home or own)


def parse_xml(text: str, url: str | None) -> ParsedFeed:
    """Parse a screened XML document (no DOCTYPE), the broken ones as far as they go.

    Raises PermanentSourceError: `xml_depth`, `xml_elements` (too deep, too many), `feed_unreadable`.
    """
    refuse_flood(text)
    for candidate in (text, repaired(text)):
        try:
            return _parse_strict(candidate, url)
        except (xml.sax.SAXException, UndeclaredNamespace):
            continue
        except _PARSER_FAULTS:
            break
    if len(text) > _MAX_BROKEN:
        raise PermanentSourceError("the feed is not well-formed, and too large to be mended.", code="feed_unreadable")
    try:
        return _parse_loose(repaired(text), url)
    except _PARSER_FAULTS as error:
        raise PermanentSourceError("the feed is too broken to be read.", code="feed_unreadable") from error


def refuse_flood(text: str, most: int = _MAX_ELEMENTS) -> None:
    """What has too many elements is refused before a library, which takes seconds for them, sees the first. expat alone
    counts a million in half a second; of a broken document it counts as far as it comes.

    Raises PermanentSourceError (code `xml_elements`).
    """
    if text.count("<") < min(most, _MANY_TAGS):
        return
    count = 0

    def counted(_name: str, _attributes: object) -> None:
        nonlocal count
        count += 1
        if count > most:
            raise _too_many(most)

    parser = pyexpat.ParserCreate("utf-8")
    parser.StartElementHandler = counted
    with suppress(pyexpat.ExpatError):
        parser.Parse(text.encode("utf-8", "replace"), True)  # noqa: FBT003


def _too_many(most: int = _MAX_ELEMENTS) -> PermanentSourceError:
    return PermanentSourceError(f"the document has more than {most:,} elements.", code="xml_elements", hint=_FIXED)


def repaired(text: str) -> str:
    """The text without the faults that can be mended safely: HTML's entities, impossible references, controls."""
    return _CONTROL.sub("", _REFERENCE.sub(_mended, text))


def well_formed(text: str) -> bool:
    """True when expat reads the document to its end."""
    parser = pyexpat.ParserCreate("utf-8")  # whatever the document declares
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)  # noqa: FBT003
    except pyexpat.ExpatError:
        return False
    return True


def _mended(match: re.Match[str]) -> str:
    name = match.group(1)
    if name is None or name in _PREDEFINED:
        return match.group(0)
    char = html.unescape(match.group(0))
    if name.startswith("#") and char in "<>&\"'":
        return match.group(0)
    return f"&amp;{name};" if char == match.group(0) else html.escape(char)


def _parse_strict(text: str, url: str | None) -> ParsedFeed:
    parser = _Strict(url or "", None, "utf-8")
    reader = xml.sax.make_parser()  # noqa: S317  # no DTD reaches it: the document is screened
    reader.setFeature(handler.feature_namespaces, True)  # noqa: FBT003
    reader.setFeature(handler.feature_external_ges, False)  # noqa: FBT003
    reader.setContentHandler(parser)
    reader.setErrorHandler(parser)
    source = InputSource()
    source.setEncoding("utf-8")  # whatever the document declares
    source.setByteStream(io.BytesIO(text.encode("utf-8", "replace")))
    reader.parse(source)
    return parser.result()


def _parse_loose(text: str, url: str | None) -> ParsedFeed:
    parser = _Loose(url or "", None, "utf-8", {})
    parser.feed(text)
    return parser.result()


class _Ours:
    """What we change in feedparser's handlers. They are found by name: an override replaces one element's meaning."""

    sanitize_html = False
    resolve_relative_uris = False

    basestack: list[str]
    baseuri: str
    depth: int
    elementstack: list[list[Any]]
    entries: list[Any]
    feeddata: Any
    guidislink: Any
    inentry: int
    langstack: list[str | None]
    version: str
    _elements = 0
    _url = ""

    def __init__(self, url: str, *rest: Any) -> None:
        parent: Any = super()
        parent.__init__(url, *rest)
        self._url = url

    def result(self) -> ParsedFeed:
        """All that was read."""
        return ParsedFeed(self.version or "", self.feeddata, self.entries, self._url or None, self._base())

    def unknown_starttag(self, tag: str, attrs: Any) -> None:
        """Every element passes here: the place to bound them."""
        self._elements += 1
        if self._elements > _MAX_ELEMENTS:
            raise _too_many()
        parent: Any = super()
        with suppress(*_PARSER_FAULTS):  # one element's handler: the feed has others
            parent.unknown_starttag(tag, attrs)

    def unknown_endtag(self, tag: str) -> None:
        """Where a handler fails, `xml:base` and depth still go out of scope with the element."""
        parent: Any = super()
        scopes, depth = len(self.basestack), self.depth
        with suppress(*_PARSER_FAULTS):
            parent.unknown_endtag(tag)
            return
        del self.basestack[max(scopes - 1, 0) :], self.langstack[max(scopes - 1, 0) :]
        self.baseuri = self.basestack[-1] if self.basestack else self._url
        self.depth = depth - 1

    def track_namespace(self, prefix: str | None, uri: str) -> None:
        """RSS 0.90 has a second name that the library does not know."""
        parent: Any = super()
        parent.track_namespace(prefix, uri)
        if not self.version and uri.lower() == _RSS_090:
            self.version = "rss090"

    def resolve_uri(self, uri: str) -> str:
        """Addresses stand under `xml:base` where there is one, else under the document's base."""
        base = self._base() if self.baseuri == self._url else self.baseuri
        try:
            return urljoin(base or "", uri.strip())
        except ValueError:
            return ""

    def _base(self) -> str | None:
        """As far as it is known by now: a feed's own links come before its entries."""
        return _home(self.feeddata, self._url or None, atom=self.version.startswith("atom"))

    def _sync_author_detail(self, key: str = "author") -> None:
        """Name and address of the last author as one text. The library's search for an address is quadratic."""
        context = self._get_context()
        detail = (dict.get(context, f"{key}s") or [{}])[-1]
        parts = detail.get("name"), detail.get("email")
        if any(parts):
            context[key] = f"{parts[0]} ({parts[1]})" if all(parts) else parts[0] or parts[1]
        elif dict.get(context, key):
            detail["name"] = context[key]

    def _add_tag(self, term: str | None, scheme: str | None, label: str | None) -> None:
        """As many as anybody reads; the library compares each with all before it."""
        if len(dict.get(self._get_context(), "tags") or ()) < _MAX_TAGS:
            parent: Any = super()
            parent._add_tag(term, scheme, label)  # noqa: SLF001

    def _get_context(self) -> Any:
        parent: Any = super()
        return parent._get_context()  # noqa: SLF001

    def _end_guid(self) -> None:
        """An id is kept as it is written, never resolved; an RSS guid may stand in for the link."""
        permalink, self.guidislink = self.guidislink, 0
        parent: Any = self
        value = parent.pop("id")
        if permalink and value and self.inentry and not self.version.startswith("atom"):
            dict.setdefault(self.entries[-1], "permalink", value)

    _end_id = _end_guid

    def _end_published(self) -> None:
        """A date is kept as text; what instant it means is for normalization to say."""
        self._pop("published")

    _end_issued = _end_pubdate = _end_published

    def _end_updated(self) -> None:
        self._pop("updated")

    _end_modified = _end_lastbuilddate = _end_updated

    def _end_created(self) -> None:
        self._pop("created")

    def _end_hour(self) -> None:
        """Of `skipHours`: the library keeps the last one alone."""
        self._collect("hour", "skip_hours")

    def _end_day(self) -> None:
        self._collect("day", "skip_days")

    def _collect(self, element: str, name: str) -> None:
        parent: Any = self
        value = parent.pop(element)
        found = self.feeddata.setdefault(name, [])
        if value and not self.inentry and len(found) < _MAX_SKIPPED:
            found.append(value)

    def _pop(self, element: str) -> None:
        parent: Any = self
        parent.pop(element)


class _Strict(_Ours, StrictFeedParser):  # type: ignore[misc]
    """Well-formed XML, by expat."""

    def startElementNS(self, name: Any, qname: Any, attrs: Any) -> None:  # noqa: N802
        """The library looks each attribute up among all of them."""
        if len(attrs) > _MAX_ATTRIBUTES:
            message = f"an element has more than {_MAX_ATTRIBUTES:,} attributes."
            raise PermanentSourceError(message, code="xml_elements", hint=_FIXED)
        super().startElementNS(name, qname, attrs)

    def unknown_starttag(self, tag: str, attrs: Any) -> None:
        if self.depth > _MAX_DEPTH:
            message = f"the feed is nested deeper than {_MAX_DEPTH} levels."
            raise PermanentSourceError(message, code="xml_depth", hint=_FIXED)
        super().unknown_starttag(tag, attrs)


class _Loose(_Ours, LooseFeedParser):  # type: ignore[misc]
    """Anything else, tag by tag."""

    def handle_charref(self, ref: str) -> None:
        """References to no character are dropped; the library would raise."""
        try:
            super().handle_charref(ref)
        except (OverflowError, UnicodeEncodeError, ValueError):
            return
