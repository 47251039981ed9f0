"""When a difference counts as a change: the thresholds, each with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from kasparro_core.drift.observe import ItemStyle
from kasparro_core.drift.shape import Shape

SMALL_RUN = 20
"""A run with fewer items proves little by itself: it is judged together with the small ones before it."""

WINDOW = 60
"""So many items of small runs are held together, before they are taken for granted."""

FEW_ITEMS = 5
"""So many items are remembered at least, before one that says something else is held in the window."""

SETTLED = 1_000
"""From so many remembered items on, their counts are written again only when they say something else."""

KEPT_ITEMS = 20_000
"""The memory of a shape is about so many items long: what is older fades."""

LEARNED = 20
"""From so many remembered values of a place on, what is new there counts by its share."""

_SEEN = 3
_FEW = 3
_LEARNED_KIND = 5
_REQUIRED = 0.98
_USUAL = 0.6
_MANY = 50
_GROWN = 5.0
_ODD_KIND = 0.01
_NEVER_NULL = 0.02
_MOSTLY = 0.5
_SURE = 100
_RARE = 0.05


@dataclass(frozen=True, slots=True)
class Rules:
    """Judges counts of one place. `usual` is how many items a run of this source brings: a run with less than half of
    that may have seen a corner of the source alone (pages that were not modified, news since the last time), and what
    was never certain is not missed in it.

    `share` is the part of a run's items that makes a change, `learned` how many items have to be remembered before a
    field that all of them had can be missed; feeds, whose fields are optional by nature, need more of both.
    """

    items: int
    usual: int
    share: float = 0.05
    null_share: float = 0.3
    learned: int = _FEW

    @classmethod
    def of(cls, style: ItemStyle, items: int, usual: int) -> Rules:
        """The rules for a run."""
        if style is ItemStyle.SPARSE:
            return cls(items, usual, share=0.25, learned=LEARNED)
        return cls(items, usual)

    @property
    def is_whole(self) -> bool:
        """Whether the run brought about what this source usually brings."""
        return 2 * self.items >= self.usual

    def is_required(self, old: Shape) -> bool:
        """A field that is there in (nearly) all items, and that enough items were seen for."""
        return old.of >= self.learned and old.presence >= _REQUIRED

    def appeared(self, old_parents: int, new: Shape, parents: int) -> bool:
        """A field that was never seen: in a few items at least, and the more of them the less is remembered."""
        if new.count < _SEEN:
            return False
        if old_parents < LEARNED:
            return old_parents >= self.learned and new.count >= parents
        return new.count >= self.share * parents

    def grew(self, old: int, known: int, new: int, seen: int) -> bool:
        """Whether what was rare (`old` of `known`) has become the rule (`new` of `seen`)."""
        rare = known >= _SURE and old < _RARE * known
        return rare and new >= max(LEARNED, _USUAL * seen) and self.is_whole

    def vanished(self, old: Shape, count: int, parents: int) -> bool:
        """A field that `count` of `parents` objects still have."""
        absent = parents - count
        if absent < _SEEN:
            return False
        if self.is_required(old):
            return self._missed(old, absent, parents)
        usual = old.of >= LEARNED and old.presence >= _USUAL
        return usual and count == 0 and parents >= _MANY and self.is_whole

    def retyped(self, old: Shape, new: Shape) -> frozenset[str]:
        """The kinds that are new, if they are enough to count."""
        known, filled = old.filled, new.filled
        fresh = {
            kind: n
            for kind, n in new.kinds.items()
            if kind != "null" and (not _knows(old, kind) or self.grew(old.kinds[kind], known, n, filled))
        }
        total = sum(fresh.values())
        if total < _SEEN or known < _LEARNED_KIND or (known < LEARNED and total < filled):
            return frozenset()
        return frozenset(fresh) if total >= self.share * filled else frozenset()

    def nullified(self, old: Shape, new: Shape) -> bool:
        """A field that was (nearly) never null and is null often now; or one that was mostly filled, and never is."""
        if min(old.count, new.count) < LEARNED:
            return False
        was, share = old.null_share, new.null_share
        if was <= _NEVER_NULL and (was == 0 or self.is_whole):
            return share >= (self.null_share if old.count >= _SURE else 2 * self.null_share)
        return was <= _MOSTLY and new.filled == 0 and new.count >= _MANY and self.is_whole

    def _missed(self, old: Shape, absent: int, parents: int) -> bool:
        was = 1 - old.presence
        if old.of < LEARNED:
            return absent == parents
        if was and not self.is_whole:
            return False
        return absent >= max(self.share, _GROWN * was) * parents


def _knows(old: Shape, kind: str) -> bool:
    return old.kinds.get(kind, 0) >= max(1.0, _ODD_KIND * old.filled)
