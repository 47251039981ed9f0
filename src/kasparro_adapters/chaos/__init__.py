"""Faults on purpose: a source and a store around real ones that fail by a seed."""

from kasparro_adapters.chaos.faults import Faults
from kasparro_adapters.chaos.points import Point
from kasparro_adapters.chaos.source import ChaosSource
from kasparro_adapters.chaos.store import ChaosStore

__all__ = ["ChaosSource", "ChaosStore", "Faults", "Point"]
