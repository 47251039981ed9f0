"""From the first schema to the one of the service and back, with data in the tables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, inspect, select

from kasparro_adapters.sql import SqlStore
from kasparro_adapters.sql.expected import expected_metadata
from kasparro_adapters.sql.service_tables import run_totals
from kasparro_adapters.sql.tables import change_counter, rejections, runs
from kasparro_core.model import Counters, Event, EventType, Metric, RunQuery, RunStatus, Trigger
from kasparro_core.model.totals import amounts_of_run

T = TypeVar("T")
START = datetime(2026, 2, 27, 23, 59, 59, 999_999, tzinfo=UTC)
TOOK = [0, 1, 499_999, 500_000, 500_001, 1_000_000, 59_999_999, 3_600_000_000, 3_600_000_001, 90_000_123_457, -5]
"""Durations in microseconds: around the bounds, over midnight, and by a clock that was set back."""


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
async def first(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database with the first schema."""
    if request.param == "sqlite":
        url = f"sqlite:///{(tmp_path / 'first.db').as_posix()}"
    else:
        url = str(request.getfixturevalue("empty_postgres_url"))
    await _do(url, lambda connection: command.upgrade(_config(connection), "0001"))
    return url


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", "kasparro_adapters.sql:migrations")
    config.attributes["connection"] = connection
    return config


async def _do(url: str, work: Callable[[Connection], T]) -> T:
    opened = SqlStore(url)
    async with opened._database.schema_change() as connection:
        done = await connection.run_sync(work)
    await opened.close()
    return done


async def _migrate(url: str) -> None:
    opened = SqlStore(url)
    await opened.migrate()
    await opened.close()


def _run(source: str, status: RunStatus, took: int | None, counters: Counters) -> dict[str, Any]:
    finished_at = None if took is None else START + timedelta(microseconds=took)
    return {
        "source": source,
        "trigger": str(Trigger.CLI),
        "status": str(status),
        "started_at": START,
        "finished_at": finished_at,
        **counters._asdict(),
    }


def _past(connection: Connection) -> None:
    """Runs of every status and duration, and rejections."""
    final = [status for status in RunStatus if status is not RunStatus.RUNNING]
    rows = [
        _run("long ü", final[n % len(final)], took, Counters(*range(n, n + len(Counters._fields))))
        for n, took in enumerate(TOOK)
    ]
    rows.append(_run("quiet", RunStatus.UNCHANGED, 0, Counters()))
    rows.append(_run("large", RunStatus.SUCCEEDED, 7, Counters(bytes_fetched=2**45)))
    rows.append(_run("long ü", RunStatus.RUNNING, None, Counters(*[1000] * len(Counters._fields))))
    rows.append(_run("new", RunStatus.RUNNING, None, Counters(*[1000] * len(Counters._fields))))
    connection.execute(insert(runs), rows)
    refused = [("long ü", "decimal_invalid", 3), ("long ü", "decimal_invalid", 4), ("long ü", "row_ragged", 1)]
    for n, (source, code, times) in enumerate([*refused, ("quiet", "row_ragged", 9)]):
        texts = dict.fromkeys(("path", "message", "payload"), "x")
        connection.execute(
            insert(rejections).values(
                source=source, partition="", run_id=1, raw_index=n, stage="decode", code=code, **texts,
                payload_hash=f"{n}", state="open", times=times, first_seen_at=START,
            )
        )  # fmt: skip


def _schema(connection: Connection) -> dict[str, Any]:
    """Every column, index and constraint."""
    found = inspect(connection)
    return {
        table: (
            [(column["name"], str(column["type"]), column["nullable"]) for column in found.get_columns(table)],
            sorted((str(index["name"]), tuple(index["column_names"])) for index in found.get_indexes(table)),
            found.get_pk_constraint(table),
            found.get_unique_constraints(table),
        )
        for table in sorted(found.get_table_names())
    }


def _differences(connection: Connection) -> list[Any]:
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    return compare_metadata(context, expected_metadata(connection.dialect.name))


async def test_the_totals_begin_with_the_past(first: str) -> None:
    """What finished runs counted before the totals existed is in them, to the microsecond, as if they had been there
    from the beginning; so are the rejections. What still runs is not."""
    await _do(first, _past)
    await _migrate(first)
    store = SqlStore(first)
    async with store.begin(write=False) as work:
        found = {(total.source, total.metric, total.label): total.value for total in await work.totals.list()}
        finished = [run for run in await work.runs.list(RunQuery(limit=100)) if run.finished_at is not None]
    await store.close()
    expected: Counter[tuple[str, Metric, str]] = Counter()
    for run in finished:
        expected.update({(run.source, *key): amount for key, amount in amounts_of_run(run).items()})
    expected["long ü", Metric.REJECTIONS, "decimal_invalid"] = 7
    expected["long ü", Metric.REJECTIONS, "row_ragged"] = 1
    expected["quiet", Metric.REJECTIONS, "row_ragged"] = 9
    assert len(finished) == len(TOOK) + 2
    assert found == {key: amount for key, amount in expected.items() if amount}


async def test_the_totals_go_on_from_the_past(first: str) -> None:
    """A run that was running during the migration is added once, when it finishes."""
    await _do(first, _past)
    await _migrate(first)
    store = SqlStore(first)
    async with store.begin() as work:
        (run,) = await work.runs.list(RunQuery(source="new"))
        await work.runs.finish(run.run_id, RunStatus.SUCCEEDED, START)
        totals = {(total.metric, total.label): total.value for total in await work.totals.list("new")}
        await work.commit()
    await store.close()
    assert totals == {
        (Metric.RECORDS, "inserted"): 1000,
        (Metric.RECORDS, "updated"): 1000,
        (Metric.RECORDS, "unchanged"): 1000,
        (Metric.RECORDS, "rejected"): 1000,
        (Metric.RUNS, "succeeded"): 1,
        (Metric.DURATION_BUCKET, "0.5"): 1,
        (Metric.REQUESTS, ""): 1000,
        (Metric.BYTES, ""): 1000,
        (Metric.THROTTLED, ""): 1000,
    }


async def test_an_empty_past_leaves_no_totals(first: str) -> None:
    """Without runs there are no sums, and the tables are those that the program expects."""
    await _migrate(first)
    assert await _do(first, lambda connection: connection.execute(select(run_totals)).all()) == []
    assert await _do(first, _differences) == []


async def test_the_way_back_leads_to_the_first_schema(first: str) -> None:
    """Upgrade and downgrade leave every table, column, index and row as they were; and the way forward works again."""
    await _do(first, _past)
    before = await _do(first, _schema)
    held = await _do(first, lambda connection: connection.execute(select(runs)).all())
    await _migrate(first)
    await _do(first, lambda connection: command.downgrade(_config(connection), "0001"))
    assert await _do(first, _schema) == before
    assert await _do(first, lambda connection: connection.execute(select(runs)).all()) == held
    counters = await _do(first, lambda connection: connection.execute(select(change_counter)).all())
    assert [tuple(row) for row in counters] == [(1, 0)]
    await _migrate(first)
    assert await _do(first, _differences) == []


async def test_events_can_be_told_after_the_migration(first: str) -> None:
    """The counter of events exists and begins with 1."""
    await _migrate(first)
    store = SqlStore(first)
    async with store.begin() as work:
        await work.events.append(Event(EventType.RUN_STARTED, "s", 1, START))
        assert [event.event_id for event in await work.events.after(0)] == [1]
        await work.commit()
    await store.close()
