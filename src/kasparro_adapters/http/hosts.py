"""Whether the hosts that this process asks are alive."""

from __future__ import annotations

from dataclasses import dataclass

from yarl import URL

from kasparro_core.errors import TransientSourceError
from kasparro_core.policy.circuit import Circuit, Outcome, admitted, after, circuit_rules, refusal
from kasparro_core.policy.retry import Fault, judge_fault
from kasparro_core.ports.fetch import FetchRequest


@dataclass(slots=True)
class Host:
    """A host and its circuit. Instants are seconds of a monotonic clock; `trouble` is its last failure, in words."""

    name: str
    circuit: Circuit = Circuit()
    trouble: str = ""

    def check(self, request: FetchRequest, now: float) -> None:
        """Raises TransientSourceError, code `circuit_open`, while the host is left alone. A request without a
        circuit asks all the same."""
        if not request.retry.circuit_failures:
            return
        found = refusal(self.circuit, now)
        if found is None:
            return
        when = f"for another {found.seconds:.0f} s" if found.seconds else "until one request has found out how it is"
        raise TransientSourceError(
            f"{request.source}: {self.name} has failed {found.failures} times in a row and is left alone {when}. "
            f"The last time: {self.trouble}",
            source=request.source,
            code="circuit_open",
            hint="The pause is `retry.circuit_pause`, the number `retry.circuit_failures`.",
            retry_after=found.seconds,
        )

    def admit(self, request: FetchRequest, now: float) -> bool:
        """A request goes now; True: it is the one that finds out how the host is. Raises what `check` raises."""
        self.check(request, now)
        if not request.retry.circuit_failures:
            return False
        self.circuit = admitted(self.circuit)
        return self.circuit.probing

    def ended(self, request: FetchRequest, outcome: Outcome, now: float, *, sent_at: float, probe: bool) -> None:
        """A request that was admitted, and sent at `sent_at`, has ended."""
        rules = circuit_rules(request.retry)
        self.circuit = after(self.circuit, rules, outcome, now, sent_at=sent_at, probe=probe)


def is_fault_of_host(error: TransientSourceError) -> bool:
    """True for silence and broken answers; a full disk of our own is none."""
    return error.code in set(Fault) and judge_fault(Fault(error.code)).passes


def authority(url: URL) -> str:
    """The name of an address's host, with its port where that is not the usual one."""
    host = url.host or ""
    return host if url.is_default_port() else f"{host}:{url.port}"
