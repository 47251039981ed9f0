"""Rejections as lines of an export, each with its line end."""

from __future__ import annotations

from dataclasses import fields
from typing import Final

from kasparro_app.export import cells, csv_lines
from kasparro_app.views import json_object, rejection_view
from kasparro_core.model import StoredRejection

FIELDS: Final = tuple(field.name for field in fields(StoredRejection))
"""The columns, in reading order."""


def json_line(rejection: StoredRejection) -> str:
    """One rejection as a JSON object; its payload is JSON text."""
    return json_object(rejection_view(rejection)) + "\n"


def csv_header() -> str:
    """The first line of an export as CSV."""
    return csv_lines([FIELDS])


def csv_line(rejection: StoredRejection) -> str:
    """One rejection as a CSV line that a spreadsheet cannot take for a formula."""
    return csv_lines([cells(rejection_view(rejection), FIELDS)])
