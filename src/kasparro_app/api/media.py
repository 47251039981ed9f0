"""Which of the offered media types a caller wants (RFC 9110, section 12.5.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_RANGE: Final = re.compile(rf"\s*({_WORD})/({_WORD})\s*(;.*)?", re.DOTALL)
_QUALITY: Final = re.compile(r";\s*q\s*=\s*(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def preferred(accept: str | None, offers: Mapping[str, Sequence[str]]) -> str | None:
    """The name of the offer that is wanted most; None when none is acceptable.

    `offers` maps names to media types, in the server's own order of preference, which decides between equals. Of the
    ranges that match a type the most specific one counts; q=0 refuses it. Without a header, or with one that holds no
    range at all, everything is acceptable.
    """
    ranges = list(_ranges(accept or ""))
    if not ranges:
        return next(iter(offers))
    qualities = {name: max(_quality(ranges, media) for media in types) for name, types in offers.items()}
    best = max(qualities, key=qualities.__getitem__)
    return best if qualities[best] > 0 else None


def _ranges(accept: str) -> Iterator[tuple[str, str, float]]:
    """Each range as type, subtype, quality; what is no range is passed over."""
    for part in accept.lower().split(","):
        match = _RANGE.fullmatch(part)
        if match is not None:
            given = _QUALITY.search(match[3] or "")
            yield match[1], match[2], float(given[1]) if given else 1.0


def _quality(ranges: Sequence[tuple[str, str, float]], media: str) -> float:
    kind, _, subtype = media.partition("/")
    matching = [
        ((its_kind != "*") + (its_subtype != "*"), quality)
        for its_kind, its_subtype, quality in ranges
        if its_kind in {kind, "*"} and its_subtype in {subtype, "*"}
    ]
    return max(matching)[1] if matching else 0.0
