"""`kasparro replay`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import AsJson, invocation, known_source
from kasparro_app.cli.exits import leave, run_async
from kasparro_app.cli.rejections import say_held
from kasparro_app.cli.run import print_outcomes

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.model import Run


def replay(
    context: typer.Context,
    source: Annotated[str, typer.Argument(help="The source whose stored payloads are normalized again.")],
    *,
    rejections: Annotated[
        bool, typer.Option("--rejections", help="Only payloads in which something was refused or noted.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write nothing: say what each payload would change by itself.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Normalize stored raw payloads again, with the mapping as it is now and without the network."""
    from kasparro_app.cycle import Outcome, exit_code

    settings = invocation(context).settings()
    known_source(settings, source)
    outcomes = [Outcome(source, run_async(_replay(settings, source, refused=rejections, dry_run=dry_run)))]
    print_outcomes(outcomes, as_json=as_json)
    if rejections:
        say_held(source, run_async(_held(settings, source)))
    leave(exit_code(outcomes))


async def _held(settings: Settings, source: str) -> int:
    from kasparro_app.cli.read import opened_store
    from kasparro_core.services.held import Held

    async with opened_store(settings) as store:
        return (await Held.load(store, source)).count


async def _replay(settings: Settings, source: str, *, refused: bool, dry_run: bool) -> Run:
    from kasparro_app.cli.progress import shown_progress
    from kasparro_app.runtime import open_runtime
    from kasparro_core.services.replay_scope import EVERYTHING, REFUSED

    with shown_progress() as observer:
        async with open_runtime(settings, names=[source], observer=observer) as runtime:
            scope = REFUSED if refused else EVERYTHING
            return await runtime.replayer.replay(runtime.jobs[source], scope=scope, dry_run=dry_run)
