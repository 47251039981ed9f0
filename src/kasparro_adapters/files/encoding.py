"""Which encoding a file is in, from a sample of its bytes.

In this order: byte order mark, declaration, NUL pattern (UTF-16 without mark), strict UTF-8, UTF-8 with a few broken
places, chardet where it is sure, cp1252. Detection of short legacy text is weak everywhere, so it comes last.
"""

from __future__ import annotations

import codecs

import chardet

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SURE = 0.5
_GUESS_BYTES = 64 * 1024
_PROBE = "\r\n\t,;|\"'\\09azAZ"


def detect_encoding(sample: bytes, declared: str | None = None) -> str:
    """The codec name for `sample`, the start of a file. A byte order mark beats `declared`.

    UTF-8 that is cut inside its last character is UTF-8, also where the file ends there: it may be growing.
    """
    for mark, name in _MARKS:
        if sample.startswith(mark):
            return name
    if declared:
        return normal_name(declared, sample)
    return _by_nul_pattern(sample) or _as_utf8(sample) or _by_statistics(sample) or "cp1252"


def mark_length(sample: bytes) -> int:
    """Bytes of the byte order mark at the start of `sample`; 0 without one."""
    return next((len(mark) for mark, _ in _MARKS if sample.startswith(mark)), 0)


def normal_name(declared: str, sample: bytes = b"") -> str:
    """The codec's name with its byte order: `utf-16` without a mark is little endian unless the bytes say otherwise."""
    name = codecs.lookup(declared).name
    match name:
        case "utf-16" | "utf-32":
            return _by_nul_pattern(sample) or f"{name}-le"
        case "utf-8-sig" | "ascii":
            return "utf-8"
        case "iso8859-1":
            return "latin-1"
    return name


def is_readable(name: str) -> bool:
    """True for text codecs whose ASCII characters are ASCII bytes, and for UTF-16 and UTF-32.

    Raises LookupError for an unknown name.
    """
    info = codecs.lookup(name)
    if info.name.startswith(("utf-16", "utf-32")):
        return True
    return bool(getattr(info, "_is_text_encoding", True)) and _PROBE.encode(name) == _PROBE.encode("ascii")


def unit_width(name: str) -> int:
    """Bytes per code unit: 2 for UTF-16, 4 for UTF-32, else 1."""
    return 2 if name.startswith("utf-16") else 4 if name.startswith("utf-32") else 1


def decode_lenient(data: bytes, name: str) -> str:
    """Text of `data` where everything undecodable is a lone surrogate."""
    width = unit_width(name)
    whole = len(data) - len(data) % width
    torn = "\udcff" if whole < len(data) else ""
    if width == 4:
        return data[:whole].decode(name, "replace").replace("\ufffd", "\udcff") + torn
    return data[:whole].decode(name, "surrogatepass" if width == 2 else "surrogateescape") + torn


def _by_nul_pattern(sample: bytes) -> str | None:
    """Mostly-ASCII text in UTF-16 has a NUL in nearly every second place, and only there."""
    head = sample[: 4096 & ~1]
    if len(head) < 4 or b"\0" not in head:
        return None
    even, odd = head[::2].count(0) / len(head[::2]), head[1::2].count(0) / len(head[1::2])
    if odd > 0.4 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 and odd < 0.1 else None


def _as_utf8(sample: bytes) -> str | None:
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
    except UnicodeDecodeError:
        return "utf-8" if _mostly_utf8(sample) else None
    return "utf-8"


def _mostly_utf8(sample: bytes) -> bool:
    """Ten sound multi-byte characters for each broken byte are no accident."""
    text = sample.decode("utf-8", "surrogateescape")
    broken = sum(1 for char in text if "\ud800" <= char <= "\udfff")
    sound = sum(1 for char in text if char > "\x7f") - broken
    return sound > 10 * broken


def _by_statistics(sample: bytes) -> str | None:
    guess = chardet.detect(sample[:_GUESS_BYTES])
    name, confidence = guess["encoding"], guess["confidence"] or 0.0
    if name is None or confidence < _SURE:
        return None
    try:
        if codecs.lookup(name).name in ("iso8859-1", "ascii") or not is_readable(name):
            return None
    except LookupError:
        return None
    return normal_name(name)
