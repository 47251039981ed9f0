"""An HTTP source that can also be asked for past windows."""

from __future__ import annotations

from collections.abc import AsyncIterator

from kasparro_adapters.http.backfill import BackfillOptions, check, windowed
from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.source import HttpSource
from kasparro_core.model.batch import Batch, Cursor
from kasparro_core.model.window import Window
from kasparro_core.ports.clock import Clock
from kasparro_core.ports.fetch import Fetcher
from kasparro_core.ports.source import ReadContext


class WindowedHttpSource(HttpSource):
    """Implements `kasparro_core.ports.Source` and `Windowed`.

    A window is read by a source of its own, which asks for it alone and knows nothing of the live walk and its mark.
    """

    def __init__(
        self,
        name: str,
        config: HttpSourceConfig,
        options: BackfillOptions,
        fetcher: Fetcher,
        clock: Clock,
        *,
        walk_ttl: float = 3600.0,
    ) -> None:
        super().__init__(name, config, fetcher, clock, walk_ttl=walk_ttl)
        self._options = options
        self._walk_ttl = walk_ttl

    def check_window(self, window: Window, /) -> None:
        """Raises ConfigurationError where `backfill.send` cannot tell a bound of the window, or where only its start is
        sent and it is longer than an answer."""
        check(self._name, self._options, window)

    def is_complete(self, cursor: Cursor, /) -> bool:
        """True where a walk came to its end, and none is under way."""
        return set(cursor) == {"next"}

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        """Raises CheckpointError for a cursor that `read` would refuse."""
        window = Window.of(partition)
        if window is None:
            super().check_position(partition, cursor)
        else:
            self._of(window).check_position(partition, cursor)

    def read(self, partition: str, context: ReadContext, /) -> AsyncIterator[Batch]:
        """The live source's batches, or those of a window."""
        window = Window.of(partition)
        return super().read(partition, context) if window is None else self._of(window).read(partition, context)

    def _of(self, window: Window) -> HttpSource:
        config = windowed(self._config, self._options, window)
        return HttpSource(
            self._name, config, self._fetcher, self._clock, walk_ttl=self._walk_ttl, partition=window.partition
        )


def make_http_source(
    name: str, config: HttpSourceConfig, fetcher: Fetcher, clock: Clock, *, walk_ttl: float = 3600.0
) -> HttpSource:
    """The source of a configuration: one that takes windows where `backfill` says how."""
    if config.backfill is None:
        return HttpSource(name, config, fetcher, clock, walk_ttl=walk_ttl)
    return WindowedHttpSource(name, config, config.backfill, fetcher, clock, walk_ttl=walk_ttl)
