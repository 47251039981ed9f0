"""What decides which asset is which: claims in their blocks, and decisions as a whole."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import datetime
from operator import attrgetter

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Select,
    Table,
    bindparam,
    delete,
    insert,
    or_,
    select,
    tuple_,
    union,
    update,
)

from kasparro_adapters.sql.database import Database
from kasparro_adapters.sql.identity_tables import (
    entities,
    entity_candidates,
    entity_crowds,
    entity_keys,
    entity_links,
    entity_namings,
    entity_renames,
    entity_rulings,
)
from kasparro_adapters.sql.lookups import LookedUp, look_up
from kasparro_adapters.sql.repositories.blocks import put_blocks
from kasparro_adapters.sql.repositories.identity_rows import (
    CLAIM,
    ENTITY,
    candidate_row,
    claim_of_row,
    entity_of,
    entity_row,
    known_of,
    known_row,
    pair_row,
    ruling_of,
)
from kasparro_adapters.sql.session import Session
from kasparro_adapters.sql.stripes import Stripes
from kasparro_adapters.sql.types import Name
from kasparro_core.errors import TransientStorageError, UnstorableError
from kasparro_core.model.entity import (
    AssetId,
    Blocks,
    Claim,
    Crowd,
    Decision,
    Entity,
    Known,
    Naming,
    Rename,
    Ruling,
    Rulings,
    Verdict,
)

_KEY, _LINK = entity_keys.c, entity_links.c


class SqlIdentity:
    """The IdentityStore of one transaction."""

    def __init__(self, session: Session, database: Database) -> None:
        self._session = session
        self._database = database
        self._stripes = Stripes(session)

    async def unlike(self, source: str, fingerprints: Mapping[str, str], /) -> Mapping[str, datetime | None]:
        """What is as it was never leaves the database."""
        given = self._database.pairs(list(fingerprints.items()), ("external_id", "claim_hash"))
        own = (_LINK.source == source) & (_LINK.external_id == given.c.external_id)
        kept = self._look_up(given, entity_links, own, outer=True)
        statement = select(given.c.external_id, kept.c.seen_at).select_from(kept.rows)
        unlike = kept.c.claim_hash.is_(None) | (kept.c.claim_hash != given.c.claim_hash)
        return {row.external_id: row.seen_at for row in await self._session.all(statement.where(unlike))}

    async def lock(self, keys: Collection[str] | None, /) -> bool:
        """By stripes."""
        return await self._stripes.lock(keys)

    async def closed(self, assets: Sequence[AssetId], keys: Collection[str], /) -> Sequence[Known]:
        """Blocks first, in one walk; then who else stands in an entity of theirs, which is rare."""
        wanted = set(assets)
        while True:
            found = await self._bound(sorted(wanted), keys)
            here = {known.claim.asset for known in found}
            others = await self._housemates({known.link.entity_id for known in found}) - here
            if not others:
                return found
            wanted |= others

    async def crowds(self) -> Collection[Crowd]:
        """All of them: they are few."""
        rows = await self._session.all(select(entity_crowds))
        return [Crowd(row.source, row.key) for row in rows]

    async def disperse(self) -> None:
        """One statement."""
        self._stripes.settle()
        await self._session.run(delete(entity_crowds))

    async def near(self, keys: Sequence[tuple[str, str]], /, *, most: int) -> Sequence[Claim]:
        """By one key each."""
        given, have = self._database.pairs(keys, ("asking", "loose")), entity_keys.alias("have")
        all_of_it = select(have.c.key).where(have.c.key == given.c.loose, have.c.binds == 0).correlate(given)
        other = (_KEY.key == given.c.loose) & (_KEY.binds == 0) & (_KEY.source != given.c.asking)
        having = self._look_up(given, entity_keys, other)
        few = all_of_it.limit(1).offset(most).scalar_subquery().is_(None)
        linked = self._linked(select(having.c.source, having.c.external_id).select_from(having.rows).where(few))
        statement = select(*(linked.c[column.name] for column in CLAIM)).select_from(linked.rows)
        return sorted(map(claim_of_row, await self._session.all(statement)), key=attrgetter("asset"))

    async def said(self, assets: Sequence[AssetId], /) -> Rulings:
        """Two look-ups."""
        given, ruling = self._database.pairs(assets), entity_rulings.c
        pair = select(given.c.source, given.c.external_id)
        statement = select(entity_rulings).where(
            ruling.undone_at.is_(None),
            or_(tuple_(ruling.a_source, ruling.a_id).in_(pair), tuple_(ruling.b_source, ruling.b_id).in_(pair)),
        )
        rulings = [ruling_of(row) for row in await self._session.all(statement.order_by(ruling.ruling_id))]
        naming = entity_namings.c
        joined = (naming.source == given.c.source) & (naming.external_id == given.c.external_id)
        rows = await self._session.all(select(entity_namings).join(given, joined).order_by(*entity_namings.primary_key))
        return Rulings(rulings, [Naming(AssetId(row.source, row.external_id), row.entity_id) for row in rows])

    async def former(self, assets: Sequence[AssetId], /) -> Mapping[AssetId, tuple[str, ...]]:
        """From each id back to the one before it."""
        given, rename = self._database.pairs(assets), entity_renames.c
        start = select(given.c.source, given.c.external_id, rename.old_id, rename.changed_at).join(
            entity_renames, (rename.source == given.c.source) & (rename.new_id == given.c.external_id)
        )
        back = start.cte("back", recursive=True)
        step = select(back.c.source, back.c.external_id, rename.old_id, rename.changed_at).join(
            entity_renames, (rename.source == back.c.source) & (rename.new_id == back.c.old_id)
        )
        back = back.union(step)
        rows = await self._session.all(select(back).order_by(back.c.changed_at.desc(), back.c.old_id))
        found: dict[AssetId, tuple[str, ...]] = {}
        for row in rows:
            asset = AssetId(row.source, row.external_id)
            if row.old_id not in (row.external_id, *found.get(asset, ())):
                found[asset] = (*found.get(asset, ()), row.old_id)
        return found

    async def entities(self, entity_ids: Collection[str], founders: Sequence[AssetId] = (), /) -> Sequence[Entity]:
        """Two look-ups in one statement."""
        given, table = self._database.pairs(founders), entities.c
        joined = (table.founder_source == given.c.source) & (table.founder_id == given.c.external_id)
        named = select(*ENTITY).where(self._database.among(table.entity_id, sorted(entity_ids)))
        rows = await self._session.all(named.union(select(*ENTITY).join(given, joined)))
        return sorted(map(entity_of, rows), key=attrgetter("age"))

    async def save(self, decision: Decision, /) -> None:
        """One statement for each kind of change."""
        self._stripes.settle()
        await self._make(decision.made)
        await self._redirect(decision.merged)
        if decision.known:
            rows = [known_row(known, self._session.dialect) for known in decision.known]
            await self._session.run(self._upsert(entity_links), rows)
        await self._put_blocks(decision.blocks)
        if decision.crowds:
            await self._session.run(insert(entity_crowds), [crowd._asdict() for crowd in sorted(decision.crowds)])
        await self._put_candidates(decision)

    async def rule(
        self, verdict: Verdict, pairs: Sequence[tuple[AssetId, AssetId]], at: datetime, /
    ) -> Sequence[Ruling]:
        """The first id is that of the act."""
        self._stripes.settle()
        act, given = 0, []
        for a, b in pairs:
            values = {"verdict": str(verdict), **pair_row(a, b), "act": act, "decided_at": at}
            statement = insert(entity_rulings).values(values).returning(entity_rulings)
            ruling = ruling_of((await self._session.run(statement)).one())
            act = act or ruling.ruling_id
            given.append(replace(ruling, act=act))
        own = update(entity_rulings).where(entity_rulings.c.ruling_id == act)
        await self._session.run(own.values(act=act))
        return given

    async def undo(self, ruling_id: int, at: datetime, /) -> Sequence[Ruling]:
        """One update."""
        self._stripes.settle()
        ruling = entity_rulings.c
        act = select(ruling.act).where(ruling.ruling_id == ruling_id).scalar_subquery()
        undone = update(entity_rulings).where(ruling.act == act, ruling.undone_at.is_(None)).values(undone_at=at)
        rows = (await self._session.run(undone.returning(entity_rulings))).all()
        return sorted((replace(ruling_of(row), undone_at=None) for row in rows), key=attrgetter("ruling_id"))

    async def name(self, namings: Sequence[Naming], /) -> Sequence[AssetId]:
        """What is kept is compared here."""
        self._stripes.settle()
        rows = await self._session.all(select(entity_namings))
        before = {AssetId(row.source, row.external_id): row.entity_id for row in rows}
        now = {naming.asset: naming.entity_id for naming in namings}
        changed = sorted(asset for asset in {*before, *now} if before.get(asset) != now.get(asset))
        if changed:
            await self._session.run(self._without(entity_namings, changed))
        new = [
            {"source": asset.source, "external_id": asset.external_id, "entity_id": now[asset]}
            for asset in changed
            if asset in now
        ]
        if new:
            await self._session.run(insert(entity_namings), new)
        return changed

    async def rename(self, renames: Sequence[Rename], /) -> Sequence[Rename]:
        """What is known stays."""
        self._stripes.settle()
        sources = self._database.among(entity_renames.c.source, sorted({rename.source for rename in renames}))
        rows = await self._session.all(select(entity_renames).where(sources))
        known = {(row.source, row.old_id, row.new_id) for row in rows}
        new = {(each.source, each.old_id, each.new_id): each for each in renames}
        added = [each for place, each in new.items() if place not in known]
        if added:
            await self._session.run(insert(entity_renames), [asdict(each) for each in added])
        return added

    async def _bound(self, assets: Sequence[AssetId], keys: Collection[str]) -> Sequence[Known]:
        """All that the blocks of these assets and keys are bound to. Goes from key to key: each one is looked at once,
        however many assets share it."""
        given = self._database.pairs(assets)
        own = (_KEY.source == given.c.source) & (_KEY.external_id == given.c.external_id) & (_KEY.binds == 1)
        owned = self._look_up(given, entity_keys, own)
        start = select(owned.c.key).select_from(owned.rows)
        asked = select(_KEY.key).where(self._database.among(_KEY.key, sorted(keys)), _KEY.binds == 1)
        first = union(start, asked).subquery()
        bound = select(first.c.key).cte("bound", recursive=True)
        here, there = entity_keys.alias("here"), entity_keys.alias("there")
        of_key = self._look_up(bound, here, (here.c.key == bound.c.key) & (here.c.binds == 1))
        same = (there.c.source == of_key.c.source) & (there.c.external_id == of_key.c.external_id)
        of_asset = self._look_up(of_key.rows, there, same & (there.c.binds == 1))
        bound = bound.union(select(of_asset.c.key).select_from(of_asset.rows))
        members = self._look_up(bound, entity_keys, (_KEY.key == bound.c.key) & (_KEY.binds == 1))
        return await self._known(select(members.c.source, members.c.external_id).select_from(members.rows))

    async def _known(self, assets: Select[tuple[str, str]]) -> Sequence[Known]:
        linked = self._linked(assets)
        statement = select(*(linked.c[column.name] for column in _LINK)).select_from(linked.rows)
        found = [known_of(row) for row in await self._session.all(statement)]
        return sorted(found, key=lambda known: known.claim.asset)

    def _linked(self, assets: Select[tuple[str, str]]) -> LookedUp:
        some = assets.distinct().subquery()
        own = (_LINK.source == some.c.source) & (_LINK.external_id == some.c.external_id)
        return self._look_up(some, entity_links, own)

    def _look_up(
        self, given: FromClause, table: FromClause, on: ColumnElement[bool], *, outer: bool = False
    ) -> LookedUp:
        return look_up(self._session.dialect, given, table, on, outer=outer)

    async def _housemates(self, entity_ids: Collection[str]) -> set[AssetId]:
        wanted = self._database.among(_LINK.entity_id, sorted(entity_ids))
        rows = await self._session.all(select(_LINK.source, _LINK.external_id).where(wanted))
        return {AssetId(row.source, row.external_id) for row in rows}

    async def _make(self, made: Sequence[Entity]) -> None:
        new = [entity_row(entity) for entity in made if entity.age == 0]
        if new:
            try:
                await self._session.run(insert(entities), new)
            except UnstorableError as error:
                raise TransientStorageError("An entity was made under the same id meanwhile.") from error
        again = [entity.entity_id for entity in made if entity.age]
        if again:
            table = entities.c
            statement = update(entities).where(self._database.among(table.entity_id, again)).values(merged_into=None)
            await self._session.run(statement)

    async def _redirect(self, merged: Mapping[str, str]) -> None:
        """What led to an id that leads on itself from now on goes with it."""
        table, old, new = entities.c, bindparam("old", type_=Name), bindparam("new", type_=Name)
        rows = [{"old": old_id, "new": new_id} for old_id, new_id in sorted(merged.items())]
        if rows:
            itself = (table.entity_id == old) | (table.merged_into == old)
            await self._session.run(
                update(entities).where(itself, table.entity_id != new).values(merged_into=new), rows
            )

    async def _put_blocks(self, blocks: Mapping[AssetId, Blocks]) -> None:
        if not blocks:
            return
        await self._session.run(self._without(entity_keys, list(blocks)))
        await put_blocks(self._session, blocks)

    async def _put_candidates(self, decision: Decision) -> None:
        if not decision.decided:
            return
        given, table = self._database.pairs(decision.decided), entity_candidates.c
        pair = select(given.c.source, given.c.external_id)
        for asset in ((table.a_source, table.a_id), (table.b_source, table.b_id)):
            await self._session.run(delete(entity_candidates).where(tuple_(*asset).in_(pair)))
        rows = [candidate_row(candidate, self._session.dialect) for candidate in decision.candidates]
        if rows:
            await self._session.run(insert(entity_candidates), rows)

    def _without(self, table: Table, assets: Sequence[AssetId]) -> Executable:
        given = self._database.pairs(assets)
        pair = select(given.c.source, given.c.external_id)
        return delete(table).where(tuple_(table.c.source, table.c.external_id).in_(pair))

    def _upsert(self, table: Table) -> Executable:
        statement = self._database.insert(table)
        key = [column.name for column in table.primary_key]
        changed = {column.name: statement.excluded[column.name] for column in table.c if column.name not in key}
        return statement.on_conflict_do_update(index_elements=key, set_=changed)
