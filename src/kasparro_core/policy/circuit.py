"""A circuit over given instants: who fails again and again is left alone for a while.

        as many failures in a row as the rules say
closed ──────────────────────────────────────────▶ open ◀─────────────┐
  ▲                                                 │ the pause is over │ it fails
  └──────────── the probe is answered ◀──── half-open: one probe ───────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from kasparro_core.ports.fetch import RetryRules


class Outcome(Enum):
    """What an attempt told about its host."""

    ALIVE = "alive"
    """It answered, be it with a refusal."""
    SICK = "sick"
    """It was not reached, broke off, or said that it cannot."""
    UNKNOWN = "unknown"
    """Nothing: the attempt was given up, or did not come as far as the host."""


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """It opens after so many failures in a row, for `pause` seconds. `failures` 0: never."""

    failures: int
    pause: float


@dataclass(frozen=True, slots=True)
class Circuit:
    """The state. `failures` are those in a row, the first of them at `since`; `open_until` is set while it is open,
    and stays set while `probing`: one attempt is under way to find out. Instants are those of a monotonic clock."""

    failures: int = 0
    since: float = 0.0
    open_until: float | None = None
    probing: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """An attempt is not made. `seconds`: when it is worth asking again; 0 while a probe is under way."""

    failures: int
    seconds: float


def circuit_rules(rules: RetryRules) -> CircuitRules:
    """The circuit of a request's host. No request's own attempts are cut short by it alone: it takes as many failures
    as one may have."""
    failures = max(rules.circuit_failures, rules.attempts) if rules.circuit_failures else 0
    return CircuitRules(failures, rules.circuit_pause)


def refusal(circuit: Circuit, now: float) -> Refusal | None:
    """Why no attempt may be made now, or None."""
    if circuit.open_until is None:
        return None
    if now < circuit.open_until:
        return Refusal(circuit.failures, circuit.open_until - now)
    return Refusal(circuit.failures, 0.0) if circuit.probing else None


def admitted(circuit: Circuit) -> Circuit:
    """After an attempt was let through (`refusal` was None): in an open circuit it is the probe."""
    return replace(circuit, probing=circuit.open_until is not None)


def after(
    circuit: Circuit,
    rules: CircuitRules,
    outcome: Outcome,
    now: float,
    *,
    sent_at: float | None = None,
    probe: bool = False,
) -> Circuit:
    """After an attempt that was sent at `sent_at` has ended; `probe`: it was let through while the circuit was open.

    Attempts that were under way together when the first of a row failed count as one: however many they are, they met
    the same moment. One that is answered late closes the circuit. An attempt whose rules know no circuit counts only
    when it is answered.
    """
    if outcome is Outcome.ALIVE:
        return Circuit()
    probing = circuit.probing and not probe
    together = circuit.failures > 0 and sent_at is not None and sent_at < circuit.since
    if outcome is Outcome.UNKNOWN or not rules.failures or together:
        return replace(circuit, probing=probing)
    failures = circuit.failures + 1
    opens = failures >= rules.failures or circuit.open_until is not None
    since = circuit.since if circuit.failures else now
    return Circuit(failures, since, now + rules.pause if opens else None, probing)
