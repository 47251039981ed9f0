"""How often Python looks for garbage in reference cycles.

Batches are thousands of short-lived objects without cycles, which reference counts free by themselves. Looked through
after every 700 of them, as Python does unless told otherwise, they cost a fifth of a run's processor time or more and
give nothing back (`benchmarks/identity.py`). What is in cycles stays a little longer instead: the error of a failed
fetch, with what it was about.
"""

from __future__ import annotations

import gc

THRESHOLDS = (50_000, 10, 10)


def collect_seldom() -> None:
    """For processes of our own; who imports the library decides for theirs."""
    gc.set_threshold(*THRESHOLDS)
