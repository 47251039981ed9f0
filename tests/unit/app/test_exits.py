"""The outermost edge of the command line."""

from __future__ import annotations

import errno
import sys

import pytest

from kasparro_app.cli.exits import guarded


def raising(error: Exception) -> None:
    raise error


def test_a_closed_standard_output_swallows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process started with `>&-` has no sys.stdout; it does its work all the same."""
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(SystemExit) as end:
        guarded(lambda: sys.stdout.write("nobody hears this"))
    assert end.value.code == 0
    sys.stdout.close()


def test_a_bug_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    """What is no error of ours ends with exit code 1, its kind and first line, and no traceback."""
    with pytest.raises(SystemExit) as end:
        guarded(lambda: raising(RuntimeError("first line\nsecond line")))
    said = capsys.readouterr().err
    assert end.value.code == 1
    assert said.startswith("error: internal: RuntimeError: first line\n")
    assert "Traceback" not in said
    assert "second line" not in said


def test_a_full_disk_behind_the_output_is_a_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    """An output that cannot be written ends with exit code 1 and the system's own words."""
    with pytest.raises(SystemExit) as end:
        guarded(lambda: raising(OSError(errno.ENOSPC, "No space left on device")))
    assert end.value.code == 1
    assert capfd.readouterr().err == "error: No space left on device\n"
