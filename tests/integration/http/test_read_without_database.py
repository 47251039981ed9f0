"""What `check` and `preview` build: sources that keep their rate budgets to themselves."""

from __future__ import annotations

import pytest
from aiohttp import web

from kasparro_app.config.origin import Origin
from kasparro_app.runtime import container_of, open_sources
from kasparro_app.settings import settings_of
from kasparro_core.ports import Budgets
from kasparro_core.services.budgets import LocalBudgets, StoredBudgets
from kasparro_core.services.preview import preview


def settings_for(url, folder):
    source = {
        "type": "http",
        "url": url,
        "limit": {"requests": 5, "per": "second"},
        "allow_private_hosts": True,
        "mapping": {"key": ["id"]},
    }
    document = {"database": {"url": "sqlite:///never-made.db"}, "sources": {"api": source}}
    return settings_of(document, Origin("test"), folder, overridable=False)


async def test_a_look_at_a_limited_source_makes_no_database(site, tmp_path):
    """A source with a limit is read alone: its budget is that of the process, and no database comes into being."""
    site.on("/x", lambda _: web.json_response([{"id": "1"}]))
    settings = settings_for(f"{site.url}/x", tmp_path)
    container = container_of(settings, alone=True)
    async with open_sources(settings, container) as sources:
        mapping = settings.sources["api"].record_mapping("api")
        seen = [batch async for batch in preview(sources["api"], mapping, container.clock())]
    assert len(seen[0].normalized.records) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("alone", "kind"), [(False, StoredBudgets), (True, LocalBudgets)])
def test_who_has_a_database_shares_through_it(tmp_path, alone, kind):
    """Runs and the service keep budgets in the database, for all processes; a look does not."""
    budgets: Budgets = container_of(settings_for("http://api.test/", tmp_path), alone=alone).budgets()
    assert type(budgets) is kind
