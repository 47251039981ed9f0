"""What speaks for two assets being one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from enum import StrEnum
from typing import Any

from kasparro_core.model.entity import AssetId


class Method(StrEnum):
    """How a link was found, the surest first."""

    FILE = "file"
    HAND = "hand"
    CONTRACT = "contract"
    REFERENCE = "reference"
    EXACT = "exact"
    NEAR = "near"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class Edge:
    """Two assets (`a` < `b`) that are one by `method`, how sure that is (0 to 1), and why."""

    a: AssetId
    b: AssetId
    method: Method
    confidence: Decimal
    evidence: Mapping[str, Any] = field(default_factory=dict)


def edge(
    one: AssetId, other: AssetId, method: Method, confidence: Decimal, evidence: Mapping[str, Any] | None = None
) -> Edge:
    """An edge with its ends in order."""
    a, b = sorted((one, other))
    return Edge(a, b, method, confidence, evidence or {})
