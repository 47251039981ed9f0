"""What becomes of findings: which are new, which were seen before, which are to be told. The same on every store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from kasparro_core.model.anomaly import Anomaly, AnomalyState, Mute
from kasparro_core.model.rejection import MAX_KEY_BYTES, stored_path


class Sifted(NamedTuple):
    """Findings that are not known yet, and known ones as they are now, their ids kept."""

    new: list[Anomaly]
    again: list[Anomaly]
    reopened: frozenset[int]
    """The ids of those seen again that were muted, and are to be told now."""

    def told(self, kept: Iterable[Anomaly]) -> list[Anomaly]:
        """What is to be told, of the new ones as they were kept and of those seen again."""
        opened = (each for each in self.again if each.anomaly_id in self.reopened)
        return [*(each for each in kept if each.state is AnomalyState.OPEN), *opened]


def sift(found: Iterable[Anomaly], known: Iterable[Anomaly], mutes: Sequence[Mute]) -> Sifted:
    """Decide about findings. `known`: what stands of their sources, and what there is of their runs (or the store
    leaves out what a run has already). One that is given twice counts once, the latter. Of several mutes that cover
    one the first is its reason."""
    fresh = {each.identity: each for each in map(_begun, found)}
    earlier = {each.identity: each for each in known if each.identity in fresh}
    new = [_muted_or_open(each, mutes) for identity, each in fresh.items() if identity not in earlier]
    grown = [(was, _grown(was, fresh[identity], mutes)) for identity, was in earlier.items() if was.stands]
    reopened = (now.anomaly_id for was, now in grown if was.state is not now.state is AnomalyState.OPEN)
    return Sifted(new, [now for _, now in grown], frozenset(reopened))


def muted_by(anomaly: Anomaly, mutes: Iterable[Mute]) -> Iterator[Mute]:
    """The mutes that cover a finding, at the instant at which it was seen last."""
    at = anomaly.last_seen_at or anomaly.detected_at
    return (mute for mute in mutes if mute.covers(anomaly, at))


def _begun(anomaly: Anomaly) -> Anomaly:
    """As it is kept when it is new: nothing has become of it yet."""
    return replace(
        anomaly,
        subject=_bounded(anomaly.subject),
        state=AnomalyState.OPEN,
        times=1,
        last_seen_at=anomaly.last_seen_at or anomaly.detected_at,
        closed_at=None,
        closed_by=None,
        note=None,
        anomaly_id=0,
    )


def _bounded(subject: str) -> str:
    """Stores index subjects. Every key of a record is short enough."""
    return subject if len(subject.encode(errors="replace")) <= MAX_KEY_BYTES else stored_path(subject)


def _muted_or_open(anomaly: Anomaly, mutes: Sequence[Mute]) -> Anomaly:
    mute = next(muted_by(anomaly, mutes), None)
    if mute is None:
        return anomaly
    return replace(anomaly, state=AnomalyState.MUTED, closed_at=anomaly.last_seen_at, note=mute.reason)


def _grown(was: Anomaly, seen: Anomaly, mutes: Sequence[Mute]) -> Anomaly:
    """A finding that stands, after another sighting: the figures are the new ones. Only whether it is muted is decided
    anew, for mutes end."""
    now = replace(
        was,
        found=seen.found,
        expected_low=seen.expected_low,
        expected_high=seen.expected_high,
        explanation=seen.explanation,
        evidence=seen.evidence,
        times=was.times + 1,
        last_seen_at=seen.last_seen_at,
    )
    if was.state is AnomalyState.ACKNOWLEDGED:
        return now
    judged = _muted_or_open(replace(now, state=AnomalyState.OPEN, closed_at=None, closed_by=None, note=None), mutes)
    return now if judged.state is was.state else judged
