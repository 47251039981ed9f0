"""Drift: the shape of what a source sends, remembered from run to run, and what changed about it. Pure.

items ──observe──▶ Shape ──changes──▶ what to tell ──learned──▶ the next memory
"""

from kasparro_core.drift.apply import shows, without
from kasparro_core.drift.document import Memory, change_view, document_of, memory_of
from kasparro_core.drift.empty import null_rates
from kasparro_core.drift.judge import changes, told
from kasparro_core.drift.learn import has_news, is_required, is_sure, learned, outline, places
from kasparro_core.drift.observe import ItemStyle, observe
from kasparro_core.drift.rules import Rules
from kasparro_core.drift.shape import Shape, kinds_text
from kasparro_core.drift.traces import Sample, joined, sampled, trace
from kasparro_core.drift.verdict import Conclusion, Known, Seen, conclude, is_settled, judged

__all__ = [
    "Conclusion",
    "ItemStyle",
    "Known",
    "Memory",
    "Rules",
    "Sample",
    "Seen",
    "Shape",
    "change_view",
    "changes",
    "conclude",
    "document_of",
    "has_news",
    "is_required",
    "is_settled",
    "is_sure",
    "joined",
    "judged",
    "kinds_text",
    "learned",
    "memory_of",
    "null_rates",
    "observe",
    "outline",
    "places",
    "sampled",
    "shows",
    "told",
    "trace",
    "without",
]
