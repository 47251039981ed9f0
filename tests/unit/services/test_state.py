"""Positions by hand: forgotten, written out, brought in; and never behind the back of a run."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest
from processes import Gate, Process, World, job
from scripted import EPOCH

from kasparro_core.errors import ConfigurationError, ConflictError, TransientStorageError
from kasparro_core.model import Cursor, RunStatus, Validator
from kasparro_core.ports import Liveness
from kasparro_core.services.position import not_understood
from kasparro_core.services.state import State
from kasparro_core.services.state_document import SCHEMA_VERSION, read_document

VALIDATORS = [Validator("h1", etag="e"), Validator("h2", last_modified="m", item_count=3, next='{"at": 2}')]


class Pages:
    """A source that goes on from pages."""

    def check_position(self, partition: str, cursor: Cursor, /) -> None:
        if set(cursor) != {"page"}:
            raise not_understood("scripted", partition, cursor, "expected a page")


SOURCES = {"scripted": Pages(), "other": Pages()}


def state_of(process: Process) -> State:
    return State(process.world.store, process.handle, process.world.clock, process.runner.claims)


async def put(
    world: World, source: str, partition: str, cursor: Cursor, version: int = 0, at: datetime = EPOCH
) -> None:
    async with world.store.begin() as work:
        await work.checkpoints.save(source, partition, cursor, expected_version=version, run_id=None, at=at)
        await work.validators.save(source, partition, VALIDATORS)
        await work.commit()


async def stored(world: World) -> dict[tuple[str, str], tuple[Mapping[str, Any], int, int]]:
    """Cursor, version and number of validators of each partition."""
    async with world.store.begin(write=False) as work:
        return {
            (each.source, each.partition): (
                each.cursor,
                each.version,
                len(await work.validators.load(each.source, each.partition)),
            )
            for each in await work.checkpoints.list()
        }


async def exported(world: World) -> dict[str, Any]:
    """A document, as it comes back from a file."""
    return json.loads(json.dumps(await state_of(world.process()).export(None, program="1.2.3")))


async def bring_in(world: World, document: Any, **options: bool) -> list[Any]:
    return await state_of(world.process()).bring_in(read_document(json.dumps(document)), SOURCES, **options)


async def test_a_reset_forgets_position_and_validators_and_raises_the_version() -> None:
    """Cursor and validators go together; the version grows, so that whoever still holds the old one loses."""
    world = World()
    await put(world, "scripted", "a", {"page": 3})
    await put(world, "other", "", {"page": 9})
    (gone,) = await state_of(world.process()).reset("scripted")
    assert (gone.checkpoint.cursor, gone.checkpoint.version, gone.validators) == ({"page": 3}, 1, 2)
    assert await stored(world) == {("scripted", "a"): ({}, 2, 0), ("other", ""): ({"page": 9}, 1, 2)}
    assert await state_of(world.process()).reset("scripted") == []


async def test_a_reset_by_a_clock_that_is_behind_does_not_turn_time_back() -> None:
    """Runs take what they read for seen after the checkpoint: else a change would be taken for an older state."""
    world = World()
    await put(world, "scripted", "", {"page": 3}, at=EPOCH + timedelta(hours=1))
    await state_of(world.process()).reset("scripted")
    async with world.store.begin(write=False) as work:
        checkpoint = await work.checkpoints.get("scripted", "")
    assert checkpoint is not None
    assert checkpoint.updated_at == EPOCH + timedelta(hours=1)


class Unheard:
    """A store that loses the answer to the first commit."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.lost = False

    @asynccontextmanager
    async def begin(self, *, write: bool = True) -> AsyncIterator[Any]:
        async with self._store.begin(write=write) as work:
            commit = work.commit

            async def told() -> None:
                await commit()
                if not self.lost:
                    self.lost = True
                    raise TransientStorageError("cut")

            work.commit = told
            yield work


async def test_what_was_done_is_told_though_the_answer_was_lost() -> None:
    """A commit that went through unheard: the second attempt finds its work done, and says so instead of "nothing"."""
    world = World()
    await put(world, "scripted", "a", {"page": 3})
    document = await exported(world)
    process = world.process()

    def unheard() -> State:
        return State(Unheard(world.store), process.handle, world.clock, process.runner.claims)  # type: ignore[arg-type]

    (gone,) = await unheard().reset("scripted")
    assert (gone.checkpoint.cursor, gone.validators) == ({"page": 3}, 2)
    (brought,) = await unheard().bring_in(read_document(json.dumps(document)), SOURCES)
    assert (brought.done, brought.version) == ("imported", 3)
    assert await stored(world) == {("scripted", "a"): ({"page": 3}, 3, 2)}


