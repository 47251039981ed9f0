"""From feedparser's entries to our item shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kasparro_adapters.feeds.markup import absolute, collapsed, escaped, legal, plain, sanitized
from kasparro_adapters.feeds.parser import ParsedFeed

Item = dict[str, Any]
Entry = dict[str, Any]

_HTML = {"text/html", "application/xhtml+xml"}
_UNNAMED = "application/octet-stream"  # base64 of no named type, which feedparser has decoded as far as it is text
_FETCHABLE = frozenset({"http", "https"})


def items(parsed: ParsedFeed) -> list[Item]:
    """One item per entry, in the document's order; {} for an entry that says nothing."""
    inherited = {"author": _author(parsed.feed), "language": _text(_get(parsed.feed, "language"))}
    return [completed(_item(parsed, entry), inherited) for entry in parsed.entries]


def completed(item: Item, inherited: Mapping[str, Any]) -> Item:
    """The item with what the feed says for all of them; {} if it says nothing of its own but its language."""
    if not any(value for name, value in item.items() if name != "language"):
        return {}
    return {**item, **{name: item[name] or value for name, value in inherited.items()}}


def _item(parsed: ParsedFeed, entry: Entry) -> Item:
    content = _content(entry)
    return {
        "id": _text(_get(entry, "id")),
        "link": _link(parsed, entry),
        "title": _title(parsed, entry),
        "summary": _summary(parsed, entry),
        "content": _markup(parsed, content),
        "author": _author(entry),
        "published": _text(_get(entry, "published")) or _text(_get(entry, "created")),
        "updated": _text(_get(entry, "updated")),
        "tags": _tags(_get(entry, "tags") or ()),
        "enclosures": _enclosures(parsed, entry),
        "language": _text(_get(entry, "language")) or _language(entry, content),
    }


def _get(entry: Entry, key: str) -> Any:
    """A field as it was stored; feedparser's own look-up puts other fields in the place of a missing one."""
    return dict.get(entry, key)


def _text(value: Any) -> str | None:
    return (legal(value).strip() or None) if isinstance(value, str) else None


def _detail(parsed: ParsedFeed, entry: Entry, key: str) -> Mapping[str, Any] | None:
    """A text with its type and base. The remembered detail may be that of another element of the same name."""
    value = _get(entry, key)
    if not isinstance(value, str) or not value:
        return None
    detail = _get(entry, f"{key}_detail") or {}
    if detail.get("value") == value:
        return dict(detail)
    return {"value": value, "type": "text/plain" if parsed.atom else "text/html", "base": None}


def _title(parsed: ParsedFeed, entry: Entry) -> str | None:
    detail = _detail(parsed, entry, "title")
    if detail is None:
        return None
    read = plain if detail.get("type") in _HTML else collapsed
    return read(detail["value"]) or None


def _summary(parsed: ParsedFeed, entry: Entry) -> str | None:
    if "summary_detail" not in entry:
        return None  # feedparser copies the content where a feed has no summary
    return _markup(parsed, _detail(parsed, entry, "summary"))


def _content(entry: Entry) -> Mapping[str, Any] | None:
    """The content to show: HTML before plain text, the first of its kind, never a bare reference to elsewhere."""
    found = [content for content in _get(entry, "content") or () if content.get("value")]
    ranked = sorted(found, key=lambda content: content.get("type") not in _HTML)
    return ranked[0] if ranked else None


def _markup(parsed: ParsedFeed, detail: Mapping[str, Any] | None) -> str | None:
    if detail is None:
        return None
    kind, value = detail.get("type") or "text/html", detail["value"]
    if kind in _HTML:
        if kind == "application/xhtml+xml":
            value = value.replace("</br>", "")  # serialized XML closes what HTML leaves open
        return sanitized(value, parsed.base(detail.get("base"))) or None
    if kind == _UNNAMED and "<" in value:
        return sanitized(value, parsed.base(detail.get("base"))) or None
    return (escaped(value) or None) if kind.startswith("text/") or kind == _UNNAMED else None


def _language(entry: Entry, content: Mapping[str, Any] | None) -> str | None:
    """The `xml:lang` in force at the content, else at the title."""
    details = filter(None, (content, _get(entry, "title_detail")))
    return next(filter(None, (_text(detail.get("language")) for detail in details)), None)


def _link(parsed: ParsedFeed, entry: Entry) -> str | None:
    """The entry's page; else what it says it can be found at: its guid, another alternate, its first file."""
    links = _get(entry, "links") or ()
    alternates = (absolute(link.get("href"), parsed.home) for link in links if link.get("rel") == "alternate")
    return (
        absolute(_get(entry, "link"), parsed.home)
        or absolute(_get(entry, "permalink"), None, _FETCHABLE)
        or next(filter(None, alternates), None)
        or next((file["url"] for file in _enclosures(parsed, entry)), None)
    )


def _author(entry: Entry) -> str | None:
    authors = [author for author in _get(entry, "authors") or () if author]
    if len(authors) > 1:
        names = (author.get("name") or author.get("email") for author in authors)
        return collapsed(", ".join(dict.fromkeys(filter(None, names)))) or None
    author = _get(entry, "author")
    return (collapsed(author) or None) if isinstance(author, str) else None


def _tags(tags: Iterable[Mapping[str, Any]]) -> list[str]:
    named = (collapsed(tag.get("label") or tag.get("term") or "") for tag in tags)
    return list(dict.fromkeys(filter(None, named)))


def _enclosures(parsed: ParsedFeed, entry: Entry) -> list[Item]:
    return [
        {"url": url, "type": _text(link.get("type")), "length": _length(link.get("length"))}
        for link in _get(entry, "links") or ()
        if link.get("rel") == "enclosure" and (url := absolute(link.get("href"), parsed.home, _FETCHABLE))
    ]


def _length(value: Any) -> int | None:
    """A size in bytes; many feeds write 0 or nothing when they do not know."""
    text = str(value or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
