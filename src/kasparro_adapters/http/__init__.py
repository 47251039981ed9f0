"""HTTP JSON APIs: fetching bytes, understanding JSON, walking pages."""

from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.fetcher import AiohttpFetcher
from kasparro_adapters.http.json_decoder import JsonDecoder
from kasparro_adapters.http.presets import PRESETS, Preset, resolve_preset
from kasparro_adapters.http.source import HttpSource
from kasparro_adapters.http.windows import WindowedHttpSource, make_http_source

__all__ = [
    "PRESETS",
    "AiohttpFetcher",
    "HttpSource",
    "HttpSourceConfig",
    "JsonDecoder",
    "Preset",
    "WindowedHttpSource",
    "make_http_source",
    "resolve_preset",
]
