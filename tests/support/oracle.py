"""The oracle of the crash tests: what a database must hold at any instant, judged by the raw drivers alone.

It imports nothing of the product. It compares a state (`snapshot.look(url)`), all of it of one instant, with a `Truth`:
what a source has to show, in order, and what its server has sent so far. Two functions and a class:

- `wrong(state, truths)` lists what may never be so, at no instant: doubled or invented records, a checkpoint ahead of
  the data, counters that disagree with the rows, payloads kept twice, a run that stays `running` beyond its lease;
- `wrong(state, truths, ended=True)` adds what must be so once an undisturbed run has ended: nothing is lost, the
  position is at the end, nothing runs;
- `late(before, after)` lists what may not happen between two looks: a position that goes back, a run that changes
  after its end, records of an ended run that grow in number;
- `Watch(url, truths)` does all that every 10 ms on a thread of its own, for the time of a `with` block.

Every fault is one sentence; no fault is an empty list.
"""

from __future__ import annotations

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Self

from snapshot import COUNTED, Cursor, Ran, Raw, Read, State, connected, state_of, statements_of

PATIENCE = 2.0
"""Seconds after the end of a lease in which its run may still be `running`: whoever watches has to notice first."""


@dataclass(frozen=True)
class Truth:
    """What a source has to show.

    `items`: the key of every item, in the source's order. `refused`: those that have to be rejected. `behind(cursor)`:
    how many items lie behind a position, by the documented form of cursors. `keys_in(payload)`: the keys of a
    payload's items, in order. `served()`: the SHA-256 of each body that the server has sent so far; None when no
    server is asked.
    """

    source: str
    items: Sequence[str]
    behind: Callable[[Cursor], int]
    keys_in: Callable[[bytes], Sequence[str]]
    refused: frozenset[str] = frozenset()
    served: Callable[[], Collection[str]] | None = None

    @property
    def keys(self) -> frozenset[str]:
        """The records that are there in the end."""
        return frozenset(self.items) - self.refused

    def passed(self, cursor: Cursor, counts: Mapping[int, int]) -> int:
        """How many items lie behind a checkpoint; `counts` are the items of each stored payload.

        A checkpoint inside a payload (`$slice`) counts that payload as far as it is used up.
        """
        if (part := cursor.get("$slice")) is None:
            return self.behind(cursor) if cursor else 0
        whole = self.behind(part["after"])
        return whole - counts.get(part["raw_id"], 0) + int(part["offset"])


def wrong(
    state: State, truths: Sequence[Truth], *, ended: bool = False, patience: float | None = PATIENCE
) -> list[str]:
    """What may not be so. `patience` None: nobody is there who could end a run whose lease is over."""
    found = [*_unsound_runs(state), *_unsound_leases(state, patience)]
    if state.unlinked:
        found.append(
            f"assets without an entity, or linked without a record: {_some([str(at) for at in state.unlinked])}"
        )
    for truth in truths:
        found += _unsound_records(state, truth)
        found += _unsound_payloads(state, truth)
        found += _ahead(state, truth)
        if ended:
            found += _unfinished(state, truth)
    return found


def late(before: State, after: State) -> list[str]:
    """What may not happen from one look to a later one, whoever runs meanwhile."""
    versions = {point[:2]: point.version for point in after.points}
    tokens = {lease.source: lease.token for lease in after.leases}
    over = {run.run_id: run for run in before.runs.values() if run.status != "running"}
    written = Counter(record.run_id for record in before.records)
    grown = Counter(record.run_id for record in after.records) - written
    return [
        *(
            f"{point.source}: the checkpoint went back from version {point.version}"
            for point in before.points
            if versions.get(point[:2], 0) < point.version
        ),
        *(
            f"{lease.source}: the lease's token went back from {lease.token}"
            for lease in before.leases
            if tokens.get(lease.source, 0) < lease.token
        ),
        *(
            f"run {run_id} changed after its end: {run} became {after.runs.get(run_id)}"
            for run_id, run in over.items()
            if after.runs.get(run_id) != run
        ),
        *(f"run {run_id} wrote {grown[run_id]} records after its end" for run_id in over if grown[run_id]),
    ]


