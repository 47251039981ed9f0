"""The ledger of runs and of their reads."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any

from sqlalchemy import (
    CTE,
    ColumnElement,
    Executable,
    Row,
    ScalarSelect,
    and_,
    bindparam,
    func,
    literal,
    select,
    tuple_,
    union_all,
    update,
)

from kasparro_adapters.sql.database import Database, made_once
from kasparro_adapters.sql.figure_tables import run_facts
from kasparro_adapters.sql.repositories.totals import SqlTotals
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.tables import COUNTERS, run_batches, runs
from kasparro_adapters.sql.types import BigId
from kasparro_core.errors import ConflictError
from kasparro_core.model import BatchRead, Counters, Extent, LatestRuns, Run, RunQuery, RunStatus, Trigger
from kasparro_core.model.facts import PastRun, RunFacts, facts_of
from kasparro_core.model.run import OF_THE_PAST
from kasparro_core.model.totals import amounts_of_run
from kasparro_core.normalize.canonical import canonical_json


class SqlRuns:
    """The RunLog of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database
        self._totals = SqlTotals(session, database)

    async def start(self, source: str, trigger: Trigger, started_at: datetime, /, *, resumes: int | None = None) -> Run:
        """Add a running run."""
        row = await self._session.first(
            self._database.insert(runs)
            .values(
                source=source,
                trigger=str(trigger),
                status=str(RunStatus.RUNNING),
                started_at=started_at,
                resumes=resumes,
                **Counters()._asdict(),
            )
            .returning(runs)
        )
        return _the_run(row, 0)

    async def add(self, run_id: int, delta: Counters, /) -> None:
        """Add to the counters of a running run."""
        added = await self._session.run(
            _ADD, {"of_run": run_id, **{f"plus_{n}": by for n, by in delta._asdict().items()}}
        )
        if added.rowcount != 1:
            raise _not_running(run_id)

    async def record_read(self, read: BatchRead, /, *, counters: Counters) -> None:
        """Note a read, or add to one that is noted."""
        values = {
            "run_id": read.run_id,
            "partition": read.partition,
            "seq": read.seq,
            "raw_id": read.raw_id,
            "url": read.url,
            "status": read.status,
            "observed_at": read.observed_at,
            "counters": json.dumps(counters._asdict()),
            "refused": read.refused,
            "extent": int(read.extent),
            "same_as": read.same_as,
        }
        if (await self._session.run(_noting(self._database), values)).first() is None:
            await self._add_to_read(read, counters)

    async def finish(
        self,
        run_id: int,
        status: RunStatus,
        finished_at: datetime,
        /,
        *,
        error_code: str | None = None,
        error: str | None = None,
    ) -> Run:
        """Give a running run its final state, and add it to the totals."""
        run = await self._change(
            run_id,
            {"status": str(status), "finished_at": finished_at, "error_code": error_code, "error": error},
        )
        await self._totals.add(run.source, amounts_of_run(run))
        return run

    async def get(self, run_id: int, /) -> Run | None:
        """One run, or None."""
        row = await self._session.first(select(runs).where(runs.c.run_id == run_id))
        return None if row is None else _run(row)

    async def put_facts(self, run_id: int, facts: RunFacts, /) -> None:
        """Keep what is known of a run."""
        insert = self._database.insert(run_facts)
        statement = insert.on_conflict_do_update(index_elements=["run_id"], set_={"facts": insert.excluded.facts})
        await self._session.run(statement, {"run_id": run_id, "facts": canonical_json(facts.document())})

    async def facts(self, run_id: int, /) -> RunFacts | None:
        """What is known of a run, or None."""
        row = await self._session.first(select(run_facts.c.facts).where(run_facts.c.run_id == run_id))
        return None if row is None else facts_of(row.facts)

    async def history(self, source: str, /, *, before: int, limit: int = 200) -> Sequence[PastRun]:
        """The runs of a source that are over, newest first."""
        return await self._past(_PAST.where(_ended(source, before)).limit(limit))

    async def alike(
        self, source: str, spans: Sequence[tuple[datetime, datetime]], /, *, before: int, limit: int = 25
    ) -> Sequence[PastRun]:
        """Those that began in one of these spans, each of which is found by the index of starts."""
        if not spans:
            return []
        ended, begun = _ended(source, before), runs.c.started_at
        found = (
            select(runs.c.run_id)
            .where(ended, begun >= start, begun < end)
            .order_by(begun.desc())
            .limit(limit)
            .subquery()
            for start, end in spans
        )
        return await self._past(_PAST.where(runs.c.run_id.in_(union_all(*(select(each.c.run_id) for each in found)))))

    async def _past(self, statement: Executable) -> Sequence[PastRun]:
        rows = await self._session.all(statement)
        return [PastRun(_run(row), None if row.facts is None else facts_of(row.facts)) for row in rows]

    async def list(self, query: RunQuery, /) -> list[Run]:
        """Runs, newest first."""
        statement = select(runs).order_by(runs.c.run_id.desc()).limit(query.limit)
        if query.source is not None:
            statement = statement.where(runs.c.source == query.source)
        if query.status is not None:
            statement = statement.where(runs.c.status == str(query.status))
        if query.before is not None:
            statement = statement.where(runs.c.run_id < query.before)
        return [_run(row) for row in await self._session.all(statement)]

    async def latest(self, source: str | None = None, /) -> Sequence[LatestRuns]:
        """Of the newest run of each status, the newest ones."""
        found = await self._session.all(newest_of_each_status(source))
        ids = {run_id for row in found for run_id in row if run_id is not None}
        wanted = select(runs).where(runs.c.run_id.in_(ids)).order_by(runs.c.source)
        rows = [_run(row) for row in await self._session.all(wanted)]
        return [LatestRuns.among(of_source) for _, of_source in groupby(rows, key=attrgetter("source"))]

    async def reads(self, source: str, /, *, after: int = 0, limit: int = 500) -> Sequence[BatchRead]:
        """Reads with a raw payload in ascending read_id."""
        table = run_batches.c
        statement = (
            select(run_batches)
            .join(runs, runs.c.run_id == table.run_id)
            .where(runs.c.source == source, table.raw_id.is_not(None), table.read_id > after)
            .order_by(table.read_id)
            .limit(limit)
        )
        return [_read(row) for row in await self._session.all(statement)]

    async def listing(self, source: str, partition: str, /) -> Sequence[BatchRead]:
        """The reads of a partition from the newest FIRST of a listing on. Backwards by run, as both indexes lie."""
        table = run_batches.c
        reads = (
            select(run_batches)
            .join(runs, runs.c.run_id == table.run_id)
            .where(runs.c.source == source, table.partition == partition)
        )
        begins = reads.where(table.extent.bitwise_and(int(Extent.FIRST)) != 0)
        begin = await self._session.first(begins.order_by(runs.c.run_id.desc(), table.seq.desc()).limit(1))
        if begin is None:
            return ()
        further = (table.run_id > begin.run_id) | ((table.run_id == begin.run_id) & (table.seq >= begin.seq))
        onward = reads.where(runs.c.run_id >= begin.run_id, further).order_by(runs.c.run_id, table.seq)
        return [_read(row) for row in await self._session.all(onward)]

    async def _change(self, run_id: int, values: dict[str, Any]) -> Run:
        running = (runs.c.run_id == run_id) & (runs.c.status == str(RunStatus.RUNNING))
        return _the_run(
            await self._session.first(update(runs).where(running).values(values).returning(runs)),
            run_id,
        )

    async def _add_to_read(self, read: BatchRead, counters: Counters) -> None:
        table = run_batches.c
        same = (table.run_id == read.run_id) & (table.partition == read.partition) & (table.seq == read.seq)
        row = await self._session.first(select(table.counters, table.refused).where(same).with_for_update())
        if row is None:
            raise RuntimeError("a read conflicted with a row that cannot be seen")
        total = json.dumps(Counters(**row.counters).plus(counters)._asdict())
        refused = None if row.refused is None else row.refused + (read.refused or 0)
        await self._session.run(update(run_batches).where(same).values(counters=total, refused=refused))


