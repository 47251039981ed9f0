"""`kasparro run` and what is read afterwards."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

GOOD = """
[sources.good]
type = "csv"
path = "good.csv"
kind = "candle"
[sources.good.mapping]
key = ["symbol", "date"]
symbol = "symbol"
value = { field = "close", required = true }
"""
BAD = """
[sources.bad]
type = "csv"
path = "missing.csv"
"""


def write(folder: Path, config: str, rows: str = "BTC,2024-01-01,1.5\nETH,2024-01-01,0\n") -> None:
    (folder / "kasparro.toml").write_text(config, encoding="utf-8")
    (folder / "good.csv").write_text("symbol,date,close\n" + rows, encoding="utf-8")


def many(bad: int, good: int) -> str:
    """Rows of which so many have no price."""
    rows = [f"S{number},2024-01-01,{'n/a' if number < bad else '1'}" for number in range(bad + good)]
    return "\n".join(rows) + "\n"


def test_a_failing_source_leaves_the_others_alone(kasparro: Any, folder: Path) -> None:
    """One source is missing: it is named with its error, the other one is loaded, exit code 1."""
    write(folder, GOOD + BAD)
    result = kasparro("run")
    assert result.code == 1
    assert "bad: " in result.err
    assert "missing.csv" in result.err
    assert len(kasparro("export").out.splitlines()) == 2


def test_the_second_run_is_unchanged(kasparro: Any, folder: Path) -> None:
    """Run again over the same file, nothing is written."""
    write(folder, GOOD)
    assert kasparro("run").code == 0
    (run,) = json.loads(kasparro("run", "--json").out)
    assert (run["status"], run["inserted"], run["updated"]) == ("unchanged", 0, 0)


def test_full_reads_everything_again(kasparro: Any, folder: Path) -> None:
    """With --full the positions are ignored: every row is fetched, and found unchanged."""
    write(folder, GOOD)
    kasparro("run")
    (run,) = json.loads(kasparro("run", "good", "--full", "--json").out)
    assert (run["status"], run["fetched"], run["unchanged"]) == ("unchanged", 2, 2)


def test_a_degraded_run_has_its_own_exit_code(kasparro: Any, folder: Path) -> None:
    """More than max_rejected of at least 20 items refused: the run is degraded, exit code 3."""
    write(folder, GOOD, many(bad=3, good=20))
    result = kasparro("run", "--json")
    assert result.code == 3
    assert json.loads(result.out)[0]["status"] == "degraded"


def test_failed_goes_before_degraded(kasparro: Any, folder: Path) -> None:
    """With one source degraded and one failed the exit code is that of the failure."""
    write(folder, GOOD + BAD, many(bad=3, good=20))
    assert kasparro("run").code == 1


def test_an_unknown_source_is_a_usage_error(kasparro: Any, folder: Path) -> None:
    """A mistyped name is told with a near one, nothing is run, exit code 2."""
    write(folder, GOOD)
    result = kasparro("run", "goood")
    assert (result.code, result.out) == (2, "")
    assert 'did you mean "good"?' in result.err
    assert not (folder / "kasparro.db").exists()


def test_switched_off_sources_run_when_they_are_named(kasparro: Any, folder: Path) -> None:
    """enabled = false keeps a source out of a cycle over all, not from being asked for."""
    write(folder, GOOD.replace('type = "csv"', 'type = "csv"\nenabled = false'))
    assert kasparro("run").code == 2
    assert kasparro("run", "good").code == 0


def test_json_on_standard_output_is_nothing_but_json(kasparro: Any, folder: Path) -> None:
    """Progress and advice go to standard error; standard output is one array, also when a source failed."""
    write(folder, GOOD + BAD, many(bad=1, good=30))
    views = json.loads(kasparro("run", "--json").out)
    assert [view["source"] for view in views] == ["good", "bad"]
    assert views[1]["error_code"]


def test_the_read_side_tells_what_happened(kasparro: Any, folder: Path) -> None:
    """sources, runs, rejections and state show what a run did, as tables and as JSON."""
    write(folder, GOOD, many(bad=1, good=30))
    kasparro("run")
    (source,) = json.loads(kasparro("sources", "--json").out)
    assert (source["records"], source["last_status"], source["kind"]) == (30, "succeeded", "candle")
    (run,) = json.loads(kasparro("runs", "--json", "--source", "good", "--status", "succeeded").out)
    assert run["fetched"] == run["inserted"] + run["rejected"] == 31
    (rejection,) = json.loads(kasparro("rejections", "list", "--json").out)
    shown = json.loads(kasparro("rejections", "show", str(rejection["rejection_id"]), "--json").out)
    assert shown == rejection
    assert rejection["path"] == "close"
    (state,) = json.loads(kasparro("state", "show", "good", "--json").out)
    assert (state["source"], state["run_id"]) == ("good", run["run_id"])
    for verb in (["sources"], ["runs"], ["rejections", "list"], ["rejections", "show", "1"], ["state", "show"]):
        assert "good" in kasparro(*verb).out


def test_rejections_are_listed_newest_first_up_to_the_limit(kasparro: Any, folder: Path) -> None:
    """With --limit 1 of two rejections the newer one is listed, and the older one comes with a larger limit."""
    write(folder, GOOD, many(bad=2, good=60))
    assert kasparro("run").code == 0
    listed = [json.loads(kasparro("rejections", "list", "--json", "--limit", n).out) for n in ("1", "2")]
    assert [[view["rejection_id"] for view in views] for views in listed] == [[2], [2, 1]]


def test_a_rejection_that_is_not_there(kasparro: Any, folder: Path) -> None:
    """Asking for an unknown rejection is a failure with a sentence."""
    write(folder, GOOD)
    result = kasparro("rejections", "show", "99")
    assert (result.code, result.err) == (1, "error: there is no rejection 99\n")


def test_replay_needs_no_source(kasparro: Any, folder: Path) -> None:
    """With the file gone, a changed mapping is applied to the stored bytes; a dry run writes nothing."""
    write(folder, GOOD)
    kasparro("run")
    (folder / "good.csv").unlink()
    config = folder / "kasparro.toml"
    config.write_text(GOOD + 'title = "symbol"\n', encoding="utf-8")
    (dry,) = json.loads(kasparro("replay", "good", "--dry-run", "--json").out)
    assert dry["updated"] == 2
    assert {json.loads(line)["title"] for line in kasparro("export").out.splitlines()} == {None}
    assert kasparro("replay", "good").code == 0
    assert {json.loads(line)["title"] for line in kasparro("export").out.splitlines()} == {"BTC", "ETH"}


def test_migrate_says_what_it_did(kasparro: Any, folder: Path) -> None:
    """The first call makes the tables, the second finds nothing to do."""
    write(folder, GOOD)
    first = json.loads(kasparro("migrate", "--json").out)
    assert (first["before"], bool(first["after"])) == (None, True)
    assert "nothing to do" in kasparro("migrate").out


def test_check_reaches_the_sources_and_stores_nothing(kasparro: Any, folder: Path) -> None:
    """A readable source is told with what was seen, a missing one fails the check, no database is made."""
    write(folder, GOOD + BAD)
    result = kasparro("check", "--json")
    assert result.code == 1
    good, bad = json.loads(result.out)
    assert (good["ok"], good["seen"]) == (True, "2 records of kind candle, 0 rejected")
    assert (bad["ok"], "missing.csv" in bad["error"]) == (False, True)
    assert kasparro("check", "good").code == 0
    assert not (folder / "kasparro.db").exists()


def test_the_doctor_finds_a_healthy_house(kasparro: Any, folder: Path) -> None:
    """After a run everything is in order; a broken configuration is a finding and exit code 1."""
    write(folder, GOOD)
    kasparro("run")
    result = kasparro("doctor", "--json")
    assert result.code == 0, result.out
    assert {"python", "sqlite", "configuration", "disk", "database", "runs"} <= {
        finding["check"] for finding in json.loads(result.out)
    }
    (folder / "kasparro.toml").write_text("[databse]\n", encoding="utf-8")
    ill = kasparro("doctor")
    assert ill.code == 1
    assert "databse" in kasparro("doctor", "--json").out


def test_the_doctor_knows_a_newer_database(kasparro: Any, folder: Path) -> None:
    """A database of a later version is told, by the doctor and by a run, and nothing is written to it."""
    import sqlite3
    from contextlib import closing

    write(folder, GOOD)
    kasparro("run")
    with closing(sqlite3.connect(folder / "kasparro.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
        database.commit()
    assert kasparro("doctor").code == 1
    result = kasparro("run")
    assert result.code == 1
    assert "9999" in result.err
    assert "Traceback" not in result.err


def test_the_doctor_tells_all_it_found(kasparro: Any, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A database whose directory is missing is a fault, with its whole path; one that is still to come is none."""
    write(folder, GOOD)
    assert kasparro("doctor").code == 0
    assert not (folder / "kasparro.db").exists()
    missing = folder / ("deep/" * 20) / "x.db"
    monkeypatch.setenv("DATABASE_URL", f"sqlite:///{missing}")
    result = kasparro("doctor")
    assert result.code == 1
    assert f"FAULT  database        there is no directory {missing.parent}\n" in result.out
