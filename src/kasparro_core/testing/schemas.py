"""The contract of SchemaStore."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

from kasparro_core.model.drift import SchemaVersion
from kasparro_core.ports import Store
from kasparro_core.testing.build import later

DOCUMENT: dict[str, Any] = {
    "format": 1,
    "shape": {"kinds": {"object": 3}, "fields": {"prïce": {"kinds": {"number": 3}, "of": 3}}},
    "exact": Decimal("0.1000000000000000055511151231257827"),
    "none": None,
}


def schema(version: int, source: str = "s", *, accepted: bool = True) -> SchemaVersion:
    """A version of a source's shape."""
    return SchemaVersion(
        source, version, f"hash-{version}", DOCUMENT, version, later(version), later(version + 60) if accepted else None
    )


class SchemaContract:
    """Remembered shapes. Needs a fixture `store`: migrated and empty."""

    async def test_a_source_has_none_at_first(self, store: Store) -> None:
        """No version is an answer, not an error."""
        async with store.begin(write=False) as work:
            assert list(await work.schemas.newest("s")) == []

    async def test_versions_come_back_as_they_are(self, store: Store) -> None:
        """Every field is there, the numbers of the document exactly; newest first, never more than `limit`, and those
        of other sources left out."""
        async with store.begin() as work:
            for version in (1, 3, 2):
                await work.schemas.save(schema(version))
            await work.schemas.save(schema(9, "other", accepted=False))
            await work.commit()
        async with store.begin(write=False) as work:
            assert list(await work.schemas.newest("s")) == [schema(3), schema(2), schema(1)]
            assert list(await work.schemas.newest("s", limit=2)) == [schema(3), schema(2)]
            assert list(await work.schemas.newest("other")) == [schema(9, "other", accepted=False)]

    async def test_a_version_takes_the_place_of_the_one_with_its_number(self, store: Store) -> None:
        """Saved again, all of it is new: what was accepted may be waiting again, and the other way round."""
        waiting = replace(schema(1, accepted=False), schema={"format": 1}, schema_hash="other", run_id=None)
        async with store.begin() as work:
            await work.schemas.save(schema(1))
            await work.commit()
        async with store.begin() as work:
            await work.schemas.save(waiting)
            await work.commit()
        async with store.begin(write=False) as work:
            assert list(await work.schemas.newest("s")) == [waiting]

    async def test_what_is_not_committed_is_not_remembered(self, store: Store) -> None:
        """A version goes with its unit of work."""
        async with store.begin() as work:
            await work.schemas.save(schema(1))
        async with store.begin(write=False) as work:
            assert list(await work.schemas.newest("s")) == []
