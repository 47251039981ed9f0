"""Whatever is found, said and muted, in whatever order: the databases keep and tell the same as the store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kasparro_adapters.memory import MemoryStore
from kasparro_core.model import AnomalyQuery, AnomalyScope, AnomalyState, Mute
from kasparro_core.ports import Store
from kasparro_core.services.alarms import tell
from kasparro_core.testing.anomalies import anomaly, close, listed
from kasparro_core.testing.build import committed_run, later

_sources = count()


class Seen(NamedTuple):
    """A finding; few distinct ones, so that the same is found again and again."""

    metric: str
    subject: str
    scope: AnomalyScope
    run_id: int
    found: int


class Found(NamedTuple):
    """One run's findings; `looked`: the subjects of which everything was looked at, None: of none."""

    findings: tuple[Seen, ...]
    looked: frozenset[str] | None


class Said(NamedTuple):
    """A state for the newest, the second newest ... of what is kept."""

    places: tuple[int, ...]
    state: AnomalyState


class Muted(NamedTuple):
    """A mute, for so many steps or for ever."""

    metric: str
    subject: str
    steps: int | None


class Unmuted(NamedTuple):
    """One of the mutes is taken away."""

    place: int


METRICS, SUBJECTS = st.sampled_from("mn"), st.sampled_from(["", "a", "b"])
SEEN = st.builds(Seen, METRICS, SUBJECTS, st.sampled_from(AnomalyScope), st.integers(1, 2), st.integers(0, 9))
LOOKED = st.none() | st.frozensets(SUBJECTS)
STEPS = st.one_of(
    st.builds(Found, st.lists(SEEN, max_size=4).map(tuple), LOOKED),
    st.builds(Found, st.lists(SEEN, max_size=4).map(tuple), LOOKED),
    st.builds(Said, st.lists(st.integers(0, 4), max_size=3).map(tuple), st.sampled_from(AnomalyState)),
    st.builds(Muted, METRICS | st.just(""), SUBJECTS, st.none() | st.integers(0, 3)),
    st.builds(Unmuted, st.integers(0, 2)),
)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def fresh(request: pytest.FixtureRequest) -> Store:
    """A database of its kind: migrated and empty."""
    from kasparro_adapters.sql import SqlStore

    return SqlStore(request.getfixturevalue("sqlite_url" if request.param == "sqlite" else "postgres_url"))


@pytest.fixture
async def store(fresh: Store) -> AsyncIterator[Store]:
    """The same, closed after the test."""
    yield fresh
    await fresh.close()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=1, max_size=6))
@example([Muted("", "b", None), Muted("", "", None), Found((Seen("n", "b", AnomalyScope.RUN, 1, 4),), None)])
async def test_databases_agree_with_memory(store: Store, steps: Sequence[Any]) -> None:
    """What is told at each step, and what is kept at the end."""
    memory, source = MemoryStore(), f"agree-{next(_sources)}"
    for second, step in enumerate(steps):
        assert await _do(store, step, source, second) == await _do(memory, step, source, second)
    assert await _left(store, source) == await _left(memory, source)


async def _do(store: Store, step: Any, source: str, second: int) -> Any:
    match step:
        case Found(findings, looked):
            run = await committed_run(store, source)
            given = [
                anomaly(seen.metric, second=second, source=source, subject=seen.subject, scope=seen.scope,
                        run_id=seen.run_id, found=Decimal(seen.found))
                for seen in findings
            ]  # fmt: skip
            over = None if looked is None else (lambda _, subject: subject in looked)
            async with store.begin() as work:
                events = await tell(work, given, run, later(second), looked=over)
                await work.commit()
            return [{**event.data, "anomaly_id": 0} for event in events]
        case Said(places, state):
            kept = await listed(store, source=source, limit=1000)
            return await close(store, [kept[n].anomaly_id for n in places if n < len(kept)], state, second, by="me")
        case Muted(metric, subject, steps):
            until = None if steps is None else later(second + steps)
            async with store.begin() as work:
                await work.findings.add_mute(Mute(source, later(second), metric, subject, until, f"since {second}"))
                await work.commit()
            return None
        case Unmuted(place):
            async with store.begin() as work:
                mutes = await work.findings.mutes(source)
                done = place < len(mutes) and await work.findings.remove_mute(mutes[place].mute_id)
                await work.commit()
            return done


async def _left(store: Store, source: str) -> Any:
    async with store.begin(write=False) as work:
        kept = await work.findings.anomalies(AnomalyQuery(source, limit=1000))
        standing = await work.findings.standing(source)
        mutes = await work.findings.mutes(source)
        totals = await work.totals.list(source)
        counts = (await work.findings.open_anomalies()).get(source, 0)
    plain = [tuple(getattr(each, name) for name in _COMPARED) for each in (*kept, *standing)]
    return plain, [(mute.metric, mute.subject, mute.until, mute.reason) for mute in mutes], totals, counts


_COMPARED = (
    "run_id", "scope", "metric", "subject", "found", "detected_at", "evidence", "state", "times", "last_seen_at",
    "closed_at", "closed_by", "note",
)  # fmt: skip
