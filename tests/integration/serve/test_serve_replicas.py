"""Several services on one database: every slot once, and nobody's death leaves anything behind."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from ledger import faults, query
from served import Served, until
from upstream import Upstream, serving

SECONDS = float(os.environ.get("KASPARRO_TEST_SERVE_SECONDS", "12"))
PAGE = 25
ROWS = [{"id": f"coin-{n}", "price": f"{n}.5"} for n in range(8 * PAGE)]
CONFIG = """
[database]
url = {database}

[sources.market]
type = "http"
url = {url}
kind = "quote"
schedule = "every 2s"
allow_private_hosts = true
limit = {{ requests = 1000, per = "second" }}
paginate = {{ type = "page", param = "page", size_param = "per_page", size = 25 }}
[sources.market.mapping]
key = "id"
value = "price"
"""
UNDER_WAY = "SELECT r.run_id, l.owner FROM runs r JOIN leases l ON l.run_id = r.run_id WHERE r.status = 'running'"


def kill_one_at_work(url: str, replicas: list[Served]) -> tuple[int, Served]:
    """SIGKILL a replica in the middle of a run; which run it was."""

    def at_work() -> tuple[int, Served] | None:
        for run_id, owner in query(url, UNDER_WAY):
            for replica in replicas:
                if f":{replica.child.pid}:" in owner:
                    replica.child.send_signal(signal.SIGSTOP)  # so that the run cannot end before the kill
                    if (run_id, owner) in query(url, UNDER_WAY):
                        return run_id, replica
                    replica.child.send_signal(signal.SIGCONT)
        return None

    run_id, replica = until(at_work, "a run under way")
    replica.child.kill()
    replica.child.wait()
    return run_id, replica


@pytest.mark.postgres
@pytest.mark.skipif(sys.platform == "win32", reason="SIGSTOP and SIGKILL are POSIX's")
@pytest.mark.timeout(120 + 2 * SECONDS)
def test_every_slot_has_one_row_though_a_replica_is_killed(
    start: Callable[..., Served], tmp_path: Path, postgres_url: str
) -> None:
    """Three processes, one source every 2 seconds, one process killed in the middle of a run: each slot has one row, no
    slot ran twice or is missing, the killed run was taken over, no run stays running."""
    upstream = Upstream(ROWS)
    upstream.hook = lambda number: time.sleep(0.1)
    with serving(upstream):
        text = CONFIG.format(database=json.dumps(postgres_url), url=json.dumps(upstream.url))
        (tmp_path / "kasparro.toml").write_text(text, encoding="utf-8")
        replicas = [start(tmp_path, "serve", "--port", "0").wait_up() for _ in range(3)]
        begun = time.monotonic()
        until(lambda: query(postgres_url, "SELECT 1 FROM schedule_slots LIMIT 1"), "the first slot", replicas[0])
        time.sleep(max(0.0, SECONDS / 2 - (time.monotonic() - begun)))  # the duration is what was asked for
        killed, victim = kill_one_at_work(postgres_url, replicas)
        replicas.remove(victim)
        heirs = f"SELECT run_id FROM runs WHERE resumes = {killed}"
        until(lambda: query(postgres_url, heirs), "the heir of the killed run", replicas[0])
        time.sleep(max(0.0, SECONDS - (time.monotonic() - begun)))
        ends = [replica.end(signal.SIGTERM)[0] for replica in replicas]
    assert ends == [0, 0], [replica.said for replica in replicas]
    slots = query(postgres_url, "SELECT slot_at, state, run_id FROM schedule_slots ORDER BY slot_at")
    ran = [run_id for _, state, run_id in slots if state == "ran"]
    assert {later[0] - earlier[0] for earlier, later in pairwise(slots)} == {timedelta(seconds=2)}
    assert len(ran) == len(set(ran)) >= 3
    assert query(postgres_url, f"SELECT status FROM runs WHERE run_id = {killed}") == [("interrupted",)]
    assert len(query(postgres_url, heirs)) == 1
    assert query(postgres_url, "SELECT count(*) FROM runs WHERE status = 'running'") == [(0,)]
    scheduled = query(postgres_url, "SELECT run_id FROM runs WHERE trigger = 'schedule'")
    assert {run_id for (run_id,) in scheduled} == set(ran)
    assert [
        fault for fault in faults(postgres_url, "market", {row["id"] for row in ROWS}) if "add up" not in fault
    ] == []
    print(f"{len(slots)} slots in {SECONDS} s, {len(ran)} ran; run {killed} was killed and taken over")  # noqa: T201 - the figure that was asked for
