"""Pairs for a person to look at: alike, and not linked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal

from kasparro_core.identity.groups import Groups
from kasparro_core.identity.likeness import likeness
from kasparro_core.identity.pairs import Judged
from kasparro_core.identity.traits import Traits, traits_of
from kasparro_core.identity.wording import Same
from kasparro_core.model.entity import Candidate, Claim

_LIKELY, _FAINT = "another pair is as likely", Decimal("0.2")
_SECOND_LISTING = Decimal("0.93")
_SEVERAL = 3


def doubts(
    groups: Groups, pairs: Sequence[Judged], known: Iterable[Traits], nearby: Sequence[Claim]
) -> list[Candidate]:
    """The pairs that are alike, in two entities, and that nobody keeps apart; the likest first.

    Where one of the two is in an entity with another asset of the other's source, only a pair that would else be a sure
    link is told: one of the two may be a second listing of the same thing.
    """
    found = [*_undecided(groups, pairs), *_near(groups, known, nearby)]
    return sorted(found, key=lambda one: (-one.confidence, one.a, one.b))


def _undecided(groups: Groups, pairs: Sequence[Judged]) -> Iterator[Candidate]:
    for pair, opinion in pairs:
        one, other = pair.one.asset, pair.other.asset
        if groups.same(one, other) or not groups.may_join(one, other):
            continue
        sure = opinion.method is not None and opinion.confidence >= _SECOND_LISTING
        if sure or not groups.share_a_source(one, other):
            a, b = sorted((one, other))
            yield Candidate(a, b, opinion.reason or _LIKELY, opinion.confidence, pair.evidence)


def _near(groups: Groups, known: Iterable[Traits], nearby: Sequence[Claim]) -> Iterator[Candidate]:
    """Assets of other blocks whose name and id differ from those of a lonely one by words that tell nothing."""
    by_core: Mapping[tuple[str, str], list[Traits]] = defaultdict(list)
    for traits in map(traits_of, sorted(nearby, key=lambda claim: claim.asset)):
        for core in sorted(traits.cores):
            by_core[traits.claim.kind, core].append(traits)
    for one in known:
        if len(groups.members(one.asset)) == 1:
            met = {other.asset: other for core in one.cores for other in by_core.get((one.claim.kind, core), ())}
            found = [each for _, other in sorted(met.items()) for each in _faint(one, other)]
            if len(found) <= _SEVERAL:  # what many bear ("Series 1", "Series 2", ...) tells nobody anything
                yield from found


def _faint(one: Traits, other: Traits) -> Iterator[Candidate]:
    pair = likeness(one, other)
    if one.asset.source != other.asset.source and pair.informative and pair.ids >= Same.CORE:
        a, b = sorted((one.asset, other.asset))
        yield Candidate(a, b, "the names differ by little, the symbols altogether", _FAINT, pair.evidence)
