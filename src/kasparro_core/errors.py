"""Every error Kasparro raises, grouped by what the caller should do about it.

    KasparroError
    ├── ConfigurationError        mend the configuration, then try again (exit code 2)
    ├── SourceError               this source failed; the others go on (exit code 1)
    │   ├── TransientSourceError  trying again later may help (network, 429, 5xx)
    │   ├── PermanentSourceError  trying again will not help (401, 404, no such file, not a feed)
    │   │   ├── PagingLoopError   the upstream served one page twice
    │   │   └── GoneError         taken down for good: timed runs leave it alone from now on
    │   └── CheckpointError       the stored position is not understood: `kasparro state reset SOURCE`
    ├── StorageError              the database failed
    │   ├── TransientStorageError locked, connection lost, deadlock: nothing was written; try again
    │   └── PermanentStorageError read-only, full, newer than the program, unreachable
    │       └── UnstorableError   the database refuses a value: leave out the row that holds it, and go on
    └── ConflictError             somebody else owns this partition now: stop and write nothing

Messages name the source, what was expected and what was found; `hint` says what to do. Neither ever holds a secret.
An exception outside this tree is a bug and is never retried.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kasparro_core.model.batch import FetchFacts


class KasparroError(Exception):
    """Base of the tree. `code` is a short stable word for ledgers and metrics; `hint` is one sentence of advice."""

    code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        if code is not None:
            self.code = code

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class ConfigurationError(KasparroError):
    """The configuration is wrong; `problems` holds one finished sentence per fault."""

    code = "configuration"

    def __init__(self, message: str, *, problems: tuple[str, ...] = (), hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.problems = problems


class SourceError(KasparroError):
    """A source could not be read. `source` is its configured name ("" when not known yet); `fetch` says what the
    failed read has cost (requests, retries, bytes), where it came as far as the network."""

    code = "source"
    fetch: FetchFacts | None = None

    def __init__(self, message: str, *, source: str = "", code: str | None = None, hint: str | None = None) -> None:
        super().__init__(message, code=code, hint=hint)
        self.source = source


class TransientSourceError(SourceError):
    """A fault that may pass. `retry_after` is the upstream's own wish in seconds, when it gave one; `attempts` how
    often the same request is worth making, where that is less often than usual."""

    code = "transient"

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        code: str | None = None,
        hint: str | None = None,
        retry_after: float | None = None,
        attempts: int | None = None,
    ) -> None:
        super().__init__(message, source=source, code=code, hint=hint)
        self.retry_after = retry_after
        self.attempts = attempts


class PermanentSourceError(SourceError):
    """A fault that stays until a person changes something."""

    code = "permanent"


class PagingLoopError(PermanentSourceError):
    """The upstream served a page that this walk has already seen."""

    code = "paging_loop"


class GoneError(PermanentSourceError):
    """The origin was taken down for good and says so (RFC 9110 15.5.11). Timed runs do not ask it any more; a run by
    hand does, and when it is there again all is as before."""

    code = "gone"


class CheckpointError(SourceError):
    """A stored cursor that its source cannot read."""

    code = "checkpoint"


class StorageError(KasparroError):
    """The database could not do what was asked. Nothing of the failed unit of work was written."""

    code = "storage"


class TransientStorageError(StorageError):
    """Locked, deadlocked, disconnected: the whole unit of work may be tried again."""

    code = "storage_transient"


class PermanentStorageError(StorageError):
    """Read-only, full, unreachable, of a newer version: a person has to act."""

    code = "storage_permanent"


class UnstorableError(PermanentStorageError):
    """A value that the database does not take (SQLSTATE 22xxx, 23xxx, SQLite's TOOBIG, MISMATCH and CONSTRAINT).

    `code` is the rejection code of a row that holds it, `reason` what the database said, `column` the column that it
    named, if it named one.
    """

    code = "value_refused"
    item: object | None = None
    """What holds the value, of all that was given at once; None where the store cannot tell."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        reason: str = "",
        column: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, code=code, hint=hint)
        self.reason = reason
        self.column = column


class ConflictError(KasparroError):
    """A compare-and-set lost: another owner moved the checkpoint or took over the lease."""

    code = "conflict"


__all__ = [
    "CheckpointError",
    "ConfigurationError",
    "ConflictError",
    "GoneError",
    "KasparroError",
    "PagingLoopError",
    "PermanentSourceError",
    "PermanentStorageError",
    "SourceError",
    "StorageError",
    "TransientSourceError",
    "TransientStorageError",
    "UnstorableError",
]
