"""`state show`, `reset`, `export` and `import` as they are typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ledger import faults, query
from upstream import Upstream, serving

CONFIGURATION = """
[sources.prices]
type = "csv"
path = "*.csv"
[sources.prices.mapping]
key = "id"
value = "price"

[sources.market]
type = "http"
url = "{url}"
headers = {{ "X-Api-Key" = "hidden-in-a-header" }}
params = {{ token = "hidden-in-the-query" }}
allow_private_hosts = true
paginate = {{ type = "page", param = "page", size_param = "per_page", size = 2 }}
[sources.market.mapping]
key = "id"
value = "price"
"""
ROWS = [{"id": f"coin-{n}", "price": n} for n in range(5)]


@pytest.fixture
def upstream() -> Any:
    """An API of five items on three pages."""
    with serving(Upstream(ROWS)) as server:
        yield server


@pytest.fixture
def ran(kasparro: Any, folder: Path, upstream: Upstream) -> Path:
    """A folder with two sources, each read once."""
    (folder / "kasparro.toml").write_text(CONFIGURATION.format(url=upstream.url))
    (folder / "a.csv").write_text("id,price\na,1\n")
    (folder / "b.csv").write_text("id,price\nb,2\n")
    assert kasparro("run").code == 0
    upstream.forget()
    return folder


def test_reset_reads_one_file_again(kasparro: Any, ran: Path) -> None:
    """It says what was forgotten and what the next run does; the other file is left, and no record is doubled."""
    said = kasparro("state", "reset", "prices", "--partition", "b.csv", "--json")
    assert said.code == 0
    (gone,) = json.loads(said.out)
    assert (gone["source"], gone["partition"], gone["version"], gone["run_id"]) == (
        "prices",
        "b.csv",
        1,
        gone["run_id"],
    )
    assert gone["cursor"]["offset"] == len("id,price\nb,2\n")
    assert "Forgot 1 position of prices. The next run of prices reads b.csv as a whole again" in said.err
    shown = {each["partition"]: each for each in json.loads(kasparro("state", "show", "prices", "--json").out)}
    assert (shown["b.csv"]["cursor"], shown["b.csv"]["version"], shown["b.csv"]["run_id"]) == ({}, 2, None)
    assert shown["a.csv"]["version"] == 1
    (outcome,) = json.loads(kasparro("run", "prices", "--json").out)
    assert (outcome["fetched"], outcome["unchanged"]) == (1, 1)
    assert kasparro("state", "reset", "prices", "--partition", "c.csv").err.startswith(
        "error: Source 'prices' has no position for partition 'c.csv'"
    )


def test_reset_says_when_there_is_nothing_to_forget(kasparro: Any, ran: Path) -> None:
    """A second reset is no error; an unknown source is one, with a near name, and a source that left the configuration
    can still be reset."""
    assert kasparro("state", "reset", "market").code == 0
    again = kasparro("state", "reset", "market")
    assert (again.code, again.out) == (0, "market has no position: there is nothing to forget.\n")
    unknown = kasparro("state", "reset", "markt")
    assert (unknown.code, 'did you mean "market"' in unknown.err) == (2, True)
    text = (ran / "kasparro.toml").read_text()
    (ran / "kasparro.toml").write_text(text.partition("[sources.market]")[0])
    gone = kasparro("state", "reset", "prices", "--yes")
    assert "Forgot 2 positions of prices" in gone.err
    assert kasparro("state", "show", "market").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are POSIX's")
@pytest.mark.parametrize(("answer", "code", "offset"), [("n\n", 1, True), ("y\n", 0, False)])
def test_reset_asks_on_a_terminal(ran: Path, answer: str, code: int, offset: bool, kasparro: Any) -> None:
    """A person is asked first, and nothing happens unless the answer is yes."""
    import pty

    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "kasparro_app", "state", "reset", "prices"]
    child = subprocess.Popen(command, cwd=ran, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE)
    os.close(theirs)
    os.write(ours, answer.encode())
    _, error = child.communicate(timeout=60)
    os.close(ours)
    assert child.returncode == code, error.decode()
    shown = json.loads(kasparro("state", "show", "prices", "--json").out)
    assert ["offset" in each["cursor"] for each in shown] == [offset, offset]


def test_export_and_import_move_a_pipeline_to_another_database(
    kasparro: Any, ran: Path, upstream: Upstream, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From SQLite to PostgreSQL and back: the next run there reads only what is new; no secret is in the document."""
    written = kasparro("state", "export", "--output", "state.json")
    assert written.err == "Wrote 3 positions of 2 sources to state.json.\n"
    text = (ran / "state.json").read_text()
    assert "hidden" not in text
    assert kasparro("state", "export").out.splitlines()[4:] == text.splitlines()[4:]
    before = json.loads(kasparro("state", "show", "--json").out)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    assert kasparro("state", "import", "state.json", "--dry-run").code == 0
    assert kasparro("state", "show").out == "No positions yet.\n"
    done = kasparro("state", "import", "state.json", "--json")
    assert [each["done"] for each in json.loads(done.out)] == ["imported"] * 3
    assert "note: this database holds no records of market" in done.err
    after = json.loads(kasparro("state", "show", "--json").out)
    assert [each["cursor"] for each in after] == [each["cursor"] for each in before]
    with (ran / "a.csv").open("a") as file:
        file.write("new,3\n")
    outcome = {each["source"]: each for each in json.loads(kasparro("run", "--json").out)}
    assert outcome["prices"]["fetched"] == 1
    assert faults(postgres_url, "prices", {"new"}) == []
    back = kasparro("state", "export", "prices", "-o", "-")
    assert [each["source"] for each in json.loads(back.out)["sources"]] == ["prices"]


