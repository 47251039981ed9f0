"""How many requests of a limit key may be under way at a time, over given instants."""

from __future__ import annotations

from dataclasses import replace

from kasparro_core.model.budget import Budget


def enter(budget: Budget, name: str, most: int, now: float, until: float) -> tuple[Budget, bool]:
    """Take a place, if fewer than `most` are taken: the budget afterwards, and whether there was one. A place is free
    again at `until` at the latest: whoever took it may have died. The same name twice is one place."""
    taken = tuple((other, ends) for other, ends in budget.places if ends > now and other != name)
    if len(taken) >= most:
        return replace(budget, places=taken), False
    return replace(budget, places=(*taken, (name, until))), True


def leave(budget: Budget, name: str) -> Budget:
    """Give a place back. One that was not taken, or not for so long, is no matter."""
    return replace(budget, places=tuple(place for place in budget.places if place[0] != name))
