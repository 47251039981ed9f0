"""How what stands out is read: by the indexes made for it, however much has been closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from plans import plans_of
from sqlalchemy import text

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import AnomalyQuery, AnomalyState
from kasparro_core.ports import FindingStore
from kasparro_core.testing.anomalies import anomaly

ROWS = 20_000
SERIES = {
    "sqlite": f"WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {ROWS}) ",
    "postgresql": f"WITH s(n) AS (SELECT generate_series(1, {ROWS})) ",
}
COLUMNS = (
    "found, explanation, evidence, detected_at, times, last_seen_at, source, run_id, scope, metric, subject, state"
)
READS: dict[str, Callable[[FindingStore], Awaitable[Any]]] = {
    "ix_anomalies_open of all": lambda findings: findings.anomalies(AnomalyQuery(state=AnomalyState.OPEN)),
    "ix_anomalies_open of one": lambda findings: findings.anomalies(AnomalyQuery("s7", state=AnomalyState.OPEN)),
    "ix_anomalies_open counted": lambda findings: findings.open_anomalies(),
    "ix_anomalies_source_anomaly_id": lambda findings: findings.anomalies(AnomalyQuery("s7")),
    "ix_anomalies_run_id_anomaly_id": lambda findings: findings.anomalies(AnomalyQuery(run_id=7)),
    "uq_anomalies_standing": lambda findings: findings.standing("s7"),
}


FILLED = (
    "SELECT found, explanation, evidence, detected_at, times, last_seen_at, 's' || (n % 100), n, "
    "CASE n % 2 WHEN 0 THEN 'run' ELSE 'record' END, 'm', 'k' || n, "
    "CASE n % 1000 WHEN 0 THEN 'open' WHEN 1 THEN 'acknowledged' ELSE 'resolved' END FROM s, anomalies"
)


@pytest.fixture
async def full(database_url: str) -> AsyncIterator[SqlStore]:
    """A database with many findings, of 100 sources: 20 are open, 20 stand. Their figures are those of the first."""
    store = SqlStore(database_url)
    async with store.begin() as work:
        await work.findings.add_anomalies([anomaly(run_id=ROWS + 1)])
        await work._session.run(text(f"INSERT INTO anomalies ({COLUMNS}) {SERIES[work._session.dialect]} {FILLED}"))
        await work._session.run(text("ANALYZE"))
        await work.commit()
    yield store
    await store.close()


async def test_each_question_has_its_index(full: SqlStore) -> None:
    """What is open, of all sources or one; what a source has, a run found, and what stands."""
    for name, read in READS.items():
        (plan,) = await plans_of(full, lambda work, read=read: read(work.findings))
        assert name.split()[0] in plan, f"{name}\n{plan}"
