"""What is refused before any parser sees it: declarations that make XML expand or reach out."""

from __future__ import annotations

import re

from kasparro_core.errors import PermanentSourceError

_DECLARATION = re.compile(r"\s*<\?xml\b[^>]*>")
_MISC = re.compile(r"(?:\s|<!--.*?-->|<\?.*?\?>)*", re.DOTALL)
_DOCTYPE = re.compile(r"<!DOCTYPE\s", re.IGNORECASE)
# A name, then an external identifier at most. It is cut out, so nobody ever fetches what it points to.
_PLAIN_DOCTYPE = re.compile(
    r"<!DOCTYPE\s+[^\s\[\]<>\"']+(?:\s+(?:PUBLIC|SYSTEM|\"[^\"]*\"|'[^']*'))*\s*>", re.IGNORECASE
)
_LONGEST_DOCTYPE = 2_000
_ROOT = re.compile(r"<[A-Za-z_]")
_INTERNAL = re.compile(r"<!(?:ENTITY|ELEMENT|ATTLIST|NOTATION)\b", re.IGNORECASE)
_HTML = re.compile(r"<(?:!doctype\s+html|html|head|body)\b", re.IGNORECASE)


def without_doctype(text: str) -> str:
    """An XML document without its declaration and its plain DOCTYPE.

    Raises PermanentSourceError (code `xml_dtd`) for an internal subset or entity declarations: they are how XML bombs
    and file inclusion are made, and no feed format needs them.
    """
    declaration = _DECLARATION.match(text)
    body = text[declaration.end() :] if declaration else text.lstrip()
    start = _end_of_misc(body)
    if _DOCTYPE.match(body, start):
        doctype = _PLAIN_DOCTYPE.match(body, start, start + _LONGEST_DOCTYPE)
        if doctype is None:
            raise _refused()
        body = body[:start] + body[doctype.end() :]
    root = _ROOT.search(body)
    if _INTERNAL.search(body, 0, root.start() if root else len(body)):
        raise _refused()
    return body


def looks_like_html(text: str, content_type: str) -> bool:
    """True for a document that is, or is served as, a web page."""
    start = text[:4096]
    found = _HTML.match(start, _end_of_misc(start))  # in two steps: one pattern would try all ways to end a comment
    return found is not None or content_type.partition(";")[0].strip().lower() == "text/html"


def is_channel(text: str) -> bool:
    """True for the Channel Definition Format, which has no version to be known by."""
    root = _ROOT.search(text)
    return root is not None and re.match(r"channel[\s>]", text[root.start() + 1 :][:8], re.IGNORECASE) is not None


def _end_of_misc(body: str) -> int:
    found = _MISC.match(body)
    return found.end() if found else 0


def _refused() -> PermanentSourceError:
    return PermanentSourceError(
        "the document declares entities or a DTD of its own, which is refused.",
        code="xml_dtd",
        hint="A feed needs none, and no setting allows it; ask its publisher, or check that the address is the feed's.",
    )
