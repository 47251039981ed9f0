"""`kasparro replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import leave, run_async
from kasparro_app.cli.run import print_outcomes

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.model import Run


def replay(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The source whose stored payloads are normalized again.")],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: say what each payload would change by itself.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Normalize stored raw payloads again, with the mapping as it is now and without the network."""
    from kasparro_app.cycle import Outcome, exit_code

    settings = invocation(context).settings()
    known_source(settings, source)
    outcomes = [Outcome(source, run_async(_replay(settings, source, dry_run=dry_run)))]
    print_outcomes(outcomes, as_json=as_json)
    leave(exit_code(outcomes))


async def _replay(settings: Settings, source: str, *, dry_run: bool) -> Run:
    from kasparro_app.cli.progress import shown_progress
    from kasparro_app.runtime import open_runtime

    with shown_progress() as observer:
        async with open_runtime(settings, names=[source], observer=observer) as runtime:
            return await runtime.replayer.replay(runtime.jobs[source], dry_run=dry_run)
