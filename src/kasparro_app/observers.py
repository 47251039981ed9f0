"""An observer that is told everything and says nothing."""

from __future__ import annotations

from kasparro_core.errors import KasparroError
from kasparro_core.model import Counters, Rejection, Run


class SilentObserver:
    """Implements `kasparro_core.ports.Observer`; also a base for observers that care for a part."""

    def run_started(self, run: Run, /) -> None:
        """Say nothing."""

    def run_waiting(self, source: str, run_id: int | None, /) -> None:
        """Say nothing."""

    def run_taken_over(self, run: Run, dead_run_id: int, /) -> None:
        """Say nothing."""

    def batch_committed(self, run: Run, partition: str, delta: Counters, /) -> None:
        """Say nothing."""

    def rejected(self, run: Run, partition: str, rejections: tuple[Rejection, ...], /) -> None:
        """Say nothing."""

    def partition_failed(self, run: Run, partition: str, error: KasparroError, /) -> None:
        """Say nothing."""

    def run_finished(self, run: Run, /) -> None:
        """Say nothing."""
