"""The connection of one unit of work, which may be cut on purpose."""

from __future__ import annotations

from kasparro_adapters.chaos.faults import CODE, HINT, Faults, Injected
from kasparro_adapters.chaos.points import Point
from kasparro_core.errors import TransientStorageError

USES = 8
"""A writing unit of work of a run uses its repositories about so many times."""


class Connection:
    """Counts the uses of a unit of work, and breaks at one of them.

    `source` is what the first use tells: the one whose lease or checkpoint it asks for, else "". A unit of work that
    only reads is cut at its first use, one that writes at one of the first USES, at the latest before its commit.
    """

    def __init__(self, faults: Faults, *, write: bool) -> None:
        self._faults = faults
        self._write = write
        self._uses = 0
        self._cut: Injected | None = None
        self._cut_at = 0
        self._error: TransientStorageError | None = None
        self.source = ""

    def use(self, source: str = "") -> None:
        """A repository is about to be used. Raises TransientStorageError when the connection breaks, or is broken."""
        if self._uses == 0:
            self.source = source
            self._decide()
        self._uses += 1
        if self._cut is not None and self._uses >= self._cut_at:
            raise self._broken(self._cut)

    def check(self) -> None:
        """The commit is next. Raises TransientStorageError when the connection was to break, or is broken."""
        if self._uses == 0:
            self._decide()
        if self._cut is not None:
            raise self._broken(self._cut)

    def lost(self, point: Point, what: str) -> None:
        """Raise TransientStorageError if this passage of a point of the commit fails."""
        fault = self._faults.fires(point, self.source)
        if fault is not None:
            raise self._failure(what, fault)

    def _decide(self) -> None:
        self._cut = self._faults.decided(Point.STORAGE_CUT, self.source)
        if self._cut is not None:
            self._cut_at = self._cut.draw.randint(1, USES) if self._write else 1

    def _broken(self, fault: Injected) -> TransientStorageError:
        if self._error is None:
            fault.tell()
            self._error = self._failure("The connection to the database was cut", fault)
        return self._error

    def _failure(self, what: str, fault: Injected) -> TransientStorageError:
        whose = f" of source {self.source!r}" if self.source else ""
        return TransientStorageError(f"{what}: {fault}{whose}.", code=CODE, hint=HINT)
