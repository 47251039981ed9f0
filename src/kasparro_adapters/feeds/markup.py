"""HTML of strangers: sanitized, made plain, and its addresses made absolute."""

from __future__ import annotations

import html
import re
from functools import lru_cache
from urllib.parse import urljoin, urlsplit

import nh3

_TAGS = nh3.ALLOWED_TAGS | {"audio", "picture", "source", "video"}
_MEDIA = {"src", "type", "controls", "width", "height"}
_ATTRIBUTES = {
    **nh3.ALLOWED_ATTRIBUTES,
    "audio": _MEDIA,
    "source": _MEDIA,
    "video": _MEDIA | {"poster"},
}
_SCHEMES = {"http", "https", "mailto"}
# The sanitizer's cost grows with the square of the nesting, and no article nests this deep.
_MAX_DEPTH = 256
_TAG = re.compile(r"<(/?)([A-Za-z][A-Za-z0-9]*)[^>]*>")
# Elements that end without being closed: void ones, and those that their next sibling ends.
_NO_DEPTH = {
    *("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"),
    *("dd", "dt", "li", "option", "p", "tbody", "td", "th", "tr"),
}
_BREAKS = re.compile(r"<(?:br|/?p|/?div|/?li|/?h[1-6]|/?tr|/?td)\b[^>]*>", re.IGNORECASE)
_NO_HOST = re.compile(r"[\s<>\"'`{}|\\^]")
_SPACE = re.compile(r"\s+")
# What XML does not allow as a character, and what no store takes.
_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def legal(text: str) -> str:
    """Text without characters that cannot be stored or shown."""
    return _ILLEGAL.sub("", text)


def collapsed(text: str) -> str:
    """One line of text: each run of white space is one blank."""
    return _SPACE.sub(" ", legal(text)).strip()


def sanitized(markup: str, base: str | None) -> str:
    """HTML that may be shown: no scripts, no handlers, http(s) and mailto links alone, relative ones under `base`."""
    markup = legal(markup)
    if "<" not in markup and "&" not in markup:
        return markup.strip()
    if _depth(markup) > _MAX_DEPTH:
        return html.escape(_without_tags(markup), quote=False).strip()
    return _cleaner(base).clean(markup).strip()


def escaped(text: str) -> str:
    """Plain text as HTML."""
    return html.escape(legal(text), quote=False).strip()


def plain(markup: str) -> str:
    """The text of a piece of HTML, as one line: tags stripped, entities decoded."""
    markup = legal(markup)
    if "<" in markup:
        spaced = _BREAKS.sub(" ", markup)
        deep = _depth(spaced) > _MAX_DEPTH
        markup = _without_tags(spaced) if deep else html.unescape(_stripper().clean(spaced))
    else:
        markup = html.unescape(markup)
    return collapsed(markup)


def absolute(url: str | None, base: str | None, schemes: frozenset[str] = frozenset(_SCHEMES)) -> str | None:
    """A link as an absolute address of one of `schemes`, or None."""
    if not url or not url.strip():
        return None
    try:
        joined = urljoin(base or "", "".join(legal(url).split("\n")).strip().replace("\t", ""))
        parts = urlsplit(joined)
        host = parts.hostname
    except ValueError:
        return None
    if parts.scheme not in schemes or (parts.scheme != "mailto" and (not host or _NO_HOST.search(host))):
        return None
    return joined.replace(" ", "%20").replace("\r", "")


def _without_tags(markup: str) -> str:
    return html.unescape(_TAG.sub(" ", markup))


def _depth(markup: str) -> int:
    """The deepest nesting at most; 0 without looking where there are too few tags for it to matter."""
    if markup.count("<") <= _MAX_DEPTH:
        return 0
    depth = deepest = 0
    for closing, name in _TAG.findall(markup):
        if name.lower() in _NO_DEPTH:
            continue
        depth = max(0, depth - 1) if closing else depth + 1
        deepest = max(deepest, depth)
    return deepest


@lru_cache(maxsize=64)
def _cleaner(base: str | None) -> nh3.Cleaner:
    try:
        return _cleaner_with(("rewrite_with_base", base) if base else "pass_through")
    except ValueError:  # an address that the sanitizer's stricter reading refuses
        return _cleaner_with("pass_through")


def _cleaner_with(relative: nh3.UrlRelative) -> nh3.Cleaner:
    return nh3.Cleaner(tags=_TAGS, attributes=_ATTRIBUTES, link_rel=None, url_schemes=_SCHEMES, url_relative=relative)


@lru_cache(maxsize=1)
def _stripper() -> nh3.Cleaner:
    return nh3.Cleaner(tags=set(), attributes={}, link_rel=None)
