"""CSV files: found, opened, understood and read on from where they ended."""

from kasparro_adapters.files.config import CsvSourceConfig
from kasparro_adapters.files.decoder import CsvDecoder
from kasparro_adapters.files.source import CsvSource

__all__ = ["CsvDecoder", "CsvSource", "CsvSourceConfig"]
