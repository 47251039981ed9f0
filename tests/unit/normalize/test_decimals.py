"""Exact numbers: what is read, what is refused, and that nothing is ever rounded or guessed."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.normalize.canonical import canonical_decimal
from kasparro_core.normalize.decimals import decimal, decimal_coercion, integer, integer_coercion
from kasparro_core.normalize.values import Refusal

with_comma = decimal_coercion(",")
NINETY = "9" * 60 + "." + "1" * 30

exact_decimals = st.decimals(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number or abs(number.adjusted()) <= 1000
)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("0", "0"),
        (0, "0"),
        ("-0.00", "0"),
        (-0.0, "0"),
        ("7e-06", "0.000007"),
        ("1e+15", "1000000000000000"),
        ("4.2E+17", "420000000000000000"),
        (7e-06, "0.000007"),
        (0.1, "0.1"),
        (1e22, "10000000000000000000000"),
        ("1,234.5", "1234.5"),
        ("1,234,567", "1234567"),
        ("-1,234.50", "-1234.5"),
        (" 12.50\t", "12.5"),
        (".5", "0.5"),
        ("5.", "5"),
        ("+5", "5"),
        ("007", "7"),
        (NINETY, NINETY),
        (2**256, str(2**256)),
        (Decimal("0.1000000000000000055511151231257827"), "0.1000000000000000055511151231257827"),
        ("0e99999999999", "0"),
        (Decimal("0E-5000"), "0"),
        ("1e1000", "1" + "0" * 1000),
        ("1e-1000", "0." + "0" * 999 + "1"),
    ],
)
def test_numbers_are_read_exactly(raw, expected):
    """Every literal keeps all its digits, and zero stays zero."""
    assert canonical_decimal(decimal(raw)) == expected


@pytest.mark.parametrize(
    "raw",
    [
        "1.057.030.998.551.800",
        "1,23,456",
        "12,34.5",
        "1234,567",
        "0,123",
        "1,234,56",
        ",123",
        "1 234",
        "1_000",
        "١٢٣",
        "１２",
        "²",
        "5²",
        "NaN",
        "Infinity",
        "-inf",
        "sNaN1",
        "0x10",
        "1e",
        "1e5.5",
        "--1",
        "79.92K",
        "-1.27%",
        "$5",
        ".",
        "-",
        "1,234.567,8",
        "abc",
        "1\x00",
        "\ud800",
        True,
        False,
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("Infinity"),
        Decimal("sNaN"),
        [1],
        {"a": 1},
        b"1",
    ],
)
def test_everything_else_is_refused(raw):
    """Bad grouping, foreign digits, underscores, suffixes, booleans and non-numbers are refused, never guessed."""
    refusal = decimal(raw)
    assert isinstance(refusal, Refusal)
    assert refusal.code == "decimal_invalid"
    assert refusal.message.startswith("Expected a ")


@pytest.mark.parametrize(
    "raw",
    [
        "1e1001",
        "1e-1001",
        "1e999999999999999999999999",
        "9" * 1001,
        "0." + "1" * 1001,
        "1" * 5000,
        10**1000,
        -(10**1000),
        Decimal("1E+1001"),
        Decimal("1E-1001"),
        Decimal("9" * 1001),
    ],
)
def test_numbers_beyond_the_bounds_are_refused(raw):
    """More than 1,000 digits or 1,000 places from the point is out of range, on every way in."""
    assert decimal(raw).code == "decimal_out_of_range"


@pytest.mark.parametrize("raw", [None, "", "  ", "\t\n", "\u00a0"])
def test_nothing_is_null(raw):
    """Null and blank text are null, not zero."""
    assert decimal(raw) is None
    assert with_comma(raw) is None
    assert integer(raw) is None


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ("39.623,0", "39623"),
        ("191.274", "191274"),
        ("4,7937", "4.7937"),
        ("1.234.567,89", "1234567.89"),
        ("1 234,5", "1234.5"),
        ("1\u00a0234\u00a0567,5", "1234567.5"),
        ("1\u202f234,5", "1234.5"),
        ("1\u2009234", "1234"),
        (",5", "0.5"),
        ("1,5e3", "1500"),
        (0.5, "0.5"),
        (Decimal("0.5"), "0.5"),
        (12, "12"),
        ("1.057.030.998.551.800", "1057030998551800"),
    ],
)
def test_a_declared_decimal_comma(raw, expected):
    """Where the comma is declared, points and blanks group thousands; numbers that are no text mean what they mean."""
    assert canonical_decimal(with_comma(raw)) == expected


@pytest.mark.parametrize("raw", ["108,843.7", "0.123", "12.34", "1.23", "1.234 567", "1,2,3", "1.2345", "1 23"])
def test_a_declared_decimal_comma_refuses_points_that_do_not_group(raw):
    """A decimal point in a comma column is refused, not read either way."""
    assert with_comma(raw).code == "decimal_invalid"


@pytest.mark.parametrize(
    ("raw", "expected"), [("3", 3), (3.0, 3), (Decimal("3E+2"), 300), ("1,234", 1234), ("5.00", 5), (10**30, 10**30)]
)
def test_integers(raw, expected):
    """A whole number is one however it is written."""
    assert integer(raw) == expected
    assert type(integer(raw)) is int


@pytest.mark.parametrize("raw", ["3.5", 0.5, "x", True, [], "1.234.567"])
def test_what_is_no_integer(raw):
    """Fractions and non-numbers are refused with the code of integers."""
    assert integer(raw).code == "integer_invalid"


def test_integers_follow_the_declared_mark():
    """A point groups thousands where the comma is declared."""
    assert integer_coercion(",")("1.234.567") == 1_234_567
    assert integer_coercion(".")("1,234,567") == 1_234_567
    assert integer("1e2000").code == "decimal_out_of_range"


@given(exact_decimals)
def test_round_trip(number):
    """The canonical text of a decimal reads back as the same number, and reading twice changes nothing."""
    again = decimal(canonical_decimal(number))
    assert again == number
    assert decimal(again) is again
    assert with_comma(canonical_decimal(number).replace(".", ",")) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_taken_by_their_shortest_text(number):
    """A float comes back as the same float."""
    assert float(decimal(number)) == number


@given(st.text() | st.from_regex(r"[+-]?[0-9.,]{0,12}([eE][+-]?[0-9]{0,6})?", fullmatch=True))
def test_any_text_has_a_result(text):
    """No text makes a coercion raise, under either mark, and what is read is finite and in bounds."""
    for coerce in (decimal, with_comma, integer, integer_coercion(",")):
        result = coerce(text)
        assert result is None or isinstance(result, Refusal | int) or result.is_finite()


@given(st.integers(min_value=0), st.integers(min_value=0, max_value=999), st.booleans())
def test_grouped_thousands(whole, thousandths, negative):
    """Python's own grouping reads back, with both marks."""
    text = f"{'-' if negative else ''}{whole:,}.{thousandths:03}"
    expected = Decimal(text.replace(",", ""))
    assert decimal(text) == expected
    assert with_comma(text.translate(str.maketrans(",.", ".,"))) == expected


def test_the_callers_decimal_context_does_not_matter():
    """A context of two digits changes no value: nothing is computed under it."""
    with localcontext() as context:
        context.prec = 2
        assert str(decimal("123456.789")) == "123456.789"
        assert str(decimal(Decimal("123456.789"))) == "123456.789"
        assert str(decimal(123456789)) == "123456789"
        assert canonical_decimal(Decimal("123456.7890")) == "123456.789"
        assert integer("123456789.0") == 123456789
