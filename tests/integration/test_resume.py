"""A run that is broken off in the middle is carried on: two positions, nothing lost where rows share the boundary."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from children import Folder
from ledger import faults, query
from walked import PAGING, SIZE, Walked, walking

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes otherwise")
ROWS = [{"id": f"row-{n}", "price": n} for n in range(4 * SIZE + 1)]
CSV = """
[sources.rows]
type = "csv"
path = "rows.csv"
batch_rows = 25
[sources.rows.mapping]
key = "id"
value = "price"
"""
INCREMENTAL = 'incremental = { cursor = "at", param = "since", lookback = "1m" }'


@pytest.fixture
def upstream() -> Iterator[Walked]:
    """A list of four pages and a row."""
    with walking(Walked([*ROWS])) as walked:
        yield walked


def position(url: str, source: str, partition: str = "") -> dict[str, Any]:
    """The cursor of a partition, by the raw driver."""
    where = f"source = '{source}' AND partition = '{partition}'"
    return json.loads(query(url, f"SELECT cursor FROM checkpoints WHERE {where}")[0][0])


def statuses(url: str, source: str) -> list[tuple[str, bool]]:
    """How each run ended, and whether it resumed the one before."""
    found = query(url, f"SELECT run_id, status, resumes FROM runs WHERE source = '{source}' ORDER BY run_id")
    before = [None, *(run_id for run_id, _, _ in found)]
    return [
        (status, resumes is not None and resumes == old)
        for (_, status, resumes), old in zip(found, before, strict=False)
    ]


def test_walks_go_on_at_the_page_that_they_had_asked_for(database_url: str, tmp_path: Path, upstream: Walked) -> None:
    """Killed while it waits for the third page, by every kind of paging at once: the next run begins with that page
    and no committed page is asked for again."""
    folder = Folder(tmp_path, database_url, "".join(upstream.config(kind) for kind in PAGING))
    folder.killed_in(upstream, *((kind, 2 * SIZE) for kind in PAGING))
    for kind in PAGING:
        inside = position(database_url, kind)
        assert (inside["walk"]["pages"], inside["next"]) == (2, {})
    upstream.forget()
    outcome = folder.run()
    for kind in PAGING:
        assert [index for asked, index in upstream.asked if asked == kind] == [2 * SIZE, 3 * SIZE, 4 * SIZE]
        assert (outcome[kind]["fetched"], outcome[kind]["inserted"]) == (2 * SIZE + 1, 2 * SIZE + 1)
        assert "walk" not in position(database_url, kind)
        assert statuses(database_url, kind) == [("interrupted", False), ("succeeded", True)]
        assert faults(database_url, kind, {str(row["id"]) for row in ROWS}) == []


def test_the_high_water_moves_when_the_run_is_complete(database_url: str, tmp_path: Path, upstream: Walked) -> None:
    """Newest first, so that the highest value is on page one. Killed on page two, the mark stays; carried on, the walk
    asks from the old mark; complete, it moves. Rows that share the boundary's instant, and late ones inside the
    lookback, are found."""
    kinds = ["page", "offset", "cursor"]
    upstream.rows = [{"id": f"old-{n}", "price": n, "at": f"2026-01-01T00:{n:02}:00Z"} for n in range(5)]
    folder = Folder(tmp_path, database_url, "".join(upstream.config(kind, INCREMENTAL) for kind in kinds))
    folder.run()
    mark = {"mark": "2026-01-01T00:04:00Z", "of": "instant at"}
    assert [position(database_url, kind) for kind in kinds] == [{"next": mark}] * 3
    shared = {"id": "shared", "price": 1, "at": "2026-01-01T00:04:00Z"}
    late = {"id": "late", "price": 1, "at": "2026-01-01T00:03:10Z"}
    new = [{"id": f"new-{n}", "price": n, "at": f"2026-01-02T00:{59 - n:02}:00Z"} for n in range(2 * SIZE)]
    upstream.rows = [*new, shared, late, *upstream.rows]
    upstream.forget()
    folder.killed_in(upstream, *((kind, SIZE) for kind in kinds))
    for kind in kinds:
        inside = position(database_url, kind)
        assert inside["next"] == mark
        assert (inside["walk"]["asked"], inside["walk"]["high"]) == (mark["mark"], "2026-01-02T00:59:00Z")
    outcome = folder.run()
    assert set(upstream.since) == {"2026-01-01T00:03:00Z"}
    for kind in kinds:
        # old-3 and old-4 are asked for again, and are the same
        assert (outcome[kind]["inserted"], outcome[kind]["unchanged"]) == (SIZE + 2, 2)
        assert position(database_url, kind) == {"next": {**mark, "mark": "2026-01-02T00:59:00Z"}}
        assert faults(database_url, kind, {str(row["id"]) for row in upstream.rows}) == []


def test_what_changes_while_a_walk_lasts_is_asked_for_again(
    database_url: str, tmp_path: Path, upstream: Walked
) -> None:
    """A row that is changed on a page that was already read, and an item dated in the future: the mark is no later than
    the walk's start, so the next run finds the one and is not blinded by the other."""
    upstream.rows = [{"id": f"row-{n}", "price": n, "at": "2026-01-01T00:00:00Z"} for n in range(2 * SIZE)]
    upstream.rows[-1]["at"] = "2999-01-01T00:00:00Z"

    def hook(_: str, index: int) -> None:
        if index == SIZE:  # page one is read: its first row changes now
            upstream.rows[0] = {"id": "row-0", "price": 77, "at": "2998-01-01T00:00:00Z"}

    upstream.hook = hook
    folder = Folder(tmp_path, database_url, upstream.config("page", INCREMENTAL))
    folder.run()
    assert position(database_url, "page")["next"]["mark"] < "2990"
    upstream.hook = lambda kind, index: None
    assert folder.run()["page"]["updated"] == 1
    assert query(database_url, "SELECT count(*) FROM records WHERE key = 'row-0' AND CAST(value AS TEXT) = '77'") == [
        (1,)
    ]


