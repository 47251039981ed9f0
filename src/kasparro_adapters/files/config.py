"""What a person may say about a CSV source."""

from __future__ import annotations

import hashlib
import json
from typing import Literal

from pydantic import Field, field_validator

from kasparro_adapters.files.detect import ReadingRules
from kasparro_adapters.files.encoding import is_readable
from kasparro_core.config import FetchOptions, SourceConfig
from kasparro_core.normalize.mapping import RecordMapping


class CsvSourceConfig(SourceConfig, FetchOptions):
    """A file, a glob (each file a partition) or an http(s) address, with what is declared about how to read it.

    What is not declared is found out from the start of the file. `quote` "" makes quotes plain text; `columns` name the
    columns in the place of a header; `skip_lines` physical lines stand in front of the table; `decimal` is the default
    decimal mark of the mapping; `member` is the file inside a zip archive. Files lie in the folder `root`, wherever
    links lead; without it in that of the configuration file. The FetchOptions are for addresses alone.
    """

    type: Literal["csv"] = "csv"
    path: str = Field(min_length=1)
    root: str | None = Field(default=None, min_length=1)
    delimiter: str | None = None
    quote: str | None = None
    encoding: str | None = None
    header: bool | Literal["auto"] = "auto"
    columns: list[str] = []
    decimal: Literal[".", ","] | None = None
    skip_lines: int = Field(default=0, ge=0)
    member: str | None = None
    batch_rows: int = Field(default=5_000, ge=1)

    @field_validator("path")
    @classmethod
    def _known_scheme(cls, path: str) -> str:
        scheme, found, _ = path.partition("://")
        if found and scheme.lower() not in ("http", "https"):
            raise ValueError(f"expected a path, a glob or an http(s) address, found {scheme}://")
        return path

    @field_validator("delimiter")
    @classmethod
    def _one_delimiter(cls, delimiter: str | None) -> str | None:
        if delimiter is not None and (len(delimiter) != 1 or not delimiter.isascii() or delimiter in '\r\n"\0'):
            raise ValueError(f"expected one ASCII character, found {delimiter!r}")
        return delimiter

    @field_validator("quote")
    @classmethod
    def _one_quote(cls, quote: str | None) -> str | None:
        if quote and (len(quote) != 1 or not quote.isascii() or quote in "\r\n\0 "):
            raise ValueError(f'expected one ASCII character, or "" for none, found {quote!r}')
        return quote

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, encoding: str | None) -> str | None:
        try:
            if encoding is not None and not is_readable(encoding):
                raise ValueError(f"{encoding} is not for CSV files: its ASCII characters are not ASCII bytes")
        except LookupError as error:
            raise ValueError(f"expected an encoding such as utf-8 or cp1252, found {encoding!r}") from error
        return encoding

    def reading_rules(self) -> ReadingRules:
        """The declarations, as detection wants them."""
        return ReadingRules(
            encoding=self.encoding,
            delimiter=self.delimiter,
            quote=self.quote,
            header=None if self.header == "auto" else self.header,
            columns=tuple(self.columns),
            skip_lines=self.skip_lines,
        )

    def record_mapping(self, name: str) -> RecordMapping:
        """The mapping of this source, with `decimal` as its decimal mark unless the mapping has its own."""
        mapping = super().record_mapping(name)
        if self.decimal is None or "decimal" in mapping.model_fields_set:
            return mapping
        return RecordMapping(**{**mapping.model_dump(exclude_unset=True), "decimal": self.decimal})

    def rules_hash(self, name: str) -> str:
        """Changes when the same bytes would give other records: reading rules, mapping and `drift`."""
        rules = self.model_dump(mode="json", include={"delimiter", "quote", "encoding", "header", "columns", "member"})
        mapping = self.record_mapping(name).model_dump(mode="json")
        text = json.dumps([rules, self.skip_lines, mapping, *self.drift_rule()], sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
