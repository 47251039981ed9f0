"""Feeds that move, vanish and lose items, and files that lie elsewhere, from the command line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest


def rss(*names: str) -> bytes:
    """An RSS feed with these items."""
    items = "".join(f"<item><guid>{name}</guid><title>{name}</title></item>" for name in names)
    return f'<rss version="2.0"><channel><title>f</title>{items}</channel></rss>'.encode()


@contextmanager
def site(places: dict[str, tuple[int, str, bytes]], asked: list[str]) -> Iterator[str]:
    """Serve status, location and body by path; the address of the site."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            status, location, body = places[self.path]
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Keep the test's output quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_became_of_feeds_is_seen(kasparro: Any, folder: Path) -> None:
    """Over real HTTP: after three runs the feed is asked where it has moved to, the feed that answers 410 is gone and
    asked by every run by hand, everything new is a gap; `sources` says all three, in words and as JSON."""
    asked: list[str] = []
    places = {
        "/old": (301, "/new", b""),
        "/new": (200, "", rss("1", "2")),
        "/gone": (410, "", b""),
    }
    with site(places, asked) as address:
        urls = [f"{address}/old", f"{address}/gone"]
        config = f"[sources.news]\ntype = 'feed'\nurls = {json.dumps(urls)}\nallow_private_hosts = true\n"
        (folder / "kasparro.toml").write_text(config, encoding="utf-8")
        codes = [kasparro("run").code for _ in range(3)]
        places["/new"] = (200, "", rss("8", "9"))
        last = kasparro("run")
    assert codes == [3, 3, 3]
    assert [path for path in asked if path != "/gone"] == ["/old", "/new"] * 3 + ["/new"]
    assert asked.count("/gone") == 4
    (source,) = json.loads(kasparro("sources", "--json").out)
    assert source["moved_partitions"] == [{"partition": f"{address}/old", "url": f"{address}/new"}]
    (failed,) = source["failed_partitions"]
    assert (failed["partition"], failed["state"], source["gaps"]) == (f"{address}/gone", "gone", 1)
    assert f"feed.gap: partition {address}/old, items 2" in last.err
    remarks = kasparro("sources").err
    assert f"{address}/gone was taken down for good" in remarks
    assert f"{address}/old has moved to {address}/new" in remarks
    assert "1 times everything was new" in remarks


@pytest.mark.parametrize("place", ["toml", "environment", "environment in root", "allowed", "CSV_PATH"])
def test_files_outside_of_the_folder(
    kasparro: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """An absolute path in the file is refused with the setting that allows it; with that setting, or given by a
    variable, it is read. A `root` in the file holds for what a variable says, too."""
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "a.csv"
    elsewhere.write_text("id,price\na,1\n", encoding="utf-8")
    path = elsewhere.as_posix() if place in {"toml", "allowed"} else "b.csv"
    roots = {"allowed": elsewhere.parent.as_posix(), "environment in root": "."}
    root = f'root = "{roots[place]}"\n' if place in roots else ""
    if place.startswith("environment"):
        monkeypatch.setenv("KASPARRO_SOURCES__CSV__PATH", str(elsewhere))
    if place == "CSV_PATH":
        monkeypatch.setenv("CSV_PATH", str(elsewhere))
    config = f'[sources.csv]\ntype = "csv"\npath = "{path}"\n{root}'
    (folder / "kasparro.toml").write_text(config, encoding="utf-8")
    done = kasparro("run")
    if place in {"environment", "allowed", "CSV_PATH"}:
        assert done.code == 0, done.err
        return
    assert done.code == 1
    for word in ("csv", str(elsewhere), str(folder), "`root` of the source"):
        assert word in done.out + done.err


def test_a_file_is_previewed_wherever_it_lies(
    kasparro: Any, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A path that a person types is meant; a pattern reads nothing that leads out of its folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "a.csv").write_text("id,price\na,1\n", encoding="utf-8")
    (elsewhere / "f.xml").write_bytes(rss("one"))
    for target in (elsewhere / "a.csv", elsewhere / "*.csv", elsewhere / "f.xml"):
        done = kasparro("preview", str(target), "--type", "feed" if target.suffix == ".xml" else "csv", "--json")
        assert (done.code, len(done.out.splitlines())) == (0, 1), done.err
