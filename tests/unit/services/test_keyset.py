"""The set of keys that a listing has shown."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.services.keyset import KeySet

PAGES = st.lists(st.lists(st.text(max_size=3), max_size=8), max_size=6)


@given(PAGES, st.lists(st.text(max_size=3)))
def test_holds_exactly_the_keys_that_were_added(pages: list[list[str]], others: list[str]) -> None:
    """As a set does, whatever the keys are, and it counts each key once for each page that has it."""
    keys = KeySet()
    for page in pages:
        keys.add(page)
    expected = {key for page in pages for key in page}
    assert {key for key in [*expected, *others] if key in keys} == expected
    assert len(keys) == len(expected)
    assert keys.added == sum(len(set(page)) for page in pages)


@given(PAGES, PAGES)
def test_takes_further_keys_after_it_was_asked(first: list[list[str]], more: list[list[str]]) -> None:
    """Asking sorts it; what is added later is found as well, and what was there before stays."""
    keys = KeySet()
    for page in first:
        keys.add(page)
    _ = len(keys)
    for page in more:
        keys.add(page)
    assert len(keys) == len({key for page in [*first, *more] for key in page})
    assert all(key in keys for page in [*first, *more] for key in page)


def test_a_key_takes_less_than_sixteen_bytes() -> None:
    """While keys are added, and while it is asked: of a hundred thousand less than 1.6 MB."""
    count = 100_000
    names = [f"key {number}" for number in range(count)]
    keys = KeySet()
    tracemalloc.start()
    try:
        for start in range(0, count, 1_000):
            keys.add(names[start : start + 1_000])
        assert names[0] in keys
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 16 * count
