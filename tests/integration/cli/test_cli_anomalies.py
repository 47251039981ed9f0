"""`kasparro anomalies`: looked at, acknowledged and muted by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from kasparro_core.model import Anomaly, AnomalyState
from kasparro_core.testing.anomalies import add, anomaly, standing
from kasparro_core.testing.build import later

CONFIG = '[sources.s]\ntype = "csv"\npath = "prices.csv"\n\n[sources.quiet]\ntype = "csv"\npath = "prices.csv"\n'


def find(folder: Path, *findings: Anomaly) -> list[Anomaly]:
    """Commit findings; those that are to be told."""
    from kasparro_adapters.sql import SqlStore

    async def work() -> list[Anomaly]:
        store = SqlStore(f"sqlite:///{folder / 'kasparro.db'}")
        await store.migrate()
        try:
            return await add(store, *findings)
        finally:
            await store.close()

    return asyncio.run(work())


def resolve(folder: Path, anomaly_id: int) -> None:
    """Commit that a finding is over."""
    from kasparro_adapters.sql import SqlStore

    async def work() -> None:
        store = SqlStore(f"sqlite:///{folder / 'kasparro.db'}")
        try:
            async with store.begin() as work:
                await work.findings.close([anomaly_id], AnomalyState.RESOLVED, later(9))
                await work.commit()
        finally:
            await store.close()

    asyncio.run(work())


@pytest.fixture
def shop(kasparro: Any, folder: Path) -> Any:
    """The command line beside a database with a finding of a run and two of records."""
    (folder / "kasparro.toml").write_text(CONFIG, encoding="utf-8")
    find(folder, anomaly(), standing(run_id=2), standing("ether", metric="spread", run_id=2))
    return kasparro


def listed(kasparro: Any, *options: str) -> list[dict[str, Any]]:
    """What `anomalies list` says."""
    views: list[dict[str, Any]] = json.loads(kasparro("anomalies", "list", "--json", *options).out)
    return views


def test_lists_what_is_open(shop: Any) -> None:
    """As a table with the sentence, or as JSON with the numbers; filtered, and page by page."""
    table = shop("anomalies", "list").out
    assert "explanation" in table
    assert "It fetched 1180591620717411303424 items" in table
    assert [each["anomaly_id"] for each in listed(shop)] == [3, 2, 1]
    assert [each["anomaly_id"] for each in listed(shop, "--run", "2", "--metric", "value")] == [2]
    assert [each["anomaly_id"] for each in listed(shop, "--scope", "run", "--source", "s")] == [1]
    assert [each["anomaly_id"] for each in listed(shop, "--limit", "1", "--before", "3")] == [2]
    assert listed(shop, "--state", "muted") == []
    assert shop("anomalies", "list", "--source", "quiet").out == "No anomalies.\n"
    assert listed(shop)[2]["evidence"]["runs"] == 20


def test_bad_filters_are_usage_errors(shop: Any) -> None:
    """A state, scope or source that there is not, with a near name."""
    assert 'did you mean "open"?' in shop("anomalies", "list", "--state", "opne").err
    assert shop("anomalies", "list", "--scope", "entity").code == 2
    assert shop("anomalies", "list", "--source", "quite").code == 2


def test_shows_one(shop: Any) -> None:
    """A line per member, the evidence too; an unknown one is an error."""
    shown = shop("anomalies", "show", "1")
    assert shown.code == 0
    assert "It fetched 1180591620717411303424 items, where at most 7 were expected." in shown.out
    assert '"median":-0.1000000000000000055511151231257827' in shown.out
    assert json.loads(shop("anomalies", "show", "2", "--json").out)["subject"] == "bitcoin"
    unknown = shop("anomalies", "show", "9")
    assert (unknown.code, unknown.err) == (1, "error: there is no finding 9\n")


def test_acknowledges(shop: Any) -> None:
    """Any number, with a note; each once."""
    done = shop("anomalies", "ack", "1", "3", "1", "--note", "a holiday")
    assert (done.code, done.out, done.err) == (0, "Acknowledged 2 of 2.\n", "")
    (kept,) = listed(shop, "--state", "acknowledged", "--scope", "run")
    assert (kept["closed_by"], kept["note"]) == ("cli", "a holiday")
    assert [each["anomaly_id"] for each in listed(shop)] == [2]
    assert "1 of s" in shop("doctor").out
    assert "  2" not in shop("sources").out.splitlines()[1]


def test_says_which_ones_were_not_acknowledged(shop: Any, folder: Path) -> None:
    """Those that there are not are an error, and hold nobody up; those acknowledged or resolved before are named."""
    resolve(folder, 3)
    assert shop("anomalies", "ack", "1").code == 0
    done = shop("anomalies", "ack", "1", "2", "3", "98", "99")
    assert (done.code, done.out) == (1, "Acknowledged 1 of 5.\n")
    assert done.err.splitlines() == [
        "1 was acknowledged before",
        "3 was resolved: what is over needs nobody",
        "error: there is no finding 98",
        "error: there is no finding 99",
    ]
    again = shop("anomalies", "ack", "1", "2", "3", "--json")
    assert (again.code, json.loads(again.out)) == (
        0, {"acknowledged": 0, "before": [1, 2], "resolved": [3], "unknown": []}
    )  # fmt: skip
    assert [each["anomaly_id"] for each in listed(shop, "--state", "acknowledged")] == [2, 1]


def test_a_mute_names_a_metric_that_findings_have(shop: Any) -> None:
    """Another one is a usage error that tells those there are, and a near name; nothing is muted."""
    refused = shop("anomalies", "mute", "s", "--metric", "fetchd")
    said = " ".join(refused.err.split())
    assert (refused.code, "record_value" in said, 'did you mean "fetched"?' in said) == (2, True, True)
    assert shop("anomalies", "mute", "s", "--metric", "bogus2").code == 2
    assert shop("anomalies", "mutes").out == "Nothing is muted.\n"
    assert shop("anomalies", "mute", "s", "--metric", "null_rate", "--subject", "price").code == 0


def test_mutes_and_unmutes(shop: Any, folder: Path) -> None:
    """What is open and covered becomes muted; without the mute it is told when it is seen again."""
    made = shop("anomalies", "mute", "s", "--metric", "spread", "--for", "8h", "--reason", "known")
    assert made.out == "Mute 1: `kasparro anomalies unmute 1` takes it away.\n"
    assert [each["note"] for each in listed(shop, "--state", "muted")] == ["known"]
    (kept,) = json.loads(shop("anomalies", "mutes", "--json").out)
    assert (kept["metric"], kept["subject"], kept["in_effect"], kept["created_by"]) == ("spread", "", True, "cli")
    assert "known" in shop("anomalies", "mutes", "--source", "s").out
    assert shop("anomalies", "unmute", "1").out == "Mute 1 is gone.\n"
    assert shop("anomalies", "unmute", "1").code == 1
    assert shop("anomalies", "mutes").out == "Nothing is muted.\n"
    assert [each.anomaly_id for each in find(folder, standing("ether", metric="spread", run_id=3, second=5))] == [3]
    everything = json.loads(shop("anomalies", "mute", "s", "--subject", "ether", "--json").out)
    assert (everything["until"], everything["subject"]) == (None, "ether")


def test_a_mute_lasts_an_age_and_names_a_known_source(shop: Any) -> None:
    """Anything else is a usage error that says what an age looks like, or a near source; nothing is muted."""
    for span in ("5GB", "soon", "0d", "999999y"):
        refused = shop("anomalies", "mute", "s", "--for", span)
        assert (refused.code, "8h" in refused.err) == (2, True), span
    assert shop("anomalies", "mute", "quite").code == 2
    assert shop("anomalies", "mutes").out == "Nothing is muted.\n"
