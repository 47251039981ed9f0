"""What stands out about a run, in one sentence for a person."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from kasparro_core.policy.baseline import Basis, Range
from kasparro_core.policy.streaks import LAST, OFTEN, Streak

_MOST_WORDS = 300


def out_of_range(metric: str, value: Decimal, expected: Range) -> str:
    """A figure that is not where it was expected to be.

    >>> usual = Range(None, Decimal(6), Decimal(2), Decimal("0.1"), 12, Basis.RECENT)
    >>> out_of_range("seconds", Decimal(30), usual)
    'It took 30 s, more than the 6 s at most that 12 earlier runs let expect (usually 2 s).'
    """
    name, _, subject = metric.partition(":")
    says, amount = _SAYS[name]
    less_or_more = "less" if expected.is_below(value) else "more"
    when = " at about this hour of the week" if expected.basis is Basis.HOUR_OF_WEEK else ""
    return (
        f"{says.format(amount(value), subject)}, {less_or_more} than the {_bounds(expected, amount)} that "
        f"{expected.samples} earlier runs{when} let expect (usually {amount(expected.centre)})."
    )


def failed(streak: Streak, error: str | None) -> str:
    """A failure after successes."""
    why = f": {error[:_MOST_WORDS]}" if error else "."
    if streak.in_a_row > 1:
        return f"{streak.in_a_row} runs in a row have failed, the last one with this error{why}"
    if streak.times >= OFTEN:
        return (
            f"Of the last {LAST} runs {streak.times} have failed at different times, the last one with this error{why}"
        )
    return f"The run failed where the one before had not{why}"


def brought_nothing(streak: Streak, usually: Decimal) -> str:
    """No items where there were some."""
    usual = f"where earlier runs usually fetched {_count(usually)} items."
    if streak.in_a_row > 1:
        return f"{streak.in_a_row} runs in a row fetched nothing, {usual}"
    return f"It fetched nothing, {usual}"


def _bounds(expected: Range, amount: Callable[[Decimal], str]) -> str:
    low, high = expected.low, expected.high
    if low is not None and high is not None:
        return f"{amount(low)} to {amount(high)}"
    return f"{amount(high)} at most" if high is not None else f"{amount(low or Decimal(0))} at least"


def _count(value: Decimal) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{float(value):.3g}"


def _percent(value: Decimal) -> str:
    return f"{float(value) * 100:.3g} %"


def _seconds(value: Decimal) -> str:
    return f"{float(value):.3g} s" if value < 100 else _span(value)


def _milliseconds(value: Decimal) -> str:
    return f"{value:,.0f} ms"


def _span(seconds: Decimal) -> str:
    """The two largest units of a span of time."""
    left, parts = int(seconds), []
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        if left >= size:
            parts.append(f"{left // size} {unit}")
            left %= size
    return " ".join(parts[:2]) or "0 s"


_SAYS: dict[str, tuple[str, Callable[[Decimal], str]]] = {
    "fetched": ("It fetched {0} items", _count),
    "bytes_per_item": ("It fetched {0} bytes for each item", _count),
    "requests": ("It took {0} requests", _count),
    "seconds": ("It took {0}", _seconds),
    "latency_p95": ("One answer in twenty took {0} or longer", _milliseconds),
    "inserted_share": ("Of its items {0} were new", _percent),
    "updated_share": ("Of its items {0} had changed", _percent),
    "rejected_share": ("Of its items {0} were rejected", _percent),
    "null_rate": ("`{1}` was empty in {0} of its items", _percent),
    "backwards": ("Its newest item is older than that of the run before by {0}", _span),
    "lag": ("The newest item of the source is {0} old", _span),
}
