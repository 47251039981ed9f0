"""Cursors of feeds: exactly understood, or refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cursors import OBJECTS, edited
from hypothesis import given

from kasparro_adapters.feeds import FeedSource
from kasparro_adapters.feeds.config import FeedSourceConfig
from kasparro_core.errors import CheckpointError

SEEN = {"seen": "0123456789abcdef" * 4}


def source_of(**given: Any) -> FeedSource:
    config = FeedSourceConfig.model_validate({"type": "feed", **given})
    return FeedSource("news", config, Path(), None, None)  # type: ignore[arg-type]  # it reads nothing


@given(cursor=OBJECTS | edited([SEEN]))
def test_any_object_is_understood_or_refused(cursor: dict[str, Any]) -> None:
    """The hash of a body is understood, and no other JSON object; the error says which source, and what to do."""
    source = source_of(url="feed.xml")
    source.check_position("", SEEN)
    if cursor == SEEN:
        return
    with pytest.raises(CheckpointError, match="source 'news', partition ''") as caught:
        source.check_position("", cursor)
    assert "state reset news" in str(caught.value.hint)


def test_partitions_are_feeds_of_a_list_or_the_whole() -> None:
    """A position of one feed cannot be brought into a list, nor one of a list's feed into a single one."""
    source_of(urls=["a.xml", "b.xml"]).check_position("a.xml", SEEN)
    for source, partition in ((source_of(urls=["a.xml"]), ""), (source_of(url="a.xml"), "a.xml")):
        with pytest.raises(CheckpointError, match=f"partition '{partition}'"):
            source.check_position(partition, SEEN)
