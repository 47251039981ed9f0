"""/anomalies: what stands out, and what of it is known or not to be told."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, Field
from starlette.responses import Response

from kasparro_app.alarms_view import KNOWN_METRICS, anomaly_view, mute_view
from kasparro_app.api.answers import json_answer, page_answer
from kasparro_app.api.context import context_of
from kasparro_app.api.general_answers import ProblemBody
from kasparro_app.api.listing import newest_first
from kasparro_app.api.operation import Answer, Call, Operation, Parameters
from kasparro_app.api.problems import Problem, bad_parameter, not_found
from kasparro_app.api.routes.ledger import NEXT
from kasparro_app.api.routes.records_query import Start
from kasparro_app.api.routes.sources import known_source
from kasparro_app.api.shapes.anomalies import AnomaliesAnswer, AnomalyAnswer, MuteAnswer, MutesAnswer
from kasparro_app.api.shapes.common import Id, Line, PageParameters
from kasparro_app.config.faults import nearest
from kasparro_core.model import Anomaly, AnomalyQuery, AnomalyScope, AnomalyState, Mute
from kasparro_core.ports import UnitOfWork

_UNKNOWN: Final = Answer("There is no such finding (any more).", ProblemBody)
_UNKNOWN_MUTE: Final = Answer("There is no such mute (any more).", ProblemBody)


def _known_metric(metric: str) -> str:
    if metric and metric not in KNOWN_METRICS:
        close = nearest(metric, KNOWN_METRICS)
        meant = f'; did you mean "{close}"?' if close else ""
        raise ValueError(f"one of {', '.join(KNOWN_METRICS)}{meant}")
    return metric


KnownMetric = Annotated[Line, AfterValidator(_known_metric), Field(json_schema_extra={"enum": ["", *KNOWN_METRICS]})]
Subject = Annotated[str, Field(max_length=2000, pattern=r"^[^\x00]*$")]


class AnomaliesQuery(PageParameters):
    """Filters of anomalies."""

    source: Line | None = Field(None, description="Only those of this source.")
    run_id: Id | None = Field(None, description="Only those that this run found first.")
    state: AnomalyState | None = Field(None, description="Only those in this state; absent: all.")
    scope: AnomalyScope | None = Field(None, description="Only those of runs, of records, or of the source itself.")
    metric: Line | None = Field(None, description="Only this figure.")


class AnomalyPath(Parameters):
    """The id of a finding in a path."""

    anomaly_id: Id = Field(description="The id of the finding.")


class AcknowledgeQuery(Parameters):
    """What a person says of a finding."""

    note: Line | None = Field(None, description="What there is to know about it.")


class MutesQuery(Parameters):
    """Filters of mutes."""

    source: Line | None = Field(None, description="Only those of this source.")


class MuteQuery(Parameters):
    """What is not to be told."""

    source: Line = Field(min_length=1, description="Of this source.")
    metric: KnownMetric = Field("", description="This figure; absent or empty: every one.")
    subject: Subject = Field("", description="Of this record, entity or field; absent: of every one.")
    until: Start | None = Field(None, description="Until then; absent: until the mute is removed.")
    reason: Line | None = Field(None, description="Why; it stands as the note of what is muted.")


class MutePath(Parameters):
    """The id of a mute in a path."""

    mute_id: Id = Field(description="The id of the mute.")


async def anomalies(call: Call) -> Response:
    """A page of anomalies."""
    names = ("source", "run_id", "state", "scope", "metric")
    filters = {name: getattr(call.query, name) for name in names}

    async def fetch(work: UnitOfWork, before: int | None, limit: int) -> Sequence[Anomaly]:
        return await work.findings.anomalies(AnomalyQuery(**filters, before=before, limit=limit))

    return await newest_first(call, "anomalies", filters, fetch, anomaly_view, id_name="anomaly_id")


async def anomaly(call: Call) -> Response:
    """One finding. Raises Problem: 404."""
    async with call.service.store.begin(write=False) as work:
        return json_answer(call, anomaly_view(await _known(work, call.path.anomaly_id)))


async def acknowledge(call: Call) -> Response:
    """A person has looked at it. Raises Problem: 404, 409."""
    anomaly_id, now = call.path.anomaly_id, call.service.clock.now()
    async with call.service.store.begin() as work:
        state, words = AnomalyState.ACKNOWLEDGED, {"by": _caller(call), "note": call.query.note}
        await work.findings.close([anomaly_id], state, now, **words)
        found = await _known(work, anomaly_id)
        if found.state is AnomalyState.RESOLVED:
            raise Problem(409, "Resolved", f"Finding {anomaly_id} is over since {found.closed_at}: it needs nobody.")
        await work.commit()
    return json_answer(call, anomaly_view(found))


async def mutes(call: Call) -> Response:
    """All mutes."""
    async with call.service.store.begin(write=False) as work:
        found = await work.findings.mutes(call.query.source)
    views = [mute_view(each, call.service.clock.now()) for each in found]
    return page_answer(call, views, limit=len(views), next_cursor=None)


async def mute(call: Call) -> Response:
    """Tell no more of something. Raises Problem: 404, 422."""
    query, now = call.query, call.service.clock.now()
    source = known_source(call.service, query.source)
    if query.until is not None and query.until <= now:
        raise bad_parameter("until", "an instant that is still to come", query.until.isoformat())
    given = Mute(source, now, query.metric, query.subject, query.until, query.reason, _caller(call))
    async with call.service.store.begin() as work:
        kept = await work.findings.add_mute(given)
        await work.commit()
    return json_answer(call, mute_view(kept, now))


async def unmute(call: Call) -> Response:
    """Take a mute away. Raises Problem: 404."""
    mute_id = call.path.mute_id
    async with call.service.store.begin() as work:
        kept = next((each for each in await work.findings.mutes() if each.mute_id == mute_id), None)
        if kept is None or not await work.findings.remove_mute(mute_id):
            raise not_found(f"There is no mute {mute_id}. GET /anomalies/mutes lists those there are.")
        await work.commit()
    return json_answer(call, {**mute_view(kept, call.service.clock.now()), "in_effect": False})


async def _known(work: UnitOfWork, anomaly_id: int) -> Anomaly:
    found = await work.findings.anomaly(anomaly_id)
    if found is None:
        raise not_found(f"There is no finding {anomaly_id}. GET /anomalies lists those there are.")
    return found


def _caller(call: Call) -> str | None:
    principal = context_of(call.request.scope).principal
    return principal.name if principal else None


OPERATIONS: Final = (
    Operation(
        "GET",
        "/anomalies",
        "What stands out, newest first",
        anomalies,
        {200: Answer("A page of anomalies.", AnomaliesAnswer, headers=NEXT)},
        "findings",
        query=AnomaliesQuery,
    ),
    Operation(
        "GET",
        "/anomalies/{anomaly_id}",
        "One finding",
        anomaly,
        {200: Answer("The finding, with the numbers behind it.", AnomalyAnswer), 404: _UNKNOWN},
        "findings",
        path_model=AnomalyPath,
    ),
    Operation(
        "POST",
        "/anomalies/{anomaly_id}/acknowledge",
        "Say that a finding is known",
        acknowledge,
        {
            200: Answer("The finding, as it then stands.", AnomalyAnswer),
            404: _UNKNOWN,
            409: Answer("It is resolved.", ProblemBody),
        },
        "findings",
        query=AcknowledgeQuery,
        path_model=AnomalyPath,
        scope="trigger",
        description="It is not open any more, and is not told again while it stands. Again: nothing changes.",
    ),
    Operation(
        "GET",
        "/anomalies/mutes",
        "What is not to be told",
        mutes,
        {200: Answer("All mutes.", MutesAnswer)},
        "findings",
        query=MutesQuery,
        description="By source, metric and subject; those whose time is over too. One page holds them all.",
    ),
    Operation(
        "POST",
        "/anomalies/mutes",
        "Tell no more of something",
        mute,
        {200: Answer("The mute.", MuteAnswer), 404: Answer("No source of that name is configured.", ProblemBody)},
        "findings",
        query=MuteQuery,
        scope="trigger",
        description=(
            "Findings that it covers are kept as muted: no event, no line in the log, not counted. Those that are open "
            "become muted. Again for the same source, metric and subject: it takes the place of the first."
        ),
    ),
    Operation(
        "POST",
        "/anomalies/mutes/{mute_id}/remove",
        "Take a mute away",
        unmute,
        {200: Answer("The mute that was removed.", MuteAnswer), 404: _UNKNOWN_MUTE},
        "findings",
        path_model=MutePath,
        scope="trigger",
        description="What it muted stays so; what of it still stands is told when it is seen again.",
    ),
)
