"""Cursors of CSV partitions: exactly understood, or refused by name."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from cursors import OBJECTS, edited
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scripted import SteppingClock

from kasparro_adapters.files import CsvSource
from kasparro_adapters.files.config import CsvSourceConfig
from kasparro_adapters.files.position import Position
from kasparro_core.errors import CheckpointError, SourceError
from kasparro_core.ports import ReadContext

TEXT = "id,price\n" + "".join(f"row-{n},{n}.5\n" for n in range(60))


def source_of(root: Path, path: str = "rows.csv", **given: Any) -> CsvSource:
    config = CsvSourceConfig.model_validate({"type": "csv", "path": path, "batch_rows": 20, **given})
    return CsvSource("rows", config, root, SteppingClock())


def read(
    source: CsvSource, cursor: dict[str, Any] | None, partition: str = ""
) -> tuple[list[str], list[dict[str, Any]]]:
    """The ids from a cursor on, and the cursors after each batch."""

    async def all_of_it() -> tuple[list[str], list[dict[str, Any]]]:
        ids, cursors = [], []
        async for batch in source.read(partition, ReadContext(SteppingClock().now(), cursor)):
            ids += [item.data["id"] for item in batch.items]
            cursors.append(json.loads(json.dumps(batch.cursor)))
        return ids, cursors

    return asyncio.run(all_of_it())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("csv")
    (root / "rows.csv").write_text(TEXT)
    (root / "odd.csv").write_bytes(b"id,pr\xffce\na,1\n")
    return root


@pytest.mark.parametrize("path", ["rows.csv", "odd.csv"])
def test_what_a_read_leaves_is_understood(folder: Path, path: str) -> None:
    """Each cursor of a read comes back as it was, also with a column name that is no text in its encoding."""
    _, cursors = read(source_of(folder, path), None)
    for cursor in cursors:
        assert Position.parse(cursor, "rows", "").cursor() == cursor


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_object_is_understood_or_refused(folder: Path, data: st.DataObject) -> None:
    """From any JSON object a read goes on where that says, starts anew, or says CheckpointError: rows are never skipped
    by a position whose hashes are not those of the file."""
    ids, cursors = read(source_of(folder), None)
    cursor = data.draw(OBJECTS | edited(cursors))
    try:
        found, _ = read(source_of(folder), cursor or None)
    except CheckpointError as error:
        assert "source 'rows', partition ''" in error.message
        assert "state reset rows" in str(error.hint)
        return
    assert found == ids[len(ids) - len(found) :]


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("v", 2),
        ("v", True),
        ("offset", -1),
        ("offset", "9"),
        ("line", 0),
        ("done", 1),
        ("tail", "eaten"),
        ("file.size", -5),
        ("file.head", [3]),
        ("file.seen", "ab"),
        ("file.seen", [-4, "0" * 32]),
        ("layout.encoding", "klingon"),
        ("layout.encoding", "base64"),
        ("layout.delimiter", ""),
        ("layout.quote", 7),
        ("layout.header", "id"),
        ("layout.first_line", 3),
    ],
)
def test_a_member_that_cannot_be_is_refused(folder: Path, member: str, value: Any) -> None:
    """Each member is what it has to be; the error names the source, the partition, and what is wrong."""
    _, cursors = read(source_of(folder), None)
    *holders, key = member.split(".")
    holder = cursor = cursors[1]
    for name in holders:
        holder = holder[name]
    holder[key] = value
    with pytest.raises(CheckpointError, match=rf"source 'rows', partition 'p'.*({key}|layout)") as caught:
        Position.parse(cursor, "rows", "p")
    assert isinstance(caught.value, SourceError)


def test_an_offset_beyond_an_unchanged_file_is_refused(folder: Path) -> None:
    """The file is as it was, so no read of it ever came that far: the position is wrong, and says so."""
    _, cursors = read(source_of(folder), None)
    cursor = cursors[-1]
    size = cursor["file"]["size"]
    cursor["offset"] = size + 10
    cursor["file"]["seen"][0] = size + 10
    with pytest.raises(CheckpointError, match=rf"`offset` is beyond the end of rows.csv, which has {size} bytes"):
        read(source_of(folder), cursor)


def test_an_offset_beyond_a_file_that_shrank_starts_anew(tmp_path: Path) -> None:
    """A file that was replaced by a shorter one is another file: it is read from its start."""
    (tmp_path / "rows.csv").write_text(TEXT)
    _, cursors = read(source_of(tmp_path), None)
    (tmp_path / "rows.csv").write_text("id,price\nnew,1\n")
    assert read(source_of(tmp_path), cursors[-1])[0] == ["new"]


def test_a_wrong_hash_in_front_of_the_position_starts_anew(folder: Path) -> None:
    """A position whose hash was changed goes back to the start of the file instead of on from a wrong place."""
    ids, cursors = read(source_of(folder), None)
    cursor = cursors[0]
    cursor["file"]["seen"][1] = "0" * 32
    assert read(source_of(folder), cursor)[0] == ids


def test_partitions_are_files_of_a_glob_or_the_whole(folder: Path) -> None:
    """A position of a file cannot be brought into a source of one file, nor one of the whole into a glob."""
    _, (cursor, *_) = read(source_of(folder), None)
    source_of(folder).check_position("", cursor)
    source_of(folder, "*.csv").check_position("rows.csv", cursor)
    for path, partition in (("rows.csv", "rows.csv"), ("*.csv", "")):
        with pytest.raises(CheckpointError, match=f"partition '{partition}'"):
            source_of(folder, path).check_position(partition, cursor)
