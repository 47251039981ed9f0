"""Two runs side by side."""

from __future__ import annotations

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Exact, Shape
from kasparro_app.api.shapes.runs import RunShape
from kasparro_app.comparison_outlook import Outlook
from kasparro_core.model import AnomalyState
from kasparro_core.policy.baseline import Basis


class Expected(Shape):
    """What the runs before run b let expect of a figure of it."""

    low: Exact | None = Field(description="Below this it is too low; null: it cannot be.")
    high: Exact | None = Field(description="Above this it is too high; null: it cannot be.")
    usual: Exact = Field(description="What it usually is: the median.")
    samples: int = Field(description="How many runs say so.")
    basis: Basis = Field(description="Which ones: those that began at the same hour of the week, or the most recent.")


class Delta(Shape):
    """One figure of two runs."""

    delta: Exact | None = Field(description="b - a.")
    ratio: Exact | None = Field(description="b / a, to six digits behind the point; null when a is 0 or missing.")
    expected: Expected | None = Field(description="What was expected of run b; null: there is nothing to expect it by.")
    verdict: Outlook = Field(
        description="normal, low, high: b beside what is expected; same, changed: of a version; unknown: nothing is "
        "expected, or the figure cannot be compared (a run that read its source in part)."
    )


class MetricDelta(Delta):
    """One figure of two runs."""

    metric: str = Field(
        description="A counter of the run; or seconds, inserted_share, updated_share, rejected_share, "
        "records_per_second, latency_p50, latency_p95, latency_max (milliseconds), schema_version, code_version."
    )
    a: Exact | str | None = Field(description="Its value in run a (code_version: text); null where it is not known.")
    b: Exact | str | None = Field(description="Its value in run b; null where it is not known.")


class NullRateDelta(Delta):
    """How empty a path of the items was in two runs."""

    path: str = Field(description="The dotted path. `[]` stands for the elements of an array, `*` for a map's keys.")
    a: Exact | None = Field(
        description="The share of the items of run a that had nothing there, 0 to 1; null: unknown."
    )
    b: Exact | None = Field(description="The same of run b.")


class ChangedField(Shape):
    """A field of the source whose shape changed between the two runs."""

    path: str = Field(description="The field's dotted path.")
    change: str = Field(description="added, removed, retyped, renamed or nullability.")
    before: str | None = Field(description="What was remembered.")
    after: str | None = Field(description="What was found.")
    run_id: int = Field(description="The run that noticed it.")


class RecordKeys(Shape):
    """The records that had one fate."""

    count: int = Field(description="How many.")
    keys: list[str] = Field(description="The keys of the first 20, by record_id.")


class RecordFates(Shape):
    """What became of the source's records from the end of the earlier run to the end of the later one."""

    from_run: int = Field(description="The earlier run.")
    to_run: int = Field(description="The later run.")
    added: RecordKeys = Field(description="Not there before.")
    changed: RecordKeys = Field(description="Another state was written.")
    gone: RecordKeys = Field(description="Not listed by the source any more.")
    returned: RecordKeys = Field(description="Listed again, as they were.")
    unknown: RecordKeys = Field(
        description="Written again after the later run, and their states before that are not kept: nobody knows."
    )


class RunAnomaly(Shape):
    """Something that stands out in one of the two runs."""

    anomaly_id: int = Field(description="The finding: `GET /anomalies/{anomaly_id}` has all of it.")
    run_id: int = Field(description="The run.")
    metric: str = Field(description="The figure.")
    subject: str = Field(description="The record, entity or field that it is about; empty for the whole run.")
    found: Exact = Field(description="Its value.")
    expected_low: Exact | None = Field(description="The lower end of the expected range; null: there is none.")
    expected_high: Exact | None = Field(description="The upper end of the expected range; null: there is none.")
    explanation: str = Field(description="What it means, in a sentence.")
    state: AnomalyState = Field(description="What has become of the finding.")


class Comparison(Shape):
    """Two runs of one source side by side."""

    source: str = Field(description="The source of both runs.")
    a: RunShape = Field(description="The first run.")
    b: RunShape = Field(description="The second run.")
    metrics: list[MetricDelta] = Field(description="Every figure of both runs.")
    null_rates: list[NullRateDelta] = Field(description="How empty the items were, by path.")
    changed: list[str] = Field(description="Which members of the two runs differ, apart from ids, times and figures.")
    changed_fields: list[ChangedField] = Field(
        description="Changes of the source's shape that were noticed after the earlier run, up to and with the later "
        "one, newest first; at most 1,000 are looked through."
    )
    records: RecordFates | None = Field(description="What became of the records; null while one of the runs goes on.")
    anomalies: list[RunAnomaly] = Field(description="What stands out in either run.")
    notes: list[str] = Field(description="What is not known, and why, in sentences.")


class ComparisonAnswer(Comparison, Answered):
    """Two runs of one source side by side."""
