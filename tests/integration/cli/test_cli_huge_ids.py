"""Ids on the command line that no store can have given out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

HUGE = str(2**63)
VERBS = (
    ("compare", HUGE, "1"),
    ("compare", "1", HUGE),
    ("entities", "undo", HUGE),
    ("entities", "rulings", "--before", HUGE),
    ("anomalies", "list", "--run", HUGE),
    ("anomalies", "list", "--before", HUGE),
    ("anomalies", "show", HUGE),
    ("anomalies", "ack", "1", HUGE),
    ("anomalies", "unmute", HUGE),
    ("rejections", "list", "--before", HUGE),
    ("rejections", "show", HUGE),
    ("rejections", "retry", HUGE),
    ("rejections", "drop", "1", HUGE),
    ("schema", "show", "s", "--version", HUGE),
    ("schema", "diff", "s", "--from", HUGE),
    ("schema", "diff", "s", "--to", HUGE),
)


@pytest.mark.parametrize("verb", VERBS, ids=" ".join)
def test_is_a_usage_error(kasparro: Any, folder: Path, verb: tuple[str, ...]) -> None:
    """It says how great an id can be, before any database is asked."""
    (folder / "kasparro.toml").write_text('[sources.s]\ntype = "csv"\npath = "prices.csv"\n', encoding="utf-8")
    refused = kasparro(*verb)
    assert (refused.code, refused.out) == (2, "")
    assert "Invalid value for" in refused.err
    assert str(2**31 - 1 if verb[0] == "schema" else 2**63 - 1) in refused.err
    assert not (folder / "kasparro.db").exists()


def test_the_greatest_id_is_asked_for(kasparro: Any, folder: Path) -> None:
    """There is nothing under it, and that is said."""
    (folder / "kasparro.toml").write_text('[sources.s]\ntype = "csv"\npath = "prices.csv"\n', encoding="utf-8")
    unknown = kasparro("anomalies", "show", str(2**63 - 1))
    assert (unknown.code, unknown.err) == (1, f"error: there is no finding {2**63 - 1}\n")
