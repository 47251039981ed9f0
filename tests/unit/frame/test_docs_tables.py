"""The reference of tables and the schema say the same."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
from sqlalchemy import MetaData

import kasparro_adapters.sql as family

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "tables.md"


def schema() -> MetaData:
    """The one MetaData of the SQL family, wherever it is kept."""
    for module in pkgutil.walk_packages(family.__path__, f"{family.__name__}."):
        if ".migrations" not in module.name:
            found = vars(importlib.import_module(module.name)).values()
            tables = [value for value in found if isinstance(value, MetaData) and value.tables]
            if tables:
                return tables[0]
    raise LookupError("no MetaData with tables in kasparro_adapters.sql")


def section(table: str) -> str:
    """What the page says under the heading of a table."""
    match = re.search(rf"^## `{table}`$(.*?)(?=^## |\Z)", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    return match[1] if match else ""


TABLES = schema().tables


@pytest.mark.parametrize("table", sorted(TABLES))
def test_every_column_is_documented(table: str) -> None:
    """Each table has a section, whose rows are exactly the table's columns."""
    rows = re.findall(r"^\| `(\w+)` \|", section(table), re.MULTILINE)
    assert rows == [column.name for column in TABLES[table].columns]


def test_no_section_is_left_over() -> None:
    """Each section of the page belongs to a table that exists."""
    assert set(re.findall(r"^## `(\w+)`$", PAGE.read_text("utf-8"), re.MULTILINE)) == set(TABLES)
