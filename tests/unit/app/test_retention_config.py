"""`[retention]`: what is understood, and how the rest is told."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from kasparro_app.config.amounts import parse_amount
from kasparro_app.maintenance import retention_policy
from kasparro_app.settings import load_settings
from kasparro_core.errors import ConfigurationError
from kasparro_core.model.service import Prunable


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("90d", timedelta(days=90)),
        ("12h", timedelta(hours=12)),
        ("2w", timedelta(weeks=2)),
        ("1y", timedelta(days=365)),
        ("30m", timedelta(minutes=30)),
        (" 1.5 D ", timedelta(hours=36)),
        ("5GB", 5_000_000_000),
        ("500MB", 500_000_000),
        ("1GiB", 2**30),
        ("1.5kib", 1536),
        ("2 TB", 2 * 10**12),
        ("7B", 7),
    ],
)
def test_amounts_that_are_understood(text: str, amount: timedelta | int) -> None:
    """Ages and sizes, decimal and binary, whatever the case."""
    assert parse_amount(text) == amount


@pytest.mark.parametrize(
    "text", ["", "d", "90", "-1d", "0d", "0.0GB", "5G", "5 bananas", "1e3d", "٣d", "2000y", "9" * 30 + "d", "1d 2h"]
)
def test_amounts_that_are_not(text: str) -> None:
    """Everything else says what is expected."""
    with pytest.raises(ValueError, match="expected"):
        parse_amount(text)


def test_the_policy_is_what_stands_in_the_file(tmp_path: Path) -> None:
    """Each key that is there, as an age or a size; the others are kept for ever."""
    file = tmp_path / "kasparro.toml"
    file.write_text('[retention]\nraw = "5GB"\nruns = "90d"\n')
    policy = retention_policy(load_settings(file, environ={"KASPARRO_RETENTION__RECORDS": "1y"}))
    assert policy == {
        Prunable.RAW: 5 * 10**9,
        Prunable.RUNS: timedelta(days=90),
        Prunable.RECORDS: timedelta(days=365),
    }


def test_every_fault_is_told_with_line_and_key(tmp_path: Path) -> None:
    """All at once: a wrong amount, a number, an unknown key."""
    file = tmp_path / "kasparro.toml"
    file.write_text('[retention]\nraw = "5 bananas"\nruns = 90\nrecord = "1d"\n')
    with pytest.raises(ConfigurationError) as refused:
        load_settings(file, environ={})
    wrong, number, unknown = refused.value.problems
    assert f"{file}:2: retention.raw: " in wrong
    assert '"90d"' in wrong
    assert "(found '5 bananas')" in wrong
    assert f"{file}:3: retention.runs: expected text, found 90" in number
    assert f"{file}:4: retention.record: unknown key 'record'; did you mean \"records\"?" in unknown
