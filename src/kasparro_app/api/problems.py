"""Answers that say what went wrong: RFC 9457 `application/problem+json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Fault:
    """One bad parameter: its name, where it stands (query, path, header or body), what was expected, what was found."""

    parameter: str
    place: str
    expected: str
    found: str | None = None


@dataclass
class Problem(Exception):  # noqa: N818 - it is named after what it becomes
    """Raised by handlers and middleware; becomes the answer. `title` is short and stable, `detail` one sentence that
    says what to do. `extra` are further members of the body (409: `run_id`)."""

    status: int
    title: str
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(self.detail)


def bad_parameter(name: str, expected: str, found: str | None = None, *, place: str = "query") -> Problem:
    """422: one parameter that cannot be taken."""
    fault = Fault(name, place, expected, found)
    return Problem(422, "Bad parameter", f"{name}: expected {expected}", (fault,))


def not_found(what: str) -> Problem:
    """404: nothing under that name."""
    return Problem(404, "Not found", what)
