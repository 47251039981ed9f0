"""The ports of rate budgets: where their state is kept, in a database and for a fetcher."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from kasparro_core.model.budget import Budget

T = TypeVar("T")

Change = Callable[[Budget, float], tuple[Budget, T]]
"""A pure step: the budget and the present instant (seconds) go in, the budget afterwards and an answer come out."""


class RateStore(Protocol):
    """The budgets of a database, in one transaction. Instants are Unix time in seconds, by the database's clock; where
    that was set back since a budget was put, the budget has gone back with it."""

    async def get(self, key: str, /) -> tuple[Budget, float]:
        """The budget of a key and the database's present instant. A key that is not known has an unused budget."""
        ...

    async def hold(self, key: str, /) -> tuple[Budget, float]:
        """The same, and nobody else holds this key before this transaction has ended. The instant is looked at when it
        is held, however long that took."""
        ...

    async def put(self, key: str, budget: Budget, /) -> None:
        """Keep the budget of a key that this transaction holds. Instants are kept to the microsecond."""
        ...


class Budgets(Protocol):
    """Where a fetcher keeps its budgets: in its own process, or in a database that several processes share.

    Safe for concurrent tasks of one event loop.
    """

    @property
    def shared(self) -> bool:
        """True where other processes may move them, so that a look may tell something new."""
        ...

    async def look(self, key: str, /) -> tuple[Budget, float]:
        """The budget of a key as it is, and the present instant. Raises StorageError."""
        ...

    async def change(self, key: str, step: Change[T], /) -> tuple[Budget, float, T]:
        """Let `step` move the budget of a key; nobody else moves it meanwhile. Returns the budget afterwards, the
        instant that it is when this returns (the step was told an earlier one), and the step's answer. A step may be
        called again where keeping its result failed. Raises StorageError when that does not pass: then nothing may be
        sent on the strength of it.
        """
        ...
