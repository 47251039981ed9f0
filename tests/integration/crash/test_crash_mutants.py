"""Planted bugs: the harness has to find each of them, or its silence about the product means nothing.

A mutant is an exact change of one text in a copy of the sources. The copy is put to the simulation (the one of
tests/unit/simulation) or, where only a database shows the bug, to tests against one. The same checks pass on a copy
without any change.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SUPPORT = ROOT / "tests" / "support"
SEEDS = 40
"""Seeds of the simulation that a mutant has to be found in: some three times what those below need."""

SIMULATION = ("-m", "simulated", "0", str(SEEDS))
LATER_SEEDS = ("-m", "simulated", str(SEEDS), str(2 * SEEDS))
"""Where the first seed that meets a bug shows it by the sign that is looked for; an earlier one may show another."""
PLUGINS = ("-p", "pytest_asyncio.plugin", "-p", "pytest_timeout", "-p", "no:cacheprovider")
ON_SQLITE = ("-m", "pytest", "-q", *PLUGINS, "tests/contract/test_store_contract.py")
SQLITE = (*ON_SQLITE, "-k", "sqlite and (a_lost_lease or rolls_back)")
"""What an owner may still do that was taken over, and what a failed unit of work leaves, in a real database."""


@dataclass(frozen=True)
class Mutant:
    """`old` stands once in `file` (below src) and becomes `new`. `check`: arguments of the Python that finds it, and
    `told` is part of what it then prints."""

    file: str
    old: str
    new: str
    check: tuple[str, ...]
    told: str


WRITER = "kasparro_core/services/writer.py"
LEASE = "kasparro_core/services/lease.py"
MUTANTS = {
    "checkpoint before data": Mutant(
        WRITER,
        """        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            if (unheard := await self._unheard(work)) is not None:
""",
        """        async with self._store.begin() as ahead:
            await ahead.checkpoints.save(
                self._job.name, self._partition, step.place.after, expected_version=self._version,
                run_id=self._run.run_id, at=step.place.fetch.observed_at,
            )
            await ahead.commit()
        self._version += 1
        async with self._lease.begin() as work:
            renewed = await self._lease.renew_in(work)
            if (unheard := await self._unheard(work)) is not None:
""",
        SIMULATION,
        "in one commit",
    ),
    "commit per row": Mutant(
        WRITER,
        """            place = await self._stored(work, step)
            kept = await keep(""",
        """            place = step.place
        for row in step.part.records:
            async with self._store.begin() as work:
                await work.records.upsert([row], self._sight(place).observation)
                await work.commit()
        async with self._lease.begin() as work:
            place = await self._stored(work, step)
            kept = await keep(""",
        SIMULATION,
        "data of 0 runs in one commit",
    ),
    "retry without rollback": Mutant(
        WRITER,
        "            await self._note(work, step, place, cursor, delta)\n",
        "            await retried(self._clock, lambda: self._note(work, step, place, cursor, delta))\n",
        LATER_SEEDS,
        "batches in one commit",
    ),
    "retry without rollback, in SQL": Mutant(
        "kasparro_adapters/sql/store.py",
        "            yield SqlUnitOfWork(session, self._database)\n",
        """            try:
                yield SqlUnitOfWork(session, self._database)
            except BaseException:
                await session.commit()
                raise
""",
        SQLITE,
        "test_rolls_back_when_an_error_passes_through",
    ),
    "> for >= in what an incremental source asks for": Mutant(
        "kasparro_adapters/http/incremental.py",
        "            return str(int(mark) - int(self.lookback))\n",
        "            return str(int(mark) - int(self.lookback) + 1)\n",
        SIMULATION,
        "(upstream's, stored)",
    ),
    "lease without fence": Mutant(
        LEASE,
        "        return await work.leases.renew(self.lease, ttl=self._ttl)\n",
        """        stands = await work.leases.get(self.lease.source, self.lease.partition)
        return await work.leases.renew(stands or self.lease, ttl=self._ttl)
""",
        SIMULATION,
        "touches the lease of",
    ),
    "lease without fence, in SQL": Mutant(
        "kasparro_adapters/sql/repositories/leases.py",
        """ for name in ("source", "partition", "token")]
""",
        """ for name in ("source", "partition")]
    ours.append(leases.c.token >= bindparam("of_token"))
""",
        SQLITE,
        "test_renew_of_a_lost_lease_is_a_conflict_that_fences_the_old_owner",
    ),
    "lease without heartbeat": Mutant(
        LEASE,
        "            if self._clock.monotonic() - self._renewed_at >= interval:\n",
        "            if False:\n",
        ("-m", "simulated", "40", "120"),  # a source that is silent for longer than a lease is rarer,
        "which is alive and well",
    ),
    "claim without compare": Mutant(
        "kasparro_adapters/memory/leases.py",
        "        if (stored and (token, stored.expires_at)) != (seen and (seen.token, seen.expires_at)):\n",
        "        if False:\n",
        LATER_SEEDS,
        "live runs",
    ),
    "answer of a commit believed": Mutant(
        WRITER,
        "        if self._in_doubt is None:\n",
        "        if True:\n",
        SIMULATION,
        "was in its own way",
    ),
}


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of the sources, to be changed."""
    return Path(shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__")))


@pytest.fixture
def check(copy: Path) -> Callable[[tuple[str, ...]], subprocess.CompletedProcess[str]]:
    """Runs Python with these arguments on the copy."""

    def run(arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        paths = [str(copy), str(SUPPORT)]
        if "pytest" in arguments:  # whose own settings would put the sources themselves in front
            arguments = (*arguments, "-o", "pythonpath=" + " ".join(f'"{Path(path).as_posix()}"' for path in paths))
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",  # half of the time would go into plugins that are not used
        }
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )

    return run


@pytest.mark.parametrize("name", MUTANTS)
def test_a_planted_bug_is_found(name: str, copy: Path, check: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    """The check ends with a failure that tells of this bug."""
    mutant = MUTANTS[name]
    path = copy / mutant.file
    text = path.read_text("utf-8")
    assert text.count(mutant.old) == 1, f"{mutant.file} has changed: plant {name!r} anew"
    path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    done = check(mutant.check)
    assert done.returncode == 1, f"{name!r} was not found:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    assert mutant.told in done.stdout
    print(f"{name}: found by {' '.join(mutant.check[:2])}, {_finding(done.stdout, mutant.told)}")  # noqa: T201 - asked for


@pytest.mark.parametrize("arguments", [SIMULATION, SQLITE], ids=["simulation", "sqlite"])
def test_the_same_checks_pass_without_a_bug(
    arguments: tuple[str, ...], check: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    """On an unchanged copy."""
    done = check(arguments)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _finding(output: str, told: str) -> str:
    """How many seeds it took, and the line that tells of it, shortened."""
    lines = output.splitlines()
    seeds = f"{lines[0].split(' in ')[0]}: " if " seeds in " in lines[0] else ""
    return seeds + next(line for line in lines if told in line).strip("_ ")[:140]
