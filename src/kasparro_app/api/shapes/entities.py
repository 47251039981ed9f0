"""Entities: canonical things, what the sources say of them, and what people decide."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from kasparro_app.api.shapes.common import Answered, Moment, Paged, Shape
from kasparro_app.api.shapes.records import Number, RecordShape
from kasparro_core.identity.agreement import LeftOut
from kasparro_core.model.entity import Verdict


class EntityShape(Shape):
    """The canonical thing that several sources talk about."""

    entity_id: str = Field(description="The id of the entity: stable and readable.")
    kind: str = Field(description="asset for quotes and candles, else the kind of its records.")
    symbol: str | None = Field(description="Its symbol.")
    name: str | None = Field(description="Its canonical name.")
    merged_into: str | None = Field(description="It turned out to be that one.")


class EntitiesAnswer(Paged):
    """A page of entities."""

    data: list[EntityShape] = Field(description="Entities in ascending entity_id.")


class MergedAnswer(EntityShape, Answered):
    """An entity that turned out to be another one: `merged_into`."""


class LinkShape(Shape):
    """A source's own id for the entity."""

    source: str = Field(description="The source.")
    external_id: str = Field(description="Its id there.")
    method: str = Field(description="How the link was found: file, hand, contract, reference, exact, near or own.")
    confidence: Number = Field(description="How sure that is, from 0 to 1.")
    evidence: dict[str, Any] = Field(description="What speaks for it; `with`: the asset that it was linked with.")
    decided_at: Moment | None = Field(description="When it was decided.")


class SourceSide(Shape):
    """What one source says of the entity now."""

    source: str = Field(description="The source.")
    external_id: str = Field(description="Its id there.")
    at: Moment = Field(description="When that held: occurred_at, else updated_at of the record.")
    left_out: LeftOut | None = Field(description="Why its figures are not compared; null: they are.")
    behind_seconds: Number | None = Field(description="Of what is left out: how much older than the newest figures.")
    record: RecordShape = Field(description="Its latest record.")


class SpreadShape(Shape):
    """Prices of two or more sources in one currency."""

    currency: str | None = Field(description="What they are counted in.")
    sources: list[str] = Field(description="The sources that give one.")
    low: Number = Field(description="The lowest price.")
    low_source: str = Field(description="Who gives it.")
    high: Number = Field(description="The highest price.")
    high_source: str = Field(description="Who gives it.")
    spread: Number = Field(description="high - low, exactly.")
    share: Number = Field(description="The spread as a share of the larger of both, to six places.")
    agree: bool = Field(description="The share is at most 0.02.")


class ToldShape(Shape):
    """What one source says of a field."""

    source: str = Field(description="The source.")
    value: Any = Field(description="What it says.")


class FieldShape(Shape):
    """A field that two or more sources give."""

    field: str = Field(description="name, symbol, or an attribute of their records.")
    agree: bool = Field(description="They say the same, or nearly.")
    share: Number | None = Field(description="Of numbers: how far apart they are.")
    values: list[ToldShape] = Field(description="What each says, by source.")


class UncountedShape(Shape):
    """A source whose figures are not compared."""

    source: str = Field(description="The source.")
    reason: LeftOut = Field(description="stale: older than the newest by more than `within_seconds`; ahead; gone.")
    at: Moment = Field(description="When its figures held.")
    behind_seconds: Number = Field(description="How much older than the newest figures; negative: newer.")


class AgreementShape(Shape):
    """What the sources agree on."""

    as_of: Moment | None = Field(description="The newest instant that counts.")
    within_seconds: int = Field(description="Figures that are older than that one by more are stale.")
    prices: list[SpreadShape] = Field(description="A spread for each currency that two sources give a price in.")
    fields: list[FieldShape] = Field(description="Each field that two sources give: name, symbol, then by name.")
    disagree: list[str] = Field(description="The fields, and `price`, in which they differ.")
    left_out: list[UncountedShape] = Field(description="The sources whose figures are not compared.")


class WholeShape(EntityShape):
    """An entity with its links."""

    links: list[LinkShape] = Field(description="The sources' ids for it, by source and external_id.")


class EntityAnswer(WholeShape, Answered):
    """One entity with all its sources side by side."""

    sources: list[SourceSide] = Field(description="The latest record of every source, by source.")
    agreement: AgreementShape = Field(description="What they agree on.")


class AssetShape(Shape):
    """A source's own id for something."""

    source: str = Field(description="The source.")
    external_id: str = Field(description="Its id there.")


class StandingAsset(AssetShape):
    """An asset, what its source calls it, and where it stands."""

    symbol: str | None = Field(description="Its symbol there.")
    name: str | None = Field(description="Its name there.")
    entity_id: str | None = Field(description="The entity that it is linked to.")


class CandidateShape(Shape):
    """Two assets that may be one thing, but not surely enough."""

    reason: str = Field(description="Why they may be one.")
    confidence: Number = Field(description="How sure that is, from 0 to 1.")
    a: StandingAsset = Field(description="The one.")
    b: StandingAsset = Field(description="The other.")
    evidence: dict[str, Any] = Field(description="What speaks for it and against it.")


class CandidatesAnswer(Paged):
    """A page of pairs to be looked at."""

    data: list[CandidateShape] = Field(description="The surest first.")


class RulingShape(Shape):
    """What a person said of two assets."""

    ruling_id: int = Field(description="The id of the ruling.")
    act: int = Field(description="The first ruling of the decision: they are undone together.")
    verdict: Verdict = Field(description="same or different.")
    a: AssetShape = Field(description="The one.")
    b: AssetShape = Field(description="The other.")
    decided_at: Moment | None = Field(description="When.")
    undone_at: Moment | None = Field(description="When it was taken back.")


class RulingsAnswer(Paged):
    """A page of rulings."""

    data: list[RulingShape] = Field(description="The newest first.")


class DecidedAnswer(Answered):
    """A decision by hand, and what it came to."""

    what: str = Field(description="entities.merged, entities.split or entities.undone.")
    ruling_id: int = Field(description="What POST /entities/rulings/{ruling_id}/undo takes.")
    rulings: list[RulingShape] = Field(description="What is kept of it; of an undoing: what was taken back.")
    entities: list[WholeShape] = Field(description="Where its assets stand since, by entity_id.")
