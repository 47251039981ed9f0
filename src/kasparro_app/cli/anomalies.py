"""`kasparro anomalies list`, `show`, `ack`, `mute`, `unmute` and `mutes`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from kasparro_app.cli.context import AsJson, invocation
from kasparro_app.cli.exits import FAILED, OK, leave, run_async, say
from kasparro_app.cli.output import cell, print_pairs, print_table, print_views
from kasparro_app.cli.read import Limit, OneSource, ask, known_to, one_of, opened_store
from kasparro_app.ids import MOST_ID

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_app.views import View
    from kasparro_core.model import Anomaly, Mute
    from kasparro_core.ports import UnitOfWork

verbs = typer.Typer(help="What stands out, and why.", no_args_is_help=True, rich_markup_mode=None)
COLUMNS = ("anomaly_id", "source", "run_id", "metric", "subject", "times", "state", "last_seen_at", "explanation")
MUTE_COLUMNS = ("mute_id", "source", "metric", "subject", "until", "in_effect", "reason", "created_by", "created_at")
BY = "cli"
"""Who says so, of what is said on the command line."""

OneId = Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST_ID, help="As `anomalies list` shows it.")]


@verbs.command("list")
def list_anomalies(
    context: typer.Context,
    *,
    source: OneSource = None,
    run_id: Annotated[
        int | None, typer.Option("--run", metavar="RUN", min=1, max=MOST_ID, help="Only those that this run found.")
    ] = None,
    state: Annotated[str, typer.Option("--state", help="open, acknowledged, muted, resolved or all.")] = "open",
    scope: Annotated[str | None, typer.Option("--scope", help="run, record or source.")] = None,
    metric: Annotated[str | None, typer.Option("--metric", help="Only this figure.")] = None,
    before: Annotated[
        int | None,
        typer.Option(
            "--before", metavar="ID", min=1, max=MOST_ID, help="Only those listed behind this one: the next page."
        ),
    ] = None,
    limit: Limit = 50,
    as_json: AsJson = False,
) -> None:
    """Runs, records and sources with a figure that nobody expected, newest first."""
    from kasparro_app.alarms_view import anomaly_view
    from kasparro_core.model import AnomalyQuery, AnomalyScope, AnomalyState

    settings = invocation(context).settings()
    one_of("--state", state, [*AnomalyState, "all"])
    one_of("--scope", scope, list(AnomalyScope))
    query = AnomalyQuery(
        source,
        run_id,
        None if state == "all" else AnomalyState(state),
        None if scope is None else AnomalyScope(scope),
        metric,
        before,
        limit,
    )

    async def question(work: UnitOfWork) -> Sequence[Anomaly]:
        await known_to(work, settings, source)
        return await work.findings.anomalies(query)

    views = [anomaly_view(found) for found in run_async(ask(settings, question))]
    if as_json or not views:
        print_views(views, COLUMNS, as_json=as_json, nothing="No anomalies.")
    else:
        print_table(COLUMNS, [[*_cells(view), cell(view["explanation"], limit=None)] for view in views])


@verbs.command("show")
def show_anomaly(context: typer.Context, anomaly_id: OneId, *, as_json: AsJson = False) -> None:
    """One finding: the sentence, and the numbers behind it."""
    from kasparro_app.alarms_view import anomaly_view
    from kasparro_app.views import json_object

    settings = invocation(context).settings()

    async def question(work: UnitOfWork) -> Anomaly | None:
        return await work.findings.anomaly(anomaly_id)

    found = run_async(ask(settings, question))
    if found is None:
        say(f"error: there is no finding {anomaly_id}")
        raise typer.Exit(FAILED)
    view = anomaly_view(found)
    if as_json:
        print(json_object(view))
    else:
        print_pairs(view)


@verbs.command("ack")
def acknowledge(
    context: typer.Context,
    ids: Annotated[
        list[int], typer.Argument(metavar="ID...", min=1, max=MOST_ID, help="As `anomalies list` shows them.")
    ],
    *,
    note: Annotated[str | None, typer.Option("--note", help="What there is to know about it.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say that findings are known: they are not open any more, and are not told again while they stand."""
    from kasparro_app.views import json_object

    done = run_async(_acknowledge(invocation(context).settings(), list(dict.fromkeys(ids)), note))
    if as_json:
        print(json_object(done._asdict()))
    else:
        print(f"Acknowledged {done.acknowledged:,} of {len(set(ids)):,}.")
        _say(done.before, "acknowledged before")
        _say(done.resolved, "resolved: what is over needs nobody")
    for anomaly_id in done.unknown:
        say(f"error: there is no finding {anomaly_id}")
    leave(FAILED if done.unknown else OK)


