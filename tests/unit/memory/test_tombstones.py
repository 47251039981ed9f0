"""Deleted rows of a memory store, before and after the commit."""

from __future__ import annotations

import pytest

from kasparro_adapters.memory.tables import Draft


def test_a_deleted_row_is_gone_for_its_transaction_first() -> None:
    """The committed rows keep it until the changes are applied; without that it was never deleted."""
    committed = {1: "a", 2: "b"}
    draft = Draft(committed, writable=True)
    draft.delete(1)
    assert (draft.get(1), draft.rows(), committed) == (None, ["b"], {1: "a", 2: "b"})
    Draft(committed, writable=True).delete(2)
    draft.apply()
    assert committed == {2: "b"}


def test_a_row_can_come_again_after_its_deletion() -> None:
    """In the same transaction, as the newest row; and what was put and deleted again never was."""
    committed = {1: "a", 2: "b"}
    draft = Draft(committed, writable=True)
    draft.delete(1)
    draft.put(1, "again")
    draft.put(3, "c")
    draft.delete(3)
    assert (draft.get(1), draft.get(3), draft.rows()) == ("again", None, ["b", "again"])
    draft.apply()
    assert list(committed.items()) == [(2, "b"), (1, "again")]


def test_only_a_writer_deletes() -> None:
    """A transaction that reads, or has ended, refuses."""
    ended = Draft({1: "a"}, writable=True)
    ended.end()
    for draft in (ended, Draft({1: "a"}, writable=False)):
        with pytest.raises(RuntimeError, match="cannot write"):
            draft.delete(1)
