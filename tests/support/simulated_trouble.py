"""How the upstreams of a simulation misbehave."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Trouble:
    """How upstreams misbehave: shares of 1, and seconds."""

    fail: float = 0.0
    stale: float = 0.0
    latency: float = 0.5
    slow: float = 0.0
    longest: float = 8.0

    def clear_up(self) -> None:
        """No further faults."""
        self.fail = self.stale = self.slow = 0.0
