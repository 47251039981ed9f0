"""The message inside an error answer, whatever shape it has."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from kasparro_core.policy.answers import Answer

LONGEST = 300
"""An upstream's message is shown up to this many characters."""

_TITLE = re.compile(r"<title[^<>]*>", re.IGNORECASE)
_TITLE_END = re.compile(r"</title>", re.IGNORECASE)
_TAG = re.compile(r"<[^<>]*>")
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
    return answer_of(0, {}, body).says


def answer_of(status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """An error answer as the table of answers judges it."""
    if not body.strip():
        return Answer(status, headers)
    if looks_like_html(body):
        return Answer(status, headers, "html", shortened(html_title(body)))
    try:
        document = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return Answer(status, headers, "text", shortened(body[:4096].decode("utf-8", "replace")))
    says = shortened(_search(document, depth=0) or "")
    return Answer(status, headers, "json", says, _number(document, depth=0), _echoes(document, status))


def looks_like_html(body: bytes) -> bool:
    """True when the first character that is not blank opens a tag."""
    return body[:1024].removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<"


def html_title(body: bytes) -> str:
    """The title of a page, or the beginning of its text."""
    text = body[:16_384].decode("utf-8", "replace")
    opened = _TITLE.search(text)
    closed = _TITLE_END.search(text, opened.end()) if opened else None
    return html.unescape(text[opened.end() : closed.start()] if opened and closed else _TAG.sub(" ", text))


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


def _number(value: Any, depth: int) -> int | None:
    """The upstream's own error number, however deep CoinGecko nests it."""
    if not isinstance(value, dict) or depth > 4:
        return None
    number = value.get("error_code")
    if isinstance(number, int):
        return number
    return next((found for each in value.values() if (found := _number(each, depth + 1)) is not None), None)


def _echoes(document: Any, status: int) -> bool:
    """Whether the body repeats the status as a number, as an application's own error page does."""
    return isinstance(document, dict) and document.get("status") == status
