"""`[chaos]` and CHAOS_MODE: how faults are switched on, where they are refused, and that they cost nothing when off."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kasparro_adapters.chaos import ChaosSource, ChaosStore, Point
from kasparro_adapters.sql import SqlStore
from kasparro_app.config.origin import Origin
from kasparro_app.runtime import build_sources, container_of
from kasparro_app.settings import Settings, settings_of
from kasparro_core.errors import ConfigurationError

SOURCES: dict[str, Any] = {
    "prices": {"type": "csv", "path": "p.csv"},
    "news": {"type": "feed", "url": "https://feed.example/"},
    "api": {"type": "http", "url": "https://api.example/"},
}


def load(environ: dict[str, str] | None = None, **document: Any) -> Settings:
    return settings_of({"sources": SOURCES, **document}, Origin("kasparro.toml"), Path.cwd(), environ=environ or {})


@pytest.mark.parametrize(
    ("text", "enabled"),
    [("true", True), (" Yes ", True), ("ON", True), ("1", True), ("false", False), ("0", False), ("off", False)],
)
def test_chaos_mode_switches_it(text: str, enabled: bool) -> None:
    """CHAOS_MODE is read as true or false, and wins over the file."""
    settings = load({"CHAOS_MODE": text}, chaos={"enabled": not enabled})
    assert settings.tables.chaos.enabled is enabled


def test_a_typing_error_switches_nothing_off() -> None:
    """What is neither true nor false is a fault that names the variable: nobody tests without knowing."""
    with pytest.raises(ConfigurationError) as raised:
        load({"CHAOS_MODE": "ture"})
    assert raised.value.problems == (
        "environment variable CHAOS_MODE: chaos.enabled: expected true or false, found 'ture'",
    )


@pytest.mark.parametrize(
    ("environ", "document"),
    [
        ({"CHAOS_MODE": "1", "ENVIRONMENT": "production"}, {}),
        ({"CHAOS_MODE": "1", "ENVIRONMENT": " Production "}, {}),
        ({"KASPARRO_CHAOS__ENABLED": "true"}, {"environment": "production"}),
        ({"ENVIRONMENT": "production"}, {"chaos": {"enabled": True}}),
        ({"KASPARRO_ENVIRONMENT": "production", "ENVIRONMENT": "staging"}, {"chaos": {"enabled": True}}),
    ],
)
def test_production_refuses_it(environ: dict[str, str], document: dict[str, Any]) -> None:
    """However both were said, the configuration is refused, with the place that switched the faults on."""
    with pytest.raises(ConfigurationError) as raised:
        load(environ, **document)
    (problem,) = raised.value.problems
    variable = next(iter(environ))
    place = "kasparro.toml" if "chaos" in document else f"environment variable {variable}"
    assert problem.startswith(f"{place}: chaos.enabled: faults are never injected where `environment` is")


def test_production_keeps_a_table_that_is_off() -> None:
    """What stands in `[chaos]` without being switched on harms nobody."""
    assert not load({"ENVIRONMENT": "production"}, chaos={"rate": 1.0, "seed": 1}).tables.chaos.enabled


def test_a_wrong_point_is_told_with_a_near_one() -> None:
    """Points are known by name."""
    with pytest.raises(ConfigurationError) as raised:
        load(chaos={"points": ["commit.afte"]})
    assert 'did you mean "commit.after"' in raised.value.problems[0]


@pytest.mark.parametrize("chaos", [{"rate": 1.5}, {"latency": -1}, {"fail_after": -1}, {"seed": "x"}])
def test_what_is_out_of_range_is_a_fault(chaos: dict[str, Any]) -> None:
    """Each key is checked although nothing is switched on."""
    with pytest.raises(ConfigurationError, match="1 fault"):
        load(chaos=chaos)


def test_switched_off_nothing_is_wrapped(tmp_path: Path) -> None:
    """Store and sources are the real ones: faults that nobody asked for cost nothing."""
    settings = load(database={"url": f"sqlite:///{(tmp_path / 'x.db').as_posix()}"})
    container = container_of(settings)
    assert type(container.store()) is SqlStore
    sources = build_sources(container, settings.sources)
    assert sorted(type(source).__name__ for source in sources.values()) == ["CsvSource", "FeedSource", "HttpSource"]


def test_switched_on_everything_is_wrapped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The store and a source of each type fail on purpose, by one set of rules that is told once."""
    settings = load(
        database={"url": f"sqlite:///{(tmp_path / 'x.db').as_posix()}"},
        chaos={"enabled": True, "seed": 5, "rate": 0.25, "points": [str(Point.SOURCE_CUT)], "fail_after": 3},
    )
    container = container_of(settings)
    assert type(container.store()) is ChaosStore
    sources = build_sources(container, settings.sources)
    assert {name: (type(source), source.name) for name, source in sources.items()} == {
        name: (ChaosSource, name) for name in SOURCES
    }
    (line,) = [record for record in caplog.records if record.name == "kasparro.chaos"]
    told: Any = line
    assert (told.seed, told.rate, told.points, told.fail_after) == (5, 0.25, "source.cut", 3)
