"""Decompression in pieces."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kasparro_adapters.http.inflate import PIECE, UnknownEncodingError, inflater


def raw_deflate(data):
    squeeze = zlib.compressobj(wbits=-15)
    return squeeze.compress(data) + squeeze.flush()


CODERS = {"gzip": gzip.compress, "x-gzip": gzip.compress, "deflate": zlib.compress, " Deflate ": raw_deflate}


@pytest.mark.parametrize("encoding", CODERS)
@given(data=st.binary(max_size=3000), step=st.integers(1, 500))
def test_any_cut_gives_the_same_bytes(encoding, data, step):
    """However the network cuts a compressed body, what comes out is the original, and its end is noticed."""
    packed, unpack = CODERS[encoding](data), inflater(encoding)
    pieces = [piece for at in range(0, len(packed), step) for piece in unpack.feed(packed[at : at + step])]
    assert b"".join(pieces) == data
    assert unpack.complete


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_gzip_of_several_members_is_one_body(step):
    """Members follow one another; padding after the last one is left out."""
    packed, unpack = gzip.compress(b"one ") + gzip.compress(b"two") + b"\0\0\0", inflater("gzip")
    pieces = [piece for at in range(0, len(packed), step) for piece in unpack.feed(packed[at : at + step])]
    assert b"".join(pieces) == b"one two"


def test_pieces_stay_small():
    """A megabyte that travels as one kilobyte comes out in pieces, so that a cap can stop it in time."""
    pieces = list(inflater("gzip").feed(gzip.compress(bytes(1 << 20))))
    assert sum(map(len, pieces)) == 1 << 20
    assert max(map(len, pieces)) <= PIECE


def test_a_missing_end_is_noticed():
    """A compressed body that was cut is not complete; one without a byte is."""
    unpack = inflater("gzip")
    assert unpack.complete
    list(unpack.feed(gzip.compress(b"hello world")[:-4]))
    assert not unpack.complete


def test_damage_is_an_error():
    """Bytes that are not what the header says raise zlib.error."""
    with pytest.raises(zlib.error):
        list(inflater("gzip").feed(b"[1, 2, 3] plain"))


@pytest.mark.parametrize("encoding", ["br", "zstd", "gzip, gzip"])
def test_what_was_not_offered_is_refused(encoding):
    """An encoding that the request did not offer is named, not guessed."""
    with pytest.raises(UnknownEncodingError):
        inflater(encoding)


@pytest.mark.parametrize("encoding", ["", "identity"])
def test_no_encoding_passes_through(encoding):
    """A plain body is left as it is."""
    assert list(inflater(encoding).feed(b"abc")) == [b"abc"]
