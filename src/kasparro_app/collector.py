"""How often Python looks for garbage in reference cycles.

Batches are thousands of short-lived objects without cycles, which reference counts free by themselves. Looked through
after every 700 of them, as Python does unless told otherwise, they cost a fifth of a run's processor time or more and
give nothing back: the highest use of memory stays the same (`benchmarks/identity.py`).
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 20, 20)


def collect_seldom() -> None:
    """For processes of our own; who imports the library decides for theirs."""
    gc.set_threshold(*THRESHOLDS)
