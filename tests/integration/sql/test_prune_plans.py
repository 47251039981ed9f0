"""How pruning goes about large tables: by the indexes made for it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from plans import _explained
from sqlalchemy import event, text

from kasparro_adapters.sql import SqlStore
from kasparro_core.model.service import Bound, Prunable
from kasparro_core.testing.build import START

ROWS = 20_000
SERIES = {
    "sqlite": f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS}) ",
    "postgresql": f"WITH s(n) AS (SELECT generate_series(1, {ROWS})) ",
}
AT = {
    "sqlite": "strftime('%Y-%m-%dT%H:%M:%f000Z', '2026-01-02', '+' || n || ' seconds')",
    "postgresql": "timestamptz '2026-01-02Z' + n * interval '1 second'",
}
WHOLE = re.compile(r"Seq Scan on (?!checkpoints)|SCAN (?!checkpoints)\w+$", re.MULTILINE)
STATE = "kind, attributes, content_hash, raw_index, run_id"
FILLED = {
    "runs": "run_id, source, trigger, status, started_at, finished_at, fetched, inserted, updated, unchanged, "
    "rejected, batches, bytes_fetched, requests, retries, throttled; n, 's', 'cli', 'succeeded', {at}, {at}, "
    + ", ".join(["0"] * 10),
    "run_facts": "run_id, facts; n, '{{}}'",
    "raw_batches": "raw_id, source, partition, content_hash, facts_hash, codec, payload, decode_facts, record_count; "
    "n, 's', cast(n % 50 AS text), cast(n AS text), '', 'zlib', {blob}, '{{}}', 1",
    "run_batches": "run_id, partition, seq, raw_id, observed_at, counters; n, cast(n % 50 AS text), 1, n, {at}, '{{}}'",
    "rejections": "source, partition, run_id, raw_id, raw_index, stage, code, path, message, payload, payload_hash, "
    "state, times, first_seen_at; 's', '', 1, n, 1, 'field', 'c', '', '', '', cast(n AS text), "
    "CASE WHEN n % 2 = 0 THEN 'open' ELSE 'resolved' END, 1, {at}",
    "records": f"source, key, first_seen_at, updated_at, revision, change_seq, {STATE}; "
    "'s', cast(n AS text), {at}, {at}, 1, n, 'quote', '{{}}', '', 1, 1",
    "record_versions": f"record_id, observed_at, {STATE}; n, {{at}}, 'quote', '{{{{}}}}', '', 1, 1",
    "anomalies": "source, run_id, scope, metric, subject, found, explanation, evidence, detected_at, state, times, "
    "last_seen_at; 's', n, CASE WHEN n % 3 = 0 THEN 'run' ELSE 'record' END, 'm', cast(n AS text), {number}, '', "
    "'{{}}', {at}, CASE n % 4 WHEN 0 THEN 'open' WHEN 1 THEN 'resolved' ELSE 'acknowledged' END, 1, {at}",
    "outbox": "event_id, type, source, at, data; n, 'drift', 's', {at}, '{{}}'",
    "idempotency_keys": "key, request_hash, status, body, created_at; cast(n AS text), '', 202, '', {at}",
    "schedule_slots": "source, slot_at, state, folded; 's', {at}, 'ran', 0",
}


@pytest.fixture
async def full(database_url: str) -> AsyncIterator[SqlStore]:
    """A database with many rows in every table that is pruned."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        session = work._session
        kind = session.dialect
        for table, row in FILLED.items():
            columns, values = row.split("; ", 1)
            blob, number = ("x''", "'1'") if kind == "sqlite" else ("cast('' AS bytea)", "1")
            values = values.format(at=AT[kind], blob=blob, number=number)
            if kind == "postgresql" and table != "raw_batches":
                values = values.replace("'{}'", "cast('{}' AS jsonb)")
            await session.run(text(f"INSERT INTO {table} ({columns}) {SERIES[kind]} SELECT {values} FROM s"))
        await session.run(text("ANALYZE"))
        await work.commit()
    yield store
    await store.close()


@pytest.mark.parametrize("what", list(Prunable))
async def test_a_slice_reads_no_whole_table(full: SqlStore, what: Prunable) -> None:
    """Neither to find the oldest rows nor to see what needs them."""
    ran: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        ran.append((statement, parameters))

    engine = full._database._writer.sync_engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    async with full.begin() as work:
        gone = await work.retention.prune(what, Bound(before=START + timedelta(hours=1)), limit=10)
    event.remove(engine, "before_cursor_execute", note)
    assert gone.rows == {Prunable.RAW: 10, Prunable.RUNS: 0}.get(what, 10)
    selects = [(sql.replace("FOR UPDATE", "--"), given) for sql, given in ran if sql.startswith("SELECT")]
    plans = [await _explained(full, sql, given) for sql, given in selects]
    assert plans
    whole = [plan for plan in plans if WHOLE.search(plan)]
    assert not whole, "\n\n".join(whole)