async def test_a_reset_of_one_partition_leaves_the_others() -> None:
    """Only the named file or feed is read again."""
    world = World()
    for partition in ("a", "b"):
        await put(world, "scripted", partition, {"page": 3})
    await state_of(world.process()).reset("scripted", "b")
    assert await stored(world) == {("scripted", "a"): ({"page": 3}, 1, 2), ("scripted", "b"): ({}, 2, 0)}


async def test_after_a_reset_everything_is_read_and_nothing_doubled() -> None:
    """The next run asks from the first page on, and counts what is as it was unchanged."""
    world = World()
    process = world.process()
    first = await process.runner.run(job())
    assert first is not None
    await state_of(world.process()).reset("scripted")
    second = await process.runner.run(job())
    assert second is not None
    assert (second.status, second.counters.unchanged) == (RunStatus.UNCHANGED, first.counters.inserted)


async def test_a_source_that_is_being_read_is_left_alone() -> None:
    """Reset and import are refused while a live process has the source, with the run that has it; so is a dry run."""
    world = World()
    await put(world, "scripted", "", {"page": 0})
    document = await exported(world)
    gate = Gate()
    process = world.process()
    running = asyncio.create_task(process.runner.run(job(gate=gate)))
    await gate.reached.wait()
    before = await stored(world)
    other = state_of(world.process())
    with pytest.raises(ConflictError, match="held by run 1"):
        await other.reset("scripted")
    for options in ({"force": True}, {"dry_run": True}):
        with pytest.raises(ConflictError, match="held by run 1"):
            await bring_in(world, document, **options)
    assert await stored(world) == before
    gate.opened.set()
    run = await running
    assert run is not None
    assert run.status is RunStatus.SUCCEEDED


async def test_a_dead_owner_is_no_obstacle_and_commits_nothing_when_it_wakes() -> None:
    """The run of a dead process is marked; what it still tries to write afterwards is refused."""
    world = World()
    gate = Gate()
    dead = world.process()
    running = asyncio.create_task(dead.runner.run(job(gate=gate)))
    await gate.reached.wait()
    await dead.die()
    assert await world.process().handle.judge(dead.handle.owner) is Liveness.DEAD
    await state_of(world.process()).reset("scripted")
    gate.opened.set()
    with pytest.raises(ConflictError):
        await running
    (run,) = await world.runs()
    assert run.status is RunStatus.INTERRUPTED
    assert await stored(world) == {}
    async with world.store.begin(write=False) as work:
        assert await work.records.count() == 0


async def test_an_export_brings_the_exact_state_into_another_database() -> None:
    """Cursors and validators are the same there; versions are that database's own; twice is the same as once."""
    old, new = World(), World()
    await put(old, "scripted", "a", {"page": 3})
    await put(old, "other", "", {"page": 9})
    document = await exported(old)
    assert (document["schema_version"], document["program"]) == (SCHEMA_VERSION, "1.2.3")
    done = await bring_in(new, document)
    assert [(each.source, each.done, each.version, each.bare) for each in done] == [
        ("other", "imported", 1, True),
        ("scripted", "imported", 1, True),
    ]
    assert await stored(new) == await stored(old)
    async with new.store.begin(write=False) as work:
        assert list((await work.validators.load("other", "")).values()) == VALIDATORS
    assert {each.done for each in await bring_in(new, document)} == {"unchanged"}
    assert await stored(new) == await stored(old)


async def test_a_run_goes_on_from_an_imported_position() -> None:
    """Pages in front of it are not asked for."""
    new = World()
    old = World()
    await put(old, "scripted", "", {"page": 1})
    await bring_in(new, await exported(old))
    work = job()
    await new.process().runner.run(work)
    assert work.source.asked == [("", 1)]  # type: ignore[attr-defined]


async def test_a_position_that_is_there_is_replaced_by_force_alone() -> None:
    """Another position is refused with its place, nothing is changed; with force it and its validators are replaced."""
    old, new = World(), World()
    await put(old, "other", "", {"page": 1})
    await put(old, "scripted", "", {"page": 3})
    await put(new, "scripted", "", {"page": 5})
    before = await stored(new)
    with pytest.raises(ConfigurationError) as caught:
        await bring_in(new, await exported(old))
    assert caught.value.problems == ("source 'scripted', partition '': there is a position already, version 1",)
    assert "--force" in str(caught.value.hint)
    assert await stored(new) == before
    document = await exported(old)
    document["sources"][1]["partitions"][0]["validators"].pop()
    done = await bring_in(new, document, force=True)
    assert [each.done for each in done] == ["imported", "replaced"]
    assert await stored(new) == {("other", ""): ({"page": 1}, 1, 2), ("scripted", ""): ({"page": 3}, 2, 1)}


