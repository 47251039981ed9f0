"""Which of the pairs that would do as links are better than every other pair of one of their two."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from kasparro_core.identity.likeness import Likeness
from kasparro_core.identity.pairs import Judged
from kasparro_core.model.entity import AssetId

_MARGIN = 2

_Place = tuple[AssetId, str]
_Rivals = Mapping[_Place, Sequence[Likeness]]


def clear_pairs(pairs: Sequence[Judged]) -> list[Judged]:
    """The pairs that no rival comes near: another pair of one of the two with the other's source.

    Found in rounds: whoever is in a clear pair is out of the question for everyone else of that source, so the next
    round has fewer rivals. Each round looks at all pairs at once, so the order of pairs means nothing.
    """
    clear: list[Judged] = []
    left = [judged for judged in pairs if judged.opinion.rival]
    while found := _clear_among(left):
        clear += found
        taken = {place for judged in found for place in _places(judged.pair)}
        left = [judged for judged in left if taken.isdisjoint(_places(judged.pair))]
    return clear


def _clear_among(pairs: Sequence[Judged]) -> list[Judged]:
    rivals: dict[_Place, list[Likeness]] = defaultdict(list)
    for judged in pairs:
        for place in _places(judged.pair):
            rivals[place].append(judged.pair)
    return [judged for judged in pairs if judged.opinion.method is not None and _is_clear(judged, rivals)]


def _places(pair: Likeness) -> tuple[_Place, _Place]:
    one, other = pair.one.asset, pair.other.asset
    return (one, other.source), (other, one.source)


def _is_clear(judged: Judged, rivals: _Rivals) -> bool:
    pair, opinion = judged
    others = [rival for place in _places(pair) for rival in rivals[place] if rival is not pair]
    if opinion.unrivalled and any(_counts_against(rival, pair) for rival in others):
        return False
    return all(rival.score + _MARGIN <= pair.score for rival in others)


def _counts_against(rival: Likeness, pair: Likeness) -> bool:
    """Whether a rival is to be reckoned with: not where it has nothing but the symbol, and not where it is in no
    ranking and the pair is."""
    better_known = any(
        mine is not None and theirs is None for mine, theirs in zip(pair.ranks, rival.ranks, strict=True)
    )
    return rival.related and not better_known