class Watch:
    """Looks at a database every `every` seconds for the time of a `with` block and judges each look by itself and
    against the one before. Afterwards: `polls` looks were taken, `faults` is what was wrong (each once, with the poll
    at which it was first seen), `last` the last state. An error of the watch itself is raised at the end of the block.
    """

    def __init__(
        self,
        url: str,
        truths: Sequence[Truth],
        *,
        every: float = 0.01,
        patience: float | None = PATIENCE,
    ) -> None:
        self._url, self._truths, self._every, self._patience = url, truths, every, patience
        self._begun, self._over = threading.Event(), threading.Event()
        self._thread = ThreadPoolExecutor(max_workers=1)
        self._work: Future[None] | None = None
        self._seen: set[str] = set()
        self.polls = 0
        self.moved = 0
        """How many looks saw a position move: 0 means that nothing was seen of a run's way."""
        self.faults: list[str] = []
        self.last: State | None = None

    def __enter__(self) -> Self:
        self._work = self._thread.submit(self._watch)
        while not self._begun.wait(0.05) and not self._work.done():
            pass
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.shutdown()
        if self._work is not None:
            self._work.result()

    def _watch(self) -> None:
        """The first look is taken before the block begins and the last one after it has ended."""
        with connected(self._url) as ask:
            statements = statements_of(self._url, payloads=False)
            last = False
            while not last:
                begun, last = time.monotonic(), self._over.is_set()
                self._judge(state_of(ask(statements)))
                self._begun.set()
                self._over.wait(max(0.0, self._every - (time.monotonic() - begun)))

    def _judge(self, state: State) -> None:
        self.polls += 1
        found = wrong(state, self._truths, patience=self._patience)
        if self.last is not None:
            found += late(self.last, state)
            self.moved += state.points != self.last.points
        self.last = state
        for fault in found:
            if fault not in self._seen:
                self._seen.add(fault)
                self.faults.append(f"poll {self.polls}: {fault}")


def pages_behind(items: int, size: int, paging: str = "page") -> Callable[[Cursor], int]:
    """For an HTTP source that pages by number (from 1), by offset, or by tokens "tN" for page N. A cursor without a
    walk: the list was walked through to its end."""

    def behind(cursor: Cursor) -> int:
        if "walk" not in cursor:
            return items
        place = cursor["walk"]["at"]
        if paging == "offset":
            return min(items, int(place["at"]))
        page = int(place.get("token", "t1")[1:]) if paging == "cursor" else int(place["at"])
        return min(items, (page - 1) * size)

    return behind


def lines_behind(content: bytes) -> Callable[[Cursor], int]:
    """For a CSV file with a header, one row a line: the rows in front of the cursor's byte offset."""
    return lambda cursor: max(0, content[: int(cursor["offset"])].count(b"\n") - 1)


def all_behind(items: int) -> Callable[[Cursor], int]:
    """For a source that is read in one piece: once there is a cursor, all of it."""
    return lambda cursor: items if cursor else 0


def _unsound_runs(state: State) -> list[str]:
    """Counters that do not add up, or not to the rows that were written in the same transactions."""
    found = []
    read: dict[int, list[int]] = defaultdict(lambda: [0] * len(COUNTED))
    for entry in state.reads:
        read[entry.run_id] = [a + b for a, b in zip(read[entry.run_id], entry.counters, strict=True)]
    for run in state.runs.values():
        fetched, *parts, _ = run.counters
        if fetched != sum(parts):
            found.append(f"run {run.run_id} does not add up: {run.counters}")
        if list(run.counters) != read[run.run_id]:
            found.append(f"run {run.run_id} counts {run.counters}, its reads {tuple(read[run.run_id])}")
    found += [f"reads of run {run_id}, which is not in the ledger" for run_id in read.keys() - state.runs.keys()]
    under_way = Counter(run.source for run in state.runs.values() if run.status == "running")
    found += [f"{source}: {number} runs at once" for source, number in under_way.items() if number > 1]
    return found


def _unsound_leases(state: State, patience: float | None) -> list[str]:
    found = []
    by_run = {lease.run_id: lease for lease in state.leases if lease.run_id is not None}
    for run in state.runs.values():
        lease = by_run.pop(run.run_id, None)
        if run.status != "running":
            found += [f"run {run.run_id} is {run.status} and still holds its lease"] if lease else []
        elif lease is None:
            found.append(f"run {run.run_id} is running without a lease")
        elif patience is not None and lease.overdue > patience:
            found.append(f"run {run.run_id} is running although its lease is over")
    return found + [f"the lease of {lease.source} names no run of the ledger" for lease in by_run.values()]


def _unsound_records(state: State, truth: Truth) -> list[str]:
    records = [record for record in state.records if record.source == truth.source]
    found = []
    keys = Counter(record.key for record in records)
    if doubled := [key for key, times in keys.items() if times > 1]:
        found.append(f"{truth.source}: doubled {_some(doubled)}")
    if invented := keys.keys() - truth.keys:
        found.append(f"{truth.source}: invented {_some(invented)}")
    runs = {run.run_id: run for run in state.runs.values() if run.source == truth.source}
    if orphans := [record.key for record in records if record.run_id not in runs]:
        found.append(f"{truth.source}: records of no run {_some(orphans)}")
    if unread := [record.key for record in records if record.raw_id not in state.raw]:
        found.append(f"{truth.source}: records without their payload {_some(unread)}")
    found += _unlike(truth, "inserted records", _sum(runs.values(), "inserted"), len(records))
    refused = [row for row in state.rejections if row.source == truth.source and row.stage != "field"]
    found += _unlike(truth, "rejections", _sum(runs.values(), "rejected"), sum(row.times for row in refused))
    if strangers := [row.key or "?" for row in refused if row.run_id not in runs or row.raw_id not in state.raw]:
        found.append(f"{truth.source}: rejections of no run or payload {_some(strangers)}")
    return found


