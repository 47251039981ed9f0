"""`kasparro healthcheck`: what a container asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import invocation
from kasparro_app.cli.exits import FAILED, OK, leave, say

if TYPE_CHECKING:
    from kasparro_app.config.tables import ApiTable

TIMEOUT = 4.0
"""Seconds for the whole answer; a container's probe usually has five."""
READY = "/health/ready"
LIVE = "/health/live"
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - where a service listens, not us


def healthcheck(
    context: typer.Context,
    *,
    url: Annotated[
        str | None, typer.Option("--url", metavar="URL", help="Where the service is. Default: [api] host and port.")
    ] = None,
    live: Annotated[bool, typer.Option("--live", help="Only whether the process answers.")] = False,
) -> None:
    """Ask a running service whether it can do its work.

    Exit code 0: it can; 1: it cannot, or it does not answer.
    """
    path, host = LIVE if live else READY, None
    if url is None:
        api = invocation(context).settings().tables.api
        url, host = f"http://{address(api)}:{api.port}", host_name(api)
    ok, sentence = asked(url.rstrip("/") + path, host)
    if ok:
        print(sentence)
    else:
        say(sentence)
    leave(OK if ok else FAILED)


def address(api: ApiTable) -> str:
    """The address under which this machine reaches what listens on `[api] host`."""
    if api.host in _EVERYWHERE:
        return _EVERYWHERE[api.host]
    return f"[{api.host}]" if ":" in api.host else api.host


def host_name(api: ApiTable) -> str | None:
    """The name to ask for, where the service answers to some names alone."""
    names = api.trusted_hosts
    return None if not names or "*" in names else min(names, key=lambda name: "*" in name).replace("*", "healthcheck")


def asked(url: str, host: str | None) -> tuple[bool, str]:
    """Whether the answer is 200, and a sentence about it. No proxy is used."""
    from http.client import HTTPException
    from urllib.error import HTTPError
    from urllib.request import ProxyHandler, Request, build_opener

    if not url.startswith(("http://", "https://")):
        return False, f"{url} is no address: it begins with http:// or https://."
    if "@" in url:
        return False, "An address with a user or a password is not asked: the questions about health need none."
    try:
        request = Request(url, headers={"Host": host} if host else {})  # noqa: S310 - http or https, see above
        with build_opener(ProxyHandler({})).open(request, timeout=TIMEOUT) as answer:
            answer.read(1)
            return True, f"{url} answers {answer.status}."
    except HTTPError as refusal:
        with refusal:
            return False, f"{url} answers {refusal.code}: {_detail(refusal.read(10_000))}"
    except (OSError, HTTPException, ValueError) as error:
        return False, f"{url} does not answer: {getattr(error, 'reason', None) or error}."


def _detail(body: bytes) -> str:
    """What a problem says, or the beginning of any other answer, on one line."""
    import json

    from kasparro_app.cli.output import cell

    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    detail = problem.get("detail") if isinstance(problem, dict) else None
    return cell(str(detail) if detail else body.decode(errors="replace"), limit=200)
