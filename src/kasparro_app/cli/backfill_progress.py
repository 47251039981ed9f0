"""Progress of a backfill on standard error: a bar of windows on a terminal, a line for each round elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kasparro_app.cli.exits import say
from kasparro_app.cli.progress import Narrator, ending, summary
from kasparro_core.errors import KasparroError
from kasparro_core.model import Counters, Run
from kasparro_core.model.window import Window

Move = Callable[[int, str], None]
"""Move the bar to so many windows, with what they brought."""


class WindowProgress(Narrator):
    """Tells rounds as they end, in lines, or moves a bar window by window."""

    def __init__(self, tell: Callable[[str], None], move: Move | None = None) -> None:
        super().__init__(tell)
        self._move = move
        self._ended = 0
        self._sum = Counters()

    def window_ended(self, _window: Window, _error: KasparroError | None, /) -> None:
        """A window was read to its end, or failed."""
        self._ended += 1
        if self._move is not None:
            self._move(self._ended, summary(self._sum))

    def batch_committed(self, _run: Run, _partition: str, delta: Counters, /) -> None:
        """Counts."""
        self._sum = self._sum.plus(delta)

    def run_finished(self, run: Run, /) -> None:
        """A line for each round."""
        if self._move is None:
            self._tell(f"{run.source}: run {run.run_id} {ending(run)}; {self._ended:,} windows so far")


@contextmanager
def shown_windows(source: str, windows: int) -> Iterator[WindowProgress]:
    """An observer that shows what happens while the context is open."""
    if not sys.stderr.isatty():
        yield WindowProgress(say)
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[brought]}"),
        TimeElapsedColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(source, total=windows, brought="")

        def move(ended: int, brought: str) -> None:
            progress.update(task, completed=ended, brought=brought)

        yield WindowProgress(lambda line: console.print(line, markup=False, highlight=False), move)