async def test_a_forgotten_position_is_not_in_the_way_and_not_exported() -> None:
    """After a reset there is nothing to write out, and an import needs no force."""
    world = World()
    await put(world, "scripted", "", {"page": 3})
    document = await exported(world)
    await state_of(world.process()).reset("scripted")
    assert (await exported(world))["sources"] == []
    assert [(each.done, each.version) for each in await bring_in(world, document)] == [("imported", 3)]


async def test_a_dry_run_changes_nothing() -> None:
    """It says what would be done."""
    old, new = World(), World()
    await put(old, "scripted", "", {"page": 3})
    done = await bring_in(new, await exported(old), dry_run=True)
    assert [each.done for each in done] == ["imported"]
    assert await stored(new) == {}


async def test_all_or_nothing() -> None:
    """One position that cannot be taken keeps the others out, and each fault has its sentence."""
    old, new = World(), World()
    await put(old, "scripted", "", {"page": 3})
    await put(old, "scripted", "b", {"offset": 3})
    await put(old, "stranger", "", {"page": 3})
    with pytest.raises(ConfigurationError) as caught:
        await bring_in(new, await exported(old))
    first, second = caught.value.problems
    assert "source 'scripted', partition 'b': the stored position is not understood (expected a page)" in first
    assert second == "source 'stranger', partition '': this source is not configured"
    assert await stored(new) == {}


async def test_a_place_inside_a_payload_stays_in_its_database() -> None:
    """Elsewhere its number would be that of another payload; a run of the source is the way out."""
    world = World()
    await put(world, "scripted", "b", {"$slice": {"raw_id": 1}})
    with pytest.raises(ConfigurationError) as caught:
        await state_of(world.process()).export(["scripted"], program="1")
    assert "source 'scripted', partition 'b'" in caught.value.problems[0]
    assert "kasparro run scripted" in caught.value.problems[0]
    assert (await state_of(world.process()).export(["other"], program="1"))["sources"] == []


def _without(member: str, holder: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in holder.items() if name != member}


async def test_a_damaged_document_names_the_member() -> None:
    """Each kind of damage: not JSON, another version, a member missing, unknown or of another type, one name twice."""
    world = World()
    await put(world, "scripted", "", {"page": 3})
    document = await exported(world)
    (source,) = document["sources"]
    (position,) = source["partitions"]
    validator = position["validators"][0]

    def with_position(changed: Any, *more: Any) -> dict[str, Any]:
        return {**document, "sources": [{**source, "partitions": [changed, *more]}]}

    for text, expected in (
        ("{", "line 1 column 2"),
        ("[" * 100_000, "recursion"),
        ("7", "`schema_version`: expected 1, found null"),
        (b"\xff\xfe\xff", "decode"),
        (json.dumps({**document, "schema_version": 2}), "expected 1, found 2.*'1.2.3'"),
        (json.dumps({**document, "schema_version": True}), "expected 1, found true"),
        (json.dumps(_without("program", document)), "`program` is missing"),
        (json.dumps({**document, "more": 1}), "`more` is not known"),
        (json.dumps(with_position({**position, "cursor": "x"})), r"`sources.0.partitions.0.cursor`.*found 'x'"),
        (json.dumps(with_position({**position, "version": -1})), r"`sources.0.partitions.0.version`.*found -1"),
        (json.dumps(with_position({**position, "validators": [{"etag": "e"}]})), "request_hash` is missing"),
        (json.dumps(with_position({**position, "cursor": {"page": float("nan")}})), "expected JSON, found NaN"),
        (json.dumps(document).replace('"page": 3', '"page": 1e999'), "expected JSON, found 1e999"),
        (json.dumps(with_position({**position, "version": 2**63})), r"`sources.0.partitions.0.version`"),
        (json.dumps(with_position({**position, "validators": [{**validator, "item_count": 2**31}]})), "item_count`"),
        (json.dumps(with_position({**position, "validators": [{**validator, "request_hash": "\ud800"}]})), "_hash`"),
        (json.dumps(with_position(position, position)), "partition '' is there 2 times"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            read_document(text)
        error = caught.value
        assert re.search(expected, " ".join([error.message, *error.problems, error.hint or ""]))
