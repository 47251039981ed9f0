"""What a person may say about a feed source."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from kasparro_adapters.feeds.address import is_remote, scheme
from kasparro_adapters.feeds.decoder import MAX_BYTES
from kasparro_core.config import FetchOptions, SourceConfig
from kasparro_core.normalize.articles import ARTICLE_RULES
from kasparro_core.normalize.mapping import RecordMapping

_DEFAULT_BYTES = 16 * 1024 * 1024


class FeedSourceConfig(SourceConfig, FetchOptions):
    """A feed (`url`), several (`urls`), or all feeds of a subscription list (`opml`): exactly one of the three.

    Each may be an http(s) address or the path of a file, which lies in the folder `root`, wherever links lead; without
    it in that of the configuration file. `max_bytes` caps one feed after decompression. With `respect_ttl` timed runs
    wait for as long as a feed asks for (ttl, skipHours, skipDays, sy:updatePeriod, Cache-Control). The mapping is the
    standard one of articles; each key of `mapping` replaces that key of it.
    """

    type: Literal["feed"] = "feed"
    kind: str | None = "article"
    url: str | None = Field(default=None, min_length=1)
    urls: tuple[str, ...] | None = Field(default=None, min_length=1)
    opml: str | None = Field(default=None, min_length=1)
    root: str | None = Field(default=None, min_length=1)
    max_bytes: int = Field(default=_DEFAULT_BYTES, gt=0, le=MAX_BYTES)
    respect_ttl: bool = True

    @model_validator(mode="after")
    def _one_origin(self) -> FeedSourceConfig:
        given = [name for name in ("url", "urls", "opml") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"a feed source needs exactly one of `url`, `urls` and `opml`, found {given or 'none'}")
        if self.opml is not None and self.auth is not None:
            raise ValueError("`auth` cannot stand beside `opml`: the list would decide who receives it; use `urls`")
        for address in (self.url, self.opml, *(self.urls or ())):
            if address is not None and not is_remote(address) and scheme(address):
                raise ValueError(f"a feed is read over http or https, or from a file, not over {scheme(address)}")
        return self

    def record_mapping(self, name: str) -> RecordMapping:
        """The article mapping under this source's name, with the configured keys in the place of its own."""
        own = self.mapping.model_dump(exclude_unset=True) if self.mapping else {}
        rules = {**ARTICLE_RULES.model_dump(exclude_unset=True), **own}
        return RecordMapping(source=name, kind=self.kind or "article", **rules)
