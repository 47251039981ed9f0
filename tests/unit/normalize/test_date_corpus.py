"""Other people's date tests, where they are at hand: no wrong instant, and at least as many right as feedparser."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path

import pytest

from kasparro_core.normalize.timestamps import timestamp

CORPUS = Path(__file__).resolve().parents[4] / "shared" / "corpora" / "dates" / "dates.jsonl"
FEED_SOURCES = {"feedparser", "gofeed", "miniflux"}


def verdict(expected, result):
    """`right`, `missing` or `wrong`; ANY means that the text only has to be read."""
    found = result.replace(microsecond=0, tzinfo=None).isoformat() if isinstance(result, datetime) else None
    if expected is None or found is None:
        return "right" if expected is found else "missing" if found is None else "wrong"
    return "right" if expected in {"ANY", f"{found}Z"} else "wrong"


def test_no_date_of_the_corpus_is_misread():
    """Of the dates that feed readers test themselves with, none gives a wrong instant and nine of ten are read."""
    if not CORPUS.exists():
        pytest.skip("the corpus ../shared/corpora/dates is not here")
    cases = [json.loads(line) for line in CORPUS.read_text(encoding="utf-8").splitlines()]
    verdicts = [
        (verdict(case["utc"], timestamp(case["input"])), case["input"]) for case in cases if case["src"] in FEED_SOURCES
    ]
    assert [text for word, text in verdicts if word == "wrong"] == []
    assert sum(word == "right" for word, _ in verdicts) >= 0.9 * len(verdicts)
