"""What feeds remember: their items, to see gaps by, and their moves."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.feeds.memory import Memory, has_gap, kept, marks
from kasparro_adapters.feeds.moves import CONFIRMATIONS, Move, moved
from kasparro_core.model import RawRecord

SEEN = "0" * 64
OF = "0123456789abcdef"
NEW, OTHER = "https://new.example/feed", "https://other.example/feed"


def found(names: range) -> list[str]:
    """The marks of items with these ids."""
    return marks([RawRecord(at, {"id": f"item {name}"}) for at, name in enumerate(names)])


@given(length=st.integers(1, 2000), shift=st.integers(0, 3000), newest_first=st.booleans())
def test_a_gap_is_where_nothing_is_left_of_before(length: int, shift: int, newest_first: bool) -> None:
    """Of documents of any length that slide on, newest first or last: a gap when they have no item in common, and else
    none."""
    step = -1 if newest_first else 1
    before = Memory(seen=SEEN, items=kept(found(range(length)[::step]))).cursor()
    now = found(range(shift, shift + length)[::step])
    assert has_gap(before, now) == (shift >= length)


def test_no_gap_without_items_on_both_sides() -> None:
    """A feed that is read for the first time, was empty or is empty now leaves none, nor does a foreign position."""
    some = found(range(3))
    assert not has_gap(None, some)
    assert not has_gap(Memory(seen=SEEN).cursor(), some)
    assert not has_gap(Memory(seen=SEEN, items=kept(some)).cursor(), [])
    assert not has_gap({"$slice": {}}, some)
    assert not has_gap({"items": 7}, some)


def test_items_without_id_are_told_apart() -> None:
    """The link stands in for the id, the whole item for both."""
    items = [{"id": "a"}, {"link": "a"}, {"title": "a"}, {"title": "b"}, {"id": "a", "title": "other"}]
    first, link, title, other, edited = marks([RawRecord(at, item) for at, item in enumerate(items)])
    assert first == edited == link
    assert len({first, title, other}) == 3


def follow(targets: list[str | None], *, confirmed: str | None = None) -> Move | None:
    """What is known after reads that were led to these addresses, each begun where the move says."""
    move = Move(of=OF, url=confirmed) if confirmed else None
    for target in targets:
        move = moved(move, OF, target, asked_there=move is not None and move.url is not None)
    return move


def test_a_move_is_believed_when_it_was_confirmed() -> None:
    """So many reads in a row have to be led to the same address; anything in between begins anew."""
    assert follow([NEW] * (CONFIRMATIONS - 1)) == Move(of=OF, next=NEW, times=CONFIRMATIONS - 1)
    assert follow([NEW] * CONFIRMATIONS) == Move(of=OF, url=NEW)
    assert follow([NEW, NEW, None]) is None
    assert follow([NEW, NEW, None, NEW]) == Move(of=OF, next=NEW, times=1)
    assert follow([NEW, NEW, OTHER, NEW]) == Move(of=OF, next=NEW, times=1)


def test_a_moved_feed_may_move_on() -> None:
    """The address in use stays in use until the next one is confirmed."""
    assert follow([None, None], confirmed=NEW) == Move(of=OF, url=NEW)
    assert follow([OTHER], confirmed=NEW) == Move(of=OF, url=NEW, next=OTHER, times=1)
    assert follow([OTHER] * CONFIRMATIONS, confirmed=NEW) == Move(of=OF, url=OTHER)
    assert moved(Move(of=OF, url=NEW), OF, NEW, asked_there=False) == Move(of=OF, url=NEW)
    assert moved(Move(of=OF, url=NEW), OF, None, asked_there=False) is None


def test_what_is_no_address_is_not_remembered() -> None:
    """Another scheme, or an address of enormous length, is followed by whoever fetches it or not at all."""
    for target in ("ftp://new.example/feed", "file:///etc/passwd", f"https://new.example/{'x' * 2000}"):
        assert follow([target] * CONFIRMATIONS) is None
