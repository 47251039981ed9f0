"""What a person decides about entities: that several are one, that something is not part of one, or that a decision
was wrong. Every resolution keeps to it from then on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import product

from kasparro_core.errors import ConfigurationError, ConflictError
from kasparro_core.model.entity import AssetId, Ruling, Verdict
from kasparro_core.model.service import EventType
from kasparro_core.ports import Clock, Store, UnitOfWork
from kasparro_core.services.events import entities_decided
from kasparro_core.services.identify import rule, undo
from kasparro_core.services.steps import retried
from kasparro_core.services.wholes import Whole, whole_named, wholes_of

Pairs = Sequence[tuple[AssetId, AssetId]]


class UnknownRulingError(ConfigurationError):
    """There is no ruling of that id."""

    code = "unknown_ruling"


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and what it came to. `rulings`: what is kept of it (of an undoing: what was taken back), of one act.
    `entities`: those in which the assets stand now."""

    what: EventType
    rulings: Sequence[Ruling]
    entities: Sequence[Whole]

    @property
    def act(self) -> int:
        """The ruling_id by which the decision is undone."""
        return self.rulings[0].act


class ByHand:
    """Decisions by hand, beside runs and other decisions: each is one unit of work that holds all blocks."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def merge(self, names: Sequence[str]) -> Decided:
        """Make one entity of those with these names (see `whole_named`). The oldest keeps its id, the others redirect.

        Raises UnknownEntityError, StorageError, and ConflictError where they are one already, or a mapping file says
        that they are not.
        """
        return await self._decide(lambda work, at: _merge(work, names, at))

    async def split(self, name: str, others: Sequence[str]) -> Decided:
        """Say that `others` are not the entity of that name: assets of it leave it, other entities stay apart from it.

        Raises UnknownEntityError, StorageError, and ConflictError where all that was said before, nothing would be left
        of the entity, or a mapping file says that they are one.
        """
        return await self._decide(lambda work, at: _split(work, name, others, at))

    async def undo(self, ruling_id: int) -> Decided:
        """Take a decision back, by one of its rulings: what it was made of is decided anew.

        Raises UnknownRulingError, StorageError, and ConflictError where it was undone before.
        """
        return await self._decide(lambda work, at: _undo(work, ruling_id, at))

    async def _decide(self, decide: Callable[[UnitOfWork, datetime], Awaitable[Decided]]) -> Decided:
        tried: list[Decided] = []  # by an attempt before, whose commit may have gone through unheard
        at = self._clock.now()

        async def once() -> Decided:
            async with self._store.begin() as work:
                await work.identity.lock(None)
                if tried and await _stands(work, tried[-1], at):
                    return tried[-1]
                tried[:] = [await decide(work, at)]
                await work.events.append(entities_decided(tried[-1].what, _told(tried[-1]), at))
                await work.commit()
            return tried[-1]

        return await retried(self._clock, once)


async def _merge(work: UnitOfWork, names: Sequence[str], at: datetime) -> Decided:
    found = {whole.entity.entity_id: whole for whole in [await whole_named(work, name) for name in names]}
    wholes = sorted(found.values(), key=lambda whole: whole.entity.age)
    if len(wholes) == 1:
        raise ConflictError(f"They are one entity already: {wholes[0].entity.entity_id}.", code="one_already")
    everyone = [asset for whole in wholes for asset in whole.assets]
    founder = wholes[0].entity.founder
    middle = founder if founder in everyone else everyone[0]
    # All are tied to one, and not entity to entity: nothing that held them together before would hold from now on.
    rulings = await rule(work, Verdict.SAME, [(middle, asset) for asset in everyone if asset != middle], at)
    decided = Decided(EventType.ENTITIES_MERGED, rulings, await wholes_of(work, everyone))
    if len(decided.entities) > 1:
        raise ConflictError(
            "The mapping file says that they are not one: change it there, it goes before what is said by hand.",
            code="named_otherwise",
        )
    return decided


async def _split(work: UnitOfWork, name: str, others: Sequence[str], at: datetime) -> Decided:
    whole = await whole_named(work, name)
    apart = [await whole_named(work, other) for other in others]
    leaving = [each.asset for each in apart if each.entity == whole.entity and each.asset is not None]
    staying = [asset for asset in whole.assets if asset not in leaving]
    strangers = [asset for each in apart if each.entity != whole.entity for asset in each.assets]
    if not staying or any(each.entity == whole.entity and each.asset is None for each in apart):
        raise ConflictError(
            f"Nothing would be left of {whole.entity.entity_id}: name the assets that leave it, as SOURCE:ID, and not "
            "all of them.",
            code="nothing_left",
        )
    pairs = list(dict.fromkeys(product(staying, [*leaving, *strangers])))
    if await _is_said(work, pairs):
        raise ConflictError("That was said before, and holds.", code="apart_already")
    rulings = await rule(work, Verdict.DIFFERENT, pairs, at)
    if not await _are_apart(work, pairs):
        raise ConflictError(
            "The mapping file says that they are one: change it there, it goes before what is said by hand.",
            code="named_otherwise",
        )
    return Decided(EventType.ENTITIES_SPLIT, rulings, await wholes_of(work, _assets(pairs)))


async def _undo(work: UnitOfWork, ruling_id: int, at: datetime) -> Decided:
    rulings = await undo(work, ruling_id, at)
    if not rulings:
        if await _ruling(work, ruling_id) is None:
            raise UnknownRulingError(
                f"There is no ruling {ruling_id}.", hint="`kasparro entities rulings` shows those there are."
            )
        raise ConflictError(f"Ruling {ruling_id} was undone before.", code="undone_already")
    touched = _assets([(ruling.a, ruling.b) for ruling in rulings])
    return Decided(EventType.ENTITIES_UNDONE, rulings, await wholes_of(work, touched))


async def _is_said(work: UnitOfWork, pairs: Pairs) -> bool:
    """Of each pair the last word is that they differ, and they stand apart."""
    said = {(ruling.a, ruling.b): ruling.verdict for ruling in (await work.identity.said(_assets(pairs))).rulings}
    ordered = [(min(pair), max(pair)) for pair in pairs]
    return all(said.get(pair) is Verdict.DIFFERENT for pair in ordered) and await _are_apart(work, pairs)


async def _are_apart(work: UnitOfWork, pairs: Pairs) -> bool:
    known = await work.entities.claims(_assets(pairs))
    return all(known[a].link.entity_id != known[b].link.entity_id for a, b in pairs)


async def _ruling(work: UnitOfWork, ruling_id: int) -> Ruling | None:
    found = await work.entities.rulings(undone=True, before=ruling_id + 1, limit=1)
    return next((ruling for ruling in found if ruling.ruling_id == ruling_id), None)


async def _stands(work: UnitOfWork, decided: Decided, at: datetime) -> bool:
    """The decision is in the database: with this instant, so that it is not another one's of the same id."""
    kept = await _ruling(work, decided.act)
    if kept is None:
        return False
    return at == (kept.undone_at if decided.what is EventType.ENTITIES_UNDONE else kept.decided_at)


def _assets(pairs: Iterable[tuple[AssetId, AssetId]]) -> list[AssetId]:
    return sorted({asset for pair in pairs for asset in pair})


def _told(decided: Decided) -> dict[str, object]:
    return {
        "ruling_id": decided.act,
        "entities": [whole.entity.entity_id for whole in decided.entities],
        "assets": [list(asset) for asset in _assets((ruling.a, ruling.b) for ruling in decided.rulings)],
    }
