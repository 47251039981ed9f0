"""The ports of identity: canonical things as people look at them, and what decides which asset is which."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from kasparro_core.model.entity import (
    AssetId,
    Candidate,
    Claim,
    Crowd,
    Decision,
    Entity,
    EntityLink,
    EntityQuery,
    IdentityCounts,
    Known,
    Naming,
    Rename,
    Ruling,
    Rulings,
    Verdict,
)


class EntityStore(Protocol):
    """Canonical things, the sources' ids for them, and what people say of both."""

    async def list(self, query: EntityQuery, /) -> Sequence[Entity]:
        """Entities in ascending entity_id. `q` is found in names, ids and symbols, whatever the case (of ids: of ASCII
        letters)."""
        ...

    async def get(self, entity_id: str, /) -> Entity | None:
        """One entity, or None. One that was merged is told with `merged_into`, which never leads to a further one."""
        ...

    async def links(self, entity_id: str, /) -> Sequence[EntityLink]:
        """The sources' ids for an entity, by source and external_id. None for one that was merged."""
        ...

    async def claims(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, Known]:
        """What is kept of these assets, any number of them; unknown ones are left out."""
        ...

    async def known(self, *, after: AssetId | None = None, limit: int = 50) -> Sequence[Known]:
        """What is kept of all assets, by source and external_id, behind `after`."""
        ...

    async def candidates(
        self, *, entity_id: str | None = None, after: Candidate | None = None, limit: int = 50
    ) -> Sequence[Candidate]:
        """Pairs to be looked at, the surest first, then by `a` and `b`, behind `after`; those of one entity alone."""
        ...

    async def rulings(self, *, undone: bool = False, before: int | None = None, limit: int = 50) -> Sequence[Ruling]:
        """What people said, newest first, with a ruling_id below `before`; with `undone` what was taken back, too."""
        ...

    async def counts(self) -> IdentityCounts:
        """How much there is of each; links by method in the order of the methods' names."""
        ...

    async def namings(self) -> Sequence[Naming]:
        """What the mapping file says, as it was read last, by source and external_id."""
        ...


class IdentityStore(Protocol):
    """What decides. Of everything read here a unit of work sees what others committed before its `lock`."""

    async def unlike(self, source: str, fingerprints: Mapping[str, str], /) -> Mapping[str, datetime | None]:
        """Of the claims of these ids, any number of them, those of which another fingerprint is kept, and when that one
        was seen; and those of which nothing is kept (None)."""
        ...

    async def lock(self, keys: Collection[str] | None, /) -> bool:
        """Wait until nobody else decides about these blocks (None: about any), and keep others out until the end of
        this unit of work. Called before anything is read that is decided on. Called again, it is True when what is
        locked already holds these keys, too; else it begins anew with everything, False, and what was read is void.
        Who has written already may meet a deadlock then (TransientStorageError)."""
        ...

    async def closed(self, assets: Sequence[AssetId], keys: Collection[str], /) -> Sequence[Known]:
        """What is kept of these assets, and of all that share a binding key with these keys or with one of them, or
        that stand in an entity with one of them, and so on; by source and external_id."""
        ...

    async def crowds(self) -> Collection[Crowd]:
        """All that came to be crowds by a decision."""
        ...

    async def disperse(self) -> None:
        """Forget all crowds: what still is one becomes one again when its assets are decided anew."""
        ...

    async def near(self, keys: Sequence[tuple[str, str]], /, *, most: int) -> Sequence[Claim]:
        """What is claimed of the assets that have one of these loose keys and are of another source than the one that
        is named beside the key (source, key), by source and external_id. A key that more than `most` assets of any
        source have gives nothing."""
        ...

    async def said(self, assets: Sequence[AssetId], /) -> Rulings:
        """The rulings that were not undone in which one of these assets stands, by ruling_id, and their namings."""
        ...

    async def former(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, tuple[str, ...]]:
        """By which ids their sources called these assets before, the latest first; an asset that never had another one
        is left out."""
        ...

    async def entities(self, entity_ids: Collection[str], founders: Sequence[AssetId] = (), /) -> Sequence[Entity]:
        """The entities with one of these ids, and those that were made for one of these assets, by age. Merged ones,
        too."""
        ...

    async def save(self, decision: Decision, /) -> None:
        """Write a decision, any size. New entities get their ages in the given order. What redirected to an id that
        redirects from now on leads to where that leads. Raises TransientStorageError when the id of a new one was taken
        meanwhile: who decides anew sees that."""
        ...

    async def rule(
        self, verdict: Verdict, pairs: Sequence[tuple[AssetId, AssetId]], at: datetime, /
    ) -> Sequence[Ruling]:
        """Keep a person's word, as one act. Pairs are kept as `a` < `b`."""
        ...

    async def undo(self, ruling_id: int, at: datetime, /) -> Sequence[Ruling]:
        """Take back the act that a ruling belongs to: its rulings, as they were. Empty when there is no such ruling, or
        it was undone before."""
        ...

    async def name(self, namings: Sequence[Naming], /) -> Sequence[AssetId]:
        """Put the namings of a mapping file, any number of them, in the place of all that are kept; returns the assets
        of which another thing is said than before."""
        ...

    async def rename(self, renames: Sequence[Rename], /) -> Sequence[Rename]:
        """Keep renames, any number of them; returns those that were not known."""
        ...
