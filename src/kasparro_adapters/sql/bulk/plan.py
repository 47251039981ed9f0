"""The decisions of an upsert, pure: what is stored and what comes in, to what has to be written.

Records of one key are taken one after the other; the result is the one that single upserts would have left, with one
row to write per key.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, NamedTuple

from kasparro_core.model import Observation, PreparedRecord, UpsertOutcome
from kasparro_core.model.order import Moment, supersedes

Outcome = Literal["inserted", "updated", "unchanged"]


class State(NamedTuple):
    """What decides about a stored record."""

    record_id: int
    content_hash: str
    occurred_at: datetime | None
    observed_at: datetime
    raw_id: int | None
    raw_index: int
    gone_at: datetime | None = None

    @property
    def moment(self) -> Moment:
        """Its place in the order of observations."""
        return Moment(self.occurred_at, self.observed_at, self.raw_id, self.raw_index)


class Suspect(NamedTuple):
    """A state that may become a version, unless its content is known already."""

    record_id: int
    content_hash: str
    observed_at: datetime
    raw_index: int


class KnownVersion(NamedTuple):
    """A stored version."""

    record_id: int
    content_hash: str
    observed_at: datetime
    raw_id: int | None
    raw_index: int


class Place(NamedTuple):
    """Where a state was seen: the fetch instant, the payload (None: not kept) and the place in it."""

    observed_at: datetime
    raw_id: int | None
    raw_index: int


class Update(NamedTuple):
    """A new latest state for a stored record, `steps` revisions further."""

    record_id: int
    prepared: PreparedRecord
    steps: int


class Version(NamedTuple):
    """An incoming state that becomes a version; `record_id` is None for a record of the same batch."""

    record_id: int | None
    prepared: PreparedRecord


@dataclass(slots=True)
class Plan:
    """What to write: new records with their revision, new states, stored states to keep as versions, other versions,
    and which records are there again as they were."""

    inserts: list[tuple[PreparedRecord, int]] = field(default_factory=list)
    updates: list[Update] = field(default_factory=list)
    keep: list[int] = field(default_factory=list)
    versions: list[Version] = field(default_factory=list)
    returns: list[int] = field(default_factory=list)
    outcome: UpsertOutcome = UpsertOutcome()

    @property
    def changes(self) -> int:
        """How many records get a new change_seq."""
        return len(self.inserts) + len(self.updates) + len(self.returns)

    @property
    def contents(self) -> list[PreparedRecord]:
        """What is written of the records that came in."""
        return [
            *(prepared for prepared, _ in self.inserts),
            *(update.prepared for update in self.updates),
            *(version.prepared for version in self.versions),
        ]

    @property
    def is_empty(self) -> bool:
        """True when nothing has to be written."""
        return not (self.inserts or self.updates or self.versions or self.returns)


def suspects(
    records: Sequence[PreparedRecord], observation: Observation, stored: Mapping[str, State | None]
) -> Iterator[Suspect]:
    """Every state that the plan may have to keep as a version of a stored record."""
    single = len({prepared.record.key for prepared in records}) == len(records)
    for state in stored.values():
        if state is not None:
            yield Suspect(state.record_id, state.content_hash, state.observed_at, state.raw_index)
    for prepared in records:
        state = stored.get(prepared.record.key)
        if state is None or (single and _replaces(prepared, observation, state)):
            continue
        yield Suspect(state.record_id, prepared.content_hash, observation.observed_at, prepared.raw_index)


def make_plan(
    records: Sequence[PreparedRecord],
    observation: Observation,
    stored: Mapping[str, State | None],
    known: Sequence[KnownVersion],
) -> Plan:
    """Take the records one after the other. Keys that are not in `stored` have not changed."""
    changed = [prepared for prepared in records if prepared.record.key in stored]
    repeated = {key for key, times in Counter(prepared.record.key for prepared in changed).items() if times > 1}
    plan = Plan()
    tracks: dict[str, _Track] = {}
    versions = _by_record(known)
    outcomes: Counter[str] = Counter(unchanged=len(records) - len(changed))
    for prepared in changed:
        key = prepared.record.key
        state = stored[key]
        if state is None and key not in repeated:  # what most records of a first load are
            plan.inserts.append((prepared, 1))
            continue
        track = tracks.get(key)
        if track is None:
            track = tracks[key] = _Track(observation, state, versions[state.record_id] if state else {})
        outcomes[track.take(prepared)] += 1
    outcomes["inserted"] += len(plan.inserts)
    for track in tracks.values():
        track.add_to(plan)
    plan.outcome = UpsertOutcome(**outcomes)
    return plan


def _by_record(known: Sequence[KnownVersion]) -> defaultdict[int, dict[Place, str]]:
    versions: defaultdict[int, dict[Place, str]] = defaultdict(dict)
    for record_id, content_hash, observed_at, raw_id, raw_index in known:
        known_here = versions[record_id]
        known_here[_own(Place(observed_at, raw_id, raw_index), known_here)] = content_hash
    return versions


def _own(place: Place, taken: Mapping[Place, str]) -> Place:
    """A place that is none of those taken, where the payload was not kept: then no place is the same as another."""
    return place if place.raw_id is not None else place._replace(raw_id=~len(taken))


class _Track:
    """One key: its latest state as the records go by, and the versions that they leave."""

    __slots__ = (
        "_current",
        "_gone",
        "_kept",
        "_latest",
        "_observation",
        "_record_id",
        "_returns",
        "_steps",
        "_versions",
    )

    def __init__(self, observation: Observation, stored: State | None, versions: dict[Place, str]) -> None:
        self._observation = observation
        self._current = stored
        self._record_id = stored.record_id if stored else None
        self._gone = stored is not None and stored.gone_at is not None and observation.observed_at >= stored.gone_at
        self._returns = self._gone
        self._versions = versions
        self._latest: PreparedRecord | None = None
        self._steps = 0
        self._kept: dict[Place, PreparedRecord | None] = {}  # None: the stored state

    def take(self, prepared: PreparedRecord) -> Outcome:
        """Let one record act. The first one brings a record back that was gone."""
        was_gone, self._gone = self._gone, False
        outcome = self._act(prepared)
        return "updated" if was_gone else outcome

    def _act(self, prepared: PreparedRecord) -> Outcome:
        current, observation = self._current, self._observation
        if current is None:
            return self._become(prepared, "inserted")
        if current.content_hash == prepared.content_hash:
            return "unchanged"
        new = _moment(prepared, observation)
        if new.is_same_place(current.moment):
            return self._become(prepared, "updated")
        if supersedes(new, current.moment, by_occurrence=observation.by_occurrence):
            if observation.history:
                self._leave(Place(*current.moment[1:]), current.content_hash)
            return self._become(prepared, "updated")
        return self._keep(Place(*new[1:]), prepared) if observation.history else "unchanged"

    def add_to(self, plan: Plan) -> None:
        """What this key needs written."""
        record_id = self._record_id
        if self._latest is not None:
            if record_id is None:
                plan.inserts.append((self._latest, self._steps))
            else:
                plan.updates.append(Update(record_id, self._latest, self._steps))
        elif self._returns and record_id is not None:
            plan.returns.append(record_id)
        for prepared in self._kept.values():
            if prepared is not None:
                plan.versions.append(Version(record_id, prepared))
            elif record_id is not None:
                plan.keep.append(record_id)

    def _become(self, prepared: PreparedRecord, outcome: Outcome) -> Outcome:
        self._current = State(0, prepared.content_hash, *_moment(prepared, self._observation))
        self._latest = prepared
        self._steps += 1
        return outcome

    def _leave(self, place: Place, content_hash: str) -> None:
        """The latest state is replaced and becomes a version, whatever other versions say the same."""
        place = _own(place, self._versions)
        self._versions[place] = content_hash
        self._kept[place] = self._latest

    def _keep(self, place: Place, prepared: PreparedRecord) -> Outcome:
        """A late state becomes a version, unless its place or, from a place not seen before, its content is known."""
        place = _own(place, self._versions)
        known = self._versions.get(place)
        if known == prepared.content_hash or (known is None and prepared.content_hash in self._versions.values()):
            return "unchanged"
        self._versions[place] = prepared.content_hash
        self._kept[place] = prepared
        return "updated"


def _replaces(prepared: PreparedRecord, observation: Observation, state: State) -> bool:
    return supersedes(_moment(prepared, observation), state.moment, by_occurrence=observation.by_occurrence)


def _moment(prepared: PreparedRecord, observation: Observation) -> Moment:
    return Moment(prepared.record.occurred_at, observation.observed_at, observation.raw_id, prepared.raw_index)
