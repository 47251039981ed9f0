"""Parameters: what is taken, and what is said about the rest."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field, model_validator
from starlette.datastructures import Headers

from kasparro_app.api.operation import Parameters
from kasparro_app.api.problems import Problem, bad_parameter
from kasparro_app.api.validation import read_headers, read_path, read_query


class Colour(StrEnum):
    """Words."""

    RED = "red"
    BLUE = "blue"


class Query(Parameters):
    """One parameter of each kind."""

    limit: int = Field(default=50, ge=1, le=1000)
    flag: bool | None = None
    colour: Colour | None = None
    order: Literal["up", "down"] = "up"
    ratio: float | None = None
    q: Annotated[str, Field(max_length=5)] | None = None
    tag: tuple[str, ...] = ()
    start: int | None = None
    end: int | None = None

    @model_validator(mode="after")
    def _forwards(self) -> Query:
        if self.start is not None and self.end is not None and self.end < self.start:
            raise bad_parameter("end", "nothing before start", str(self.end))
        return self


class ItemPath(Parameters):
    """A path."""

    item_id: int = Field(ge=1)


class Sent(Parameters):
    """A header."""

    idempotency_key: str | None = Field(default=None, alias="Idempotency-Key", max_length=10)


def refusal(query: bytes) -> dict[str, Any]:
    """The first fault of a query that must be refused with 422."""
    with pytest.raises(Problem) as caught:
        read_query(Query, query)
    assert caught.value.status == 422
    fault = caught.value.faults[0]
    return {"parameter": fault.parameter, "expected": fault.expected, "found": fault.found, "place": fault.place}


def test_what_is_right_is_taken() -> None:
    """Each kind of parameter arrives as its type, plus signs and escapes undone, repeated lists in order."""
    got = read_query(Query, b"limit=7&flag=true&colour=blue&ratio=-1.5e2&q=a+%C3%A9&tag=x&tag=y")
    assert got == Query(limit=7, flag=True, colour=Colour.BLUE, ratio=-150.0, q="a é", tag=("x", "y"))


@pytest.mark.parametrize(
    ("query", "name", "expected", "found"),
    [
        (b"limit=0", "limit", "an integer from 1 to 1000", "0"),
        (b"limit=1001", "limit", "an integer from 1 to 1000", "1001"),
        (b"limit=", "limit", "an integer from 1 to 1000", ""),
        (b"limit=1.0", "limit", "an integer from 1 to 1000", "1.0"),
        (b"limit=1_0", "limit", "an integer from 1 to 1000", "1_0"),
        (b"limit=+7", "limit", "an integer from 1 to 1000", " 7"),
        (b"flag=on", "flag", "true or false", "on"),
        (b"flag=1", "flag", "true or false", "1"),
        (b"colour=green", "colour", "one of red, blue", "green"),
        (b"order=sideways", "order", "one of up, down", "sideways"),
        (b"ratio=nan", "ratio", "a number", "nan"),
        (b"q=toolong", "q", "a text of 0 to 5 characters", "toolong"),
        (b"limit=1&limit=2", "limit", "the parameter once", "2 times"),
        (b"start=5&end=4", "end", "nothing before start", "4"),
        (b"q=%00", "q", "text without NUL (U+0000)", "\\x00"),
        (b"q=%ff", "q", "text in UTF-8", "b'%ff'"),
        (b"q=\xff", "q", "text in UTF-8", "b'\\xff'"),
    ],
)
def test_what_is_wrong_is_named(query: bytes, name: str, expected: str, found: str) -> None:
    """A bad parameter is 422 with its name, what is expected, and what was found."""
    assert refusal(query) == {"parameter": name, "expected": expected, "found": found, "place": "query"}


def test_an_unknown_parameter_is_told_the_known_ones() -> None:
    """A name that the operation does not know is refused, with the names that it knows."""
    fault = refusal(b"limmit=5")
    assert fault["parameter"] == "limmit"
    assert "limit" in fault["expected"]


def test_all_faults_are_told_at_once() -> None:
    """Two bad parameters are two faults of one answer."""
    with pytest.raises(Problem) as caught:
        read_query(Query, b"limit=0&colour=green")
    assert [fault.parameter for fault in caught.value.faults] == ["limit", "colour"]


def test_without_a_model_every_parameter_is_unknown() -> None:
    """An operation without parameters refuses all, and takes none."""
    assert read_query(None, b"") is None
    with pytest.raises(Problem, match="x: expected no parameter"):
        read_query(None, b"x=1")


def test_a_path_that_is_no_utf_8_is_named() -> None:
    """What the server decoded with replacement characters is refused by its parameter's name, as is NUL."""
    for values, raw in (({"item_id": "\ufffd"}, b"/items/%ff"), ({"item_id": "1\0"}, b"/items/1%00")):
        with pytest.raises(Problem) as caught:
            read_path(ItemPath, values, raw)
        assert (caught.value.status, caught.value.faults[0].parameter, caught.value.faults[0].place) == (
            422,
            "item_id",
            "path",
        )
    assert read_path(ItemPath, {"item_id": "12"}, b"/items/12") == ItemPath(item_id=12)


def test_headers_are_found_in_any_case() -> None:
    """A declared header is read whatever its case; others are left alone; a second one is refused."""
    found = read_headers(Sent, Headers({"idempotency-key": "k", "x-other": "1"}))
    assert found == Sent(idempotency_key="k")
    with pytest.raises(Problem) as caught:
        read_headers(Sent, Headers(raw=[(b"idempotency-key", b"a"), (b"idempotency-key", b"b")]))
    assert (caught.value.faults[0].parameter, caught.value.faults[0].place) == ("Idempotency-Key", "header")


@given(st.binary(max_size=60))
def test_any_bytes_are_taken_or_refused(query: bytes) -> None:
    """No query string whatever ends in anything but an instance or a 422 that names its faults."""
    try:
        assert isinstance(read_query(Query, query), Query)
    except Problem as problem:
        assert problem.status == 422
        assert problem.faults
        assert all(fault.expected for fault in problem.faults)
