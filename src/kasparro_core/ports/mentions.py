"""The port of mentions: which entities the articles of a source speak of."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from kasparro_core.model.entity import Known
from kasparro_core.model.mention import Mention


class MentionStore(Protocol):
    """What articles speak of. The promises of `storage` hold here too."""

    async def bearing(self, keys: Collection[str], /) -> Sequence[Known]:
        """What is kept of the assets that have one of these keys (`keys_of`), of either sort and any number of them, by
        source and external_id."""
        ...

    async def changed(self, source: str, keys: Sequence[str], run_id: int, /) -> Collection[str]:
        """Which of these record keys hold what this run brought."""
        ...

    async def put(self, source: str, mentions: Mapping[str, Sequence[Mention]], /) -> None:
        """Put the mentions of these records, by key, in the place of those that are kept."""
        ...

    async def of(self, source: str, key: str, /) -> Sequence[Mention]:
        """What a record speaks of, by entity_id; entities that turned out to be another one are told as that one."""
        ...
