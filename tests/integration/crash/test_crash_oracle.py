"""The oracle itself: it finds nothing in what a run leaves behind, and finds each thing that is then spoilt by hand."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from crash_storm import NEEDS_POSIX
from crash_world import SMALL, Place, Runs, World, runs, upstream_of
from oracle import PATIENCE, Watch, late, wrong
from snapshot import look
from upstream import serving

pytestmark = NEEDS_POSIX

BEGUN = "UPDATE runs SET status = 'running' WHERE source = 'market'"

ALWAYS_WRONG = {
    "a link lost": (
        "DELETE FROM entity_links WHERE external_id = (SELECT min(external_id) FROM entity_links)",
        "an entity",
    ),
    "an entity lost": ("DELETE FROM entities WHERE age = 1", "an entity"),
    "a link of nothing": (
        "UPDATE entity_links SET external_id = 'x' WHERE external_id IN (SELECT min(external_id) FROM entity_links)",
        "an entity",
    ),
    "a lost record": ("DELETE FROM records WHERE key = 'coin-3'", "ahead of the data"),
    "a lost rejection": ("DELETE FROM rejections WHERE key = 'row-7'", "ahead of the rejections"),
    "a lost payload": ("DELETE FROM raw_batches WHERE source = 'news'", "records without their payload"),
    "an invented record": ("UPDATE records SET key = 'coin-999' WHERE key = 'coin-3'", "invented"),
    "a payload of nobody": ("UPDATE raw_batches SET content_hash = content_hash || 'x'", "never sent"),
    "a payload twice": (
        """INSERT INTO raw_batches SELECT 99, source, partition, content_hash, 'other', codec, payload, decode_facts,
        record_count FROM raw_batches WHERE source = 'news'""",
        "payloads kept twice",
    ),
    "other bytes": (
        "UPDATE raw_batches SET payload = (SELECT max(payload) FROM raw_batches)",
        "not what its hash says",
    ),
    "a record of another place": ("UPDATE records SET raw_index = 5 WHERE key = 'coin-3'", "not in payload"),
    "a record of no run": ("UPDATE records SET run_id = 99 WHERE key = 'coin-3'", "records of no run"),
    "one record too few in the counters": ("UPDATE runs SET inserted = inserted - 1", "does not add up"),
    "counters ahead of the reads": ("UPDATE runs SET fetched = 90, inserted = 90", "its reads"),
    "a read of no run": ("UPDATE run_batches SET run_id = 99 WHERE read_id = 1", "not in the ledger"),
    "a rejection counted twice": ("UPDATE rejections SET times = 2 WHERE key = 'row-7'", "rejections: "),
    "a commit without its position": ("UPDATE checkpoints SET version = version - 1", "moves of the checkpoint"),
    "a position of no run": ("UPDATE checkpoints SET run_id = 99", "of run 99"),
    "a run without a lease": (BEGUN, "running without a lease"),
    "a lease of no run": ("UPDATE leases SET run_id = 99 WHERE source = 'market'", "names no run"),
    "a lease that an ended run holds": (
        "UPDATE leases SET run_id = (SELECT run_id FROM runs WHERE source = 'market') WHERE source = 'market'",
        "still holds its lease",
    ),
}
WRONG_IN_THE_END = {
    "a position half-way": (
        """UPDATE checkpoints SET cursor = '{"walk": {"at": {"at": 2}}, "next": {}}' WHERE source = 'market'""",
        "items behind the checkpoint",
    ),
    "no position": ("DELETE FROM checkpoints WHERE source = 'news'", "items behind the checkpoint"),
    "a run that failed": ("UPDATE runs SET status = 'failed' WHERE source = 'rows'", "the last run is"),
}


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, _sqlite_template: Path) -> Iterator[World]:
    """A SQLite database as a run of all sources leaves it."""
    directory = tmp_path_factory.mktemp("kept")
    shutil.copyfile(_sqlite_template, directory / "kasparro.db")
    with serving(upstream_of(SMALL)) as upstream, runs() as starter:
        world = World(directory, f"sqlite:///{(directory / 'kasparro.db').as_posix()}", upstream, SMALL)
        assert starter.finish(world).code == 0
        yield world


@pytest.fixture
def copy(kept: World, tmp_path: Path) -> World:
    """A copy of it, to be spoilt."""
    shutil.copyfile(kept.directory / "kasparro.db", tmp_path / "kasparro.db")
    return replace(kept, directory=tmp_path, url=f"sqlite:///{(tmp_path / 'kasparro.db').as_posix()}")


def spoil(world: World, *statements: str) -> None:
    """Change the database by SQL."""
    with closing(sqlite3.connect(world.directory / "kasparro.db")) as connection, connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0


def test_a_sound_database_has_no_faults(fresh: Place, crash_runs: Runs) -> None:
    """What an undisturbed run leaves is sound, on both databases, at each look meanwhile and at its end."""
    world = fresh(SMALL)
    with Watch(world.url, world.truths) as watch:
        assert crash_runs.finish(world).code == 0
    assert watch.faults == []
    assert watch.moved > 0
    state = look(world.url, payloads=True)
    assert wrong(state, world.truths, ended=True) == []
    assert late(state, state) == []
    assert len(state.payloads) == len(state.raw) > 0


@pytest.mark.parametrize("what", ALWAYS_WRONG)
def test_finds_what_may_never_be(what: str, copy: World) -> None:
    """Each fault that no instant may show is told, whether or not a run is under way."""
    statement, told = ALWAYS_WRONG[what]
    spoil(copy, statement)
    found = wrong(look(copy.url, payloads=True), copy.truths)
    assert any(told in fault for fault in found), found


@pytest.mark.parametrize("what", WRONG_IN_THE_END)
def test_finds_what_may_not_be_in_the_end(what: str, copy: World) -> None:
    """What is right on the way and wrong once a run has ended is told only then."""
    statement, told = WRONG_IN_THE_END[what]
    spoil(copy, statement)
    state = look(copy.url)
    assert any(told in fault for fault in wrong(state, copy.truths, ended=True))
    assert not any(told in fault for fault in wrong(state, copy.truths))


def test_finds_a_checkpoint_ahead_inside_a_payload(copy: World) -> None:
    """A position inside a payload is ahead as soon as it counts one item more than is there."""
    spoil(
        copy,
        "DELETE FROM records WHERE key = 'entry-7'",
        """UPDATE checkpoints SET cursor = json_object('$slice', json_object('offset', 7, 'after', json(cursor),
        'raw_id', (SELECT raw_id FROM raw_batches WHERE source = 'news'))) WHERE source = 'news'""",
    )
    state = look(copy.url)
    assert not any("ahead" in fault for fault in wrong(state, copy.truths))
    spoil(copy, """UPDATE checkpoints SET cursor = json_set(cursor, '$."$slice".offset', 8) WHERE source = 'news'""")
    assert any("news: the checkpoint is ahead" in fault for fault in wrong(look(copy.url), copy.truths))


def test_tells_a_run_beyond_its_lease(copy: World) -> None:
    """A run may be `running` as long as its lease lasts; then somebody has to end it, unless nobody is there."""
    lease = "UPDATE leases SET run_id = (SELECT run_id FROM runs WHERE source = 'market'), expires_at = strftime("
    spoil(copy, BEGUN, lease + "'%Y-%m-%dT%H:%M:%f000Z', 'now', '+60 seconds') WHERE source = 'market'")
    assert wrong(look(copy.url), copy.truths) == []
    spoil(copy, lease + f"'%Y-%m-%dT%H:%M:%f000Z', 'now', '-{PATIENCE + 1} seconds') WHERE source = 'market'")
    state = look(copy.url)
    assert any("although its lease is over" in fault for fault in wrong(state, copy.truths))
    assert wrong(state, copy.truths, patience=None) == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("UPDATE checkpoints SET version = 1 WHERE source = 'market'", "went back"),
        ("UPDATE leases SET token = 0", "went back"),
        ("UPDATE runs SET error = 'x', batches = 9 WHERE source = 'market'", "changed after its end"),
        ("DELETE FROM runs WHERE source = 'market'", "changed after its end"),
    ],
)
def test_finds_what_happened_too_late(statement: str, told: str, copy: World) -> None:
    """What a process does that was taken over is seen by comparing two looks."""
    before = look(copy.url)
    spoil(copy, statement)
    assert any(told in fault for fault in late(before, look(copy.url)))


def test_finds_records_of_an_ended_run(copy: World) -> None:
    """Records that appear under a run that had ended are a late commit."""
    sound = look(copy.url)
    less = replace(sound, records=sound.records[1:])
    assert any("records after its end" in fault for fault in late(less, sound))
