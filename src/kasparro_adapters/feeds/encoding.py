"""From the bytes of a feed to text: byte order mark, HTTP charset, XML declaration, then what the bytes themselves say.

The choice depends on the bytes and the Content-Type alone, never on which detection library is installed.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SHAPES = (
    (re.compile(rb"[<{]\x00\x00\x00"), "utf-32-le"),
    (re.compile(rb"\x00\x00\x00[<{]"), "utf-32-be"),
    (re.compile(rb"[<{]\x00[^\x00]"), "utf-16-le"),
    (re.compile(rb"\x00[<{]\x00"), "utf-16-be"),
    (re.compile(rb"\x4c\x6f\xa7\x94"), "cp037"),
)
_CHARSET = re.compile(r"charset\s*=\s*[\"']?([\w.:+-]+)", re.IGNORECASE)
_DECLARED = re.compile(rb"\s*<\?xml[^>]*?encoding\s*=\s*[\"']([^\"']+)[\"']")
_WESTERN = {"ascii", "iso8859-1", "cp1252"}
# Codecs of Python that are no character sets of documents, or cost more than the document is long.
_NO_CHARSET = {"idna", "mbcs", "oem", "punycode", "raw-unicode-escape", "undefined", "unicode-escape", "utf-7"}
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}


def decode_text(payload: bytes, content_type: str) -> str:
    """The text of a document, without byte order mark. Total: bytes that fit no charset become U+FFFD."""
    for mark, encoding in _MARKS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(encoding, "replace")
    for encoding in _candidates(payload, content_type):
        try:
            return payload.decode(encoding)
        except UnicodeDecodeError:
            continue
    return _guessed(payload)


def _candidates(payload: bytes, content_type: str) -> Iterator[str]:
    """Charsets to try, strictly, in order; a wrong label fails and the next one is tried."""
    for shape, encoding in _SHAPES:
        if shape.match(payload):
            yield encoding
    charset = _CHARSET.search(content_type)
    declared = _DECLARED.match(payload[:1024])
    labels = [charset.group(1) if charset else "", declared.group(1).decode("ascii", "replace") if declared else ""]
    for name in filter(None, map(_known, labels)):
        if name in _WESTERN:
            # Servers and generators put these labels on everything, and Western text is never valid UTF-8 by chance.
            yield "utf-8"
            yield "cp1252"
        yield name
    yield "utf-8"


def _known(label: str) -> str | None:
    try:
        found = codecs.lookup(label)
    except (LookupError, ValueError):
        return None
    # Codecs of bytes (base64, zlib) and of text (rot13) bear names too.
    is_charset = getattr(found, "_is_text_encoding", True) and found.name not in _NO_CHARSET
    return _WIDER.get(found.name, found.name) if is_charset else None


def _guessed(payload: bytes) -> str:
    """UTF-8 with some broken places where most sequences are sound, else Western European."""
    text = payload.decode("utf-8", "replace")
    broken = text.count("\ufffd")
    sound = sum(1 for char in text if char > "\x7f") - broken
    if sound >= broken:
        return text
    try:
        return payload.decode("cp1252")
    except UnicodeDecodeError:
        return payload.decode("latin-1")
