"""Positions that somebody damaged, in a real database: refused by name, nothing read from the wrong place, and
`state reset` is the way out."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from ledger import faults, query
from walked import PAGING, SIZE, Walked, walking

ROWS = [{"id": f"row-{n}", "price": n} for n in range(4 * SIZE)]
KEYS = {str(row["id"]) for row in ROWS}
FEED = """<rss version="2.0"><channel><title>t</title><item><guid>n-1</guid><title>one</title></item></channel></rss>"""
OTHERS = """
[sources.rows]
type = "csv"
path = "*.csv"
batch_rows = 2
mark_gone = false
[sources.rows.mapping]
key = "id"
value = "price"

[sources.news]
type = "feed"
urls = ["one.xml", "two.xml"]
"""


def execute(url: str, statement: str, *values: Any) -> None:
    """One statement with the raw driver; `?` and `$1` are the drivers' own."""
    if url.startswith("sqlite"):
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute(statement.replace("$1", "?").replace("$2", "?").replace("$3", "?"), values)
        return

    async def run() -> None:
        connection = await asyncpg.connect(url)
        try:
            await connection.execute(statement, *values)
        finally:
            await connection.close()

    asyncio.run(run())


def damage(url: str, source: str, partition: str, cursor: Any) -> None:
    """Put a text into a checkpoint, past the program."""
    text = cursor if isinstance(cursor, str) else json.dumps(cursor)
    statement = "UPDATE checkpoints SET cursor = $1 WHERE source = $2 AND partition = $3"
    execute(url, statement, text, source, partition)


def stored(url: str, source: str, partition: str = "") -> dict[str, Any]:
    """The cursor of a partition, by the raw driver."""
    where = f"source = '{source}' AND partition = '{partition}'"
    return json.loads(query(url, f"SELECT cursor FROM checkpoints WHERE {where}")[0][0])


@pytest.fixture
def upstream() -> Iterator[Walked]:
    """A list of four pages, whose third page is down."""
    with walking(Walked(ROWS)) as walked:
        walked.hook = lambda kind, index: 404 if index == 2 * SIZE else None
        yield walked