_ADD = (
    update(runs)
    .where(runs.c.run_id == bindparam("of_run"), runs.c.status == str(RunStatus.RUNNING))
    .values({name: runs.c[name] + bindparam(f"plus_{name}", type_=BigId) for name in COUNTERS})
)
"""Made once, as `_noting`: every commit runs them, and to put them together costs more than to send them."""


_OF_NOW = runs.c.trigger.not_in([str(trigger) for trigger in sorted(OF_THE_PAST)])

_PAST = (
    select(runs, run_facts.c.facts)
    .outerjoin(run_facts, run_facts.c.run_id == runs.c.run_id)
    .order_by(runs.c.run_id.desc())
)


def _ended(source: str, before: int) -> ColumnElement[bool]:
    """The runs of a source that are over and began before another one."""
    return and_(runs.c.source == source, runs.c.run_id < before, runs.c.finished_at.is_not(None), _OF_NOW)


@made_once
def _noting(database: Database) -> Executable:
    """A read, unless it is noted already."""
    return database.insert(run_batches).on_conflict_do_nothing().returning(run_batches.c.read_id)


def newest_of_each_status(source: str | None) -> Executable:
    """The run_id of the newest run of each status, a row per source: one index look-up for each, however many runs
    there are. From one source to the next it jumps in the index, too."""
    if source is None:
        names = select(func.min(runs.c.source).label("source")).cte(recursive=True)
        further = select(func.min(runs.c.source)).where(runs.c.source > names.c.source).scalar_subquery()
        names = names.union_all(select(further).where(names.c.source.is_not(None)))
    else:
        names = select(literal(source).label("source")).cte()
    return select(*(_newest_of(status, names) for status in RunStatus)).select_from(names)


