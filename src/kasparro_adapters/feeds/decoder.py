"""The feed decoder: bytes and two facts in, items out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from kasparro_adapters.feeds import entries, jsonfeed
from kasparro_adapters.feeds.encoding import decode_text
from kasparro_adapters.feeds.markup import absolute
from kasparro_adapters.feeds.parser import ParsedFeed, parse_xml
from kasparro_adapters.feeds.screen import is_channel, looks_like_html, without_doctype
from kasparro_adapters.feeds.wishes import Wish, wish_of
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model.batch import Decoded
from kasparro_core.model.raw import RawPayload
from kasparro_core.model.record import RawRecord
from kasparro_core.model.rejection import Rejection, Stage

MAX_BYTES = 64 * 1024 * 1024
_SAYS_NOTHING = "the entry says nothing: it has no id, link, title, text, date or file"


class FeedDecoder:
    """Reads RSS 0.9-2.0, RDF, Atom and JSON Feed payloads (`decode_facts["format"] == "feed"`).

    Facts: `url` (what relative addresses stand under; may be missing) and `content_type` (of the answer; may be "").
    Items are dicts: `id`, `link`, `title` (plain text), `summary`, `content` (sanitized HTML), `author`, `published`,
    `updated` (date texts), `language`, each str or None; `tags` (list of str); `enclosures` (list of `{url, type,
    length}`). An entry that says nothing is rejected (`empty_entry`), a JSON item that is no object too
    (`item_invalid`).

    Raises PermanentSourceError: `empty_body`, `html_for_feed`, `not_a_feed`, `xml_dtd`, `xml_depth`, `xml_elements`,
    `feed_too_large`, `feed_unreadable`. Pure: the same bytes and facts give the same items.
    """

    def decode(self, raw: RawPayload, /) -> Decoded:
        """The items of a feed document, those of a broken one as far as they can be made out."""
        return self.understand(raw)[0]

    def understand(self, raw: RawPayload, /) -> tuple[Decoded, Wish]:
        """The items, and how often the document asks to be read."""
        if len(raw.payload) > MAX_BYTES:
            raise PermanentSourceError(f"the feed is larger than {MAX_BYTES:,} bytes.", code="feed_too_large")
        content_type = str(raw.decode_facts.get("content_type") or "")
        url = absolute(str(raw.decode_facts.get("url") or ""), None)
        text = decode_text(raw.payload, content_type)
        if not text.strip("\ufeff\x00 \t\r\n"):
            raise PermanentSourceError("the body is empty where a feed was expected.", code="empty_body")
        if text.lstrip("\ufeff\x00 \t\r\n").startswith("{"):
            return _decoded(_json_items(text, url)), Wish()
        parsed = _parsed(text, url, content_type)
        return _decoded(entries.items(parsed)), wish_of(parsed.feed)


def _parsed(text: str, url: str | None, content_type: str) -> ParsedFeed:
    parsed = parse_xml(without_doctype(text.lstrip("\ufeff\x00")), url)
    if not parsed.version and not (parsed.entries and is_channel(text)):
        raise _no_feed(text, content_type)
    return parsed


def _json_items(text: str, url: str | None) -> list[Any]:
    document = jsonfeed.load(text.lstrip("\ufeff\x00"))
    return [
        jsonfeed.item(document, entry, url) if isinstance(entry, dict) else str(entry) for entry in document["items"]
    ]


def _no_feed(text: str, content_type: str) -> PermanentSourceError:
    if looks_like_html(text, content_type):
        return PermanentSourceError(
            "a web page came where a feed was expected.",
            code="html_for_feed",
            hint="Look for the address of the feed itself in the page.",
        )
    return PermanentSourceError("the document is no RSS, RDF, Atom or JSON Feed.", code="not_a_feed")


def _decoded(found: Iterable[Any]) -> Decoded:
    items: list[RawRecord] = []
    rejections: list[Rejection] = []
    for index, item in enumerate(found):
        if not isinstance(item, dict):
            rejections.append(_rejection("item_invalid", "an item is an object, not this", item, index))
        elif not item:
            rejections.append(_rejection("empty_entry", _SAYS_NOTHING, item, index))
        else:
            items.append(RawRecord(index, item))
    return Decoded(items, rejections)


def _rejection(code: str, message: str, payload: Any, index: int) -> Rejection:
    return Rejection(Stage.DECODE, code, f"entry {index}", message, payload, index)