@pytest.fixture
def folder_of(folder: Path, database_url: str, upstream: Walked, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All kinds of source over a fresh database."""
    monkeypatch.setenv("DATABASE_URL", database_url)
    text = "".join(upstream.config(kind) for kind in PAGING)
    (folder / "kasparro.toml").write_text(text + OTHERS)
    for name in ("a", "b"):
        (folder / f"{name}.csv").write_text("id,price\n" + "".join(f"{name}-{n},{n}\n" for n in range(6)))
    for name in ("one", "two"):
        (folder / f"{name}.xml").write_text(FEED.replace("n-1", name))
    return folder


@pytest.mark.usefixtures("folder_of")
def test_a_damaged_walk_of_every_kind_is_refused_and_reset(kasparro: Any, database_url: str, upstream: Walked) -> None:
    """A walk broken off after two pages whose place was edited: not one request, exit 1, a sentence with source,
    partition, position and way out; the sources beside it go on; after the reset all is there once."""
    assert kasparro("run").code == 1  # the third page of each walk is down
    places = {
        "page": {"at": -1},
        "offset": {"at": "6"},
        "cursor": {"token": 6},
        "next_link": {"url": "ftp://elsewhere/"},
        "link_header": {"at": 2},
    }
    for kind, place in places.items():
        cursor = stored(database_url, kind)
        assert cursor["walk"]["pages"] == 2
        cursor["walk"]["at"] = place
        damage(database_url, kind, "", cursor)
    upstream.forget()
    upstream.hook = lambda kind, index: None
    said = kasparro("run", "--json")
    assert said.code == 1
    assert upstream.asked == []
    outcome = {each["source"]: each for each in json.loads(said.out)}
    for kind in places:
        assert (outcome[kind]["status"], outcome[kind]["error_code"]) == ("failed", "checkpoint")
        error = outcome[kind]["error"]
        assert f"source '{kind}', partition ''" in error
        assert "`walk.at` is no place of this paging" in error
        assert '"pages": 2' in error
        assert f"`kasparro state reset {kind}`" in error
    assert {outcome[name]["status"] for name in ("rows", "news")} == {"unchanged"}
    for kind in places:
        assert kasparro("state", "reset", kind).code == 0
    assert kasparro("run").code == 0
    for kind in places:
        assert faults(database_url, kind, KEYS) == []


@pytest.mark.usefixtures("folder_of")
@pytest.mark.parametrize("text", ["not JSON", "[1]", '{"page": 7}', '{"$slice": 1}'])
def test_a_text_that_is_no_position_fails_its_partition_alone(
    kasparro: Any, database_url: str, upstream: Walked, text: str
) -> None:
    """For every kind of source: the damaged partition fails with its name, the others are read, no verb that shows
    positions breaks, and a reset mends it."""
    upstream.hook = lambda kind, index: None
    assert kasparro("run").code == 0
    damaged = {**dict.fromkeys(PAGING, ""), "rows": "a.csv", "news": "two.xml"}
    for source, partition in damaged.items():
        damage(database_url, source, partition, text)
    upstream.forget()
    for name in ("a", "b"):
        with Path(f"{name}.csv").open("a") as file:
            file.write(f"{name}-new,1\n")
    said = kasparro("run", "--json")
    outcome = {each["source"]: each for each in json.loads(said.out)}
    assert said.code == 1
    assert upstream.asked == []
    for source, partition in damaged.items():
        status = "degraded" if partition else "failed"
        assert (outcome[source]["status"], outcome[source]["error_code"] or "checkpoint") == (status, "checkpoint")
        assert f"source '{source}', partition '{partition}'" in outcome[source]["error"], outcome[source]
        assert f"state reset {source}" in outcome[source]["error"]
    assert outcome["rows"]["inserted"] == 1  # of b.csv
    shown = json.loads(kasparro("state", "show", "--json").out)
    assert len(shown) == len(PAGING) + 4
    assert kasparro("prune").code == kasparro("sources").code == 0
    for source, partition in damaged.items():
        part = ["--partition", partition] if partition else []
        assert kasparro("state", "reset", source, *part).code == 0
    assert kasparro("run").code == 0
    for kind in PAGING:
        assert faults(database_url, kind, KEYS) == []
    assert faults(database_url, "rows", {f"{name}-{n}" for name in "ab" for n in [*range(6), "new"]}) == []


@pytest.mark.usefixtures("folder_of")
def test_a_full_run_needs_no_reset(kasparro: Any, database_url: str, upstream: Walked) -> None:
    """`run --full` asks for everything without looking at the position, and leaves a good one."""
    upstream.hook = lambda kind, index: None
    assert kasparro("run", "page", "rows").code == 0
    damage(database_url, "page", "", "not JSON")
    damage(database_url, "rows", "a.csv", {"v": 7})
    assert kasparro("run", "page", "rows", "--full").code == 0
    assert kasparro("run", "page", "rows").code == 0
    assert faults(database_url, "page", KEYS) == []


def test_another_type_of_source_under_the_same_name(
    kasparro: Any, folder_of: Path, database_url: str, upstream: Walked
) -> None:
    """A source that became one of another type does not start from a position of the old one."""
    upstream.hook = lambda kind, index: None
    assert kasparro("run", "page").code == 0
    (folder_of / "kasparro.toml").write_text(OTHERS.replace("sources.rows", "sources.page"))
    said = kasparro("run", "page", "--json")
    (outcome,) = json.loads(said.out)
    # a glob has partitions of its own: those that were never read begin, and the whole is never asked for
    assert (said.code, outcome["inserted"]) == (0, 12)
    (folder_of / "kasparro.toml").write_text(OTHERS.replace("sources.rows", "sources.page").replace("*.csv", "a.csv"))
    said = kasparro("run", "page", "--json")
    (outcome,) = json.loads(said.out)
    assert (said.code, outcome["error_code"], outcome["fetched"]) == (1, "checkpoint", 0)
    assert "`next` is not known" in outcome["error"] or "is missing" in outcome["error"]
    assert kasparro("state", "reset", "page", "--yes").code == 0
    assert kasparro("run", "page").code == 0


@pytest.mark.parametrize(("before", "after"), [("page", "offset"), ("offset", "page"), ("cursor", "next_link")])
def test_a_walk_of_another_paging_begins_anew(
    kasparro: Any, folder_of: Path, database_url: str, upstream: Walked, before: str, after: str
) -> None:
    """Broken off as one kind, configured as another: page 3 is not taken for offset 3; all is read from the start."""
    assert kasparro("run", before).code == 1
    upstream.forget()
    upstream.hook = lambda kind, index: None
    changed = upstream.config(after).replace(f"sources.{after}", f"sources.{before}")
    (folder_of / "kasparro.toml").write_text(changed)
    assert kasparro("run", before).code == 0
    assert upstream.asked[0] == (after, 0)
    assert faults(database_url, before, KEYS) == []
