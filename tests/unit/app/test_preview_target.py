"""What a preview is pointed at."""

from __future__ import annotations

from pathlib import Path

import pytest

from kasparro_app.preview_target import kind_of_address, kind_of_file, source_name
from kasparro_core.errors import PermanentSourceError


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", b"a,b\n1,2\n", "csv"),
        ("a.TSV.gz", b"\x1f\x8b", "csv"),
        ("a.rss", b"<rss/>", "feed"),
        ("a.json", b'[{"a": 1}]', "json"),
        ("a.json", b'{"version": "https://jsonfeed.org/version/1.1", "items": []}', "feed"),
        ("noname", b"\xef\xbb\xbf  <?xml version='1.0'?><rss/>", "feed"),
        ("noname", b"a;b\n1;2\n", "csv"),
        ("noname", b' {"a": 1}', "json"),
    ],
)
def test_a_file_is_known_by_name_or_content(tmp_path: Path, name: str, content: bytes, kind: str) -> None:
    """The name decides where it says something, else the first bytes."""
    file = tmp_path / name
    file.write_bytes(content)
    assert kind_of_file(file) == kind


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("https://a.example/outboundfeeds/rss/", "feed"),
        ("https://a.example/feed", "feed"),
        ("https://a.example/x.csv.gz?a=1", "csv"),
        ("https://api.example.com/v1/items", "json"),
    ],
)
def test_an_address_is_known_by_its_path(address: str, kind: str) -> None:
    """Suffixes and the usual words of feeds decide; anything else is an API."""
    assert kind_of_address(address) == kind


def test_a_file_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    """A missing file is a typed error with its name."""
    with pytest.raises(PermanentSourceError, match="nothing-here"):
        kind_of_file(tmp_path / "nothing-here")


def test_names_are_made_of_harmless_signs() -> None:
    """The made-up source name is the file's own, without suffixes and odd signs."""
    assert [source_name(x) for x in ("/a/b c.csv.gz", "https://h/p/prices.json?k=1", "https://h/")] == [
        "b_c",
        "prices",
        "preview",
    ]