@verbs.command("mute")
def mute(
    context: typer.Context,
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="Its findings are kept and not told.")],
    *,
    metric: Annotated[str, typer.Option("--metric", help="Only this figure.")] = "",
    subject: Annotated[str, typer.Option("--subject", help="Only of this record, entity or field.")] = "",
    span: Annotated[
        str | None, typer.Option("--for", metavar="AGE", help='So long: "8h", "7d". Default: until `unmute`.')
    ] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why.")] = None,
    as_json: AsJson = False,
) -> None:
    """Tell no more of a source, of one of its figures, or of one of its records; what is open of it becomes muted."""
    from kasparro_app.alarms_view import KNOWN_METRICS, mute_view
    from kasparro_app.runtime import container_of
    from kasparro_app.views import json_object
    from kasparro_core.model import Mute

    one_of("--metric", metric or None, [*KNOWN_METRICS])
    settings = invocation(context).settings()
    now = container_of(settings).clock().now()
    given = Mute(source, now, metric, subject, _until(span, now), reason, BY)
    view = mute_view(run_async(_mute(settings, given)), now)
    if as_json:
        print(json_object(view))
    else:
        print(f"Mute {view['mute_id']}: `kasparro anomalies unmute {view['mute_id']}` takes it away.")


@verbs.command("unmute")
def unmute(
    context: typer.Context,
    mute_id: Annotated[int, typer.Argument(metavar="ID", min=1, max=MOST_ID, help="As `anomalies mutes` shows it.")],
) -> None:
    """Take a mute away. What it muted stays so; what of it still stands is told when it is seen again."""
    settings = invocation(context).settings()
    if not run_async(_unmute(settings, mute_id)):
        say(f"error: there is no mute {mute_id}")
        raise typer.Exit(FAILED)
    print(f"Mute {mute_id} is gone.")


@verbs.command("mutes")
def list_mutes(context: typer.Context, *, source: OneSource = None, as_json: AsJson = False) -> None:
    """What is not to be told, by source, metric and subject."""
    from kasparro_app.alarms_view import mute_view
    from kasparro_app.runtime import container_of

    settings = invocation(context).settings()
    now = container_of(settings).clock().now()

    async def question(work: UnitOfWork) -> Sequence[Mute]:
        await known_to(work, settings, source)
        return await work.findings.mutes(source)

    views = [mute_view(each, now) for each in run_async(ask(settings, question))]
    print_views(views, MUTE_COLUMNS, as_json=as_json, nothing="Nothing is muted.")


def _say(ids: Sequence[int], what: str) -> None:
    if ids:
        say(f"{', '.join(map(str, ids))} {'was' if len(ids) == 1 else 'were'} {what}")


def _cells(view: View) -> list[str]:
    return [cell(view[column]) for column in COLUMNS[:-1]]


def _until(span: str | None, now: datetime) -> datetime | None:
    """When so much time is over. Raises a usage error for what is no age."""
    from datetime import timedelta

    from kasparro_app.config.amounts import parse_amount

    if span is None:
        return None
    try:
        amount = parse_amount(span)
        if isinstance(amount, timedelta):
            return now + amount
    except ValueError:  # told below, together with sizes
        pass
    raise typer.BadParameter('expected an age like "8h" (m, h, d, w or y)', param_hint="--for")


class _Done(NamedTuple):
    """How many findings were acknowledged, and the ids of the others: acknowledged or resolved before, or of none."""

    acknowledged: int
    before: list[int]
    resolved: list[int]
    unknown: list[int]


async def _acknowledge(settings: Settings, ids: Sequence[int], note: str | None) -> _Done:
    from kasparro_app.runtime import container_of
    from kasparro_core.model import AnomalyState

    now = container_of(settings).clock().now()
    async with opened_store(settings) as store, store.begin() as work:
        found = [(each, await work.findings.anomaly(each)) for each in ids]
        closed = await work.findings.close(ids, AnomalyState.ACKNOWLEDGED, now, by=BY, note=note)
        await work.commit()
    states = [(each, anomaly and anomaly.state) for each, anomaly in found]
    others = (AnomalyState.ACKNOWLEDGED, AnomalyState.RESOLVED, None)
    return _Done(closed, *([each for each, state in states if state is other] for other in others))


async def _mute(settings: Settings, given: Mute) -> Mute:
    async with opened_store(settings) as store, store.begin() as work:
        await known_to(work, settings, given.source)
        kept = await work.findings.add_mute(given)
        await work.commit()
    return kept


async def _unmute(settings: Settings, mute_id: int) -> bool:
    async with opened_store(settings) as store, store.begin() as work:
        known = await work.findings.remove_mute(mute_id)
        await work.commit()
    return known