def test_a_document_may_come_through_a_pipe(ran: Path) -> None:
    """`-` is standard input; a file that is not there is one sentence."""

    def piped(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "kasparro_app", "state", *arguments]
        return subprocess.run(command, cwd=ran, input=given, capture_output=True, text=True, timeout=60, check=False)

    document = piped("export", "prices").stdout
    assert piped("reset", "prices", "--yes").returncode == 0
    done = piped("import", "-", "--json", given=document)
    assert [each["done"] for each in json.loads(done.stdout)] == ["imported"] * 2
    missing = piped("import", "nothing.json")
    assert (missing.returncode, missing.stderr) == (
        2,
        "error: nothing.json cannot be read: No such file or directory\n",
    )


def test_an_import_that_is_refused_changes_nothing(kasparro: Any, ran: Path) -> None:
    """A foreign cursor, a position that is there, a text that is no document: each has its sentence."""
    document = json.loads(kasparro("state", "export", "prices").out)
    before = kasparro("state", "show", "--json").out
    document["sources"][0]["partitions"][1]["cursor"]["offset"] = -5
    (ran / "bad.json").write_text(json.dumps(document))
    said = kasparro("state", "import", "bad.json")
    assert said.code == 2
    assert "source 'prices', partition 'b.csv': the stored position is not understood (`offset`: expected" in said.err
    document["sources"][0]["partitions"][1]["cursor"] = document["sources"][0]["partitions"][0]["cursor"]
    (ran / "bad.json").write_text(json.dumps(document))
    said = kasparro("state", "import", "bad.json")
    assert (said.code, "there is a position already" in said.err, "--force" in said.err) == (2, True, True)
    said = kasparro("state", "import", "a.csv")
    assert (said.code, "line 1 column 1" in said.err) == (2, True)
    assert kasparro("state", "import", "none.json").code == 2
    assert kasparro("state", "show", "--json").out == before


def test_an_import_judges_the_sources_themselves(kasparro: Any, ran: Path) -> None:
    """Faults that are injected on purpose stand between a source and its run, not between it and a position."""
    (ran / "state.json").write_text(kasparro("state", "export").out)
    text = (ran / "kasparro.toml").read_text()
    (ran / "kasparro.toml").write_text(f"{text}\n[chaos]\nenabled = true\nrate = 0.0\n")
    said = kasparro("state", "import", "state.json", "--json")
    assert (said.code, {each["done"] for each in json.loads(said.out)}) == (0, {"unchanged"})


def test_a_source_that_another_process_reads_is_left_alone(
    kasparro: Any, ran: Path, upstream: Upstream, process: Callable[..., subprocess.Popen[str]]
) -> None:
    """Reset and import are refused, with the run that is in the way, until that run has ended."""
    document = kasparro("state", "export", "market").out
    (ran / "state.json").write_text(document)
    reached, opened = threading.Event(), threading.Event()

    def hook(number: int) -> None:
        reached.set()
        opened.wait(60)

    upstream.hook = hook
    child = process("run", "market", "--full")
    assert reached.wait(60)
    for arguments in (["reset", "market"], ["import", "state.json", "--force"]):
        said = kasparro("state", *arguments)
        assert said.code == 1
        assert "source 'market' is held by run 3" in said.err
        assert "nothing was changed" in said.err
    opened.set()
    child.communicate(timeout=60)
    assert child.returncode == 0
    assert kasparro("state", "reset", "market").code == 0


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL is POSIX's; Windows ends processes in its own way")
def test_a_killed_run_is_no_obstacle(
    kasparro: Any, ran: Path, upstream: Upstream, process: Callable[..., subprocess.Popen[str]]
) -> None:
    """A reset right after a SIGKILL marks the dead run and takes its place; the next run is complete."""
    children: list[subprocess.Popen[str]] = []
    upstream.hook = lambda number: children[0].kill() if number == 2 else None
    children.append(process("run", "market", "--full"))
    children[0].communicate(timeout=60)
    upstream.hook = lambda number: None
    assert kasparro("state", "reset", "market").code == 0
    database = f"sqlite:///{(ran / 'kasparro.db').as_posix()}"
    assert query(database, "SELECT status FROM runs WHERE run_id = 3") == [("interrupted",)]
    upstream.forget()
    assert kasparro("run", "market").code == 0
    assert upstream.asked == [1, 2, 3]
    assert faults(database, "market", {row["id"] for row in ROWS}) == []
