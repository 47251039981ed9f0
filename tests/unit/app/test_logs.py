"""The log: its forms and levels, the fields of runs and requests, and that no secret gets into it."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.contextvars import bound_contextvars, clear_contextvars

from kasparro_app.config.origin import Origin
from kasparro_app.config.tables import LogTable
from kasparro_app.logs import MASK, Form, LogHandler, form_of, secrets_of, set_up_log
from kasparro_app.observers import LoggingObserver
from kasparro_app.settings import settings_of
from kasparro_core.errors import TransientSourceError
from kasparro_core.model import Counters, Event, EventType, Rejection, Run, RunStatus, Trigger
from kasparro_core.model.rejection import Stage
from kasparro_core.services.alarms import told_view
from kasparro_core.testing.anomalies import anomaly

NOW = datetime(2026, 1, 5, 12, tzinfo=UTC)
OURS = ("kasparro", "kasparro_core", "kasparro_adapters", "kasparro_app")


class Terminal(io.StringIO):
    """A stream that somebody watches."""

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _log_as_it_was() -> Iterator[None]:
    """Each test sets the log up for itself."""
    levels = {name: logging.getLogger(name).level for name in OURS}
    clear_contextvars()
    yield
    clear_contextvars()
    for handler in [one for one in logging.root.handlers if isinstance(one, LogHandler)]:
        logging.root.removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def log(**options: Any) -> io.StringIO:
    """Set up a log as JSON from debug on, unless said otherwise, and give what it is written to."""
    table = LogTable(level=options.pop("level", "debug"), format=options.pop("format", "json"))
    stream = options.pop("stream", None) or io.StringIO()
    set_up_log(table, environment=options.pop("environment", "development"), stream=stream, **options)
    return stream


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """The JSON lines that were written."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def run(run_id: int = 7, status: RunStatus = RunStatus.RUNNING, source: str = "prices", **facts: Any) -> Run:
    """A run that took two seconds."""
    return Run(run_id, source, Trigger.API, status, NOW, finished_at=NOW + timedelta(seconds=2), **facts)


@pytest.mark.parametrize(
    ("format_", "environment", "serving", "terminal", "form"),
    [
        ("json", "development", False, True, Form.JSON),
        ("text", "production", True, False, Form.DATED),
        ("text", "production", False, False, Form.PLAIN),
        ("auto", "production", False, True, Form.JSON),
        ("auto", "development", True, False, Form.JSON),
        ("auto", "development", True, True, Form.DATED),
        ("auto", "development", False, False, Form.PLAIN),
    ],
)
def test_the_form_follows_from_where_it_runs(
    format_: Any, environment: str, serving: bool, terminal: bool, form: Form
) -> None:
    """`auto` is JSON in production and for a service that nobody watches; what is configured wins."""
    assert form_of(LogTable(format=format_), environment=environment, serving=serving, terminal=terminal) is form


def test_a_json_line_has_its_fields() -> None:
    """A line is one object with timestamp, level, logger, event and what it was given, also with line feeds in it."""
    stream = log()
    logging.getLogger("kasparro.test").warning("two\nlines", extra={"count": 3, "codes": {"type": 1}})
    (line,) = lines(stream)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert datetime.fromisoformat(line.pop("timestamp")).utcoffset() == timedelta(0)
    facts = {"level": "warning", "logger": "kasparro.test", "event": "two\nlines", "count": 3, "codes": {"type": 1}}
    assert line == facts


def test_a_traceback_is_inside_its_line() -> None:
    """An exception does not break the JSON: it is a text in the line, without the values of variables."""
    stream = log()
    try:
        hidden = "value of a variable"
        raise ValueError(len(hidden))
    except ValueError:
        logging.getLogger("kasparro").exception("it failed")
    (line,) = lines(stream)
    assert "ValueError: 19" in line["exception"]
    assert "test_logs.py" in line["exception"]
    assert "= 'value of a variable'" not in line["exception"]


def test_a_short_verb_writes_plain_lines() -> None:
    """Without a terminal a verb writes `LEVEL logger: message` and the fields; what comes from outside stays in it."""
    stream = log(format="auto")
    logging.getLogger("kasparro").warning("asked %s", "a\nERROR forged \x1b[2J", extra={"source": "b\nc"})
    assert stream.getvalue() == "WARNING kasparro: asked a\\nERROR forged \\x1b[2J source=b\\nc\n"


def test_a_watched_service_writes_text() -> None:
    """On a terminal a service's line begins with its time and holds level, message, logger and fields."""
    stream = log(format="auto", serving=True, stream=Terminal())
    logging.getLogger("kasparro").info("run started", extra={"run_id": 3})
    (line,) = stream.getvalue().splitlines()
    assert line.startswith("20")
    for part in ("[info", "run started", "[kasparro]", "run_id=3"):
        assert part in line


