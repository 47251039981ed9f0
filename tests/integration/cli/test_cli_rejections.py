"""`kasparro rejections` and `replay --rejections`: looked at, tried again, dropped and exported by hand."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

BROKEN = """symbol,date,price,close
BTC,2026-01-01,1.50,1.50
ETH,2026-01-01,about 2,2.25
ADA,2026-01-01,=3,3.75
,2026-01-01,4,4.00
"""

CONFIG = """
[sources.prices]
type = "csv"
path = "prices.csv"
kind = "candle"
max_rejected = 1.0
fail_rejected = 1.0
[sources.prices.mapping]
key = ["symbol", "date"]
external_id = "symbol"
occurred_at = { field = "date", format = "%Y-%m-%d" }
value = "price"
required = ["value"]
attributes = {}
"""


@pytest.fixture
def loaded(kasparro: Any, folder: Path) -> Any:
    """The command line beside a database into which a file with three refused rows was loaded."""
    (folder / "kasparro.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "prices.csv").write_text(BROKEN, encoding="utf-8")
    assert kasparro("run").code == 0
    return kasparro


def mend(folder: Path) -> None:
    """Let the mapping read the sound column, and take the file away: nothing can be read from it any more."""
    (folder / "kasparro.toml").write_text(CONFIG.replace('value = "price"', 'value = "close"'), encoding="utf-8")
    (folder / "prices.csv").unlink()


def listed(kasparro: Any, *options: str) -> list[dict[str, Any]]:
    """What `rejections list` says."""
    found: list[dict[str, Any]] = json.loads(kasparro("rejections", "list", "--json", *options).out)
    return found


def test_listing_page_by_page(loaded: Any) -> None:
    """`--before` goes on behind a page, with filters; each rejection shows when it was seen last."""
    views = listed(loaded)
    first = listed(loaded, "--limit", "2")
    assert first + listed(loaded, "--before", str(first[-1]["rejection_id"])) == views
    assert [view["code"] for view in listed(loaded, "--code", "key_missing", "--stage", "normalize")] == ["key_missing"]
    assert all(view["last_seen_at"] == view["first_seen_at"] and view["closed_at"] is None for view in views)
    assert len(views) == 3


def test_retrying_after_the_mend(loaded: Any, folder: Path) -> None:
    """Retried by id the one item is loaded, by filter the others, without the file; what is refused still is told, by
    exit code 3 too, and stays open."""
    mend(folder)
    by_symbol = {json.loads(view["payload"])["symbol"]: view for view in listed(loaded)}
    one = loaded("rejections", "retry", str(by_symbol["ADA"]["rejection_id"]), "--json")
    (done,) = json.loads(one.out)
    assert (one.code, done["chosen"], done["resolved"], done["inserted"]) == (0, 1, 1, 1)
    assert done["run"]["trigger"] == "replay"
    rest = loaded("rejections", "retry", "--source", "prices")
    assert rest.code == 3
    assert rest.out.splitlines()[1].split() == ["prices", "2", "1", "1", "0", "0", "1", "0"]
    records = [json.loads(line) for line in loaded("export").out.splitlines()]
    assert {record["symbol"] or record["external_id"]: record["value"] for record in records} == {
        "BTC": 1.5,
        "ETH": 2.25,
        "ADA": 3.75,
    }
    assert [view["code"] for view in listed(loaded)] == ["key_missing"]
    assert "Nothing to retry" in loaded("rejections", "retry", "--code", "decimal_invalid").out


def test_replaying_the_rejections_alone(loaded: Any, folder: Path) -> None:
    """A dry run says what would come in and changes nothing; then it comes in, and the row without a key is left."""
    mend(folder)
    before = listed(loaded)
    (dry,) = json.loads(loaded("replay", "prices", "--rejections", "--dry-run", "--json").out)
    assert (dry["inserted"], dry["rejected"], listed(loaded)) == (2, 1, before)
    (run,) = json.loads(loaded("replay", "prices", "--rejections", "--json").out)
    assert (run["inserted"], run["unchanged"], run["rejected"]) == (2, 1, 1)
    assert [view["code"] for view in listed(loaded)] == ["key_missing"]
    (again,) = json.loads(loaded("replay", "prices", "--rejections", "--json").out)
    assert (again["fetched"], again["inserted"], again["updated"]) == (4, 0, 0)


def test_dropping(loaded: Any) -> None:
    """Drops by id and by filter without asking, and says how many; a second time there is nothing."""
    first, *others = listed(loaded)
    assert loaded("rejections", "drop", str(first["rejection_id"])).out == "Dropped 1 rejection.\n"
    assert loaded("rejections", "drop", "--source", "prices", "--json").out == '{"dropped":2}\n'
    assert loaded("rejections", "drop", "--all").out == "Dropped 0 rejections.\n"
    assert listed(loaded) == []
    dropped = listed(loaded, "--state", "dropped")
    assert [view["rejection_id"] for view in dropped] == [view["rejection_id"] for view in [first, *others]]
    assert all(view["closed_at"] is not None for view in dropped)


@pytest.mark.parametrize("verb", ["drop", "retry"])
def test_nothing_is_chosen_by_oversight(loaded: Any, verb: str) -> None:
    """Neither ids nor filters, or both, are a usage error; so are an unknown id and a stage that is none."""
    for arguments in ([], ["1", "--source", "prices"], ["9999"], ["--stage", "normalise"]):
        assert loaded("rejections", verb, *arguments).code == 2
    assert len(listed(loaded)) == 3


def test_exporting(loaded: Any, folder: Path) -> None:
    """All that match come out as NDJSON and CSV, to a file too, newest first; in CSV no cell is a formula."""
    lines = loaded("rejections", "export", "--source", "prices").out.splitlines()
    assert [json.loads(line) for line in lines] == listed(loaded)
    result = loaded("rejections", "export", "--format", "csv", "--output", "out.csv")
    assert (result.out, result.err) == ("", "Wrote 3 rejections to out.csv.\n")
    rows = list(csv.DictReader(io.StringIO((folder / "out.csv").read_text(encoding="utf-8"))))
    assert [row["code"] for row in rows] == [view["code"] for view in listed(loaded)]
    assert not [cell for row in rows for cell in row.values() if re.match(r"[=+@-]", cell)]
    assert loaded("rejections", "export", "--state", "resolved").out == ""
    assert loaded("rejections", "export", "--format", "xml").code == 2


@pytest.mark.parametrize("verb", ["list", "retry", "drop", "export"])
def test_a_source_that_nobody_knows_is_refused(loaded: Any, folder: Path, verb: str) -> None:
    """Neither in the file nor in the database: exit code 2 with a near name; one that only the database knows is
    taken."""
    result = loaded("rejections", verb, "--source", "price")
    assert (result.code, result.out) == (2, "")
    assert "Unknown source 'price'" in result.err
    (folder / "kasparro.toml").write_text(CONFIG.replace("sources.prices", "sources.others"), encoding="utf-8")
    if verb != "retry":  # which needs the source's mapping
        assert loaded("rejections", verb, "--source", "prices").code == 0


def test_an_export_leaves_the_file_of_before_where_there_is_no_database(loaded: Any, folder: Path) -> None:
    """The database cannot be reached: the file that an export would have replaced is as it was."""
    (folder / "kasparro.toml").write_text('[database]\nurl = "sqlite:///none/such/k.db"\n' + CONFIG, encoding="utf-8")
    (folder / "refused.csv").write_text("of yesterday", encoding="utf-8")
    result = loaded("rejections", "export", "--output", "refused.csv")
    assert result.code != 0
    assert (folder / "refused.csv").read_text(encoding="utf-8") == "of yesterday"


def test_what_waits_for_its_shape_is_told(kasparro: Any, folder: Path) -> None:
    """`retry` and `replay --rejections` leave items of an unaccepted shape refused, and name `schema accept`."""
    config = CONFIG.replace('kind = "candle"', 'kind = "candle"\ndrift = "discard_row"')
    (folder / "kasparro.toml").write_text(config, encoding="utf-8")
    plain = [f"C{n},2026-01-01,1,1" for n in range(40)]
    for header, tail in (("symbol,date,price,close", ""), ("symbol,date,price,close,colour", ",red")):
        lines = [header, *(f"{line}{tail}" for line in plain)]
        (folder / "prices.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
        kasparro("run", "--full")
    retried = kasparro("rejections", "retry", "--all")
    replayed = kasparro("replay", "prices", "--rejections")
    assert retried.code == 3
    for result in (retried, replayed):
        assert "prices: 40 of them stay open" in result.err
        assert "`kasparro schema accept prices` accepts it" in result.err
