"""Feeds as publishers wrote them: recorded files, two recorded histories, and documents made to do harm."""

from __future__ import annotations

import gzip
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kasparro_adapters.feeds import FeedDecoder, FeedSourceConfig
from kasparro_core.errors import PermanentSourceError
from kasparro_core.model import RawPayload
from kasparro_core.normalize.compiler import compile_mapping, prepare

MAPPING = FeedSourceConfig(url="feed.xml").record_mapping("news")


def decode(payload: bytes) -> Any:
    """A recorded file, decoded as its source would."""
    body = gzip.decompress(payload) if payload.startswith(b"\x1f\x8b") else payload
    facts = {"format": "feed", "url": "https://feeds.example/f", "content_type": "text/xml"}
    return FeedDecoder().decode(RawPayload(body, facts))


def test_every_recorded_feed_is_read(shared_data: Callable[..., Path]) -> None:
    """Each file gives entries; all of them are articles or rejections, and no field has a control character."""
    compiled = compile_mapping(MAPPING)
    for path in sorted(shared_data("data", "feeds").glob("*.*")):
        decoded = decode(path.read_bytes())
        normalized = compiled.normalize(decoded.items)
        assert len(decoded.items) > 0, path.name
        assert len(normalized.records) + len(normalized.rejections) == len(decoded.items), path.name
        assert not normalized.rejections, path.name


@pytest.mark.parametrize(
    ("series", "seen", "distinct", "edits"), [("zh_CoinDesk", 1395, 316, 75), ("zh_bitcoinmagazine", 1500, 81, 116)]
)
def test_a_recorded_history_gives_its_edits(
    shared_data: Callable[..., Path], series: str, seen: int, distinct: int, edits: int
) -> None:
    """Version after version, the pipeline finds exactly the entries and the edits that are known to be there."""
    compiled = compile_mapping(MAPPING)
    stored: dict[str, str] = {}
    changes = count = 0
    for path in sorted(shared_data("data", "feeds", "series", series).iterdir()):
        for prepared in prepare(compiled.normalize(decode(path.read_bytes()).items)):
            count += 1
            key = prepared.record.key
            changes += stored.setdefault(key, prepared.content_hash) != prepared.content_hash
            stored[key] = prepared.content_hash
    assert (count, len(stored), changes) == (seen, distinct, edits)


_watched: list[str] = []
_watching = False


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if _watching and event in {"open", "socket.connect", "socket.getaddrinfo", "subprocess.Popen", "urllib.Request"}:
        _watched.append(f"{event} {arguments}")


@pytest.fixture
def opened() -> Iterator[list[str]]:
    """What was opened while the test ran."""
    global _watching  # noqa: PLW0603  # an audit hook cannot be removed, only silenced
    sys.addaudithook(_audit)
    _watched.clear()
    _watching = True
    yield _watched
    _watching = False


def test_documents_made_to_do_harm_are_refused(shared_data: Callable[..., Path], opened: list[str]) -> None:
    """Bombs and inclusions end in a typed error, in little memory, and open no file and no connection."""
    documents = [p.read_bytes() for p in sorted(shared_data("corpora", "security").rglob("*.x*l")) if p.is_file()]
    opened.clear()
    tracemalloc.start()
    for document in documents:
        with pytest.raises(PermanentSourceError):
            FeedDecoder().decode(RawPayload(document, {"format": "feed"}))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(documents) > 5
    assert peak < 50 * 1024 * 1024
    assert opened == []
