"""Names of fields that no database takes as they are."""

from __future__ import annotations

from watched import Watched

from kasparro_adapters.sql import SqlStore
from kasparro_core.model import RawRecord, RunStatus
from kasparro_core.model.drift import DriftRule


async def test_names_of_any_kind_are_remembered(database_url: str) -> None:
    """Names with a NUL, half a character, a dot, a blank, or of a thousand signs: stored, shown and told, on each
    database; also under the rule that looks into each item."""
    names = ["a\0b", "x\ud800y", "price.usd", " ", "", "ü", "long" * 250, "[]", "*"]
    store = SqlStore(database_url)
    watched = Watched("json", DriftRule.DISCARD_VALUE, store=store, key=["id"], attributes={})
    odd = {name: {"inner": 1} for name in names}
    before = [RawRecord(n, {"id": str(n), "price": 1}) for n in range(40)]
    after = [RawRecord(n, {"id": str(n), "price": 1, **odd}) for n in range(40)]
    for items in (before, after, after):
        watched.source.items = items
        run = await watched.run()
        assert (run.status, run.error) in {(RunStatus.SUCCEEDED, None), (RunStatus.UNCHANGED, None)}
    told_of = [event.path for event in await watched.drift()]
    assert len(told_of) == len(names)
    assert {"price.usd", "ü", "a\N{REPLACEMENT CHARACTER}b"} <= set(told_of)
    assert len(await watched.versions()) == 2
    await store.close()
