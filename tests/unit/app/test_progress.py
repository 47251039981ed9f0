"""What is told while runs go on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.progress import Progress

from kasparro_app.cli.progress import PlainProgress, RichProgress, summary
from kasparro_app.cli.run import print_outcomes
from kasparro_app.cycle import Outcome
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import Counters, Event, EventType, Rejection, Run, RunStatus, Stage, Trigger

RUN = Run(7, "prices", Trigger.CLI, RunStatus.RUNNING, datetime(2024, 1, 1, tzinfo=UTC))


def refused(number: int, stage: Stage = Stage.NORMALIZE) -> Rejection:
    return Rejection(stage, "decimal_invalid", "close", f"message {number}", None, number)


def test_plain_lines_tell_start_end_and_trouble() -> None:
    """A line per run at both ends, the first three rejections, notes left out, and each failed partition."""
    lines: list[str] = []
    observer = PlainProgress(lines.append, clock=lambda: 0.0)
    observer.run_started(RUN)
    observer.rejected(RUN, "", (refused(0, Stage.FIELD), *(refused(n) for n in range(1, 6))))
    observer.partition_failed(RUN, "a.csv", PermanentSourceError("no such file"))
    observer.run_finished(RUN)
    assert lines[0] == "prices: run 7 started"
    assert [line for line in lines if "message" in line] == [f"prices: rejected: close: message {n}" for n in (1, 2, 3)]
    assert lines[-2:] == ["prices: a.csv: no such file", "prices: run 7 running: nothing new"]


def test_batches_are_told_every_few_seconds() -> None:
    """Many batches in a moment are one silence; after five seconds there is a line with the sum so far."""
    lines: list[str] = []
    now = [0.0]
    observer = PlainProgress(lines.append, clock=lambda: now[0])
    observer.run_started(RUN)
    for _ in range(3):
        observer.batch_committed(RUN, "", Counters(fetched=10, inserted=10))
    assert len(lines) == 1
    now[0] = 6.0
    observer.batch_committed(RUN, "", Counters(fetched=10, inserted=10))
    assert lines[1] == "prices: 40 fetched, 40 inserted"


def test_the_bar_counts_and_ends() -> None:
    """On a terminal each source has one line, which carries the sum and then the final state."""
    with Progress(console=Console(quiet=True), auto_refresh=False) as progress:
        observer = RichProgress(progress, lambda line: None)
        observer.run_waiting("prices", 3)
        observer.run_started(RUN)
        observer.batch_committed(RUN, "", Counters(fetched=2, unchanged=2))
        (task,) = progress.tasks
        assert task.fields["done"] == "2 fetched, 2 unchanged"
        observer.run_finished(RUN)
        assert progress.tasks[0].finished


@pytest.mark.parametrize(
    ("counters", "text"),
    [(Counters(), "nothing new"), (Counters(fetched=1200, inserted=1190, rejected=10, batches=3), None)],
)
def test_a_summary_names_what_is_not_zero(counters: Counters, text: str | None) -> None:
    """Thousands are separated, zeros and technical counters are left out."""
    assert summary(counters) == (text or "1,200 fetched, 1,190 inserted, 10 rejected")


def test_many_sources_do_not_fill_the_terminal() -> None:
    """Of a thousand sources only those that go on and a few that ended have a line: each line is drawn anew all the
    time."""
    with Progress(console=Console(quiet=True), auto_refresh=False) as progress:
        observer = RichProgress(progress, lambda line: None)
        for number in range(1000):
            run = replace(RUN, run_id=number, source=f"s{number}")
            observer.run_started(run)
            observer.run_finished(run)
            assert len(progress.tasks) <= 16
        assert progress.tasks[-1].description == "s999"


def test_a_run_that_read_nothing_is_its_status() -> None:
    """A failed run is not said to have "nothing new"."""
    lines: list[str] = []
    PlainProgress(lines.append, clock=lambda: 0.0).run_finished(replace(RUN, status=RunStatus.FAILED))
    assert lines == ["prices: run 7 failed"]


def test_what_stands_out_is_told_beneath_the_table(capsys: pytest.CaptureFixture[str]) -> None:
    """Not among the lines of progress; afterwards the first five sentences of each run, how many more there are, and
    where the numbers are."""
    lines: list[str] = []
    observer = PlainProgress(lines.append)
    for number in range(7):
        event = Event(EventType.ANOMALY, "prices", 7, RUN.started_at, {"explanation": f"Sentence {number}."})
        observer.noted(RUN, event)
    assert lines == []
    done = replace(RUN, status=RunStatus.SUCCEEDED, finished_at=RUN.started_at)
    quiet = Outcome("news", replace(done, run_id=8))
    print_outcomes([Outcome("prices", done, alarms=observer.alarms(RUN)), quiet], as_json=False)
    *told, more = capsys.readouterr().err.splitlines()
    assert told == [f"prices: Sentence {number}." for number in range(5)]
    assert more.startswith("2 more findings: `kasparro anomalies list --run 7` lists what stands out")
    assert observer.alarms(quiet.run) == observer.alarms(None) == ()


def test_a_finding_cannot_steer_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """A key of an upstream with control signs and line ends is told on one line, without them, and cut when it is
    long."""
    done = replace(RUN, status=RunStatus.SUCCEEDED, finished_at=RUN.started_at)
    print_outcomes([Outcome("prices", done, alarms=(f"a\x1b[2J\nb {'x' * 5_000}",))], as_json=False)
    told, _ = capsys.readouterr().err.splitlines()
    assert told.startswith("prices: a [2J b xxx")
    assert len(told) < 700
