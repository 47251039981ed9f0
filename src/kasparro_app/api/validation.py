"""From the text of a request to an operation's parameter models; every fault names its parameter."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import unquote_to_bytes

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from starlette.datastructures import Headers

from kasparro_app.api.operation import Parameters
from kasparro_app.api.parameters import expected_of, fields_of, is_list, is_literal
from kasparro_app.api.problems import Fault, Problem

P = TypeVar("P", bound=Parameters)
Pairs = Iterable[tuple[str, str]]
_SHOWN: Final = 100
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def query_pairs(query_string: bytes) -> list[tuple[str, str]]:
    """The parameters of a query string, in order. Raises Problem (422) for what is not UTF-8, and for NUL."""
    pairs = (part.partition(b"=") for part in query_string.split(b"&") if part)
    return [_pair(name, value) for name, _, value in pairs]


def read_query(model: type[P] | None, query_string: bytes) -> P | None:
    """The query's parameters. An operation without any refuses all."""
    pairs = query_pairs(query_string)
    if model is not None:
        return validated(model, pairs, "query")
    if pairs:
        raise _refused([Fault(pairs[0][0], "query", "no parameter of this name: there are none", pairs[0][0])])
    return None


def read_path(model: type[P] | None, values: Mapping[str, str], raw_path: bytes) -> P | None:
    """The path's parameters. `raw_path` is the path as it was sent: the decoded one hides what was not UTF-8."""
    if model is None:
        return None
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        name = next(iter(values))
        raise _refused([Fault(name, "path", "text in UTF-8", _shown(values[name]))]) from None
    for name, value in values.items():
        _refuse_nul(name, value, "path")
    return validated(model, values.items(), "path")


def read_headers(model: type[P] | None, headers: Headers) -> P | None:
    """Those headers that the model declares (by alias, in any case)."""
    if model is None:
        return None
    names = fields_of(model)
    return validated(model, [(name, value) for name in names for value in headers.getlist(name)], "header")


def validated(model: type[P], pairs: Pairs, place: str) -> P:
    """An instance of `model` from names and texts. Raises Problem (422) that names every parameter at fault: unknown
    ones, those given twice that are single, and those whose text cannot be taken."""
    given: defaultdict[str, list[str]] = defaultdict(list)
    for name, value in pairs:
        given[name].append(value)
    fields = fields_of(model)
    faults = list(_shape_faults(fields, given, place))
    if faults:
        raise _refused(faults)
    try:
        return model.model_validate({n: v if is_list(fields[n]) else v[0] for n, v in given.items()})
    except ValidationError as error:
        raise _refused([_fault(fields, given, place, detail) for detail in error.errors()]) from None


def _shape_faults(
    fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, list[str]], place: str
) -> Iterable[Fault]:
    """What can be said before the models look: names, repetitions, and texts that are no literal of their type
    (pydantic would take "1.0" for an integer and "on" for true)."""
    for name, values in given.items():
        if name not in fields:
            known = ", ".join(sorted(fields))
            yield Fault(_shown(name), place, f"one of the parameters {known}", _shown(name))
        elif len(values) > 1 and not is_list(fields[name]):
            yield Fault(name, place, "the parameter once", f"{len(values)} times")
        else:
            for value in values:
                if not is_literal(fields[name], value):
                    yield Fault(name, place, expected_of(fields[name]), _shown(value))


def _fault(
    fields: Mapping[str, Mapping[str, Any]], given: Mapping[str, list[str]], place: str, detail: ErrorDetails
) -> Fault:
    name = str(detail["loc"][0]) if detail["loc"] else place
    found = _shown(", ".join(given[name])) if name in given else None
    if detail["type"] in {"value_error", "assertion_error"}:
        return Fault(name, place, str(detail["ctx"]["error"]), found)
    return Fault(name, place, expected_of(fields.get(name, {})), found)


def _pair(name: bytes, value: bytes) -> tuple[str, str]:
    shown = unquote_to_bytes(name.replace(b"+", b" ")).decode(errors="backslashreplace")
    try:
        pair = _text(name), _text(value)
    except UnicodeDecodeError:
        raise _refused([Fault(_shown(shown), "query", "text in UTF-8", _shown(repr(value)))]) from None
    for text in pair:
        _refuse_nul(shown, text, "query")
    return pair


def _text(quoted: bytes) -> str:
    return unquote_to_bytes(quoted.replace(b"+", b" ")).decode()


def _refuse_nul(name: str, value: str, place: str) -> None:
    if "\0" in value:
        raise _refused([Fault(_shown(name), place, "text without NUL (U+0000)", _shown(value))])


def _shown(text: str) -> str:
    """A caller's text as it is given back: short, and without control characters."""
    clean = _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)
    return clean if len(clean) <= _SHOWN else f"{clean[:_SHOWN]}..."


def _refused(faults: list[Fault]) -> Problem:
    detail = "; ".join(f"{fault.parameter}: expected {fault.expected}" for fault in faults)
    return Problem(422, "Bad parameter", detail, faults)
