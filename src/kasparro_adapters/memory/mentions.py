"""Which entities the articles of a source speak of, in memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from kasparro_adapters.memory.tables import Transaction
from kasparro_core.model.entity import Known
from kasparro_core.model.mention import Mention


class MemoryMentions:
    """The MentionStore of a memory store."""

    def __init__(self, transaction: Transaction) -> None:
        self._tx = transaction

    async def bearing(self, keys: Collection[str], /) -> Sequence[Known]:
        """From key to assets."""
        assets = {asset for key in keys for asset in self._tx.block_members.get(key) or ()}
        return [known for asset in sorted(assets) if (known := self._tx.links.get(asset)) is not None]

    async def changed(self, source: str, keys: Sequence[str], run_id: int, /) -> Collection[str]:
        """Record by record."""
        ids = ((key, self._tx.record_ids.get((source, key))) for key in keys)
        rows = ((key, self._tx.records.get(record_id)) for key, record_id in ids if record_id is not None)
        return {key for key, row in rows if row is not None and row.state.run_id == run_id}

    async def put(self, source: str, mentions: Mapping[str, Sequence[Mention]], /) -> None:
        """One row a record."""
        for key, found in mentions.items():
            self._tx.mentions.put((source, key), tuple(found))

    async def of(self, source: str, key: str, /) -> Sequence[Mention]:
        """Each with what its entity is called now."""
        surest: dict[str, Mention] = {}
        for mention in self._tx.mentions.get((source, key)) or ():
            entity = self._tx.entities.get(mention.entity_id)
            now = mention._replace(entity_id=(entity and entity.merged_into) or mention.entity_id)
            before = surest.setdefault(now.entity_id, now)
            if before.confidence < now.confidence:
                surest[now.entity_id] = now
        return [surest[entity_id] for entity_id in sorted(surest)]
