"""Subscription lists."""

from __future__ import annotations

import re

import listparser

from kasparro_adapters.feeds.address import is_remote
from kasparro_adapters.feeds.encoding import decode_text
from kasparro_adapters.feeds.parser import refuse_flood, repaired, well_formed
from kasparro_adapters.feeds.screen import without_doctype
from kasparro_core.errors import PermanentSourceError

_MAX_ELEMENTS = 50_000
_BARE = re.compile(r"&(?!#?\w+;)")  # addresses with parameters are often written without escaping


def feed_addresses(payload: bytes, content_type: str) -> list[str]:
    """The http(s) addresses of the feeds in an OPML document, in its order.

    Raises PermanentSourceError: `xml_dtd`, `xml_elements`, `opml_invalid` (no subscription list, or one that names no
    feed).
    """
    text = _BARE.sub("&amp;", without_doctype(decode_text(payload, content_type).lstrip("\ufeff\x00")))
    text = repaired(text)
    refuse_flood(text, _MAX_ELEMENTS)
    if not well_formed(text):  # the library's cost for broken markup grows with its square
        raise PermanentSourceError("the subscription list is not well-formed XML.", code="opml_invalid")
    # Bytes, never a string: the library would fetch a string that looks like an address.
    harvest = listparser.parse(text.encode("utf-8", "replace"))
    found = [str(feed["url"]) for feed in harvest["feeds"] if is_remote(str(feed["url"]))]
    if not found:
        raise PermanentSourceError(
            "the subscription list names no feed over http or https.",
            code="opml_invalid",
            hint="An OPML file lists feeds as <outline xmlUrl=...>.",
        )
    return found
