"""An app on each kind of database, behind a real uvicorn."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from live import Live, serving_api


@pytest.fixture
def document() -> dict[str, Any]:
    """The configuration that `live` serves; override it in a module for other sources or keys of `[api]`."""
    return {}


@pytest.fixture
async def live(database_url: str, tmp_path: Path, document: dict[str, Any]) -> AsyncIterator[Live]:
    """The whole API on SQLite and on PostgreSQL."""
    async with serving_api(database_url, tmp_path, document) as serving:
        yield serving
