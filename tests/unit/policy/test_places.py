"""Places of a limit key: how many requests may be under way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.model.budget import Budget
from kasparro_core.policy.places import enter, leave


def test_there_are_only_so_many():
    """The third of two places is not had, and is had when one of them is given back."""
    budget, had = Budget(next_at=5.0), []
    for name in "abc":
        budget, found = enter(budget, name, 2, 10.0, 50.0)
        had.append(found)
    assert had == [True, True, False]
    assert enter(leave(budget, "a"), "c", 2, 10.0, 50.0) == (
        Budget(next_at=5.0, places=(("b", 50.0), ("c", 50.0))),
        True,
    )


def test_a_forgotten_place_is_free_after_its_time():
    """Who does not give a place back has lost it when its time is over, not a moment sooner."""
    budget, _ = enter(Budget(), "dead", 1, 10.0, 50.0)
    assert not enter(budget, "alive", 1, 49.9, 90.0)[1]
    budget, found = enter(budget, "alive", 1, 50.0, 90.0)
    assert (budget.places, found) == ((("alive", 90.0),), True)


def test_the_same_request_has_one_place():
    """A step that is taken again, because the answer to its commit was lost, takes no second place; giving back twice
    takes none from others."""
    budget, _ = enter(Budget(), "a", 2, 10.0, 50.0)
    budget, found = enter(budget, "a", 2, 11.0, 51.0)
    assert (budget.places, found) == ((("a", 51.0),), True)
    budget, _ = enter(budget, "b", 2, 11.0, 51.0)
    assert leave(leave(budget, "a"), "a").places == (("b", 51.0),)


@given(st.integers(1, 4), st.lists(st.tuples(st.sampled_from("abcdef"), st.booleans(), st.floats(0, 3)), max_size=60))
def test_no_more_are_taken_than_there_are(most, steps):
    """Along any series of coming, going and forgetting, no more than `most` are under way by anybody's account."""
    budget, now, inside = Budget(), 0.0, {}
    for name, comes, gap in steps:
        now += gap
        inside = {other: until for other, until in inside.items() if until > now}
        if comes:
            budget, found = enter(budget, name, most, now, now + 5.0)
            if found:
                inside[name] = now + 5.0
        else:
            budget = leave(budget, name)
            inside.pop(name, None)
        assert len(inside) <= most
        assert set(inside) <= {other for other, _ in budget.places}
