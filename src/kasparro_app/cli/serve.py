"""`kasparro serve`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import invocation
from kasparro_app.cli.exits import say
from kasparro_core.errors import ConfigurationError

if TYPE_CHECKING:
    import socket

    from starlette.applications import Starlette

    from kasparro_app.service import ServeOptions
    from kasparro_app.settings import Settings

Host = Annotated[str | None, typer.Option("--host", metavar="HOST", help="Where to listen. Default: api.host.")]
Port = Annotated[
    int | None,
    typer.Option("--port", metavar="PORT", min=0, max=65535, help="0: any free one. Default: api.port."),
]


def serve(
    context: typer.Context,
    *,
    host: Host = None,
    port: Port = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, help="How many processes serve.")] = 1,
    no_scheduler: Annotated[
        bool, typer.Option("--no-scheduler", help="Only answer: no timed runs, no maintenance.")
    ] = False,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Changing calls need no key. Only on a loopback address.")
    ] = False,
) -> None:
    """Keep running: the API and the status page, timed runs, health and metrics.

    Ends in order on SIGTERM or Ctrl-C, within 10 seconds and with exit code 0.
    """
    from kasparro_app.serving.ending import Ending

    ending = Ending()
    ending.guard_start()
    load = partial(invocation(context).settings, serving=True)
    settings = load()
    for notice in settings.notices:
        say(f"note: {notice}")

    from kasparro_app.serving.listening import address_of, listen

    options = options_of(settings, host, port, workers=workers, scheduler=not no_scheduler, insecure=insecure)
    listening = listen(options.host, options.port)
    _refuse_open(listening, options)
    say(f"Kasparro listens on {address_of(listening)} (Ctrl-C ends it)")
    if workers > 1:
        from kasparro_app.serving.supervisor import serve_together

        serve_together(load, options, listening)
        return
    from kasparro_app.serving.worker import serve_alone

    def build() -> Starlette:
        from kasparro_app.serving.assembly import application

        return application(settings, options, ending)

    serve_alone(build, listening, ending)


def options_of(
    settings: Settings,
    host: str | None,
    port: int | None,
    *,
    workers: int = 1,
    scheduler: bool = True,
    insecure: bool = False,
) -> ServeOptions:
    """How to serve: what was given on the command line, else what `[api]` says."""
    from kasparro_app.service import ServeOptions

    api = settings.tables.api
    return ServeOptions(
        host=api.host if host is None else host,
        port=api.port if port is None else port,
        workers=workers,
        scheduler=scheduler,
        insecure=insecure,
    )


def _refuse_open(listening: socket.socket, options: ServeOptions) -> None:
    from kasparro_app.serving.listening import is_private

    if options.insecure and not is_private(listening):
        raise ConfigurationError(
            f"--insecure is only for this machine, and {options.host} can be reached from others.",
            hint="Leave --insecure away and make a key with `kasparro keys create`, or listen on 127.0.0.1.",
        )