def test_a_file_goes_on_at_its_byte(database_url: str, tmp_path: Path) -> None:
    """Killed in the middle of a file, which meanwhile grows: what is committed is not read again, equal lines at the
    border of two batches are all there, and the new lines too."""
    rows = 2_500
    lines = [f"row-{n},{n % 3}" for n in range(rows)]  # the values around each border are the same over and over
    path = tmp_path / "rows.csv"
    path.write_text("id,price\n" + "\n".join(lines) + "\n", encoding="utf-8")
    folder = Folder(tmp_path, database_url, CSV)
    committed = "SELECT version FROM checkpoints WHERE source = 'rows'"
    folder.killed_when(lambda: any(version >= 4 for (version,) in query(database_url, committed)))
    inside = position(database_url, "rows")
    assert 0 < inside["offset"] < path.stat().st_size
    assert inside["done"] is False
    before = query(database_url, "SELECT count(*) FROM records")[0][0]
    with path.open("a", encoding="utf-8") as file:
        file.write("grown,1\n")
    outcome = folder.run()["rows"]
    assert (outcome["inserted"], outcome["unchanged"]) == (rows + 1 - before, 0)
    assert position(database_url, "rows")["offset"] == path.stat().st_size
    assert faults(database_url, "rows", {"grown", *(f"row-{n}" for n in range(rows))}) == []


def test_feeds_go_on_with_the_one_that_was_broken_off(database_url: str, tmp_path: Path, upstream: Walked) -> None:
    """Of two feeds the second is cut off: the first is known by its content, the second is read; an entry that is
    published later with the very date of one that is there is found."""

    def feed(*names: str) -> bytes:
        date = "<pubDate>Thu, 01 Jan 2026 00:00:00 GMT</pubDate>"
        items = "".join(f"<item><guid>{name}</guid><title>{name}</title>{date}</item>" for name in names)
        return f'<rss version="2.0"><channel><title>t</title>{items}</channel></rss>'.encode()

    upstream.documents = {"one": feed("a"), "two": feed("b")}
    urls = json.dumps([f"{upstream.url}/one", f"{upstream.url}/two"])
    config = f'[sources.news]\ntype = "feed"\nurls = {urls}\nallow_private_hosts = true\n'
    folder = Folder(tmp_path, database_url, config)
    stored = "SELECT key FROM records"
    folder.killed_in(upstream, ("two", 0), once=lambda: query(database_url, stored) == [("a",)])
    outcome = folder.run()["news"]
    assert (outcome["fetched"], outcome["inserted"]) == (1, 1)
    upstream.documents["one"] = feed("a", "shared-date")
    assert folder.run()["news"]["inserted"] == 1
    assert faults(database_url, "news", {"a", "b", "shared-date"}) == []
