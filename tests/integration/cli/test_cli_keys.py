"""`kasparro keys` from making a key to its end."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

Call = Callable[..., Any]


def test_a_key_is_shown_once_and_stored_as_its_hash(kasparro: Call, folder: Path) -> None:
    """`create --json` has the key under `key`; the database holds its SHA-256 and nowhere the key itself."""
    made = json.loads(kasparro("keys", "create", "nightly", "--scope", "trigger", "--json").out)
    assert (made["name"], made["scope"], made["revoked_at"]) == ("nightly", "trigger", None)
    assert made["key"].startswith("kasp_")
    with sqlite3.connect(folder / "kasparro.db") as connection:
        (row,) = connection.execute("SELECT key_hash FROM api_keys")
    connection.close()
    assert row == (sha256(made["key"].encode()).hexdigest(),)
    assert made["key"].encode() not in b"".join(path.read_bytes() for path in folder.glob("kasparro.db*"))
    assert made["key"] not in kasparro("keys", "list", "--json").out


def test_plain_output_is_the_key_alone(kasparro: Call) -> None:
    """Without --json standard output is the key and nothing else, so that a script can take it; the scope is read."""
    made = kasparro("keys", "create", "reader")
    assert made.out.strip().startswith("kasp_")
    assert len(made.out.split()) == 1
    assert "not shown again" in made.err
    assert json.loads(kasparro("keys", "list", "--json").out)[0]["scope"] == "read"


def test_a_key_is_revoked_and_keeps_its_name(kasparro: Call) -> None:
    """A revoked key stays in the list with its end; it can be neither revoked again nor made anew."""
    kasparro("keys", "create", "old")
    assert kasparro("keys", "revoke", "old").code == 0
    assert json.loads(kasparro("keys", "list", "--json").out)[0]["revoked_at"] is not None
    again, anew = kasparro("keys", "revoke", "old"), kasparro("keys", "create", "old")
    assert (again.code, anew.code) == (1, 1)
    assert "old" in again.err
    assert "another name" in anew.err


def test_bad_names_and_scopes_are_usage_errors(kasparro: Call) -> None:
    """A scope that is none, or a name that would not fit on a line of a log, is exit code 2, and nothing is made."""
    for arguments in (("x", "--scope", "root"), ("two words",), ("",), ("x" * 101,), ("a\nb",)):
        assert kasparro("keys", "create", *arguments).code == 2, arguments
    assert json.loads(kasparro("keys", "list", "--json").out) == []


def test_a_wrong_scope_is_told_with_the_right_ones(kasparro: Call) -> None:
    """Each scope is named once; a near one is asked for."""
    far, near = (kasparro("keys", "create", "x", "--scope", scope).err for scope in ("root", "triger"))
    assert far.count("admin") == 1
    assert 'did you mean "trigger"?' in near
