"""What keeps a database from growing for ever: pruning as `[retention]` says."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from kasparro_app.config.amounts import parse_amount
from kasparro_app.settings import Settings
from kasparro_core.model.service import Prunable, Pruned
from kasparro_core.ports import Clock, Store
from kasparro_core.services.prune import Keep, Pruner

_log = logging.getLogger("kasparro")


async def maintain(
    store: Store, clock: Clock, settings: Settings, *, dry_run: bool = False
) -> Mapping[Prunable, Pruned]:
    """Prune once and return what went (with `dry_run`: would go) of each kind. Safe beside runs and beside others that
    do the same. Raises StorageError."""
    pruned = await Pruner(store, clock).prune(retention_policy(settings), dry_run=dry_run)
    if not dry_run:
        for what, gone in pruned.items():
            if gone.rows:
                _log.info("pruned %s: %d rows, about %d bytes", what, gone.rows, gone.bytes)
    return pruned


def retention_policy(settings: Settings) -> Mapping[Prunable, Keep]:
    """What `[retention]` says, per kind."""
    written: Mapping[str, str | None] = settings.tables.retention.model_dump()
    return {Prunable(name): parse_amount(amount) for name, amount in written.items() if amount is not None}
