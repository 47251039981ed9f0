"""Ids as every store gives them out."""

from __future__ import annotations

from typing import Final

MOST_ID: Final = 2**63 - 1
"""The greatest there can be."""