@pytest.mark.parametrize(("serving", "seen"), [(True, ["info", "warning"]), (False, ["warning"])])
def test_the_default_level(serving: bool, seen: list[str]) -> None:
    """Without a level a service tells from info on, other verbs from warning on; other libraries from warning."""
    stream = log(level=None, serving=serving)
    for level in (logging.DEBUG, logging.INFO, logging.WARNING):
        logging.getLogger("kasparro_core").log(level, "ours")
        logging.getLogger("aiohttp.client").log(level, "theirs")
    told = [line["level"] for line in lines(stream) if line["event"] == "ours"]
    assert told == seen
    assert [line["level"] for line in lines(stream) if line["event"] == "theirs"] == ["warning"]


def test_setting_up_twice_writes_once() -> None:
    """The second set-up takes the place of the first, so that no line comes twice."""
    first, second = log(), log()
    logging.getLogger("kasparro").warning("once")
    assert (len(lines(first)), len(lines(second))) == (0, 1)


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (RunStatus.SUCCEEDED, "info"),
        (RunStatus.UNCHANGED, "info"),
        (RunStatus.INTERRUPTED, "info"),
        (RunStatus.DEGRADED, "warning"),
        (RunStatus.FAILED, "error"),
    ],
)
def test_the_end_of_a_run_has_its_level(status: RunStatus, level: str) -> None:
    """A run's last line says status, duration and counts, at a level that says whether a person has to look."""
    stream = log()
    LoggingObserver().run_finished(run(status=status, counters=Counters(fetched=3, inserted=3)))
    (line,) = lines(stream)
    assert line["level"] == level
    facts = {"source": "prices", "run_id": 7, "status": str(status), "seconds": 2.0, "fetched": 3, "inserted": 3}
    assert facts.items() <= line.items()
    assert "updated" not in line


def test_what_happens_in_a_run_is_told() -> None:
    """Start, take-over, batch, rejections, a failed partition: each a line with source and run_id at its level."""
    stream, observer = log(), LoggingObserver()
    payload = "what stood in the item"
    bad = [rejection(Stage.NORMALIZE, "type", payload), rejection(Stage.FIELD, "date", payload)]
    observer.run_waiting("prices", 6)
    observer.run_started(run())
    observer.run_taken_over(run(), 6)
    observer.batch_committed(run(), "a.csv", Counters(fetched=2, inserted=2))
    observer.rejected(run(), "a.csv", tuple(bad))
    observer.rejected(run(), "a.csv", tuple(bad[1:]))
    observer.partition_failed(run(), "b.csv", TransientSourceError("no answer", code="timeout"))
    observer.noted(run(), Event(EventType.FEED_GAP, "prices", 7, run().started_at, {"partition": "x", "items": 3}))
    told = {line["event"]: line for line in lines(stream)}
    assert {event: line["level"] for event, line in told.items()} == {
        "waiting for another process": "info",
        "run started": "info",
        "run resumes a dead one": "info",
        "batch committed": "debug",
        "items rejected": "info",
        "values noted": "info",
        "partition failed": "warning",
        "feed.gap": "warning",
    }
    assert all(line["source"] == "prices" for line in told.values())
    assert all(line["run_id"] == 7 for event, line in told.items() if event != "waiting for another process")
    assert {"items": 1, "notes": 1, "codes": {"date": 1, "type": 1}}.items() <= told["items rejected"].items()
    assert {"error_code": "timeout", "error": "no answer"}.items() <= told["partition failed"].items()
    assert payload not in stream.getvalue()


def test_a_finding_is_a_warning_with_its_sentence() -> None:
    """One line, with the range that was expected; the evidence, which is long, stands under its id."""
    stream = log()
    found = anomaly(subject="bitcoin", evidence={"median": 3}, anomaly_id=12)
    LoggingObserver().noted(run(), Event(EventType.ANOMALY, "prices", 7, run().started_at, told_view(found)))
    (line,) = lines(stream)
    told = {"event": "anomaly", "level": "warning", "source": "prices", "run_id": 7, "anomaly_id": 12}
    told |= {"metric": "fetched", "subject": "bitcoin", "explanation": found.explanation, "found": str(2**70)}
    assert told.items() <= line.items()
    assert "evidence" not in line


def rejection(stage: Stage, code: str, payload: str) -> Rejection:
    """A rejection whose message and payload hold what a person sent."""
    return Rejection(stage=stage, code=code, path="value", message=payload, payload={"value": payload}, index=0)


