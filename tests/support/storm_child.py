"""`kasparro` with other patience than its own: `python storm_child.py '{"lease_ttl": 2}' run --json`.

Everything else is the program as it is. The tests that use it are about order, not about lengths: the lease is longer
than the server's idle limit, and that longer than the wait for a lock, here as there. Known are `lease_ttl`,
`lock_wait`, `idle_limit` (seconds), `pool` (connections of each of the two pools on PostgreSQL) and `pages` (the size
that a SQLite file may have, in pages).
"""

from __future__ import annotations

import json
import sys
from typing import Any

from kasparro_adapters.sql import SqlStore, postgres, sqlite
from kasparro_app.__main__ import main
from kasparro_core.services.run import Runner


def change(patience: dict[str, float]) -> None:
    """Other defaults for what nobody gives otherwise."""
    given: dict[type[Any], str] = {Runner: "lease_ttl", SqlStore: "lock_wait"}
    for kind, name in given.items():
        if name in patience:
            kind.__init__.__kwdefaults__[name] = patience[name]
    postgres.IDLE_LIMIT = patience.get("idle_limit", postgres.IDLE_LIMIT)  # type: ignore[assignment]
    if "pool" in patience:
        postgres._POOL = {"pool_size": int(patience["pool"]), "max_overflow": 0}
    if "pages" in patience:
        more = f"PRAGMA max_page_count = {patience['pages']:.0f}"
        sqlite._WRITER_PRAGMAS = (*sqlite._WRITER_PRAGMAS, more)  # type: ignore[assignment]


if __name__ == "__main__":
    change(json.loads(sys.argv.pop(1)))
    main()
