"""The bounds of a body, and where it is kept until it is whole."""

from __future__ import annotations

import gzip
import io
import tempfile
import zlib

import pytest

from kasparro_adapters.http import body as bodies
from kasparro_adapters.http.body import RATIO_FROM, Bounds, Spool
from kasparro_adapters.http.inflate import PIECE, SIP, inflater, sips
from kasparro_core.errors import PermanentSourceError, TransientSourceError
from kasparro_core.ports import FetchRequest

CAP = 4 * RATIO_FROM
SLACK = 64 * 1024


def bounds(**limits):
    """The bounds of one body."""
    return Bounds(FetchRequest("prices", "http://x/?apikey=SECRET", max_bytes=CAP, **limits), "http://x/?apikey=***")


@pytest.mark.parametrize(
    ("step", "found"),
    [
        (lambda it: it.announced(CAP + SLACK + 1), f"Content-Length announces {CAP + SLACK + 1:,}"),
        (lambda it: it.received(CAP + SLACK + 1), f"{CAP + SLACK + 1:,} had come"),
        (lambda it: it.unpacked(CAP + 1), f"had unpacked to {CAP + 1:,}"),
    ],
)
def test_too_large_by_announcement_on_the_wire_and_unpacked(step, found):
    """Each names source, address without secret, limit, what was found, and the setting."""
    with pytest.raises(PermanentSourceError) as caught:
        step(bounds())
    said = str(caught.value)
    assert caught.value.code == "too_large"
    for part in ("prices: http://x/?apikey=***: ", f"{CAP:,} bytes", found, "`max_bytes` of [sources.prices]"):
        assert part in said
    assert "SECRET" not in said


def test_what_is_just_within_the_bounds_passes():
    """The cap itself, on the wire a little more, and no length at all."""
    it = bounds()
    it.announced(CAP)
    it.announced(None)
    it.received(CAP + SLACK)
    it.unpacked(CAP)


def test_a_ratio_counts_from_16_mebibytes_on():
    """Small bodies may be packed as well as they like; a larger one of 1 to 11 breaks a bound of 10."""
    it = bounds(max_ratio=10)
    it.received(10)
    it.unpacked(RATIO_FROM)
    with pytest.raises(PermanentSourceError, match=r"more than 10 times its size \(10 bytes.*`max_ratio` of \[sources"):
        it.unpacked(1)


def test_sparse_rows_are_no_bomb():
    """20,000 rows of nothing but zeros pack better than 1 to 200, and are ordinary data."""
    rows = b"[" + b",".join([b'{"a":0,"b":0,"c":0,"d":0,"e":0,"f":0,"g":0,"h":0}'] * 20_000) + b"]"
    it = bounds()
    it.received(len(gzip.compress(rows)))
    it.unpacked(len(rows))
    assert it.size > it.sent * FetchRequest("s", "http://x/").max_ratio


@pytest.mark.parametrize("size", [0, 1, RATIO_FROM, RATIO_FROM + 1, 3 * RATIO_FROM])
def test_a_bomb_is_told_by_its_ratio_in_however_large_pieces_it_comes(size):
    """All of a bomb in one chunk: it is fed in sips, so that the ratio shows long before the cap."""
    it, unpack = bounds(), inflater("gzip")
    packed, unpacked = gzip.compress(bytes(size), 9), 0
    try:
        for sip in sips(packed, unpack):
            it.received(len(sip))
            for piece in unpack.feed(sip):
                it.unpacked(len(piece))
                unpacked += len(piece)
    except PermanentSourceError as error:
        assert error.code == "compression_ratio"
        assert size > RATIO_FROM
        assert unpacked <= RATIO_FROM + PIECE
    else:
        assert size <= RATIO_FROM
        assert unpacked == size


@pytest.mark.parametrize("coding", ["", "gzip", "deflate"])
def test_sips_are_all_of_it(coding):
    """Nothing is lost between sips; what is not compressed is not cut up."""
    unpack, data = inflater(coding), b"0123456789" * 2000
    sent = {"": bytes, "gzip": gzip.compress, "deflate": zlib.compress}[coding](data)
    found = list(sips(sent, unpack))
    assert b"".join(found) == sent
    assert all(len(sip) <= SIP for sip in found) or coding == ""
    assert b"".join(piece for sip in found for piece in unpack.feed(sip)) == data
    assert list(sips(b"", unpack)) == []


def test_a_spool_gives_back_what_was_put_in(monkeypatch):
    """In memory and, from a size on, in a file."""
    monkeypatch.setattr(tempfile, "SpooledTemporaryFile", lambda max_size: made.append(max_size) or io.BytesIO())
    made: list[int] = []
    assert Spool("s").whole() == b""
    assert made == [bodies.IN_MEMORY]


def test_a_large_body_goes_through_a_file():
    """More than is kept in memory comes back as it went in."""
    spool = Spool("s")
    pieces = [bytes([n]) * PIECE for n in range(bodies.IN_MEMORY // PIECE + 2)]
    for piece in pieces:
        spool.write(piece)
    assert spool.whole() == b"".join(pieces)
    spool.close()


def test_a_full_disk_is_a_fault_that_may_pass():
    """It names the folder and what to do, and is no bug."""

    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    with pytest.raises(TransientSourceError, match=r"^prices: .*No space left on device.*") as caught:
        Spool("prices", Full()).write(b"x")
    assert caught.value.code == "file_io"
    assert "TMPDIR" in str(caught.value)


def test_a_machine_without_a_folder_for_temporary_files_is_told_so(monkeypatch):
    """The message does not need the folder that it would name: no bug comes of that."""
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(
        tempfile, "_get_default_tempdir", lambda: (_ for _ in ()).throw(FileNotFoundError(2, "No usable"))
    )
    spool = Spool("prices")
    with pytest.raises(TransientSourceError, match=r"folder for temporary files \(No usable\)") as caught:
        spool.write(bytes(bodies.IN_MEMORY + 1))
    assert caught.value.code == "file_io"
    spool.close()
