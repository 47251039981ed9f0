"""HTTP JSON APIs: fetching bytes, understanding JSON, walking pages."""

from kasparro_adapters.http.config import HttpSourceConfig
from kasparro_adapters.http.fetcher import AiohttpFetcher
from kasparro_adapters.http.json_decoder import JsonDecoder
from kasparro_adapters.http.presets import PRESETS, Preset, resolve_preset
from kasparro_adapters.http.source import HttpSource

__all__ = ["PRESETS", "AiohttpFetcher", "HttpSource", "HttpSourceConfig", "JsonDecoder", "Preset", "resolve_preset"]
