"""Which media type a caller wants."""

from __future__ import annotations

import pytest

from kasparro_app.api.media import preferred

OFFERS = {"json": ("application/json",), "ndjson": ("application/x-ndjson", "application/jsonl"), "csv": ("text/csv",)}


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, "json"),
        ("", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV", "csv"),
        ("text/*", "csv"),
        ("application/jsonl", "ndjson"),
        ("application/json;q=0.5, text/csv", "csv"),
        ("application/json;q=0.5, text/csv;q=0.5", "json"),
        ("text/csv;q=0.4, application/x-ndjson; q=0.6", "ndjson"),
        ("text/html, application/xhtml+xml, */*;q=0.8", "json"),
        ("*/*, application/json;q=0", "ndjson"),
        ("application/*;q=0.2, text/csv;q=0.1", "json"),
        ("text/csv; charset=utf-8; q=0.9, application/json;q=0.8", "csv"),
        ("no range at all", "json"),
        ("text/html", None),
        ("application/json;q=0", None),
        ("*/*;q=0.000", None),
    ],
)
def test_the_wanted_form(accept: str | None, wanted: str | None) -> None:
    """Qualities count, then how specific a range is, then the server's order; q=0 refuses (RFC 9110, 12.5.1)."""
    assert preferred(accept, OFFERS) == wanted
