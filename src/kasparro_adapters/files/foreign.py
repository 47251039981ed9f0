"""What is certainly no CSV, known by its first bytes: better one clear sentence than a thousand rejected rows."""

from __future__ import annotations

from kasparro_core.errors import PermanentSourceError

_MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel workbook or another Office document"),
    (b"SQLite format 3\0", "an SQLite database"),
)
_PAGES = (b"<!doctype html", b"<html")
OFFICE_MEMBER = "[Content_Types].xml"
"""A zip archive with this member is an Office document (.xlsx)."""


def refuse_foreign(sample: bytes, shown: str) -> None:
    """Raise PermanentSourceError (not_csv) when a file that begins with `sample` is something else."""
    what = next((name for magic, name in _MAGIC if sample.startswith(magic)), None)
    if sample[:200].removeprefix(b"\xef\xbb\xbf").lstrip().lower().startswith(_PAGES):
        what = "an HTML page"
    if what is not None:
        raise not_csv(shown, what)


def not_csv(shown: str, what: str) -> PermanentSourceError:
    """The error that says what was found instead."""
    return PermanentSourceError(f"expected CSV in {shown}, found {what}.", code="not_csv")
