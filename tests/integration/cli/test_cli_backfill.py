"""`kasparro backfill` against a server that answers by window and logs what it was asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger import query
from past import Past, config_of, rows_of
from upstream import serving

SPAN = ("--from", "2024-01-01", "--to", "2024-01-06")


@pytest.fixture
def past() -> Iterator[Past]:
    """Five days of seven rows: two pages each."""
    with serving(Past(rows_of(days=5, each=7))) as upstream:
        assert isinstance(upstream, Past)
        yield upstream


@pytest.fixture
def configured(folder: Path, past: Past, sqlite_url: str) -> Past:
    """A folder with a source that reads it."""
    (folder / "kasparro.toml").write_text(config_of(past, sqlite_url), encoding="utf-8")
    return past


@pytest.fixture
def on_each(folder: Path, past: Past, database_url: str) -> Past:
    """The same, on each kind of database."""
    (folder / "kasparro.toml").write_text(config_of(past, database_url), encoding="utf-8")
    return past


def test_every_row_of_every_window_is_there_once(kasparro: Any, on_each: Past) -> None:
    """Five windows of a day, two pages each: 35 rows; asked again, the same command asks for nothing."""
    result = kasparro("backfill", "past", *SPAN, "--json")
    assert result.code == 0, result.err
    (done,) = json.loads(result.out)
    assert (done["windows"], done["complete"], done["inserted"], done["requests"]) == (5, 5, 35, 10)
    assert set(on_each.pages().values()) == {2}
    assert len(kasparro("export").out.splitlines()) == 35
    on_each.forget()
    (again,) = json.loads(kasparro("backfill", "past", *SPAN, "--json").out)
    assert (again["status"], again["before"], again["runs"]) == ("unchanged", 5, [])
    assert on_each.queries == []


def live_rows(url: str) -> list[tuple[Any, ...]]:
    """The checkpoint, the validators and the state of the live source, as they are stored."""
    tables = ("checkpoints", "http_validators", "partitions")
    return [row for table in tables for row in query(url, f"SELECT * FROM {table} WHERE partition = ''")]


def test_live_runs_and_backfills_do_not_see_each_other(kasparro: Any, on_each: Past, database_url: str) -> None:
    """The rows of the live position are byte by byte what they were, and the live run after it asks for no window."""
    assert kasparro("run").code == 0
    before = live_rows(database_url)
    assert before
    assert kasparro("backfill", "past", *SPAN, "--parallel", "3").code == 0
    assert live_rows(database_url) == before
    on_each.forget()
    (run,) = json.loads(kasparro("run", "--json").out)
    assert (on_each.windows, run["inserted"], run["updated"]) == ([], 0, 0)


def test_a_window_that_fails_is_asked_for_again(kasparro: Any, on_each: Past) -> None:
    """A 404 on one day: exit code 3, the sentence and the table say so; the next time that day alone is asked for."""
    on_each.fails = lambda start: 404 if start.startswith("2024-01-04") else None
    result = kasparro("backfill", "past", *SPAN, "--json")
    (done,) = json.loads(result.out)
    assert (result.code, done["status"], done["complete"], done["failed"], done["left"]) == (3, "degraded", 4, 1, 1)
    (failure,) = done["failures"]
    assert failure["partition"] == "backfill:2024-01-04T00:00:00Z/2024-01-05T00:00:00Z"
    assert failure["error_code"] == "http_404"
    assert "1 of 5 windows were not read to their end" in result.err
    (source,) = json.loads(kasparro("sources", "--json").out)
    assert [each["partition"] for each in source["failed_partitions"]] == [failure["partition"]]
    on_each.fails = lambda start: None
    on_each.forget()
    assert kasparro("backfill", "past", *SPAN).code == 0
    assert set(on_each.pages()) == {"2024-01-04T00:00:00Z"}
    assert len(kasparro("export").out.splitlines()) == 35


def test_where_nothing_comes_through_it_failed(kasparro: Any, configured: Past) -> None:
    """All windows are refused: ten are asked for, exit code 1, and it is said that the rest was not asked for."""
    configured.fails = lambda start: 401
    result = kasparro("backfill", "past", "--from", "2023-12-01", "--to", "2024-01-11")
    assert (result.code, len(configured.windows)) == (1, 10)
    assert "10 of 41 windows failed, the last ones in a row: the rest was not asked for" in result.err


def test_a_dry_run_lists_the_windows_and_asks_for_nothing(kasparro: Any, configured: Past) -> None:
    """Each with its state; three days, and a last one that is shorter."""
    listed = json.loads(kasparro("backfill", "past", *SPAN, "--chunk", "3d", "--dry-run", "--json").out)
    assert [(each["from"], each["to"], each["state"]) for each in listed] == [
        ("2024-01-01T00:00:00Z", "2024-01-04T00:00:00Z", "open"),
        ("2024-01-04T00:00:00Z", "2024-01-06T00:00:00Z", "open"),
    ]
    assert configured.queries == []
    kasparro("backfill", "past", *SPAN)
    listed = json.loads(kasparro("backfill", "past", *SPAN, "--dry-run", "--json").out)
    assert {each["state"] for each in listed} == {"complete"}


def test_full_and_a_reset_window_are_read_again(kasparro: Any, configured: Past) -> None:
    """`state reset --partition` forgets one window; `--full` leaves out none."""
    kasparro("backfill", "past", *SPAN)
    configured.forget()
    window = "backfill:2024-01-02T00:00:00Z/2024-01-03T00:00:00Z"
    assert kasparro("state", "reset", "past", "--partition", window).code == 0
    kasparro("backfill", "past", *SPAN)
    assert configured.pages() == {"2024-01-02T00:00:00Z": 2}
    configured.forget()
    (full,) = json.loads(kasparro("backfill", "past", *SPAN, "--full", "--json").out)
    assert (full["status"], full["unchanged"], len(configured.windows)) == ("unchanged", 35, 10)


def test_the_positions_of_windows_are_shown_in_one_line(kasparro: Any, configured: Past) -> None:
    """Five windows are one line of the table, each one with --windows, and all of them in JSON; they can be moved."""
    kasparro("run")
    kasparro("backfill", "past", *SPAN)
    lines = kasparro("state", "show").out.splitlines()
    assert len(lines) == 3
    assert "5 windows of backfills" in lines[2]
    assert len(kasparro("state", "show", "--windows").out.splitlines()) == 7
    assert len(json.loads(kasparro("state", "show", "--json").out)) == 6
    Path("positions.json").write_text(kasparro("state", "export").out, encoding="utf-8")
    assert kasparro("state", "reset", "past", "--yes").code == 0
    assert kasparro("state", "import", "positions.json").code == 0
    configured.forget()
    kasparro("backfill", "past", *SPAN)
    assert configured.queries == []


def test_a_live_failure_is_not_hidden_by_a_backfill(kasparro: Any, configured: Past) -> None:
    """The source's last run is the live one that failed, whatever a backfill did since."""
    configured.fails = lambda start: 401 if not start else None
    assert kasparro("run").code == 1
    assert kasparro("backfill", "past", *SPAN).code == 0
    (source,) = json.loads(kasparro("sources", "--json").out)
    assert (source["last_status"], source["records"]) == ("failed", 35)
    triggers = [run["trigger"] for run in json.loads(kasparro("runs", "--json").out)]
    assert triggers == ["backfill", "cli"]


