"""The order-preserving text of decimals."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.sql.ordering import order_text

_numbers = st.builds(
    lambda sign, digits, exponent: Decimal((sign, digits, exponent)),
    st.sampled_from([0, 1]),
    st.lists(st.integers(0, 9), min_size=1, max_size=40).map(tuple),
    st.integers(-1000, 1000),
)


@given(_numbers, _numbers)
def test_texts_compare_as_their_numbers(one: Decimal, other: Decimal) -> None:
    """Byte order of the texts is numeric order, and equal numbers have one text."""
    first, second = order_text(one).encode(), order_text(other).encode()
    assert (first < second) == (one < other)
    assert (first == second) == (one == other)


@given(_numbers, st.integers(-1000, 1000))
def test_neighbours_are_told_apart(number: Decimal, exponent: int) -> None:
    """A number and the same with one digit more, where prefixes and signs are the pitfall."""
    other = Decimal((number.as_tuple().sign, (*number.as_tuple().digits, 1), exponent))
    same_place = Decimal((number.as_tuple().sign, (*number.as_tuple().digits, 1), int(number.as_tuple().exponent) - 1))
    for neighbour in (other, same_place):
        assert (order_text(number) < order_text(neighbour)) == (number < neighbour)


def test_sorts_a_list_by_hand() -> None:
    """Signs, powers of ten, lengths and zero in one list."""
    texts = ["-1E+1000", "-123", "-12.3", "-12", "-1.23", "-1.2", "-1", "-0.1", "-1E-1000", "0", "1E-1000", "0.1",
             "0.12", "1", "1.2", "1.23", "9.9", "10", "12", "99", "100", "1E+1000"]  # fmt: skip
    assert sorted(texts, key=lambda text: order_text(Decimal(text))) == texts


@pytest.mark.parametrize("text", ["1E+40000", "1E-40001", "-1E+99999"])
def test_refuses_what_is_out_of_range(text: str) -> None:
    """A number that the encoding cannot place is an error, never a wrong place."""
    with pytest.raises(ValueError, match="too far"):
        order_text(Decimal(text))
