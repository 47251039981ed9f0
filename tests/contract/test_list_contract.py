"""The contracts of Source and Decoder, on the smallest honest source."""

from __future__ import annotations

import json

import pytest
from lists import ListDecoder, ListSource

from kasparro_core.model import RawPayload
from kasparro_core.testing import DecoderContract, SourceContract

PAGES = {"": [[{"n": 1}, "refused", {"n": 2}], [], [{"n": 3}], [{"n": 4}]], "other": [[{"n": 5}]]}


class TestListSource(SourceContract):
    """Source."""

    @pytest.fixture
    def make_source(self):
        """A source over the same pages."""
        return lambda: ListSource(PAGES)

    @pytest.fixture
    def expected(self):
        """All objects of the pages."""
        return {"": [{"n": 1}, {"n": 2}, {"n": 3}, {"n": 4}], "other": [{"n": 5}]}

    @pytest.fixture
    def decoders(self):
        """The only format."""
        return {"list": ListDecoder()}


class TestListDecoder(DecoderContract):
    """Decoder."""

    @pytest.fixture
    def decoder(self):
        """The decoder of the only format."""
        return ListDecoder()

    @pytest.fixture
    def payloads(self):
        """With items, with refused rows, with nothing."""
        return [RawPayload(json.dumps(page).encode(), {"format": "list"}) for page in PAGES[""]]

    @pytest.fixture
    def bad_payloads(self):
        """HTML and nothing at all."""
        return [RawPayload(body, {"format": "list"}) for body in (b"<html>", b"")]
