"""Text, symbols, currencies and URLs."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from kasparro_core.normalize.canonical import canonical_decimal, rfc3339
from kasparro_core.normalize.decimals import decimal
from kasparro_core.normalize.values import Coercion, Refusal, shown

_USUAL_URL = re.compile(r"https?://[a-z0-9.-]+(?:[/?#][!#-;=?-~]*)?")
# a host, then anything but control characters, quotes and brackets that no URL holds unescaped
_URL = re.compile(r"[Hh][Tt]{2}[Pp][Ss]?://[^\s/?#\\\"<>\x00-\x1f\x7f]+(?:[/?#][^\x00-\x1f\x7f-\x9f\"<>]*)?")


def storable(value: str) -> bool:
    """True when every store can hold the text: no NUL, no lone surrogate."""
    if "\0" in value:
        return False
    if value.isascii():
        return True
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def shortened(value: str, chars: int) -> str:
    """The beginning of a text, with an ellipsis where something is left out; at most `chars` characters."""
    return value if len(value) <= chars else value[: chars - 1] + "…"


def too_long(value: str, limit: int) -> Refusal | None:
    """The refusal of a text of more than `limit` UTF-8 bytes."""
    if 4 * len(value) <= limit or (size := len(value.encode())) <= limit:
        return None
    return Refusal("text_too_long", f"Expected at most {limit:,} bytes, found {size:,}: {shown(value)}.")


def at_most(coerce: Coercion, limit: int) -> Coercion:
    """The coercion to text, refusing more than `limit` UTF-8 bytes of it."""

    def coerce_short(value: Any) -> Any:
        result = coerce(value)
        if type(result) is not str or 4 * len(result) <= limit:
            return result
        return too_long(result, limit) or result

    return coerce_short


def text(value: Any) -> str | Refusal | None:
    """Text as it is; a number as its canonical text; blank text is null."""
    if type(value) is str:
        if not value or value.isspace():
            return None
        return value if storable(value) else _unstorable()
    if value is None:
        return None
    return _from_other(value)


def trimmed(value: Any) -> str | Refusal | None:
    """`text` without surrounding blanks."""
    if type(value) is str and value.isascii() and "\0" not in value:
        return value.strip() or None
    result = text(value)
    return result.strip() if isinstance(result, str) else result


def upper(value: Any) -> str | Refusal | None:
    """`trimmed` in upper case: symbols and currencies, which sources write in either case."""
    result = trimmed(value)
    return result.upper() if isinstance(result, str) else result


def url(value: Any) -> str | Refusal | None:
    """An absolute http or https URL. Blanks inside become %20, as every browser reads them."""
    if value is None:
        return None
    if not isinstance(value, str):
        return _no_url(value)
    if _USUAL_URL.fullmatch(value):
        return value
    link = value.strip()
    if not link:
        return None
    if not storable(link) or not _URL.fullmatch(link):
        return _no_url(value)
    return link.replace(" ", "%20")


def _from_other(value: Any) -> str | Refusal | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return text(str(value))
    if isinstance(value, int | float | Decimal):
        number = decimal(value)
        return canonical_decimal(number) if isinstance(number, Decimal) else number
    if isinstance(value, datetime):
        return rfc3339(value) if value.tzinfo else value.isoformat()
    if isinstance(value, date):
        return value.isoformat()
    return Refusal("text_invalid", f"Expected text, found {shown(value)}.")


def _unstorable() -> Refusal:
    return Refusal("text_invalid", "Expected text, found a NUL character or half of a surrogate pair in it.")


def _no_url(value: Any) -> Refusal:
    return Refusal("url_invalid", f"Expected an absolute http or https URL, found {shown(value)}.")
