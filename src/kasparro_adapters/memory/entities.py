"""Canonical things, as people look at them, in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from operator import attrgetter

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.entity import (
    AssetId,
    Candidate,
    Entity,
    EntityLink,
    EntityQuery,
    IdentityCounts,
    Known,
    Naming,
    Ruling,
    ascii_lower,
)


class MemoryEntities:
    """The EntityStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def list(self, query: EntityQuery, /) -> Sequence[Entity]:
        """Entities in ascending entity_id."""
        rows = sorted(self._tx.entities.rows(), key=attrgetter("entity_id"))
        return list(islice((row for row in rows if _matches(row, query)), query.limit))

    async def get(self, entity_id: str, /) -> Entity | None:
        """One entity, or None."""
        return self._tx.entities.get(entity_id)

    async def links(self, entity_id: str, /) -> Sequence[EntityLink]:
        """The sources' ids for an entity, by source and external_id."""
        links = (known.link for known in self._tx.links.rows() if known.link.entity_id == entity_id)
        return sorted(links, key=attrgetter("source", "external_id"))

    async def claims(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, Known]:
        """What is kept of these assets."""
        found = ((asset, self._tx.links.get(asset)) for asset in assets)
        return {asset: known for asset, known in found if known is not None}

    async def known(self, *, after: AssetId | None = None, limit: int = 50) -> Sequence[Known]:
        """By asset."""
        behind = (known for known in self._tx.links.rows() if after is None or known.claim.asset > after)
        return sorted(behind, key=lambda known: known.claim.asset)[:limit]

    async def candidates(
        self, *, entity_id: str | None = None, after: Candidate | None = None, limit: int = 50
    ) -> Sequence[Candidate]:
        """The surest first."""
        found = (each for each in self._tx.candidates.rows() if entity_id is None or self._is_about(each, entity_id))
        behind = (each for each in found if after is None or _place(each) > _place(after))
        return sorted(behind, key=_place)[:limit]

    async def namings(self) -> Sequence[Naming]:
        """In the order of assets."""
        return sorted(self._tx.namings.rows(), key=attrgetter("asset"))

    async def rulings(self, *, undone: bool = False, before: int | None = None, limit: int = 50) -> Sequence[Ruling]:
        """The newest first."""
        found = (row for row in self._tx.rulings.rows() if undone or row.undone_at is None)
        older = (row for row in found if before is None or row.ruling_id < before)
        return sorted(older, key=attrgetter("ruling_id"), reverse=True)[:limit]

    async def counts(self) -> IdentityCounts:
        """By counting."""
        merged = sum(row.merged_into is not None for row in self._tx.entities.rows())
        methods = Counter(str(known.link.method) for known in self._tx.links.rows())
        return IdentityCounts(
            entities=sum(1 for _ in self._tx.entities.rows()) - merged,
            merged=merged,
            links=dict(sorted(methods.items())),
            candidates=sum(1 for _ in self._tx.candidates.rows()),
        )

    def _is_about(self, candidate: Candidate, entity_id: str) -> bool:
        found = (self._tx.links.get(asset) for asset in (candidate.a, candidate.b))
        return any(known is not None and known.link.entity_id == entity_id for known in found)


def _place(candidate: Candidate) -> tuple[object, ...]:
    return -candidate.confidence, candidate.a, candidate.b


def _holds(row: Entity, folded: str, query: EntityQuery) -> bool:
    return (
        folded in (row.name or "").casefold()
        or query.q_in_ids in ascii_lower(row.entity_id)
        or query.q_in_symbols in (row.symbol or "")
    )


def _matches(row: Entity, query: EntityQuery) -> bool:
    return (
        query.kind in (None, row.kind)
        and query.symbol in (None, row.symbol)
        and (query.q is None or _holds(row, query.q.casefold(), query))
        and (query.after is None or row.entity_id > query.after)
        and (query.merged or row.merged_into is None)
    )
