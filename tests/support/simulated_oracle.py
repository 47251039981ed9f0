"""What has to hold at each commit of a simulation, and at its end: a look at rows, never at what the product thinks."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

from simulated_links import wrong_links
from simulated_loop import Line
from simulated_upstream import Item, Upstream, item_of, serial_of

from kasparro_adapters.memory.tables import State, Transaction
from kasparro_core.model import Counters, Lease, Run, RunStatus, SlotState, Trigger, unpack


class ViolationError(Exception):
    """A promise was broken."""


class Oracle:
    """Watches one database. `excused(owner, lease, taker)`: why a lease that is taken over was free, or None.
    `is_full`: whether a run reads everything from the start, and so goes back on purpose."""

    def __init__(
        self,
        upstreams: Mapping[str, Upstream],
        excused: Callable[[str, Lease, Line], str | None],
        is_full: Callable[[int], bool],
        tell: Callable[..., None],
    ) -> None:
        self._tell = tell
        self._upstreams = upstreams
        self._excused = excused
        self._is_full = is_full
        self._running: dict[str, set[int]] = {name: set() for name in upstreams}
        self._rewound: set[str] = set()
        self.committed: dict[str, set[int]] = {name: set() for name in upstreams}
        self.takeovers: Counter[str] = Counter()
        self.found: list[str] = []

    def inspect(self, tx: Transaction, line: Line) -> None:
        """A transaction of a process right before its commit. What is wrong is noted, and the first thing raised when
        the simulation ends: the product must not get to swallow it."""
        self._tell("commits", line.name, _Changes(tx))
        try:
            self._leases(tx, line)
            self._runs(tx, line)
            self._batch(tx, line)
        except ViolationError as violation:
            self.found.append(f"commit by {line.name}: {violation}")
            self._tell("VIOLATION", self.found[-1])

    def _leases(self, tx: Transaction, line: Line) -> None:
        for place, lease in tx.leases._changes.items():
            old = tx.leases._committed.get(place)
            if old is None or lease.token == old.token:
                owner = line.name if old is None else old.owner
                require(lease.owner == owner == line.name, f"touches the lease of {owner}: {lease}")
            else:
                require(lease.token == old.token + 1, f"the token went from {old.token} to {lease.token}")
                require(lease.owner == line.name, f"takes a lease for {lease.owner}")
                if old.run_id is not None:
                    why = self._excused(old.owner, old, line)
                    require(why is not None, f"took over run {old.run_id} of {old.owner}, which is alive and well")
                    self.takeovers[str(why)] += 1

    def _runs(self, tx: Transaction, line: Line) -> None:
        for run_id, run in tx.runs._changes.items():
            old = tx.runs._committed.get(run_id)
            require(_adds_up(run.counters), f"run {run_id} does not add up: {run.counters}")
            require(old is None or old.status is RunStatus.RUNNING, f"run {run_id} was changed after its end")
            require(run.error_code != "internal", f"run {run_id} failed by a bug: {run.error}")
            require(run.error_code != "conflict", f"run {run_id} was in its own way: {run.error}")
            if old is None:
                lease = tx.leases.get((run.source, ""))
                require(lease is not None and lease.run_id == run_id, f"run {run_id} began without a lease")
            running = self._running[run.source]
            (running.add if run.status is RunStatus.RUNNING else running.discard)(run_id)
        for source, running in self._running.items():
            require(len(running) <= 1, f"{source} has {len(running)} live runs: {sorted(running)}")
            lease = tx.leases.get((source, ""))
            require(
                {lease.run_id} - {None} == running if lease else not running,
                f"{source}: its lease is of run {lease and lease.run_id}, and {sorted(running)} are running",
            )

    def _batch(self, tx: Transaction, line: Line) -> None:
        moved, reads = tx.checkpoints._changes, tx.reads._changes
        if not (moved or reads or tx.records._changes or tx.payloads._changes):
            return
        known = tx.records._committed
        marks = all(record_id in known and row.gone_at for record_id, row in tx.records._changes.items())
        if marks and not (moved or reads or tx.payloads._changes or tx.runs._changes):
            self._marks(tx, line)
            return
        runs = [run for run_id, run in tx.runs._changes.items() if run_id in tx.runs._committed]
        require(len(runs) == 1, f"data of {len(runs)} runs in one commit")
        run = runs[0]
        held = tx.leases._committed.get((run.source, ""))
        require(held is not None and (held.owner, held.run_id) == (line.name, run.run_id), "data without the lease")
        delta = _minus(run.counters, tx.runs._committed[run.run_id].counters)
        require(delta.batches == 1, f"{delta.batches} batches in one commit")
        self._records(tx, run, delta)
        if run.trigger is not Trigger.REPLAY:
            self._read(tx, run, delta)
        else:
            require(not moved, "a replay moved a checkpoint")

    def _marks(self, tx: Transaction, line: Line) -> None:
        """What is gone at the source is marked by the owner of the lease, and nothing else of it is touched."""
        for record_id, row in tx.records._changes.items():
            source, old = row.state.record.source, tx.records._committed[record_id]
            held = tx.leases._committed.get((source, ""))
            require(held is not None and held.owner == line.name, f"marks records of {source} without the lease")
            require((source, "") in tx.leases._changes, "marks records without looking at the lease")
            untouched = old._replace(gone_at=row.gone_at, change_seq=row.change_seq) == row
            require(untouched and old.gone_at is None and row.gone_at is not None, f"more than a mark: {old} {row}")

    def _records(self, tx: Transaction, run: Run, delta: Counters) -> None:
        new = [row for record_id, row in tx.records._changes.items() if record_id not in tx.records._committed]
        changed = len(tx.records._changes) - len(new)
        require(len(new) == delta.inserted, f"{len(new)} new records, {delta.inserted} counted as inserted")
        require(changed <= delta.updated + delta.inserted, f"{changed} changed records, {delta.updated} counted")
        upstream, goes_back = self._upstreams[run.source], self._goes_back(run)
        for row in tx.records._changes.values():
            record = row.state.record
            require(record.source == run.source, f"a record of {record.source} in a run of {run.source}")
            require(0 < int(record.value or 0) <= upstream.truth[record.key], f"invented: {record}")
            old = tx.records._committed.get(row.record_id)
            require(
                old is None or goes_back or int(record.value or 0) >= int(old.state.record.value or 0),
                f"an older state replaced a newer one: {record} for {old and old.state.record}",
            )

    def _goes_back(self, run: Run) -> bool:
        """Whether it may read what was read before: on purpose, or in place of a run that did so and was broken off, or
        because the rest of a payload was not kept."""
        if self._is_full(run.run_id) or not self._upstreams[run.source].keep_raw:
            self._rewound.add(run.source)
        return run.source in self._rewound

    def _read(self, tx: Transaction, run: Run, delta: Counters) -> None:
        require(len(tx.checkpoints._changes) == 1, "data without its checkpoint, or a checkpoint without its data")
        require(len(tx.reads._changes) == 1, f"{len(tx.reads._changes)} reads noted for one batch")
        ((source, partition), saved), (read,) = next(iter(tx.checkpoints._changes.items())), tx.reads._changes.values()
        old = tx.checkpoints._committed.get((source, partition))
        require(source == run.source and saved.run_id == run.run_id, "the checkpoint of another run")
        require(saved.version == (old.version if old else 0) + 1, f"the checkpoint jumped to {saved.version}")
        require(read.read.partition == partition, "a read of another partition")
        upstream = self._upstreams[source]
        self._present(tx, source, upstream.stored_early(saved.cursor, partition))
        if read.read.raw_id is not None:
            self._payload(tx, source, read, saved.cursor)
        serial = serial_of(saved.cursor)
        stays = read.read.raw_id is None and saved.cursor == (old.cursor if old else {})  # between slices of no payload
        if serial is not None and not stays:
            self._chain(tx, run, serial, saved.cursor, old.cursor if old else None, delta)

    def _payload(self, tx: Transaction, source: str, read: Any, cursor: Any) -> None:
        """Exactly what the payload holds up to the position is counted, and present."""
        packed = tx.payloads.get(read.read.raw_id).packed  # type: ignore[union-attr]
        body = json.loads(unpack(packed.codec, packed.packed))
        rows = body["items"] if isinstance(body, dict) else body
        if "$slice" in cursor:
            rows = rows[: cursor["$slice"]["offset"]]
        self._present(tx, source, [item for item in map(item_of, rows) if item is not None])
        # a run that goes on inside a payload counts the rest of it alone
        require(read.counters.fetched <= len(rows), f"{read.counters.fetched} items counted of {len(rows)}")

    def _chain(self, tx: Transaction, run: Run, serial: int, cursor: Any, old: Any, delta: Counters) -> None:
        """The position follows the one that it was read from, and the items of its batch are there."""
        served = self._upstreams[run.source].served[serial]
        before = serial_of(old)
        inside = old is not None and "$slice" in old and before == serial
        follows = before == served.parent or (served.parent is None and self._is_full(run.run_id))
        require(inside or follows, f"the checkpoint went from {before} to {serial}, which follows {served.parent}")
        if "$slice" not in cursor:
            self.committed[run.source].add(serial)
            self._present(tx, run.source, [item for item in served.items if item[0]])
            require(delta.fetched <= len(served.items), f"{delta.fetched} items counted of {len(served.items)}")

    def _present(self, tx: Transaction, source: str, items: Iterable[Item]) -> None:
        for ident, v in items:
            record_id = tx.record_ids.get((source, ident))
            require(record_id is not None, f"the checkpoint of {source} is ahead: {ident} is not stored")
            row = tx.records.get(record_id)  # type: ignore[arg-type]
            found = int(row.state.record.value or 0) if row is not None else 0
            require(found >= v, f"the checkpoint of {source} is ahead: {ident} is stored as {found}, served as {v}")


def at_the_end(state: State, upstreams: Mapping[str, Upstream], periods: Mapping[str, float]) -> list[str]:
    """What is wrong once everything has come to rest. `periods`: seconds between two slots of a source."""
    found = [f"run {run.run_id} is still running" for run in state.runs.values() if run.status is RunStatus.RUNNING]
    found += [f"a lease is still held: {lease}" for lease in state.leases.values() if lease.run_id is not None]
    for name, upstream in upstreams.items():
        found += _gone(state, upstream)
        rows = [row.state.record for row in state.records.values() if row.state.record.source == name]
        stored = {record.key: int(record.value or 0) for record in rows}
        truth = {k: stored.get(k, v) if k in upstream.removed else v for k, v in upstream.truth.items()}
        never = {k for k in upstream.removed if k not in stored}  # came and went between two looks
        if stored != {k: v for k, v in truth.items() if k not in never}:
            wrong = {k: (v, stored.get(k)) for k, v in truth.items() if stored.get(k) != v}
            found.append(f"{name}: (upstream's, stored) of {wrong}; invented: {stored.keys() - upstream.truth.keys()}")
        if len(rows) != len(stored):
            found.append(f"{name}: {len(rows) - len(stored)} records are doubled")
        runs = [run for run in state.runs.values() if run.source == name]
        inserted = sum(run.counters.inserted for run in runs)
        if inserted != len(rows):
            found.append(f"{name}: the runs inserted {inserted} records, the table holds {len(rows)}")
    found += _ledger(state)
    found += _answers(state)
    found += _slots(state, periods)
    found += wrong_links(state)
    return found


def _gone(state: State, upstream: Upstream) -> list[str]:
    """What is removed is marked, as far as payloads that did not come again are stored; what is there is not."""
    rows = [row for row in state.records.values() if row.state.record.source == upstream.name]
    marked = {row.state.record.key for row in rows if row.gone_at is not None}
    removed = {row.state.record.key for row in rows} & upstream.removed
    if marked == removed or (not upstream.keep_raw and marked <= removed):
        return []
    return [f"{upstream.name}: marked but there: {marked - removed}; removed but not marked: {removed - marked}"]


def _ledger(state: State) -> list[str]:
    """Runs against their reads, their events and the totals."""
    found = []
    told = Counter((str(event.type), event.run_id) for event in state.events.values())
    items: dict[int, Counters] = {run_id: Counters() for run_id in state.runs}
    for row in state.reads.values():
        items[row.read.run_id] = items[row.read.run_id].plus(row.counters)
    for run_id, run in state.runs.items():
        if run.trigger is not Trigger.REPLAY and items[run_id][:6] != run.counters[:6]:
            found.append(f"run {run_id}: its reads say {items[run_id][:6]}, the run {run.counters[:6]}")
        events = [told["run.started", run_id], told["batch.committed", run_id], told["run.finished", run_id]]
        if events != [1, run.counters.batches, 1]:
            found.append(f"run {run_id} of {run.counters.batches} batches was told as {events}")
    totals: Counter[tuple[str, str, str]] = Counter()
    for run in state.runs.values():
        totals[run.source, "records", "inserted"] += run.counters.inserted
        totals[run.source, "runs", str(run.status)] += 1
        totals[run.source, "requests", ""] += run.counters.requests
    for place, amount in totals.items():
        kept = sum(t.value for t in state.totals.values() if (t.source, str(t.metric), t.label) == place)
        if kept != amount:
            found.append(f"the total of {place} is {kept}, the runs say {amount}")
    return found


def _answers(state: State) -> list[str]:
    """Whoever was answered under a key was promised runs that exist."""
    promised = [(answer.key, int(run_id)) for answer in state.answers.values() for run_id in answer.body.split()]
    return [
        f"{key!r} promised run {run_id}, which is not there" for key, run_id in promised if run_id not in state.runs
    ]


def asked_in_vain(state: State, upstream: Upstream, committed: set[int]) -> str | None:
    """What was served has to be committed, but for one batch of each partition of a run that was broken off (and one
    that was read ahead)."""
    broken = (RunStatus.INTERRUPTED, RunStatus.FAILED, RunStatus.DEGRADED)
    runs = sum(1 for run in state.runs.values() if run.source == upstream.name and run.status in broken)
    partitions = {served.partition for served in upstream.served.values()}
    most = runs * len(partitions) * (2 if upstream.read_ahead else 1)
    vain = len(upstream.served) - len(committed)
    return f"{upstream.name}: {vain} batches were read in vain, {runs} runs broken off" if vain > most else None


def _slots(state: State, periods: Mapping[str, float]) -> list[str]:
    """Every slot has one row, and every timed run one slot."""
    found = []
    ran = [slot.run_id for slot in state.slots.values() if slot.state is SlotState.RAN]
    timed = [run.run_id for run in state.runs.values() if run.trigger is Trigger.SCHEDULE]
    if sorted(map(str, ran)) != sorted(map(str, timed)):
        found.append(f"slots ran as {sorted(map(str, ran))}, timed runs are {timed}")
    for source, seconds in periods.items():
        noted = sorted(slot.slot_at for slot in state.slots.values() if slot.source == source)
        if any((later - earlier).total_seconds() != seconds for earlier, later in pairwise(noted)):
            found.append(f"{source}: not a slot each {seconds} s: {[str(at) for at in noted]}")
    return found


class _Changes:
    """A transaction in few words, for whoever wants to read them."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    def __str__(self) -> str:
        return ", ".join(self._parts())

    def _parts(self) -> Iterator[str]:
        for run in self._tx.runs._changes.values():
            yield f"run {run.run_id} {run.source} {run.status} {run.error_code or ''}{tuple(run.counters[:6])}"
        for (source, _), lease in self._tx.leases._changes.items():
            yield f"lease {source} {lease.owner} {lease.token} of {lease.run_id} to {lease.expires_at:%M:%S.%f}"
        for (_, partition), saved in self._tx.checkpoints._changes.items():
            yield f"checkpoint {partition!r} {saved.version} {json.dumps(saved.cursor)}"
        for row in self._tx.records._changes.values():
            yield f"{row.state.record.key}={row.state.record.value}"
        for slot in self._tx.slots._changes.values():
            yield f"slot {slot.source} {slot.slot_at:%M:%S} {slot.state} {slot.run_id}"


def require(holds: bool, message: str) -> None:
    """Raise a violation unless it holds."""
    if not holds:
        raise ViolationError(message)


def _adds_up(counters: Counters) -> bool:
    return counters.fetched == counters.inserted + counters.updated + counters.unchanged + counters.rejected


def _minus(one: Counters, other: Counters) -> Counters:
    return Counters(*(a - b for a, b in zip(one, other, strict=True)))
