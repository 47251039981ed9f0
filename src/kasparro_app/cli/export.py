"""`kasparro export`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated

import typer

from kasparro_app.cli.context import invocation
from kasparro_app.cli.exits import run_async
from kasparro_app.cli.read import OneSource, one_of, opened_store

if TYPE_CHECKING:
    from kasparro_app.settings import Settings
    from kasparro_core.model import RecordQuery

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)


def export(  # noqa: PLR0913 - each option is a parameter
    context: typer.Context,
    *,
    format: Annotated[str, typer.Option("--format", help="ndjson or csv.")] = "ndjson",
    source: OneSource = None,
    kind: Annotated[str | None, typer.Option("--kind", help="Only this kind.")] = None,
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only this symbol.")] = None,
    entity: Annotated[
        str | None, typer.Option("--entity", metavar="ID", help="Only what is linked to this entity, or speaks of it.")
    ] = None,
    q: Annotated[str | None, typer.Option("--q", help="Only what holds this text.")] = None,
    start_date: Annotated[str | None, typer.Option("--start-date", help="Occurred then or later.")] = None,
    end_date: Annotated[
        str | None, typer.Option("--end-date", help="Occurred then or earlier; a day counts whole.")
    ] = None,
    updated_since: Annotated[str | None, typer.Option("--updated-since", help="Written then or later.")] = None,
    min_value: Annotated[str | None, typer.Option("--min-value", help="The value is at least this.")] = None,
    max_value: Annotated[str | None, typer.Option("--max-value", help="The value is at most this.")] = None,
    gone: Annotated[
        bool | None,
        typer.Option("--gone/--present", help="Only what its source does not list any more; only the rest."),
    ] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="At most so many.")] = None,
) -> None:
    """Stream records to standard output, in ascending record_id, page by page.

    In CSV, a text that a spreadsheet would take for a formula is led by an apostrophe.
    """
    from kasparro_core.model import RecordQuery

    one_of("--format", format, ["ndjson", "csv"])
    query = RecordQuery(
        source=source,
        kind=kind,
        symbol=symbol,
        entity=entity,
        q=q,
        start_date=instant_of("--start-date", start_date),
        end_date=instant_of("--end-date", end_date, whole_day=True),
        updated_since=instant_of("--updated-since", updated_since),
        min_value=_number("--min-value", min_value),
        max_value=_number("--max-value", max_value),
        gone=gone,
    )
    run_async(_export(invocation(context).settings(), query, format, limit))


async def _export(settings: Settings, query: RecordQuery, format: str, limit: int | None) -> None:
    from kasparro_app.export import csv_header, csv_line, matching, ndjson_line

    line_of = csv_line if format == "csv" else ndjson_line
    async with opened_store(settings) as store:
        if format == "csv":
            print(csv_header())
        async for stored in matching(store, query, limit):
            print(line_of(stored))


def instant_of(option: str, text: str | None, *, whole_day: bool = False) -> datetime | None:
    """A day or an RFC 3339 instant; without a zone it is UTC. As the end of a span a day counts to its last instant.
    Raises BadParameter."""
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"expected a day (2026-01-31) or an instant (2026-01-31T10:00:00Z), found {text!r}", param_hint=option
        ) from None
    if whole_day and _DATE.fullmatch(text):
        instant += _DAY - _TICK
    return instant


def _number(option: str, text: str | None) -> Decimal | None:
    if text is None:
        return None
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise typer.BadParameter(f"expected a number, found {text!r}", param_hint=option)
    return number