def _unsound_payloads(state: State, truth: Truth) -> list[str]:
    raw = [row for row in state.raw.values() if row.source == truth.source]
    found = []
    twice = [name for name, times in Counter((row.partition, row.content_hash) for row in raw).items() if times > 1]
    if twice:
        found.append(f"{truth.source}: payloads kept twice {_some(name[1] for name in twice)}")
    if truth.served is not None and (unsent := {row.content_hash for row in raw} - set(truth.served())):
        found.append(f"{truth.source}: payloads that the server never sent {_some(unsent)}")
    for row in raw:
        if row.raw_id in state.payloads:
            found += _misread(state, truth, row)
    return found


def _misread(state: State, truth: Truth, row: Raw) -> list[str]:
    """A payload whose bytes are not what its hash says, or whose records are not its items."""
    payload = state.payloads[row.raw_id]
    if sha256(payload).hexdigest() != row.content_hash:
        return [f"{truth.source}: payload {row.raw_id} is not what its hash says"]
    keys = truth.keys_in(payload)
    found = []
    if len(keys) != row.record_count:
        found.append(f"{truth.source}: payload {row.raw_id} has {len(keys)} items and says {row.record_count}")
    mine = [record for record in state.records if record.raw_id == row.raw_id]
    if strange := [record.key for record in mine if keys[record.raw_index : record.raw_index + 1] != [record.key]]:
        found.append(f"{truth.source}: records that are not in payload {row.raw_id} {_some(strange)}")
    return found


def _ahead(state: State, truth: Truth) -> list[str]:
    """A position behind which something is missing, or that moved more or less often than batches were committed."""
    found = []
    stored = {record.key for record in state.records if record.source == truth.source}
    refused = {row.key for row in state.rejections if row.source == truth.source}
    counts = {row.raw_id: row.record_count for row in state.raw.values() if row.source == truth.source}
    for point in (point for point in state.points if point.source == truth.source):
        number = truth.passed(point.cursor, counts)
        passed = set(truth.items[:number])
        if missing := passed - stored - truth.refused:
            found.append(f"{truth.source}: the checkpoint is ahead of the data, behind it are missing {_some(missing)}")
        if missing := (passed & truth.refused) - refused:
            found.append(f"{truth.source}: the checkpoint is ahead of the rejections {_some(missing)}")
        if sum(counts.values()) < number:
            found.append(
                f"{truth.source}: {number} items lie behind the checkpoint, {sum(counts.values())} in payloads"
            )
        if point.run_id not in state.runs:
            found.append(f"{truth.source}: the checkpoint is of run {point.run_id}, which is not in the ledger")
        ours = [read for read in state.reads if _source_of(state, read) == truth.source]
        batches = sum(read.counters[-1] for read in ours if read.partition == point.partition)
        found += _unlike(truth, "moves of the checkpoint", batches, point.version)
    return found


def _unfinished(state: State, truth: Truth) -> list[str]:
    """What an undisturbed run leaves: everything there, the position at the end, no run under way."""
    stored = {record.key for record in state.records if record.source == truth.source}
    refused = {row.key for row in state.rejections if row.source == truth.source and row.stage != "field"}
    found = [f"{truth.source}: lost {_some(lost)}"] if (lost := truth.keys - stored) else []
    if lost := truth.refused - refused:
        found.append(f"{truth.source}: rejections lost {_some(lost)}")
    counts = {row.raw_id: row.record_count for row in state.raw.values() if row.source == truth.source}
    passed = sum(truth.passed(point.cursor, counts) for point in state.points if point.source == truth.source)
    found += _unlike(truth, "items behind the checkpoint", len(truth.items), passed)
    runs = sorted(run for run in state.runs.values() if run.source == truth.source)
    found += [f"run {run.run_id} is still running" for run in runs if run.status == "running"]
    if not runs or runs[-1].status not in ("succeeded", "unchanged", "degraded"):
        found.append(f"{truth.source}: the last run is {runs[-1] if runs else 'not there'}")
    return found


def _source_of(state: State, read: Read) -> str | None:
    run = state.runs.get(read.run_id)
    return run.source if run else None


def _sum(runs: Collection[Ran] | Any, counter: str) -> int:
    return sum(run.counters[COUNTED.index(counter)] for run in runs)


def _unlike(truth: Truth, what: str, expected: int, found: int) -> list[str]:
    return [] if expected == found else [f"{truth.source}: {what}: {expected} by the counters, {found} in the rows"]


def _some(names: Collection[str] | Iterator[str]) -> str:
    names = sorted(names)
    return f"({len(names)}): {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"
