"""What is wrong with a configuration, as finished sentences: place, key, expected, found, a near name."""

from __future__ import annotations

import difflib
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from kasparro_app.config.fields import field_names
from kasparro_app.config.origin import Origin
from kasparro_app.config.paths import MISSING, KeyPath, lookup, shown

_SECRET_PLACES = frozenset({"auth", "headers", "params", "database", "admin_key"})
_LONGEST = 80
_WORDS = {
    "a valid dictionary": "a table",
    "a valid list": "an array",
    "a valid tuple": "an array",
    "a valid boolean": "true or false",
    "a valid string": "text",
    "a valid ": "a ",
    "a integer": "an integer",
}


class Faults:
    """Collects the faults of one configuration, each once."""

    def __init__(self, origin: Origin) -> None:
        self.origin = origin
        self._lines: dict[str, int] = {}

    @property
    def sentences(self) -> tuple[str, ...]:
        """One finished sentence per fault: those of the file by line, then the others."""
        return tuple(sorted(self._lines, key=lambda sentence: self._lines[sentence] or sys.maxsize))

    def add(self, path: KeyPath, fault: str) -> None:
        """Note a fault of the value at `path`."""
        place, written = self.origin.place(path)
        line = place.removeprefix(f"{self.origin.name}:")
        self.note(f"{place}: {shown(written)}: {fault}", line=int(line) if line.isdecimal() else 0)

    def note(self, sentence: str, *, line: int = 0) -> None:
        """Note a finished sentence about a line of the file, or (0) about something else."""
        self._lines.setdefault(sentence, line)

    def unknown(self, path: KeyPath, known: Iterable[str], what: str = "key", *, value: str | None = None) -> None:
        """Note a name that nothing knows: the last key of the path, or `value`, which stands there."""
        name = str(path[-1]) if value is None else value
        self.add(path, f"unknown {what} {name!r}{near(name, known)}")

    def invalid(self, base: KeyPath, model: type[BaseModel], data: Any, error: ValidationError) -> None:
        """Note everything pydantic found in `data`, which stands at `base`."""
        for path, details in _in_one_voice(data, error.errors(include_url=False)):
            if details["type"] == "extra_forbidden":
                self.unknown((*base, *path), field_names(model, path[:-1], data))
            else:
                self.add((*base, *path), _sentence((*base, *path), details, lookup(data, path)))


def near(name: str, known: Iterable[str]) -> str:
    """`; did you mean "delimiter"?` when one of the known names is close, else what there is when that is short."""
    names = sorted(set(known))
    close = nearest(name, names)
    if close:
        return f'; did you mean "{close}"?'
    return f"; known: {', '.join(names)}" if names and len(names) <= 12 else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is close enough to have been meant."""
    close = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return close[0] if close else None


def is_secret(path: KeyPath) -> bool:
    """True where a value must never be shown."""
    return any(key in _SECRET_PLACES for key in path) and path[-1] != "type"


def found(path: KeyPath, value: Any) -> str:
    """The value as it may be shown: nothing of a secret, no credentials of a URL, not too long."""
    if value is MISSING:
        return "nothing"
    if is_secret(path) and not isinstance(value, Mapping):
        return f"a hidden {_kind(value)}"
    if isinstance(value, str):
        return repr(_shortened(_public(value)))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float | Decimal):
        return str(value)
    return _kind(value)


def _in_one_voice(data: Any, errors: list[ErrorDetails]) -> Iterator[tuple[KeyPath, ErrorDetails]]:
    """Each fault once, at a place that exists in the data: the branches of a union that the value is not meant for
    (a table is not meant for the text branch) are left out."""
    seen: dict[KeyPath, list[ErrorDetails]] = {}
    for details in errors:
        seen.setdefault(_real_path(data, details), []).append(details)
    for path, several in seen.items():
        deeper = any(len(other) > len(path) and other[: len(path)] == path for other in seen)
        if deeper and all(_is_type_fault(one) for one in several):
            continue
        yield path, several[0] if len(several) == 1 else _joined(several)


def _real_path(data: Any, details: ErrorDetails) -> KeyPath:
    """pydantic's location without the names of union branches."""
    path: KeyPath = ()
    location = details["loc"]
    for position, key in enumerate(location):
        is_last = position == len(location) - 1
        if lookup(data, (*path, key)) is not MISSING or (is_last and details["type"] == "missing"):
            path = (*path, key)
    return path


def _is_type_fault(details: ErrorDetails) -> bool:
    return details["type"].endswith("_type")


def _joined(several: list[ErrorDetails]) -> ErrorDetails:
    """Several branches of a union refused the same value: name what each wanted."""
    wanted = dict.fromkeys(_wanted(one) for one in several if one["type"] != "missing")
    joined = several[0].copy()
    joined["msg"] = "Input should be " + " or ".join(wanted) if wanted else several[0]["msg"]
    return joined


def _wanted(details: ErrorDetails) -> str:
    return details["msg"].removeprefix("Input should be ").removeprefix("Value error, ")


def _sentence(path: KeyPath, details: ErrorDetails, value: Any) -> str:
    context = details.get("ctx", {})
    match details["type"]:
        case "missing":
            return "this key is required"
        case "value_error":
            shown_value = "" if isinstance(value, Mapping) else f" (found {found(path, value)})"
            return f"{_wanted(details)}{shown_value}"
        case "union_tag_invalid" | "literal_error" | "enum":
            names = re.findall(r"'([^']+)'", str(context.get("expected_tags") or context.get("expected") or ""))
            return _choice(path, names, value)
        case "union_tag_not_found":
            return "expected a table with a `type`"
        case _:
            return f"expected {_plain(_wanted(details))}, found {found(path, value)}"


def _choice(path: KeyPath, names: list[str], value: Any) -> str:
    """The value (or the `type` of a table) is none of the names."""
    if isinstance(value, Mapping):
        path, value = (*path, "type"), value.get("type", MISSING)
    wanted = f"one of {', '.join(names)}" if len(names) > 1 else f'"{"".join(names)}"'
    close = nearest(value, names) if isinstance(value, str) and not is_secret(path) else None
    return f"expected {wanted}, found {found(path, value)}" + (f'; did you mean "{close}"?' if close else "")


def _plain(wanted: str) -> str:
    """TOML's words for pydantic's."""
    words = re.sub(r", unable to (parse|interpret).*| or instance of \w+", "", wanted)
    for python, toml in _WORDS.items():
        words = words.replace(python, toml)
    return words


def _kind(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "text", list: "array", dict: "table"}
    return names.get(type(value), type(value).__name__)


def _public(text: str) -> str:
    if "://" not in text:
        return text
    parts = urlsplit(text)
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}{parts.path}"


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
