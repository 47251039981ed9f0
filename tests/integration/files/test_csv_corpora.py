"""Other people's files: read right where an expectation is known, and every row accounted for where none is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, cast

import pytest
from scripted import SteppingClock

from kasparro_adapters.files import CsvDecoder, CsvSource, CsvSourceConfig
from kasparro_adapters.files.decoder import decode_chunk
from kasparro_adapters.files.dialect import scan, split_lines
from kasparro_adapters.files.facts import Layout
from kasparro_core.errors import SourceError
from kasparro_core.model import Batch, RawPayload
from kasparro_core.ports import ReadContext

SHARED = Path(__file__).resolve().parents[4] / "shared"
SPECTRUM = SHARED / "corpora" / "csv-spectrum"
DUCKDB = SHARED / "corpora" / "duckdb" / "data"
DATA = SHARED / "data" / "csv"
CLOCK = SteppingClock()

BITFINEX = ["time", "open", "close", "high", "low", "volume"]


def existing(folder: Path) -> Path:
    if not folder.is_dir():
        pytest.skip(f"there is no corpus at {folder}")
    return folder


def files(folder: Path, pattern: str) -> list[Any]:
    """Parameters: one for each file; a single one that skips where the folder is absent."""
    found = sorted(path for path in folder.rglob(pattern) if path.is_file())
    return [pytest.param(path, id=path.relative_to(folder).as_posix()) for path in found] or [folder / "absent"]


async def read(path: Path, **options: Any) -> list[Batch]:
    source = CsvSource("corpus", CsvSourceConfig(path=path.as_posix(), **options), path.parent, CLOCK)
    reading = cast(Any, source.read("", ReadContext(now=CLOCK.now(), full=True)))
    async with aclosing(reading):
        return [batch async for batch in reading]


def rows_in(batches: list[Batch]) -> Iterator[tuple[int, int]]:
    """(rows that a plain scan of the payload finds, items + rejections) of each batch."""
    for batch in batches:
        if batch.raw is not None:
            yield _scanned(batch.raw), len(batch.items) + len(batch.rejections)


def _scanned(raw: RawPayload) -> int:
    layout = Layout.from_facts(raw.decode_facts)
    text, _ = decode_chunk(raw.payload, layout.encoding, at_start=raw.decode_facts["first_line"] == 1)
    rows = scan(split_lines(text)[layout.skip :], layout.dialect, width=len(layout.header))
    return sum(1 for row in rows if row.cells != [])


@pytest.mark.parametrize("path", files(SPECTRUM / "csvs", "*.csv"))
async def test_csv_spectrum(path: Path) -> None:
    """All twelve files of csv-spectrum are read as their JSON says."""
    existing(SPECTRUM)
    expected = json.loads((SPECTRUM / "json" / f"{path.stem}.json").read_text(encoding="utf-8"))
    rows = [dict(item.data) for batch in await read(path) for item in batch.items]
    if path.stem == "location_coordinates":
        # its JSON is a single object, with another phone number than the CSV
        expected = [expected | {"Contact Phone Number": "2095257564"}]
    assert rows == expected


@pytest.mark.parametrize("path", files(DUCKDB, "*.csv*"))
async def test_duckdb(path: Path) -> None:
    """Files that once crashed DuckDB crash nothing: each is read with every row accounted for, or refused by name."""
    existing(DUCKDB)
    try:
        batches = await read(path)
    except SourceError as error:
        assert error.code in {"decompression", "zstd_missing", "not_csv"}, error
        return
    for scanned, accounted in rows_in(batches):
        assert scanned == accounted
    for batch in batches:
        if batch.raw is not None:
            decoded = CsvDecoder().decode(RawPayload(batch.raw.payload, json.loads(json.dumps(batch.raw.decode_facts))))
            assert [item.data for item in decoded.items] == [item.data for item in batch.items]
            json.dumps([refused.payload for refused in batch.rejections]).encode()


TRAPS = {
    "awkward_cmc_semicolon_bom_excel_mangled_btc.csv": ("utf-8", ";", "timeOpen", 13, 3105),
    "awkward_investing_pt_USD_BRL.csv": ("utf-8", ",", "Data", 6, 65),
    "awkward_cdd_semicolon_float_epoch.csv": ("utf-8", ";", "Unix Timestamp", 10, 1180),
    "cdd_Binance_BTCUSDT_d.csv": ("utf-8", ",", "Unix", 10, 3159),
    "cdd_Bitfinex_BTCUSD_d.csv": ("utf-8", ",", "unix", 9, 3902),
    "cdd_Binance_BTCUSDT_minute_noheader.csv.gz": ("utf-8", ",", "column_1", 10, 15000),
    "coinmetrics2018_dash.csv": ("utf-8", ",", "date", 13, 1558),
    "coinmetrics2019_trx.csv": ("utf-8", ",", "column_1", 16, 3600),
    "derived_latin1_semicolon.csv": ("cp1252", ";", "Data", 7, 91),
    "derived_utf16le_bom.csv": ("utf-16-le", ",", "Data", 7, 91),
    "investing_Bitcoin_en.csv": ("utf-8", ",", "Date", 7, 1959),
    "kaggle2018_crypto-markets.csv.gz": ("utf-8", ",", "slug", 13, 29999),
}


@pytest.mark.parametrize("name", sorted(TRAPS))
async def test_recorded_traps(name: str) -> None:
    """Banner lines, missing headers, marks, trailing commas, encodings: found out, and no row lost or refused."""
    batches = await read(existing(DATA) / name)
    raw = batches[0].raw
    assert raw is not None
    facts = raw.decode_facts
    count = sum(len(batch.items) for batch in batches)
    assert (facts["encoding"], facts["delimiter"], facts["header"][0], len(facts["header"]), count) == TRAPS[name]
    assert not any(batch.rejections for batch in batches)


@pytest.mark.parametrize("path", [p for p in files(DATA, "*.csv*") if "big" not in str(p)])
async def test_recorded_files_account_for_every_row(path: Path) -> None:
    """Rows in = items + rejections, and no recorded file has a row that does not fit."""
    existing(DATA)
    batches = await read(path)
    assert all(scanned == accounted for scanned, accounted in rows_in(batches))
    assert sum(len(batch.items) for batch in batches) > 60
    assert not any(batch.rejections for batch in batches)


async def test_a_big_file_without_header_streams_in_bounded_batches() -> None:
    """A year of minute candles: all rows, at most 5,000 a batch, columns as declared."""
    path = existing(DATA / "big") / "bitfinex_LTCUSD_1m_2013.csv.gz"
    if not path.exists():
        pytest.skip(f"there is no {path}")
    batches = await read(path, columns=BITFINEX)
    assert max(len(batch.items) for batch in batches) == 5_000
    assert sum(len(batch.items) for batch in batches) == 18_645
    assert list(batches[0].items[0].data) == BITFINEX