async def test_a_request_and_its_run_keep_their_own_fields() -> None:
    """Lines of a background run carry its run_id and not the request that began it; the request's carry no run_id; two
    runs side by side do not mix, and partitions (tasks of a run) have the run's fields."""
    stream, ours = log(), logging.getLogger("kasparro_adapters.test")
    barrier = asyncio.Barrier(2)

    async def partition(run_id: int) -> None:
        ours.info("inside", extra={"expected": run_id})

    async def background(run_id: int) -> None:
        observer = LoggingObserver()
        observer.run_started(run(run_id, source=f"s{run_id}"))
        await barrier.wait()
        await asyncio.create_task(partition(run_id))
        await barrier.wait()
        observer.run_finished(run(run_id, RunStatus.SUCCEEDED, source=f"s{run_id}"))
        ours.info("after")

    async def request(run_id: int) -> asyncio.Task[None]:
        with bound_contextvars(request_id=f"r{run_id}"):
            task = asyncio.create_task(background(run_id))
            await asyncio.sleep(0)
            ours.info("answered", extra={"expected": run_id})
        return task

    await asyncio.gather(*[await one for one in [asyncio.create_task(request(1)), asyncio.create_task(request(2))]])
    told = lines(stream)
    inside = [line for line in told if line["event"] == "inside"]
    assert [(line["run_id"], line["source"]) for line in inside] == [
        (n["expected"], f"s{n['expected']}") for n in inside
    ]
    assert len(inside) == 2
    answered = [line for line in told if line["event"] == "answered"]
    assert sorted(line["request_id"] for line in answered) == ["r1", "r2"]
    assert all(line["request_id"] == f"r{line['expected']}" for line in answered)
    assert not any("run_id" in line or "source" in line for line in answered)
    assert not any("request_id" in line for line in told if line not in answered)
    assert not any("run_id" in line for line in told if line["event"] == "after")


SECRETS = {
    "token": "t0k-äß/+%25'\"x",
    "password": "pass word&1",
    "key": "k-9f8e7d",
    "admin": "adm1n-key-of-the-service",
    "database": "d4ta%2Fbase",
}


def document() -> dict[str, Any]:
    """A configuration with a secret at each place where one can stand."""
    http = {"type": "http", "url": "https://api.example.com/items"}
    return {
        "database": {"url": f"postgresql://user:{SECRETS['database']}@db.example.com/kasparro"},
        "api": {"admin_key": SECRETS["admin"]},
        "sources": {
            "a": {**http, "auth": {"type": "bearer", "token": SECRETS["token"]}},
            "b": {**http, "auth": {"type": "basic", "username": "user", "password": SECRETS["password"]}},
            "c": {**http, "auth": {"type": "api_key", "key": SECRETS["key"], "header": "X-Key"}},
        },
    }


def test_every_secret_of_the_settings_is_known(tmp_path: Path) -> None:
    """Each secret of a configuration is found, wherever it stands, and nothing that is not one."""
    settings = settings_of(document(), Origin("test"), tmp_path, environ={})
    assert secrets_of(settings) == set(SECRETS.values())


@pytest.mark.parametrize("format_", ["json", "text"])
def test_no_secret_is_ever_written(format_: str, tmp_path: Path) -> None:
    """However a secret comes into a line (message, field, nested, repr, URL, exception), MASK stands in its place."""
    settings = settings_of(document(), Origin("test"), tmp_path, environ={})
    stream = log(format=format_, secrets=secrets_of(settings))
    ours = logging.getLogger("kasparro")
    for secret in SECRETS.values():
        ours.warning(
            "sent %s", secret, extra={"field": secret, "nested": {"deep": [f"x{secret}y"]}, "of": ValueError(secret)}
        )
        ours.warning("repr %r", {"token": secret})
        try:
            raise ValueError(f"Bearer {secret}")
        except ValueError:
            logging.getLogger("other.library").exception("refused")
    ours.warning("https://api.example.com/?key=t0k-%C3%A4%C3%9F%2F%2B%2525%27%22x and d4ta/base and pass%20word%261")
    written = stream.getvalue()
    for secret in [*SECRETS.values(), "t0k", "d4ta", "pass%20word"]:
        assert secret not in written
        assert json.dumps(secret)[1:-1] not in written
    assert written.count(MASK) >= 6 * len(SECRETS) + 3


def test_a_short_secret_leaves_the_lines_alone() -> None:
    """A secret of a character or three cannot be masked without garbling everything; numbers stay numbers."""
    stream = log(secrets=["a", "", "1234"])
    logging.getLogger("kasparro").warning("a line", extra={"run_id": 1234, "text": "1234"})
    (line,) = lines(stream)
    assert (line["event"], line["run_id"], line["text"]) == ("a line", 1234, MASK)


def test_a_silent_verb_does_not_load_structlog(tmp_path: Path) -> None:
    """Setting up the log loads neither structlog nor rich: both come with the first line."""
    code = "import logging, sys; from kasparro_app.config.tables import LogTable; "
    code += "from kasparro_app.logs import set_up_log; set_up_log(LogTable(), environment='development'); "
    code += "print('structlog' in sys.modules); logging.getLogger('kasparro').warning('x'); "
    code += "print('structlog' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert answer.stdout.split() == ["False", "True"]
    assert answer.stderr == "WARNING kasparro: x\n"