def _newest_of(status: RunStatus, names: CTE) -> ScalarSelect[int]:
    """The last entry of a (source, status) in its index. Two bounds and not `=`, and the order of all columns: else
    PostgreSQL may walk through all younger runs of the ledger, newest first, until it meets one."""
    place = tuple_(runs.c.source, runs.c.status)
    wanted = tuple_(names.c.source, literal(str(status)))
    order = (runs.c.source.desc(), runs.c.status.desc(), runs.c.run_id.desc())
    entries = select(runs.c.run_id).where(place >= wanted, place <= wanted, _OF_NOW).order_by(*order)
    return entries.limit(1).correlate(names).scalar_subquery()


def _the_run(row: Row[Any] | None, run_id: int) -> Run:
    if row is None:
        raise _not_running(run_id)
    return _run(row)


def _not_running(run_id: int) -> ConflictError:
    return ConflictError(f"Run {run_id} is not running any more: another process took it over or it has ended.")


def _run(row: Row[Any]) -> Run:
    return Run(
        run_id=row.run_id,
        source=row.source,
        trigger=Trigger(row.trigger),
        status=RunStatus(row.status),
        started_at=row.started_at,
        finished_at=row.finished_at,
        counters=Counters(*(getattr(row, name) for name in COUNTERS)),
        error_code=row.error_code,
        error=row.error,
        resumes=row.resumes,
    )


def _read(row: Row[Any]) -> BatchRead:
    return BatchRead(
        run_id=row.run_id,
        partition=row.partition,
        seq=row.seq,
        raw_id=row.raw_id,
        url=row.url,
        status=row.status,
        observed_at=row.observed_at,
        read_id=row.read_id,
        refused=row.refused,
        extent=Extent(row.extent),
        same_as=row.same_as,
    )
