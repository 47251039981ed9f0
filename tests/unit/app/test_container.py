"""The composition root."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from dependency_injector import providers

from kasparro_adapters.memory import MemoryHandle, MemoryOwners, MemoryStore
from kasparro_app.config.origin import Origin
from kasparro_app.container import Container
from kasparro_app.cycle import run_cycle
from kasparro_app.runtime import container_of, open_runtime
from kasparro_app.settings import Settings, settings_of
from kasparro_core.model import RecordQuery, RunStatus


def settings_in(folder: Path) -> Settings:
    (folder / "p.csv").write_text("symbol,close\nBTC,1.5\nETH,0\n", encoding="utf-8")
    document = {
        "database": {"url": "sqlite:///never-made.db"},
        "sources": {
            "prices": {
                "type": "csv",
                "path": "p.csv",
                "kind": "candle",
                "mapping": {"key": "symbol", "value": "close"},
            },
            "news": {"type": "feed", "url": "https://feed.example/"},
            "api": {"type": "http", "url": "https://api.example/", "schedule": "every 5m"},
        },
    }
    return settings_of(document, Origin("test"), folder, overridable=False)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return settings_in(tmp_path)


def every_provider(container: Container) -> Iterator[tuple[str, providers.Provider[object]]]:
    yield from container.providers.items()


async def test_every_provider_builds(settings: Settings) -> None:
    """Each provider of the container makes its object from real settings: no argument is missing or misnamed."""
    container = container_of(settings)
    built = {}
    for name, provider in every_provider(container):
        if name == "source":
            for source, config in settings.sources.items():
                extra = {"walk_ttl": 60.0} if config.type == "http" else {}
                built[f"source {source}"] = provider(config.type, source, config, **extra)
        elif not name.endswith("_source"):
            built[name] = provider()
    assert {"clock", "store", "handle", "runner", "replayer", "source api"} <= built.keys()
    assert set(container.decoders()) == {"json", "csv", "feed"}
    await container.store().close()
    await container.handle().close()


async def test_providers_are_overridden_not_patched(settings: Settings) -> None:
    """With the store and the handle replaced by their in-memory twins the whole application runs, without a file."""
    container = container_of(settings)
    container.store.override(providers.Object(MemoryStore()))
    container.handle.override(providers.Object(MemoryHandle(MemoryOwners())))
    async with open_runtime(settings, names=["prices"], container=container) as runtime:
        (first,) = await run_cycle(runtime.runner, list(runtime.jobs.values()))
        (second,) = await run_cycle(runtime.runner, list(runtime.jobs.values()))
        async with runtime.store.begin(write=False) as work:
            assert await work.records.count(RecordQuery(source="prices")) == 2
    assert (first.status, second.status) == (RunStatus.SUCCEEDED, RunStatus.UNCHANGED)
    assert not (settings.root / "never-made.db").exists()
