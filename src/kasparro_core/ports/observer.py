"""The observer port: what happens, told to logs, metrics and progress bars."""

from __future__ import annotations

from typing import Protocol

from kasparro_core.errors import KasparroError
from kasparro_core.model.rejection import Rejection
from kasparro_core.model.run import Counters, Run
from kasparro_core.model.service import Event


class Observer(Protocol):
    """Told after the fact, synchronously and in order; must be quick and must not raise."""

    def run_started(self, run: Run, /) -> None:
        """The run row and its lease are committed."""
        ...

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        """Another live owner holds this source; the run waits for it."""
        ...

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        """`run` resumes a run whose process died."""
        ...

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        """One unit of work is committed; `delta` is what it added to the run."""
        ...

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        """Items were refused (or values noted) in a committed batch."""
        ...

    def noted(self, run: Run, event: Event, /) -> None:
        """Something is committed that a person should know: a feed was taken down or has moved, or left a gap; records
        are gone at the source, or are not listed any more and were not believed to be gone."""
        ...

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        """A partition stopped; the others go on."""
        ...

    def run_finished(self, run: Run, /) -> None:
        """The final state of the run is committed."""
        ...
