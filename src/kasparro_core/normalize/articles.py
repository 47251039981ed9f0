"""Kind `article`: an entry of a feed, and the default mapping from feed items.

A feed item has the fields `id`, `link`, `title`, `summary`, `content`, `author`, `published`, `updated`, `tags`,
`enclosures` and `language`. Its key is `id` as it is written, else `link`, else the content hash; an edit is a change
of title, link, summary or content.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from kasparro_core.normalize.kinds import register_kind
from kasparro_core.normalize.mapping import FieldRule, MappingRules

IDENTITY = ("id", "link")
"""The fields that key an article, in the order they are tried."""

EDITED = ("summary", "content")
"""The attributes whose change is an edit, besides title and url."""


class ArticleAttributes(BaseModel):
    """The declared attributes of an article; others pass through as they are."""

    summary: str | None = None
    content: str | None = None
    author: str | None = None
    published: datetime | None = None
    updated: datetime | None = None
    tags: list[str] | None = None
    enclosures: list[dict[str, Any]] | None = None
    language: str | None = None


register_kind("article", ArticleAttributes)

ARTICLE_RULES = MappingRules(
    external_id=FieldRule(field=list(IDENTITY)),
    title="title",
    url="link",
    occurred_at=FieldRule(field=["published", "updated"]),
    attributes={name: name for name in ArticleAttributes.model_fields},
)
"""How a feed item becomes an article."""
