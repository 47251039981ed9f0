"""Self-diagnosis: installation, configuration, database, disk, dead runs."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from kasparro_app.config.database_url import sqlite_file
from kasparro_app.container import Container
from kasparro_app.runtime import container_of, open_store
from kasparro_app.settings import Settings, load_settings
from kasparro_core.errors import ConfigurationError, KasparroError
from kasparro_core.model import Run, RunQuery, RunStatus
from kasparro_core.ports import Liveness, Store

OLDEST_SQLITE = (3, 35, 0)
"""The first with RETURNING."""

MEBIBYTE = 1024 * 1024
LEAST_FREE = 16 * MEBIBYTE
"""A disk with less than this is as good as full."""

_EXTRAS = {"postgres": "asyncpg"}


@dataclass(frozen=True)
class Finding:
    """One check and what it found."""

    check: str
    ok: bool
    found: str


async def diagnose(file: Path | None) -> list[Finding]:
    """All checks. Nothing is changed; without a valid configuration the database is not looked at."""
    findings = [*_installation()]
    try:
        settings = load_settings(file)
    except ConfigurationError as error:
        return [*findings, Finding("configuration", ok=False, found=" ".join([error.message, *error.problems]))]
    findings.append(_configuration(settings))
    findings.extend(_disk(settings))
    findings.extend([finding async for finding in _database(settings)])
    return findings


def _installation() -> Iterator[Finding]:
    yield Finding("python", ok=True, found=f"{platform.python_version()} on {platform.system()}")
    yield Finding("sqlite", ok=sqlite3.sqlite_version_info >= OLDEST_SQLITE, found=sqlite3.sqlite_version)
    for extra, module in _EXTRAS.items():
        installed = find_spec(module) is not None
        yield Finding(f"extra {extra}", ok=True, found="installed" if installed else "not installed")


def _configuration(settings: Settings) -> Finding:
    where = str(settings.file) if settings.file else "no kasparro.toml here, defaults and environment"
    return Finding("configuration", ok=True, found=f"{where}: {len(settings.sources)} sources")


def _disk(settings: Settings) -> Iterator[Finding]:
    file = sqlite_file(settings.database_url)
    if file is None:
        return
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            free = shutil.disk_usage(file.parent).free
            room = f"{file.parent} can be written, {free // MEBIBYTE:,} MiB are free"
            yield Finding("disk", ok=free >= LEAST_FREE, found=room)
    except OSError as error:
        yield Finding("disk", ok=False, found=f"{file.parent} cannot be written: {error.strerror}")
    if file.exists() and not os.access(file, os.W_OK):
        yield Finding("disk", ok=False, found=f"{file} cannot be written")


async def _database(settings: Settings) -> AsyncIterator[Finding]:
    file = sqlite_file(settings.database_url)
    if file is not None and not file.exists():
        if file.parent.is_dir():
            yield Finding("database", ok=True, found=f"{file} is not there yet: the first run makes it")
        else:
            yield Finding("database", ok=False, found=f"there is no directory {file.parent}")
        return
    container = container_of(settings)
    try:
        async with open_store(container) as store:
            revision = await store.revision()
            yield _revision(revision, container.schema_head())
            if revision == container.schema_head():
                yield await _dead_runs(store, container)
                yield await _alarms(store)
    except KasparroError as error:
        yield Finding("database", ok=False, found=str(error))


def _revision(revision: str | None, head: str) -> Finding:
    if revision is None:
        return Finding("database", ok=True, found="reachable, empty: the first run makes its tables")
    if revision == head:
        return Finding("database", ok=True, found=f"reachable, at revision {revision}")
    if revision < head:
        older = f"reachable, at the older revision {revision}: the next run migrates it"
        return Finding("database", ok=True, found=older)
    return Finding("database", ok=False, found=f"at revision {revision}, which this version does not know: it is newer")


async def _dead_runs(store: Store, container: Container) -> Finding:
    handle = container.handle()
    async with store.begin(write=False) as work:
        running = await work.runs.list(RunQuery(status=RunStatus.RUNNING, limit=1000))
        leases = {run.run_id: await work.leases.get(run.source, "") for run in running}
    dead: list[Run] = []
    for run in running:
        lease = leases[run.run_id]
        is_held = lease is not None and lease.run_id == run.run_id
        if not is_held or (lease is not None and await handle.judge(lease.owner) is Liveness.DEAD):
            dead.append(run)
    if not dead:
        return Finding("runs", ok=True, found=f"{len(running)} running, none of them dead")
    names = ", ".join(f"{run.run_id} ({run.source})" for run in dead)
    return Finding("runs", ok=True, found=f"dead: {names}; the next run of the source takes over")


async def _alarms(store: Store) -> Finding:
    """What stands out is for a person, and no fault of the installation."""
    async with store.begin(write=False) as work:
        counts = await work.findings.open_anomalies()
    if not counts:
        return Finding("anomalies", ok=True, found="none is open")
    names = ", ".join(f"{count:,} of {source}" for source, count in sorted(counts.items()))
    return Finding("anomalies", ok=True, found=f"open: {names}; `kasparro anomalies list` shows them")
