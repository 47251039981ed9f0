"""The circuit of a host: opens, probes, closes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_core.policy.circuit import (
    Circuit,
    CircuitRules,
    Outcome,
    Refusal,
    admitted,
    after,
    circuit_rules,
    refusal,
)
from kasparro_core.ports.fetch import RetryRules

RULES = CircuitRules(failures=3, pause=30.0)
ALIVE, SICK, UNKNOWN = Outcome


def broken(at: float = 100.0) -> Circuit:
    """A circuit that three failures have opened."""
    circuit = Circuit()
    for _ in range(3):
        circuit = after(circuit, RULES, SICK, at)
    return circuit


def test_it_opens_after_so_many_failures_in_a_row():
    """Two failures and an answer leave it closed; the third in a row opens it for the pause."""
    circuit = Circuit()
    for outcome in (SICK, SICK, ALIVE, SICK, SICK):
        circuit = after(circuit, RULES, outcome, 100.0)
        assert refusal(circuit, 100.0) is None
    circuit = after(circuit, RULES, SICK, 100.0)
    assert refusal(circuit, 100.0) == Refusal(3, 30.0)
    assert refusal(circuit, 129.0) == Refusal(3, 1.0)


def test_one_probe_goes_when_the_pause_is_over():
    """After the pause one attempt is let through; until it has ended, no other."""
    circuit = broken()
    assert refusal(circuit, 130.0) is None
    circuit = admitted(circuit)
    assert refusal(circuit, 131.0) == Refusal(3, 0.0)


@pytest.mark.parametrize(("outcome", "found"), [(ALIVE, None), (SICK, Refusal(4, 30.0)), (UNKNOWN, None)])
def test_the_probe_decides(outcome, found):
    """Answered: closed. Failed: open for another pause. Given up without a result: the next one may probe."""
    circuit = after(admitted(broken()), RULES, outcome, 140.0, probe=True)
    assert refusal(circuit, 140.0) == found
    assert (circuit == Circuit()) == (outcome is ALIVE)


def test_a_given_up_probe_leaves_it_to_the_next_one():
    """A probe that was cancelled has told nothing: the circuit is still open, and lets one through."""
    circuit = after(admitted(broken()), RULES, UNKNOWN, 140.0, probe=True)
    assert circuit.open_until is not None
    assert refusal(admitted(circuit), 140.0) == Refusal(3, 0.0)


def test_those_under_way_together_count_as_one():
    """Twenty requests that met the same moment are one failure; each that was sent after the first one counts."""
    circuit = Circuit()
    for moment in range(20):
        circuit = after(circuit, RULES, SICK, 100.0 + moment, sent_at=99.0)
    assert circuit.failures == 1
    for _ in range(2):
        circuit = after(circuit, RULES, SICK, 130.0, sent_at=125.0)
    assert refusal(circuit, 130.0) == Refusal(3, 30.0)


def test_who_has_no_circuit_does_not_close_that_of_others():
    """A failure with `circuit_failures = 0` leaves an open circuit as it is; an answer closes it."""
    none = circuit_rules(RetryRules(circuit_failures=0))
    assert after(broken(), none, SICK, 110.0) == broken()
    assert after(broken(), none, ALIVE, 110.0) == Circuit()


def test_without_failures_it_never_opens():
    """`circuit_failures = 0` switches it off."""
    circuit, rules = Circuit(), circuit_rules(RetryRules(circuit_failures=0))
    for _ in range(1_000):
        circuit = after(circuit, rules, SICK, 1.0)
        assert refusal(circuit, 1.0) is None


def test_it_never_cuts_the_attempts_of_a_single_request():
    """A request that may be tried 20 times is not ended by its own 10 failures."""
    assert circuit_rules(RetryRules(attempts=20, circuit_failures=10)).failures == 20
    assert circuit_rules(RetryRules(attempts=5, circuit_failures=10)).failures == 10


@given(
    failures=st.integers(1, 5),
    pause=st.floats(1, 60),
    steps=st.lists(st.tuples(st.floats(0, 40), st.sampled_from(Outcome)), max_size=80),
)
def test_its_promises_hold_along_any_way(failures, pause, steps):
    """Along any series of attempts: it refuses only after enough failures in a row and never for longer than the pause;
    within the pause nothing passes; an answer closes it at once."""
    rules, circuit, now, row, opened = CircuitRules(failures, pause), Circuit(), 0.0, 0, None
    for gap, outcome in steps:
        now += gap
        found = refusal(circuit, now)
        if found is not None:
            assert row >= failures
            assert 0 < found.seconds <= pause + 1e-9
            assert now < opened + pause
            continue
        assert opened is None or now >= opened + pause
        circuit = after(admitted(circuit), rules, outcome, now, probe=circuit.open_until is not None)
        if outcome is ALIVE:
            row, opened = 0, None
            assert circuit == Circuit()
        elif outcome is SICK:
            row += 1
            opened = now if row >= failures else None


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=6))
def test_of_many_at_once_one_is_let_through(outcomes):
    """Of any number that come when the pause is over, one is the probe; those on their way from before never make it
    two, whatever becomes of them, unless one is answered: then it is closed for all."""
    circuit = admitted(broken())
    for outcome in outcomes:
        assert refusal(circuit, 300.0) is not None
        circuit = after(circuit, RULES, outcome, 200.0)
        if circuit == Circuit():
            return
    assert refusal(after(circuit, RULES, SICK, 200.0, probe=True), 229.0) is not None
