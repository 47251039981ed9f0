"""POST /runs: begin runs in the background."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from pydantic import Field
from starlette.responses import Response

from kasparro_app.api.answers import JSON, json_text, meta
from kasparro_app.api.context import context_of
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import Problem, not_found
from kasparro_app.api.routes.sources import known_source
from kasparro_app.api.shapes.common import Line
from kasparro_app.api.shapes.runs import StartedAnswer
from kasparro_app.service import Service
from kasparro_app.views import run_view
from kasparro_core.errors import ConflictError
from kasparro_core.model import GivenAnswer, Trigger
from kasparro_core.normalize.canonical import canonical_json, content_hash
from kasparro_core.services.desk import Started
from kasparro_core.services.jobs import SourceJob

REPLAYED: Final = "Idempotent-Replayed"


class RunsToStart(Parameters):
    """What to run."""

    source: Line | None = Field(None, description="The source to run; absent: all that are enabled.")


class TriggerHeaders(Parameters):
    """Headers of a trigger."""

    key: str | None = Field(
        None,
        alias="Idempotency-Key",
        pattern=r"^[!-~]([ -~]{0,198}[!-~])?$",
        description=(
            "1 to 200 printable ASCII characters. The same request under the same key is given the answer of the first "
            "one, and starts nothing more. Each API key has its own."
        ),
        json_schema_extra={"expected": "1 to 200 printable ASCII characters"},
    )


async def start(call: Call) -> Response:
    """Begin the runs. Raises Problem: 404, 409, 422, 503."""
    jobs = _jobs(call.service, call.query.source)
    if call.headers.key is None:
        started = await _begun(call, jobs, None)
        return _answer(202, _body(call, started), _location(started))
    key = _own(call, call.headers.key)
    request_hash = content_hash(canonical_json({"operation": "POST /runs", "source": call.query.source}))
    return await _given(call, key, request_hash) or await _first(call, jobs, key, request_hash)


def _own(call: Call, key: str) -> str:
    """An Idempotency-Key among those of the same caller: nobody is given the answer of another one, or stands in its
    way, by choosing the same word."""
    principal = context_of(call.request.scope).principal
    return f"{principal.name if principal else ''}/{key}"


async def _first(call: Call, jobs: Sequence[SourceJob], key: str, request_hash: str) -> Response:
    """The first answer under a key; or the one that the same request, come in twice at once, has been given meanwhile:
    then that one holds the sources, or the key."""
    given: list[GivenAnswer] = []

    def answer(started: Started) -> GivenAnswer:
        at = call.service.clock.now()
        given.append(GivenAnswer(key, request_hash, 202, _location(started), _body(call, started), at))
        return given[-1]

    try:
        await _begun(call, jobs, answer)
    except (ConflictError, Problem):
        if (earlier := await _given(call, key, request_hash)) is not None:
            return earlier
        raise
    return _answer(202, given[-1].body, given[-1].location)


async def _begun(call: Call, jobs: Sequence[SourceJob], answer: Callable[[Started], GivenAnswer] | None) -> Started:
    """Runs that are committed. Raises Problem (409, 503) when none is, and ConflictError (code "answered")."""
    try:
        started = await call.service.desk.start(jobs, Trigger.API, answer=answer)
    except ConflictError as error:
        if error.code != "stopping":
            raise
        raise Problem(503, "Stopping", str(error), headers={"Retry-After": "5"}) from error
    if not started.runs:
        raise _busy(started)
    return started


async def _given(call: Call, key: str, request_hash: str) -> Response | None:
    """The answer that is kept under a key. Raises Problem (422) when it was given to another request."""
    async with call.service.store.begin(write=False) as work:
        kept = await work.answers.get(key)
    if kept is None:
        return None
    if kept.request_hash != request_hash:
        raise Problem(
            422, "Key used already", "This Idempotency-Key belongs to another request. Use a new key for a new request."
        )
    return _answer(kept.status, kept.body, kept.location, {REPLAYED: "true"})


def _jobs(service: Service, name: str | None) -> list[SourceJob]:
    """The job of the named source, or those of all that are enabled. Raises Problem: 404."""
    sources = service.settings.sources
    enabled = [each for each in sorted(service.jobs) if sources[each].enabled]
    if name is None:
        if not enabled:
            raise not_found("No source is configured and enabled.")
        return [service.jobs[each] for each in enabled]
    if known_source(service, name) not in enabled:
        raise not_found(f"Source {name!r} is switched off (`enabled = false`).")
    return [service.jobs[name]]


def _busy(started: Started) -> Problem:
    source, run_id = next(iter(sorted(started.busy.items())))
    words = [f"{name} (run {number})" for name, number in sorted(started.busy.items())]
    extra: dict[str, Any] = {"run_id": run_id, "source": source, "busy": _pairs(started)}
    headers = {"Location": f"/runs/{run_id}"}
    return Problem(
        409, "Already running", f"Nothing was started: {', '.join(words)} runs already.", headers=headers, extra=extra
    )


def _body(call: Call, started: Started) -> str:
    runs = [run_view(run) for run in started.runs]
    body = {"run_id": started.runs[0].run_id, "runs": runs, "busy": _pairs(started), "meta": meta(call)}
    return json_text(body)


def _pairs(started: Started) -> list[dict[str, Any]]:
    return [{"source": source, "run_id": run_id} for source, run_id in sorted(started.busy.items())]


def _location(started: Started) -> str:
    return f"/runs/{started.runs[0].run_id}"


def _answer(status: int, body: str, location: str | None, headers: dict[str, str] | None = None) -> Response:
    where = {"Location": location} if location else {}
    return Response(body.encode(), status, {**where, **(headers or {})}, JSON)


OPERATIONS: Final = (
    Operation(
        "POST",
        "/runs",
        "Begin runs in the background",
        start,
        {
            202: Answer(
                "The runs are in the ledger and go on in the background.",
                StartedAnswer,
                headers={
                    "Location": "The first of the runs.",
                    REPLAYED: "true: an earlier answer under the same Idempotency-Key, and nothing more was started.",
                },
            ),
            404: Answer("No such source, or none that is enabled.", ProblemBody),
            409: Answer(
                "All of them run already; `run_id` is the running run (of the first), `busy` names all.",
                ProblemBody,
                headers={"Location": "The running run."},
            ),
        },
        "runs",
        query=RunsToStart,
        headers=TriggerHeaders,
        scope="trigger",
        aliases=("/trigger-etl", "/run-etl", "/etl/run"),
        description="Sources that run already are left alone and named under `busy`.",
    ),
)