def test_faults_on_purpose_reach_windows_too(kasparro: Any, folder: Path, past: Past, sqlite_url: str) -> None:
    """With [chaos] every source is wrapped; a backfill goes through it, and what was cut off is left open."""
    chaos = '\n[chaos]\nenabled = true\nseed = 1\nrate = 0.5\npoints = ["source.cut"]\n'
    (folder / "kasparro.toml").write_text(config_of(past, sqlite_url) + chaos, encoding="utf-8")
    (done,) = json.loads(kasparro("backfill", "past", *SPAN, "--json").out)
    assert {failure["error_code"] for failure in done["failures"]} == {"injected"}
    assert done["left"] == len(done["failures"]) > 0


def test_an_upstream_that_does_not_heed_the_bounds_is_noticed(kasparro: Any, folder: Path, configured: Past) -> None:
    """Asked by parameters that it does not know it gives its newest rows each time: that is said, and only then."""
    assert "heed" not in kasparro("backfill", "past", *SPAN).err
    file = folder / "kasparro.toml"
    file.write_text(file.read_text("utf-8").replace('start_param = "start"', 'start_param = "begin"'), encoding="utf-8")
    result = kasparro("backfill", "past", "--from", "2023-01-01", "--to", "2023-01-04", "--json")
    assert json.loads(result.out)[0]["heeded"] is False
    assert "note: no item of 3 of 3 windows has an `occurred_at` inside of its window" in result.err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--from", "2024-01-05", "--to", "2024-01-01"), "the end has to be later than the start"),
        (("--from", "2024-01-05", "--to", "2024-01-05"), "the end has to be later than the start"),
        (("--from", "2024-01-01", "--to", "2999-01-01"), "is not over yet"),
        (("--from", "2000-01-01", "--to", "2024-01-01", "--chunk", "30m"), "more than 100,000 windows"),
        ((*SPAN, "--chunk", "0d"), "expected a length"),
        ((*SPAN, "--chunk", "soon"), "expected a length"),
        ((*SPAN, "--parallel", "0"), "--parallel"),
        (("--from", "yesterday", "--to", "2024-01-01"), "expected a day"),
        (("--from", "0001-01-01T00:00:00+14:00", "--to", "2024-01-01"), "expected a day"),
        (("--from", "2024-01-01"), "--to"),
    ],
)
def test_what_cannot_be_asked_for_is_refused(
    kasparro: Any, folder: Path, past: Past, options: tuple[str, ...], said: str
) -> None:
    """One sentence, exit code 2, and neither a request nor a database."""
    (folder / "kasparro.toml").write_text(config_of(past, "sqlite:///kasparro.db"), encoding="utf-8")
    result = kasparro("backfill", "past", *options)
    assert (result.code, result.out) == (2, "")
    assert said in result.err
    assert past.queries == []
    assert not (folder / "kasparro.db").exists()


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ('type = "csv"\npath = "a.csv"', "`kasparro run s --full` reads all of them again"),
        ('type = "feed"\nurl = "https://example.com/feed"', "A feed shows its newest entries alone"),
        ('type = "http"\nurl = "https://example.com/items"', "backfill = { start_param"),
    ],
)
def test_a_source_without_windows_says_what_to_do_instead(kasparro: Any, folder: Path, source: str, said: str) -> None:
    """Files, feeds, and an API that does not say how: exit code 2 and the way that there is."""
    (folder / "kasparro.toml").write_text(f"[sources.s]\n{source}\n", encoding="utf-8")
    result = kasparro("backfill", "s", *SPAN)
    assert result.code == 2
    assert "source 's' cannot be asked for a past window" in result.err
    assert said in result.err


def test_undated_sources_are_refused_when_the_file_is_read(kasparro: Any, folder: Path) -> None:
    """The fault names the file, the source and what to say."""
    table = '[sources.s]\ntype = "http"\nurl = "https://example.com/a"\nbackfill = { param = "day", send = "date" }\n'
    (folder / "kasparro.toml").write_text(table, encoding="utf-8")
    result = kasparro("check")
    assert result.code == 2
    assert "sources.s" in result.err
    assert "needs `state`" in result.err
