"""The scanner that finds the line of each key."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_app.config.paths import KeyPath
from kasparro_app.config.toml_lines import key_lines

TEXT = '''\
# a comment = with signs [x]
title = "a # no comment"  # one
[database]
url = 'sqlite:///x'

[sources.prices]
"quoted key" = 1
path = """
several = lines
"""
mapping.key = [
  "symbol",   # the first
  "date",
]
auth = { type = "bearer", token = "env:T" }
odd = """ends in two quotes"""""
[sources.prices.more]
when = 2024-01-01T00:00:00Z
[[feeds]]
url = "one"
[[feeds]]
url = "two"
[feeds.rules]
a = [{ b = 1 }, { b = "}" }]
'''

EXPECTED: list[tuple[KeyPath, int]] = [
    (("title",), 2),
    (("database",), 3),
    (("database", "url"), 4),
    (("sources",), 6),
    (("sources", "prices", "quoted key"), 7),
    (("sources", "prices", "path"), 8),
    (("sources", "prices", "mapping", "key"), 11),
    (("sources", "prices", "mapping", "key", 0), 12),
    (("sources", "prices", "mapping", "key", 1), 13),
    (("sources", "prices", "auth", "token"), 15),
    (("sources", "prices", "odd"), 16),
    (("sources", "prices", "more", "when"), 18),
    (("feeds", 0, "url"), 20),
    (("feeds", 1), 21),
    (("feeds", 1, "url"), 22),
    (("feeds", 1, "rules", "a", 1, "b"), 24),
]


@pytest.mark.parametrize(("path", "line"), EXPECTED, ids=[".".join(map(str, path)) for path, _ in EXPECTED])
def test_each_key_stands_on_its_line(path: KeyPath, line: int) -> None:
    """Tables, dotted keys, inline tables, arrays over several lines, strings that look like keys."""
    tomllib.loads(TEXT)
    assert key_lines(TEXT)[path] == line


def test_nothing_inside_a_string_is_taken_for_a_key() -> None:
    """Text that looks like TOML inside a string names nothing."""
    assert ("sources", "prices", "several") not in key_lines(TEXT)


def paths_of(value: Any, base: KeyPath = ()) -> set[KeyPath]:
    """Every path of a parsed document."""
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return {base, *(path for key, child in below for path in paths_of(child, (*base, key)))}


scalars = st.sampled_from(["1", "true", '"a"', "'b]'", '"c,}"', '"""d\n= e"""', "1979-05-27"])
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3).map(lambda items: "[\n" + ",\n".join(items) + "]")
        | st.lists(inner.filter(lambda text: "\n" not in text), max_size=3).map(
            lambda items: "{" + ", ".join(f"k{at} = {item}" for at, item in enumerate(items)) + "}"
        )
    ),
    max_leaves=8,
)


@given(st.lists(values, max_size=5), st.lists(values, max_size=5))
def test_the_scanner_names_exactly_what_tomllib_reads(first: list[str], second: list[str]) -> None:
    """For any document, the paths with a line are those of the parsed document."""
    text = "".join(f"a{at} = {value}\n" for at, value in enumerate(first))
    text += "[table.inner]\n" + "".join(f"b{at} = {value}  # c = 1\n" for at, value in enumerate(second))
    assert set(key_lines(text)) == paths_of(tomllib.loads(text)) - {()}
