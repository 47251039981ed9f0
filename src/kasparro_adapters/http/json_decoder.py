"""JSON payloads: exact numbers, strict text, and the items at a path."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from kasparro_adapters.http.messages import html_title, looks_like_html, shortened
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model.batch import Decoded
from kasparro_core.model.raw import RawPayload
from kasparro_core.model.record import RawRecord
from kasparro_core.model.rejection import Rejection, Stage
from kasparro_core.normalize.paths import steps
from kasparro_core.normalize.values import shown

_BOM = b"\xef\xbb\xbf"
_KEYS_SHOWN = 12

_BYTE = re.compile(r"\(byte (\d+)\)$")
_NOT_A_NUMBER = re.compile(rb"(?<![\w\"])[-+]?(?:NaN|Infinity|nan|inf|Inf|NAN|INF)(?![\w\"])")
_LONGEST_WORD = len("-Infinity")

_EXPONENT = 5_000
"""Beyond it a few bytes of JSON stand for a number that would fill the memory once it is written out."""


def _exact(literal: str) -> Decimal:
    number = Decimal(literal)
    if abs(number.adjusted()) > _EXPONENT:
        raise InvalidOperation
    return number


_decoder = msgspec.json.Decoder(float_hook=_exact)


class JsonDecoder:
    """Implements `kasparro_core.ports.Decoder` for `{"format": "json", "records": "data.items" | null}`.

    Items are the objects of the array at `records` (the body itself when null). An object in place of the array is one
    item; null is no item (some servers send it for an empty list). An element that is not an object is rejected, code
    `not_an_object`. Numbers with a fraction or exponent are Decimals, others ints of any size; where an object names a
    key twice, the last one counts. A UTF-8 byte order mark is skipped.
    """

    def decode(self, raw: RawPayload, /) -> Decoded:
        """Error codes: `empty_body`, `html_for_json`, `not_utf8`, `json_truncated`, `json_nan`, `json_depth`,
        `not_json`, `number_out_of_range`, `records_not_found`, `records_not_array`."""
        return items_of(parse(raw.payload), raw.decode_facts.get("records"))


def parse(payload: bytes) -> Any:
    """The JSON value of a body. Raises PermanentSourceError with one of the codes named by `JsonDecoder.decode`."""
    body = payload.removeprefix(_BOM)
    if not body.strip():
        raise PermanentSourceError("Expected JSON, found an empty body.", code="empty_body")
    try:
        return _decoder.decode(body)
    except RecursionError as error:
        raise too_deep() from error
    except (UnicodeDecodeError, msgspec.ValidationError, msgspec.DecodeError, InvalidOperation) as error:
        raise _refusal(body, error) from error


def too_deep() -> PermanentSourceError:
    """The error for JSON that is nested beyond what the interpreter reads."""
    return PermanentSourceError(
        f"Expected JSON of at most about {sys.getrecursionlimit():,} levels (no setting changes that), found it nested "
        "deeper.",
        code="json_depth",
    )


def items_of(document: Any, path: str | None) -> Decoded:
    """The items at a dotted path of a parsed body."""
    found = document if path is None else find(document, path)
    if found is None:
        return Decoded(items=())
    if isinstance(found, dict):
        return Decoded(items=[RawRecord(0, found)])
    if not isinstance(found, list):
        where = f"at `{path}`" if path else "in the body"
        raise PermanentSourceError(f"Expected an array {where}, found {shown(found)}.", code="records_not_array")
    items = [RawRecord(index, each) for index, each in enumerate(found) if isinstance(each, dict)]
    if len(items) == len(found):
        return Decoded(items=items)
    return Decoded(items, [_not_an_object(i, each) for i, each in enumerate(found) if not isinstance(each, dict)])


def find(document: Any, path: str) -> Any:
    """What stands at a path (`a.b[0]`; a key of just that name goes first). Raises PermanentSourceError, code
    `records_not_found`, that tells what is there instead."""
    if isinstance(document, dict) and path in document:
        return document[path]
    value = document
    for step in steps(path):
        if not _has(value, step):
            message = f"Expected the records at `{path}`, but there is no `{step}`: found {_outline(value)}."
            raise PermanentSourceError(message, code="records_not_found", hint="Check `records` of the source.")
        value = value[step]
    return value


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, str):
        return isinstance(value, dict) and step in value
    return isinstance(value, list) and -len(value) <= step < len(value)


def _refusal(body: bytes, error: Exception) -> PermanentSourceError:
    """What the body is instead of JSON. Made here and raised by the caller: a frame of the traceback that knows both
    errors would keep the body until the garbage collector comes."""
    if looks_like_html(body):
        said = shortened(html_title(body), 120)
        return PermanentSourceError(f"Expected JSON, found a page of HTML ({said!r}).", code="html_for_json")
    if (found := _other_charset(body)) is not None:
        return PermanentSourceError(f"Expected JSON in UTF-8, found {found}.", code="not_utf8")
    if isinstance(error, msgspec.ValidationError | InvalidOperation):
        message = "The JSON holds a number beyond every bound (more than 4,300 digits, or an absurd exponent)."
        return PermanentSourceError(message, code="number_out_of_range")
    code, message = _malformed(body, str(error))
    return PermanentSourceError(message, code=code)


def _malformed(body: bytes, said: str) -> tuple[str, str]:
    """Code and message for what the decoder stumbled over. Where it stopped stands in what it said."""
    place = _BYTE.search(said)
    at = int(place[1]) if place else len(body) if "truncated" in said and not _has_an_end(body) else 0
    if (number := _NOT_A_NUMBER.search(body, max(0, at - _LONGEST_WORD), at + _LONGEST_WORD)) is not None:
        word = number[0].decode()
        return "json_nan", f"Expected JSON, which has finite numbers alone, found {word} at byte {number.start():,}."
    if at >= len(body.rstrip()):
        end = shortened(body[-120:].decode("utf-8", "replace"), 40)
        return (
            "json_truncated",
            f"Expected JSON, found its first {len(body):,} bytes without an end (the last: {end!r}).",
        )
    begin = shortened(body[:200].decode("utf-8", "replace"), 60)
    return "not_json", f"Expected JSON: {shortened(said, 120)}. The body begins with {begin!r}."


def _has_an_end(body: bytes) -> bool:
    """True for what is only half a surrogate pair short of JSON, which msgspec calls truncated as well."""
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _other_charset(body: bytes) -> str | None:
    """What a body is where it is not UTF-8: RFC 8259 8.1 allows no other."""
    if b"\0" in body[:2] or body.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16 or UTF-32"
    try:
        body.decode()
    except UnicodeDecodeError as error:
        if error.reason == "unexpected end of data":  # cut off inside of a character
            return None
        return f"the byte 0x{body[error.start]:02x} at byte {error.start:,}, which no text in UTF-8 has there"
    return None


def _not_an_object(index: int, element: Any) -> Rejection:
    message = f"Expected an object, found {shown(element)}."
    return Rejection(Stage.DECODE, "not_an_object", f"[{index}]", message, element, index)


def _outline(value: Any) -> str:
    if isinstance(value, Mapping):
        names = [shortened(str(name), 40) for name in list(value)[:_KEYS_SHOWN]]
        more = f" and {len(value) - _KEYS_SHOWN} more" if len(value) > _KEYS_SHOWN else ""
        return f"an object with the keys {', '.join(names)}{more}" if names else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    return shown(value)
