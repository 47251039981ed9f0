"""`kasparro preview`."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

CONFIG = """
[sources.prices]
type = "csv"
path = "prices.csv"
kind = "candle"
[sources.prices.mapping]
key = "symbol"
value = { field = "close", required = true }
attributes = { volume = { field = "volume", type = "decimal" } }
"""
ROWS = "symbol,close,volume\nBTC,0.10000000000000000001,x\nETH,n/a,2\nSOL,7e-06,3\nragged\n"


def lines(text: str) -> list[dict[str, Any]]:
    """Every line of standard output as JSON, with exact numbers."""
    return [json.loads(line, parse_float=Decimal) for line in text.splitlines()]


def test_json_lines_are_pure(kasparro: Any, folder: Path) -> None:
    """With --json each line is a record or a rejection in file order, exact to the last digit, and nothing else."""
    (folder / "kasparro.toml").write_text(CONFIG, encoding="utf-8")
    (folder / "prices.csv").write_text(ROWS, encoding="utf-8")
    result = kasparro("preview", "prices", "--json")
    assert result.code == 0
    shown = lines(result.out)
    assert [line.get("key") for line in shown] == ["BTC", None, "SOL", None]
    assert [shown[0]["value"], shown[2]["value"]] == [Decimal("0.10000000000000000001"), Decimal("0.000007")]
    assert [line["rejection"]["stage"] for line in (shown[1], shown[3])] == ["normalize", "decode"]
    assert "volume" in result.err
    assert not (folder / "kasparro.db").exists()


def test_raw_items_are_shown_as_they_were_read(kasparro: Any, folder: Path) -> None:
    """The raw stage shows the source's own names and texts."""
    (folder / "prices.csv").write_text("symbol,close\nBTC,1.50\n", encoding="utf-8")
    assert lines(kasparro("preview", "prices.csv", "--stage", "raw", "--json").out) == [
        {"symbol": "BTC", "close": "1.50"}
    ]


def test_a_file_needs_no_configuration(kasparro: Any, folder: Path) -> None:
    """A CSV file becomes items with every column as text, also beside a broken kasparro.toml."""
    (folder / "kasparro.toml").write_text("not toml", encoding="utf-8")
    (folder / "x.csv.gz").write_bytes(gzip.compress(b"a;b\n1;2,5\n"))
    (line,) = lines(kasparro("preview", "x.csv.gz", "--json").out)
    assert (line["kind"], line["source"], line["attributes"]) == ("item", "x", {"a": "1", "b": "2,5"})


def test_json_and_feed_files(kasparro: Any, folder: Path) -> None:
    """A JSON array gives its objects with exact numbers, a feed its articles."""
    (folder / "a.json").write_text('[{"n": 12345678901234567890.5}, 3]', encoding="utf-8")
    record, refused = lines(kasparro("preview", "a.json", "--json").out)
    assert record["attributes"] == {"n": Decimal("12345678901234567890.5")}
    assert refused["rejection"]["code"] == "not_an_object"
    (folder / "b.json.gz").write_bytes(gzip.compress(b'{"a": 1}'))
    assert lines(kasparro("preview", "b.json.gz", "--json").out)[0]["attributes"] == {"a": 1}
    item = "<item><guid>g</guid><title>T</title></item>"
    (folder / "f").write_text(f'<rss version="2.0"><channel>{item}</channel></rss>', encoding="utf-8")
    (article,) = lines(kasparro("preview", "f", "--json").out)
    assert (article["kind"], article["key"], article["title"]) == ("article", "g", "T")


def test_the_limit(kasparro: Any, folder: Path) -> None:
    """All items with --json, twenty in a table, and --limit for both."""
    (folder / "x.csv").write_text("a\n" + "".join(f"v{n}\n" for n in range(30)), encoding="utf-8")
    assert len(lines(kasparro("preview", "x.csv", "--json").out)) == 30
    assert len(lines(kasparro("preview", "x.csv", "--json", "--limit", "7").out)) == 7
    assert len(kasparro("preview", "x.csv").out.splitlines()) == 21
    assert "20 items: 20 records" in kasparro("preview", "x.csv").err


def test_what_cannot_be_read_is_one_sentence(kasparro: Any, folder: Path) -> None:
    """A missing file, a folder, a file that is no feed: exit code 1, one line, no traceback."""
    (folder / "page.xml").write_text("<html><body>Sorry</body></html>", encoding="utf-8")
    (folder / "empty.json").write_text("", encoding="utf-8")
    (folder / "torn.json.gz").write_bytes(gzip.compress(b"[]" * 50)[:20])
    for target in ("missing.csv", str(folder), "page.xml", "empty.json", "torn.json.gz"):
        result = kasparro("preview", target, "--json")
        assert (result.code, result.out) == (1, ""), target
        assert result.err.startswith("error: ")
        assert "Traceback" not in result.err


def test_an_unknown_name_is_taken_for_a_source(kasparro: Any, folder: Path) -> None:
    """A word that is no file is a source's name: a near one is offered, exit code 2."""
    (folder / "kasparro.toml").write_text(CONFIG, encoding="utf-8")
    result = kasparro("preview", "prics")
    assert result.code == 2
    assert 'did you mean "prices"?' in result.err


def test_wrong_words_are_usage_errors(kasparro: Any, folder: Path) -> None:
    """An unknown type or stage is told with the known ones."""
    assert kasparro("preview", "x.csv", "--type", "cvs").code == 2
    result = kasparro("preview", "x.csv", "--stage", "records")
    assert result.code == 2
    assert "raw, record" in result.err
