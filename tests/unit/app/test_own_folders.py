"""The folder that a path names by itself."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kasparro_adapters.confine import open_inside
from kasparro_app.config.folders import folder_of, with_own_root
from kasparro_app.config.origin import Origin
from kasparro_app.settings import settings_of
from kasparro_core.errors import ConfigurationError

posix = pytest.mark.skipif(os.name == "nt", reason="needs links")


def read(path: Path, root: Path) -> str:
    with open_inside(path, root) as file:
        return file.read().decode()


@posix
def test_a_folder_that_is_swapped_by_a_link_stays_readable(tmp_path: Path) -> None:
    """`current -> release1`, and a mounted ConfigMap (`p.csv -> ..data/p.csv`, `..data -> ..v1`): once the link leads
    to the next release, the file of that one is read, under the root that was found before; so is a pattern's."""
    for release in ("..v1", "..v2"):
        (tmp_path / release).mkdir()
        (tmp_path / release / "p.csv").write_text(release)
    for link, target in (("..data", "..v1"), ("current", "..v1"), ("p.csv", "..data/p.csv")):
        (tmp_path / link).symlink_to(target)
    places = [tmp_path / "p.csv", tmp_path / "current" / "p.csv"]
    roots = [Path(with_own_root({"type": "csv", "path": str(place)}, tmp_path)["root"]) for place in places]
    pattern = folder_of(str(tmp_path / "current" / "*.csv"), tmp_path)
    for release in ("..v1", "..v2"):
        for link in ("..data", "current"):
            (tmp_path / "new").symlink_to(release)
            (tmp_path / "new").replace(tmp_path / link)
        assert [read(place, root) for place, root in zip(places, roots, strict=True)] == [release] * 2
        assert read(places[1], pattern) == release


@posix
def test_a_link_out_of_its_folder_names_the_folder_that_it_leads_to(tmp_path: Path) -> None:
    """A file that is a link elsewhere, over another one too, is read, and its own folder does not become the root."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "p.csv").write_text("b")
    (tmp_path / "a" / "one.csv").symlink_to("../b/p.csv")
    (tmp_path / "a" / "two.csv").symlink_to("one.csv")
    (tmp_path / "a" / "loop.csv").symlink_to("loop.csv")
    for name in ("one.csv", "two.csv"):
        root = folder_of(str(tmp_path / "a" / name), tmp_path)
        assert os.path.realpath(root) == os.path.realpath(tmp_path / "b")
        assert read(tmp_path / "a" / name, root) == "b"
    assert folder_of(str(tmp_path / "a" / "loop.csv"), tmp_path) == tmp_path / "a"


def test_a_type_that_is_no_text_is_told_and_no_bug(tmp_path: Path) -> None:
    """Roots are given before the configuration is judged."""
    document = {"sources": {"p": {"type": ["csv"], "path": "p.csv"}, "q": "csv"}}
    with pytest.raises(ConfigurationError) as caught:
        settings_of(document, Origin("test"), tmp_path, environ={"KASPARRO_SOURCES__P__PATH": "/data/p.csv"})
    assert any("sources.p.type" in problem for problem in caught.value.problems)


def test_several_files_have_what_holds_them_all(tmp_path: Path) -> None:
    """Also where they are written with `..`."""
    table = {"type": "feed", "urls": ["x/../a/1.xml", "b/2.xml", "https://a.example/feed"]}
    (tmp_path / "x").mkdir()
    assert os.path.realpath(with_own_root(table, tmp_path)["root"]) == os.path.realpath(tmp_path)


@pytest.mark.parametrize(
    ("variables", "root"),
    [
        ({"KASPARRO_SOURCES__P__PATH": "/data/p.csv"}, "/data"),
        ({"KASPARRO_SOURCES__P__PATH": "/data/*/p.csv"}, "/data"),
        ({"KASPARRO_SOURCES__P__PATH": "/data/p.csv", "KASPARRO_SOURCES__P__ROOT": "/srv"}, "/srv"),
        ({"KASPARRO_SOURCES__P__PATH": "https://a.example/p.csv"}, None),
        ({"KASPARRO_SOURCES__P__DELIMITER": ";"}, None),
    ],
)
def test_a_path_of_the_environment_names_its_folder(
    variables: dict[str, str], root: str | None, tmp_path: Path
) -> None:
    """As CSV_PATH does; a root that is given, also by `[defaults]`, holds."""
    document = {"sources": {"p": {"type": "csv", "path": "p.csv", "kind": "item"}}}
    found = settings_of(document, Origin("test"), tmp_path, environ=variables).sources["p"].model_dump()["root"]
    assert (found and Path(found)) == (root and Path(Path.cwd(), root))
    given = settings_of({**document, "defaults": {"root": "/given"}}, Origin("test"), tmp_path, environ=variables)
    kept = root if "KASPARRO_SOURCES__P__ROOT" in variables else "/given"
    assert Path(given.sources["p"].model_dump()["root"]) == Path(Path.cwd(), str(kept))
