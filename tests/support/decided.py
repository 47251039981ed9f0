"""Decisions about entities of two sources of coins, asked of a served API."""

from __future__ import annotations

from typing import Any

from live import Live, Reply
from shop import ran

from kasparro_app.api.shapes.entities import DecidedAnswer
from kasparro_core.model.entity import EntityQuery
from kasparro_core.services.replay import Replayer

MERGE = "/entities/merge?entity=gecko:foo-token&entity=paprika:foo-other"
SPLIT = "/entities/split?entity=btc-bitcoin&other=paprika:btc-bitcoin"


async def both_ran(live: Live) -> None:
    """Bring in what the files hold."""
    for source in ("gecko", "paprika"):
        await ran(live, source)


async def where(live: Live) -> dict[str, str]:
    """The entity of every asset."""
    async with live.store.begin(write=False) as work:
        standing = await work.entities.list(EntityQuery(merged=False))
        links = [link for each in standing for link in await work.entities.links(each.entity_id)]
    return {f"{link.source}:{link.external_id}": link.entity_id for link in links}


async def told(live: Live) -> list[str]:
    """The decisions that listeners were told of."""
    async with live.store.begin(write=False) as work:
        events = await work.events.after(0)
    return [str(event.type) for event in events if str(event.type).startswith("entities.")]


def decided(reply: Reply) -> dict[str, Any]:
    """The answer to a decision, held to its description."""
    assert reply.status == 200, reply.body
    DecidedAnswer.model_validate_json(reply.body)
    return dict(reply.json)


async def replayed(live: Live, source: str) -> None:
    """Normalize what is stored of a source again."""
    runner = live.service.desk._runner
    replayer = Replayer(
        live.store, runner.claims._handle, live.service.clock, runner._decoders, runner.claims._observer
    )
    await replayer.replay(live.service.jobs[source])
