"""Where the tests' PostgreSQL server comes from, and that it is gone afterwards."""

from __future__ import annotations

import importlib.util
import shutil
import socket
from pathlib import Path
from urllib.parse import urlsplit

import postgres
import pytest


@pytest.fixture
def nothing_installed(monkeypatch, tmp_path):
    """A machine without any PostgreSQL."""
    monkeypatch.delenv(postgres.URL_VARIABLE, raising=False)
    monkeypatch.delenv(postgres.SKIP_VARIABLE, raising=False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(postgres, "SYSTEM", tmp_path)
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)


def test_a_given_server_is_used_as_it_is(nothing_installed, monkeypatch):
    """With the URL set nothing is looked for, started or stopped."""
    monkeypatch.setenv(postgres.URL_VARIABLE, "postgresql://me@db.example/x?sslmode=require")
    with postgres.server() as server:
        assert server.url == "postgresql://me@db.example/x?sslmode=require"
        assert server.database_url("y") == "postgresql://me@db.example/y?sslmode=require"


def test_without_any_server_the_tests_fail(nothing_installed):
    """No server is an error that says what was tried, never a silent skip."""
    with pytest.raises(postgres.NoPostgresError, match=f"{postgres.URL_VARIABLE} is not set"), postgres.server():
        pass


def test_leaving_postgres_out_has_to_be_said(nothing_installed, monkeypatch):
    """Only the explicit variable turns the failure into a skip, and the skip says so."""
    monkeypatch.setenv(postgres.SKIP_VARIABLE, "1")
    with pytest.raises(pytest.skip.Exception, match=postgres.SKIP_VARIABLE), postgres.server():
        pass


@pytest.mark.parametrize("place", ["path", "system", "wheel"])
def test_programs_are_found_in_each_place(nothing_installed, monkeypatch, tmp_path, place):
    """PATH, the system's directory and the wheel are each enough."""
    directory = tmp_path / "15" / "bin"
    directory.mkdir(parents=True)
    for name in ("pg_ctl", "initdb"):
        postgres._program(directory, name).touch()
    if place != "system":
        monkeypatch.setattr(postgres, "SYSTEM", tmp_path / "none")
    if place == "path":
        monkeypatch.setattr(shutil, "which", lambda name: str(postgres._program(directory, name)))
    if place == "wheel":
        spec = importlib.util.spec_from_loader("wheel", None, origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)
    assert postgres._programs() == directory


@pytest.mark.postgres
def test_a_started_server_is_gone_afterwards_even_after_a_failure(monkeypatch, tmp_path):
    """The process is stopped and its data removed, also when a test fails in between."""
    monkeypatch.delenv(postgres.URL_VARIABLE, raising=False)
    homes: list[Path] = []
    make = postgres.tempfile.mkdtemp
    monkeypatch.setattr(
        postgres.tempfile, "mkdtemp", lambda **given: homes.append(Path(make(**given))) or str(homes[0])
    )

    def fail():
        with postgres.server() as server:
            name = server.create()
            assert server.open_transactions(name) == []
            ports.append(urlsplit(server.url).port)
            raise LookupError("a failing test")

    ports: list[int] = []
    with pytest.raises(LookupError):
        fail()
    assert [home.exists() for home in homes] == [False]
    with socket.socket() as probe, pytest.raises(ConnectionRefusedError):
        probe.connect(("127.0.0.1", ports[0]))
