"""The message inside an error answer, whatever shape it has."""

from __future__ import annotations

import html
import re
from typing import Any

import msgspec

LONGEST = 300
"""An upstream's message is shown up to this many characters."""

_TITLE = re.compile(r"<title[^>]*>(.*?)</title>", re.IGNORECASE | re.DOTALL)
_TAG = re.compile(r"<[^>]*>")
_UNSHOWN = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]+")
_KEYS = (
    "error_message",
    "message",
    "detail",
    "error_description",
    "description",
    "title",
    "reason",
    "error",
    "status",
    "errors",
)


def answer_message(body: bytes) -> str:
    """What an error answer says, in one line: of JSON its message, of HTML its title, else its text; "" for nothing.

    Knows `{"error": "text"}`, `{"status": {"error_message": ...}}`, both nested (`{"error": {"status": ...}}`), problem
    details and lists of errors.
    """
    if looks_like_html(body):
        return shortened(html_title(body))
    try:
        found = _search(msgspec.json.decode(body), depth=0)
    except (ValueError, RecursionError):
        return shortened(body[:4096].decode("utf-8", "replace"))
    return shortened(found or "")


def looks_like_html(body: bytes) -> bool:
    """True when the first character that is not blank opens a tag."""
    return body[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def html_title(body: bytes) -> str:
    """The title of a page, or the beginning of its text."""
    text = body[:16_384].decode("utf-8", "replace")
    found = _TITLE.search(text)
    return html.unescape(found[1] if found else _TAG.sub(" ", text))


def shortened(text: str, limit: int = LONGEST) -> str:
    """The text on one line, without control characters, cut to `limit` characters."""
    line = _UNSHOWN.sub(" ", text).strip()
    return line if len(line) <= limit else line[: limit - 1] + "…"


def _search(value: Any, depth: int) -> str | None:
    if isinstance(value, str):
        return value or None
    if depth > 4:
        return None
    if isinstance(value, list):
        return _search(value[0], depth + 1) if value else None
    if isinstance(value, dict):
        found = (_search(value[key], depth + 1) for key in _KEYS if key in value)
        return next((text for text in found if text), None)
    return None
