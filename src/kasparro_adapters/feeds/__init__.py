"""Feeds: RSS, RDF, Atom and JSON Feed, from an address, a list of them, an OPML file or a file."""

from kasparro_adapters.feeds.config import FeedSourceConfig
from kasparro_adapters.feeds.decoder import FeedDecoder
from kasparro_adapters.feeds.source import FeedSource

__all__ = ["FeedDecoder", "FeedSource", "FeedSourceConfig"]
