"""How a storm chooses its tries: shards, spreads, points, and what is read out of a trace."""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from unittest import mock

import pytest
from crash_storm import KILLS, SHARD, Shard, Storm, spread, wanted
from crash_syscalls import Place, Point, counted

TRACE = """\
100   write(2</there/err.txt>, "started", 7) = 7
100   sendto(7<TCP:[127.0.0.1:5000->127.0.0.1:5432]>, "Q", 1, 0, NULL, 0) = 1
101   sendto(9<UNIX-STREAM:[12->13]>, "\\0", 1, 0, NULL, 0) = 1
101   sendto(9<socket:[12]>, "\\0", 1, 0, NULL, 0 <unfinished ...>
101   <... sendto resumed>) = 1
102   pwrite64(16</there/kasparro.db-wal>, "a", 1, 0) = 1
102   pwrite64(16</there/kasparro.db-wal>, "b", 1, 1 <unfinished ...>
103   pwrite64(16</there/kasparro.db-wal>, "c", 1, 2) = 1
102   <... pwrite64 resumed>) = 1
103   fdatasync(5</there>) = 0
103   unlink("/there/kasparro.db-wal") = 0
103   unlinkat(AT_FDCWD, "/there/other", 0) = 0
104   flock(12</there/kasparro.db.owners/ab12.lock>, LOCK_EX) = 0
104   +++ exited with 0 +++
"""


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_shards_share_everything_once(parts: int) -> None:
    """All shards together take each item exactly once, and say beforehand how many they take."""
    shards = [Shard(index, parts) for index in range(parts)]
    items = list(range(23))
    taken = [list(shard.of(items)) for shard in shards]
    assert sorted(chain.from_iterable(taken)) == items
    assert [shard.share(23) for shard in shards] == [len(each) for each in taken]
    for shard, each in zip(shards, taken, strict=True):
        numbers = shard.numbers()
        assert [next(numbers) for _ in each] == each


@pytest.mark.parametrize("given", ["0/4", "5/4", "1/0"])
def test_a_shard_that_is_none_is_refused(given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A number outside of 1..n is an error: a storm that takes nothing would look like one that finds nothing."""
    monkeypatch.setenv(SHARD, given)
    with pytest.raises(ValueError, match="from 1 to n"):
        Shard.given()


def test_a_spread_reaches_from_the_first_to_the_last() -> None:
    """A few of many are spread evenly; more than there are is all of them."""
    items = list(range(100))
    assert spread(items, 4) == [0, 33, 66, 99]
    assert spread(items, 1) == [0]
    assert spread(items, 100) == spread(items, 1000) == items


def test_counts_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A number, `all` (more than there can be), or what the tests take by themselves."""
    assert wanted(KILLS, 6) == 6
    monkeypatch.setenv(KILLS, "200")
    assert wanted(KILLS, 6) == 200
    monkeypatch.setenv(KILLS, "all")
    assert wanted(KILLS, 6) > 10**9


@pytest.mark.parametrize("text", ["pwrite64@kasparro.db-wal#117", "fdatasync@.#1", "sendto#60", "unlink#2"])
def test_a_point_is_read_as_it_is_written(text: str) -> None:
    """What a failure prints is what the repetition understands."""
    assert str(Point.parse(text)) == text


def test_only_calls_that_others_see_are_counted() -> None:
    """Each call counts once at its place, by the thread with the most; wake-ups between threads do not."""
    assert counted(TRACE, Path("/there")) == {
        Place("write", "err.txt"): 1,
        Place("sendto", threads=False): 1,
        Place("pwrite64", "kasparro.db-wal"): 2,
        Place("fdatasync", "."): 1,
        Place("unlink"): 1,
        Place("unlinkat"): 1,
        Place("flock"): 1,
    }


def test_a_failure_says_how_to_repeat_it() -> None:
    """The closing line counts, and the assertion has one command for the try that went wrong."""
    storm = Storm("a storm", "tests/x.py::test[sqlite]")
    storm.failed("time:0.2", ["lost (1): a"])
    said = mock.Mock()
    command = r"KASPARRO_CRASH_TRY='time:0.2' .venv/bin/python -m pytest 'tests/x.py::test\[sqlite\]'"
    with pytest.raises(AssertionError, match=command):
        storm.close(said)
    said.assert_called_once_with("a storm: failed 1")
