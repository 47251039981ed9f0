"""`kasparro schema show`, `diff` and `accept`, from the file to the database."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]

CONFIG = """
[sources.prices]
type = "csv"
path = "prices.csv"
drift = "RULE"
[sources.prices.mapping]
key = ["id"]
"""


def write(folder: Path, header: str, rule: str = "freeze") -> None:
    """Thirty rows under a header of two or three columns."""
    cells = ["{0}", "{0}.5", "red"][: header.count(",") + 1]
    rows = (",".join(cells).format(n) for n in range(30))
    (folder / "prices.csv").write_text("\n".join((header, *rows)) + "\n")
    (folder / "kasparro.toml").write_text(CONFIG.replace("RULE", rule))


def test_a_source_that_never_ran_has_no_shape(kasparro: Call, folder: Path) -> None:
    """It says so; an unknown name is a fault of the caller with a near name."""
    write(folder, "id,price")
    shown = kasparro("schema", "show", "prices")
    assert (shown.code, shown.out) == (1, "")
    assert "prices has no shape yet" in shown.err
    unknown = kasparro("schema", "show", "price")
    assert unknown.code == 2
    assert "prices" in unknown.err
    assert "nothing changed" in kasparro("schema", "diff", "prices").out
    assert "no shape waits" in kasparro("schema", "accept", "prices").out


def test_shows_what_the_runs_have_seen(kasparro: Call, folder: Path) -> None:
    """Every field with its kinds and shares, for people and for programs."""
    write(folder, "id,price")
    assert kasparro("run").code == 0
    lines = kasparro("schema", "show", "prices").out.splitlines()
    assert lines[0].startswith("prices: version 1, accepted ")
    assert [line.split() for line in lines[1:]] == [
        ["path", "kinds", "required", "presence", "nulls"],
        ["id", "number", "yes", "100%", "0%"],
        ["price", "number", "yes", "100%", "0%"],
    ]
    view = json.loads(kasparro("schema", "show", "prices", "--json").out)
    assert (view["version"], view["items"], view["run_id"]) == (1, 30, 1)
    assert view["fields"][0] == {"path": "id", "kinds": "number", "required": True, "presence": 1, "nulls": 0}
    missing = kasparro("schema", "show", "prices", "--version", "7")
    assert (missing.code, "version 7" in missing.err) == (1, True)
    unknown = kasparro("schema", "diff", "prices", "--from", "5", "--to", "2")
    assert (unknown.code, unknown.out, "newest version is 1" in unknown.err) == (2, "", True)


def test_a_frozen_change_is_shown_and_accepted(kasparro: Call, folder: Path) -> None:
    """The run fails and says how to go on; diff shows the change, accept takes it, and the next run goes through."""
    write(folder, "id,price")
    kasparro("run")
    write(folder, "id,price,colour")
    failed = kasparro("run")
    assert failed.code == 1
    assert "`colour` is new (text)" in failed.err
    assert "kasparro schema accept prices" in failed.err
    (change,) = json.loads(kasparro("schema", "diff", "prices", "--json").out)
    assert (change["version"], change["change"], change["path"], change["accepted_at"]) == (2, "added", "colour", None)
    shown = kasparro("schema", "diff", "prices")
    assert "added" in shown.out
    assert "kasparro schema accept prices" in shown.err
    assert json.loads(kasparro("schema", "show", "prices", "--json").out)["version"] == 1
    (accepted,) = json.loads(kasparro("schema", "accept", "prices", "--json").out)
    assert (accepted["version"], accepted["changes"]) == (2, 1)
    assert "no shape waits" in kasparro("schema", "accept", "prices").out
    assert kasparro("run").code == 0
    assert json.loads(kasparro("schema", "show", "prices", "--json").out)["version"] == 2
    assert json.loads(kasparro("schema", "diff", "prices", "--from", "1", "--to", "1", "--json").out) == []


@pytest.mark.parametrize("rule", ["discard_row", "discard_value"])
def test_what_was_discarded_comes_in_by_a_replay(kasparro: Call, folder: Path, rule: str) -> None:
    """Once accepted, the stored payloads give what was left out."""
    write(folder, "id,price", rule)
    kasparro("run")
    write(folder, "id,price,colour", rule)
    kasparro("run")
    exported = [json.loads(line) for line in kasparro("export").out.splitlines()]
    assert not any("colour" in each["attributes"] for each in exported)
    assert "kasparro replay prices" in kasparro("schema", "accept", "prices").err
    assert kasparro("replay", "prices").code == 0
    exported = [json.loads(line) for line in kasparro("export").out.splitlines()]
    assert [each["attributes"]["colour"] for each in exported] == ["red"] * 30
