"""Records into SQLite: look-ups through JSON arrays, writes by executemany. No statement grows with the batch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from itertools import count
from typing import Any

from kasparro_adapters.sql.bulk.columns import STATE, bounded, record_ids_by_key, state_of
from kasparro_adapters.sql.bulk.plan import KnownVersion, Plan, State, Suspect
from kasparro_adapters.sql.bulk.port import Refusal
from kasparro_adapters.sql.ordering import order_of
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.types import instant_text
from kasparro_core.errors import UnstorableError
from kasparro_core.model import Observation, PreparedRecord
from kasparro_core.normalize.canonical import canonical_decimal
from kasparro_core.services.steps import whole


def _list(columns: Iterable[str]) -> str:
    return ", ".join(columns)


def _marks(columns: Sequence[str]) -> str:
    return _list("?" for _ in columns)


_RECORD = (
    "source", "key", *STATE, "updated_at", "title_folded", "value_order",
    "first_seen_at", "revision", "change_seq",
)  # fmt: skip
_CHANGED = (*STATE, "updated_at", "title_folded", "value_order")
_TITLE, _VALUE = STATE.index("title"), STATE.index("value")

_INSERT = f"INSERT INTO records ({_list(_RECORD)}) VALUES ({_marks(_RECORD)})"
_UPDATE = (
    f"UPDATE records SET {_list(f'{name} = ?' for name in _CHANGED)}, revision = revision + ?, change_seq = ?,"
    " gone_at = CASE WHEN gone_at > ? THEN gone_at END WHERE record_id = ?"
)
_RETURN = (
    "UPDATE records SET gone_at = NULL, change_seq = ? + s.key FROM json_each(?) AS s WHERE records.record_id = s.value"
)
_MARK_GONE = (
    "UPDATE records SET gone_at = ?, change_seq = ? + s.key FROM json_each(?) AS s"
    " WHERE records.record_id = s.value AND records.gone_at IS NULL"
)
_REPLACE_VERSION = " ON CONFLICT (record_id, observed_at, raw_id, raw_index) DO UPDATE SET " + _list(
    f"{name} = excluded.{name}" for name in STATE if name != "raw_index"
)
_INSERT_VERSION = (
    f"INSERT INTO record_versions (record_id, {_list(STATE)}, observed_at) VALUES (?, {_marks(STATE)}, ?)"
    + _REPLACE_VERSION
)
_KEEP = (
    f"INSERT INTO record_versions (record_id, {_list(STATE)}, observed_at)"
    f" SELECT record_id, {_list(STATE)}, updated_at FROM records WHERE record_id = ?" + _REPLACE_VERSION
)
_STATES = (
    "SELECT s.key, r.record_id, r.content_hash, r.occurred_at, r.updated_at, r.raw_id, r.raw_index, r.gone_at"
    " FROM json_each(?) AS s CROSS JOIN records AS r ON r.source = ? AND r.key = s.value"
)
_SUSPECTS = (
    "WITH s AS MATERIALIZED (SELECT json_extract(value, '$[0]') AS record_id, json_extract(value, '$[1]') AS"
    " content_hash, json_extract(value, '$[2]') AS observed_at, json_extract(value, '$[3]') AS raw_index"
    " FROM json_each(?))"
)
_VERSION = "v.record_id, v.content_hash, v.observed_at, v.raw_id, v.raw_index"
_KNOWN = (
    _SUSPECTS + f" SELECT {_VERSION} FROM s CROSS JOIN record_versions AS v"
    " ON v.record_id = s.record_id AND v.content_hash = s.content_hash"
    f" UNION SELECT {_VERSION} FROM s CROSS JOIN record_versions AS v"
    " ON v.record_id = s.record_id AND v.observed_at = s.observed_at AND v.raw_index = s.raw_index"
)
_LAST = "SELECT last_seq FROM change_counter WHERE counter_id = 1"
_CLAIM = "UPDATE change_counter SET last_seq = last_seq + ? WHERE counter_id = 1 RETURNING last_seq"


class SqliteBulk:
    """The BulkWriter of a transaction that holds SQLite's write lock from its beginning."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def mark(self) -> int:
        """The last change_seq."""
        return int((await self._session.driver_sql(_LAST)).scalar_one())

    async def claim(self, count: int) -> int:
        """Take numbers; the write lock keeps everybody else away."""
        return int((await self._session.driver_sql(_CLAIM, (count,))).scalar_one()) - count

    async def differing(self, source: str, records: Sequence[PreparedRecord]) -> Mapping[str, State | None]:
        """Fetch all states by position in an array of the keys, and compare here."""
        keys = json.dumps([prepared.record.key for prepared in records], ensure_ascii=False)
        rows = await self._rows(_STATES, keys, source)
        states = {row[0]: row for row in rows}
        found: dict[str, State | None] = {}
        for position, prepared in enumerate(records):
            row = states.get(position)
            if row is None:
                found[prepared.record.key] = None
            elif row[2] != prepared.content_hash or row[7] is not None:
                times = (_instant(row[3]), _parse(row[4]))
                found[prepared.record.key] = State(row[1], row[2], *times, row[5], row[6], _instant(row[7]))
        return found

    async def known_versions(self, suspects: Sequence[Suspect]) -> Sequence[KnownVersion]:
        """Two index look-ups per suspect."""
        given = json.dumps([(s.record_id, s.content_hash, instant_text(s.observed_at), s.raw_index) for s in suspects])
        rows = await self._rows(_KNOWN, given)
        return [KnownVersion(row[0], row[1], _parse(row[2]), *row[3:]) for row in rows]

    async def write(self, plan: Plan, observation: Observation, first_seq: int) -> None:
        """Stored states first, while they are still there; then new states, new records, other versions."""
        seen_at = instant_text(observation.observed_at)
        await self._many(_KEEP, [(record_id,) for record_id in plan.keep])
        await self._many(
            _UPDATE,
            [
                (*_changed(update.prepared, observation, seen_at), update.steps, seq, seen_at, update.record_id)
                for seq, update in enumerate(plan.updates, first_seq)
            ],
            [update.prepared for update in plan.updates],
        )
        first_seq += len(plan.updates)
        if plan.returns:
            await self._session.driver_sql(_RETURN, (first_seq, json.dumps(plan.returns)))
            first_seq += len(plan.returns)
        await self._insert(plan, _new_rows(plan, observation, first_seq))
        await self._write_versions(plan, observation, seen_at)

    async def attempt(self, plan: Plan, observation: Observation, first_seq: int) -> Refusal | None:
        """Of new records alone those before the refused one stay: a row that fails undoes itself alone."""
        if plan.updates or plan.keep or plan.versions or plan.returns:
            error = await self._session.attempt(lambda: self.write(plan, observation, first_seq))
            return None if error is None else Refusal(error)
        try:
            rows = _new_rows(plan, observation, first_seq)
        except UnstorableError as error:
            return Refusal(error)
        try:
            await self._insert(plan, rows)
        except UnstorableError as error:
            driver = await self._session.driver()
            if not driver.in_transaction:  # a trigger rolled it back
                raise
            self._session.forgive()
            return Refusal(error, partly=True)
        return None

    async def mark_gone(self, record_ids: Sequence[int], at: datetime, first_seq: int) -> int:
        """By position in an array of the ids."""
        given = (instant_text(at), first_seq, json.dumps(list(record_ids)))
        return (await self._session.driver_sql(_MARK_GONE, given)).rowcount

    async def _insert(self, plan: Plan, rows: Sequence[tuple[Any, ...]]) -> None:
        await self._many(_INSERT, rows, [prepared for prepared, _ in plan.inserts])

    async def _write_versions(self, plan: Plan, observation: Observation, seen_at: str) -> None:
        if not plan.versions:
            return
        ids = await record_ids_by_key(self, plan, observation.source)
        await self._many(
            _INSERT_VERSION,
            [
                (record_id or ids[prepared.record.key], *_version(prepared, observation), seen_at)
                for record_id, prepared in plan.versions
            ],
            [prepared for _, prepared in plan.versions],
        )

    async def record_ids(self, source: str, keys: Sequence[str]) -> Sequence[tuple[str, int]]:
        """The ids of stored records."""
        rows = await self._rows(_STATES, json.dumps(keys, ensure_ascii=False), source)
        return [(keys[row[0]], row[1]) for row in rows]

    async def _rows(self, statement: str, *params: str) -> Sequence[Any]:
        return (await self._session.driver_sql(statement, params)).all()

    async def _many(
        self, statement: str, rows: Sequence[tuple[Any, ...]], records: Sequence[PreparedRecord] = ()
    ) -> None:
        """Run a statement for each row. Of rows that stand for `records`, an error names the one that it came at: the
        driver takes the next row when the one before it is in."""
        if not rows:
            return
        taken = count()
        try:
            with self._session.guarded():
                driver = await self._session.driver()
                cursor = await whole(driver.executemany(statement, (row for row, _ in zip(rows, taken, strict=False))))
                await whole(cursor.close())
        except UnstorableError as error:
            if records:
                error.item = records[next(taken) - 1]
            raise


def _new_rows(plan: Plan, observation: Observation, first_seq: int) -> list[tuple[Any, ...]]:
    source, seen_at = observation.source, instant_text(observation.observed_at)
    return [
        (source, prepared.record.key, *_changed(prepared, observation, seen_at), seen_at, revision, first_seq + n)
        for n, (prepared, revision) in enumerate(plan.inserts)
    ]


def _version(prepared: PreparedRecord, observation: Observation) -> tuple[Any, ...]:
    value, occurred_at = bounded(prepared), prepared.record.occurred_at
    return state_of(
        prepared,
        observation,
        None if value is None else canonical_decimal(value),
        None if occurred_at is None else instant_text(occurred_at),
    )


def _changed(prepared: PreparedRecord, observation: Observation, seen_at: str) -> tuple[Any, ...]:
    state = _version(prepared, observation)
    title, value = state[_TITLE], state[_VALUE]
    return (
        *state,
        seen_at,
        None if title is None else title.casefold(),
        None if value is None else order_of(value),
    )


def _parse(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
