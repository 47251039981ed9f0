"""Two runs side by side: figures, and the words for what is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from kasparro_app.comparison import Compared, Usual
from kasparro_app.comparison_notes import notes
from kasparro_app.comparison_outlook import Outlooks
from kasparro_app.comparison_view import comparison_view, metric_views, null_rate_views
from kasparro_core.model import Anomaly, AnomalyScope, Counters, Latency, PastRun, Run, RunFacts, RunStatus, Trigger
from kasparro_core.model.span import Fate, Keys
from kasparro_core.policy.baseline import Baseline, Figures

AT = datetime(2026, 1, 1, tzinfo=UTC)
A = Run(1, "s", Trigger.CLI, RunStatus.SUCCEEDED, AT, AT + timedelta(microseconds=1), Counters(fetched=2**62))
B = Run(2, "s", Trigger.CLI, RunStatus.RUNNING, AT, None, Counters(fetched=1))
FACTS = RunFacts(
    "1.0", 3, 10, Latency(2, Decimal(5), Decimal(7), Decimal(9)), items=4, null_rates={"x": Decimal("0.5")}
)


def test_a_run_under_way_has_no_duration_yet() -> None:
    """What a run cannot tell yet is null, and so are difference and ratio; very unlike runs still have a ratio."""
    views = {each["metric"]: each for each in metric_views(PastRun(A), PastRun(B), Outlooks())}
    nothing = {"delta": None, "ratio": None, "expected": None, "verdict": "unknown"}
    assert views["seconds"] == {"metric": "seconds", "a": Decimal("0.000001"), "b": None, **nothing}
    assert views["records_per_second"]["a"] == Decimal(2**62) * 1_000_000
    assert views["fetched"]["delta"] == 1 - 2**62
    assert views["latency_p95"]["a"] is views["code_version"]["a"] is None


def test_versions_are_the_same_or_changed() -> None:
    """A number has a difference, a text none; with one of them unknown nothing is said."""
    later = replace(FACTS, code_version="1.1", schema_version=3)
    views = {each["metric"]: each for each in metric_views(PastRun(A, FACTS), PastRun(A, later), Outlooks())}
    assert (views["schema_version"]["delta"], views["schema_version"]["verdict"]) == (0, "same")
    assert (views["code_version"]["delta"], views["code_version"]["verdict"]) == (None, "changed")
    views = {each["metric"]: each for each in metric_views(PastRun(A, FACTS), PastRun(A, RunFacts()), Outlooks())}
    assert {views[name]["verdict"] for name in ("schema_version", "code_version")} == {"unknown"}


def test_a_path_that_one_run_has_alone() -> None:
    """Where it was looked for it was empty in all items; where nothing was looked at it is not known."""
    other = replace(FACTS, null_rates={"y": Decimal(0)})
    told = {
        each["path"]: (each["a"], each["b"])
        for each in null_rate_views(PastRun(A, FACTS), PastRun(A, other), Outlooks())
    }
    assert told == {"x": (Decimal("0.5"), 1), "y": (1, 0)}
    (view,) = null_rate_views(PastRun(A), PastRun(A, FACTS), Outlooks())
    assert (view["a"], view["b"]) == (None, Decimal("0.5"))


def test_each_thing_that_is_not_known_has_its_sentence() -> None:
    """And where everything is known, nothing is said."""
    a, b = PastRun(A, FACTS), PastRun(replace(A, run_id=2), FACTS)
    assert notes(Compared(a, b)) == []
    bare = Compared(PastRun(A, RunFacts()), PastRun(B), fates=None)
    assert [note.partition(":")[0] for note in notes(bare)] == ["Run 1 looked at no items", "Run 2 is not over"]
    cut = Compared(a, PastRun(replace(A, run_id=2, trigger=Trigger.BACKFILL), replace(FACTS, null_rates_cut=True)))
    assert [note.partition(" ")[2].partition(" ")[2][:12] for note in notes(cut)] == ["has more pat", "is a backfil"]
    (lost,) = notes(Compared(b, a, fates={Fate.UNKNOWN: Keys(1_234, ["k"])}))
    assert lost.startswith("Of 1,234 records it is not known whether they changed between runs 1 and 2:")


def test_runs_are_in_order_whichever_is_named_first() -> None:
    """What became of records is told from the earlier run on."""
    a, b = PastRun(A, FACTS), PastRun(replace(A, run_id=2), FACTS)
    view = comparison_view(Compared(b, a, fates={Fate.ADDED: Keys(1, ["k"])}))
    assert (view["a"]["run_id"], view["b"]["run_id"]) == (2, 1)
    assert (view["records"]["from_run"], view["records"]["to_run"]) == (1, 2)
    assert view["records"]["added"] == {"count": 1, "keys": ["k"]}


def test_a_finding_has_the_last_word() -> None:
    """Where run b has one, its range and its verdict are shown, also inside of what is expected otherwise; a finding of
    the other run says nothing of b."""
    past = [Figures(n, AT + timedelta(days=n), RunStatus.SUCCEEDED, {"seconds": Decimal(10)}) for n in range(20)]
    now = Figures(30, AT + timedelta(days=20), RunStatus.SUCCEEDED, {"seconds": Decimal(11)})
    usual = Usual(now, Baseline(past, now.started_at))
    narrow = Anomaly("s", 2, AnomalyScope.RUN, "seconds", Decimal(11), AT, "", expected_high=Decimal("10.5"))
    b = PastRun(replace(A, run_id=2))
    for run_id, verdict in ((2, "high"), (1, "normal")):
        found = replace(narrow, run_id=run_id)
        view = Outlooks.of(Compared(PastRun(A), b, usual=usual, anomalies=(found,))).view("seconds")
        assert (view["verdict"], view["expected"]["high"] == Decimal("10.5")) == (verdict, run_id == 2)
    empty = replace(narrow, metric="null_rate", subject="a.b", expected_high=None, expected_low=Decimal(20))
    assert Outlooks(None, [empty]).view("null_rate:a.b") == {"expected": None, "verdict": "low"}
