"""JSON Feed 1.0 and 1.1, read tolerantly: numeric ids, missing dates, one author or many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kasparro_adapters.feeds.entries import Item, completed
from kasparro_adapters.feeds.markup import absolute, collapsed, escaped, legal, sanitized
from kasparro_core.errors import PermanentSourceError

_VERSION = "jsonfeed.org/version/1"
_SHORT = {"1", "1.0", "1.1"}


def load(text: str) -> Mapping[str, Any]:
    """The document, numbers as their text. Raises PermanentSourceError (`not_a_feed`) when it is no JSON Feed."""
    try:
        # Numbers stay text: an id of 1.0 or of twenty digits is kept as it is written.
        document = json.loads(text, parse_float=str, parse_int=str, parse_constant=str)
    except (ValueError, RecursionError) as error:
        raise PermanentSourceError("the document starts like JSON and is not.", code="not_a_feed") from error
    if not isinstance(document, dict) or not _is_feed(str(document.get("version"))):
        raise PermanentSourceError(
            "the document is JSON and no JSON Feed: its `version` is not one of jsonfeed.org.",
            code="not_a_feed",
            hint='For a JSON API use a source of type "http".',
        )
    if not isinstance(document.get("items"), list):
        raise PermanentSourceError("the JSON Feed has no list of `items`.", code="not_a_feed")
    return document


def item(document: Mapping[str, Any], entry: Mapping[str, Any], url: str | None) -> Item:
    """One item in our shape, {} if it says nothing. What is not of the expected type counts as missing."""
    inherited = {"author": _author(document), "language": _string(document.get("language"))}
    return completed(_own(entry, _base(document, url)), inherited)


def _is_feed(version: str) -> bool:
    return _VERSION in version or version in _SHORT


def _base(document: Mapping[str, Any], url: str | None) -> str | None:
    home, own = _string(document.get("home_page_url")), _string(document.get("feed_url"))
    return absolute(home, url) or url or absolute(own, None)


def _own(entry: Mapping[str, Any], base: str | None) -> Item:
    files = _attachments(entry, base)
    pages = [absolute(_string(entry.get(name)), base) for name in ("url", "external_url")]
    return {
        "id": _string(entry.get("id")),
        "link": next(filter(None, [*pages, *(file["url"] for file in files)]), None),
        "title": _line(entry.get("title")),
        "summary": escaped(_string(entry.get("summary")) or "") or None,
        "content": _content(entry, base),
        "author": _author(entry),
        "published": _string(entry.get("date_published")),
        "updated": _string(entry.get("date_modified")),
        "tags": list(dict.fromkeys(filter(None, (_line(tag) for tag in _list(entry.get("tags")))))),
        "enclosures": files,
        "language": _string(entry.get("language")),
    }


def _content(entry: Mapping[str, Any], base: str | None) -> str | None:
    markup = _string(entry.get("content_html"))
    if markup:
        return sanitized(markup, base) or None
    return escaped(_string(entry.get("content_text")) or "") or None


def _author(holder: Mapping[str, Any]) -> str | None:
    """1.1 has `authors`, 1.0 one `author`; an address may stand for a missing name."""
    authors = holder.get("authors")
    people = [*(_list(authors) or [authors]), holder.get("author")]
    names = (_line(who.get("name")) or _string(who.get("url")) for who in people if isinstance(who, dict))
    return ", ".join(dict.fromkeys(filter(None, names))) or None


def _attachments(entry: Mapping[str, Any], base: str | None) -> list[Item]:
    return [
        {"url": url, "type": _string(part.get("mime_type")), "length": _size(_string(part.get("size_in_bytes")))}
        for part in _list(entry.get("attachments"))
        if isinstance(part, dict) and (url := absolute(_string(part.get("url")), base, frozenset({"http", "https"})))
    ]


def _size(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 19 else None


def _string(value: Any) -> str | None:
    return (legal(value).strip() or None) if isinstance(value, str) else None


def _line(value: Any) -> str | None:
    return (collapsed(value) or None) if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
