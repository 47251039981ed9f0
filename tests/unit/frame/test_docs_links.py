"""The documentation hangs together, and says nothing that is true on one machine alone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = sorted((ROOT / "docs").rglob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *DOCS]
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
MACHINE_PATHS = re.compile(r"(?<![\w.>}/])/(?:work|root|opt/pypi)\b")

REGISTRIES = re.compile(r"pypi\.org|pythonhosted\.org|--?(?:extra-)?index-url|--find-links")


def identity(page: Path) -> str:
    """A page's name in the test report."""
    return page.relative_to(ROOT).as_posix()


def anchors(page: Path) -> set[str]:
    """The anchors that a page's headings make, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def broken(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    text = FENCE.sub("", page.read_text("utf-8"))
    return [link for link in LINK.findall(text) if "://" not in link and not leads(page, link)]


def leads(page: Path, link: str) -> bool:
    """True when the file, and the heading in it, exist."""
    name, _, anchor = link.partition("#")
    target = (page.parent / name).resolve() if name else page
    return target.exists() and (not anchor or anchor in anchors(target))


@pytest.mark.parametrize("page", PAGES, ids=identity)
def test_every_link_leads_somewhere(page: Path) -> None:
    """Each link between files points to a file that exists and, with an anchor, to a heading in it."""
    assert broken(page) == []


def test_a_broken_link_would_be_seen(tmp_path: Path) -> None:
    """The search finds a missing file and a missing heading, so that an empty result means something."""
    page = tmp_path / "page.md"
    page.write_text("# One thing\n[a](#one-thing) [b](#two) [c](gone.md) [d](https://example.com)\n", "utf-8")
    assert broken(page) == ["#two", "gone.md"]


def test_every_page_can_be_reached() -> None:
    """Following links from the README comes to every page of the documentation."""
    seen: set[Path] = set()
    ahead = [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in seen or page.suffix != ".md":
            continue
        seen.add(page)
        links = [link.partition("#")[0] for link in LINK.findall(page.read_text("utf-8")) if "://" not in link]
        ahead += [target for link in links if (target := (page.parent / link).resolve()).is_file()]
    assert set(DOCS) - seen == set()


@pytest.mark.parametrize(
    ("index", "folder"), [("index.md", "how-to"), ("index.md", "reference"), ("decisions/index.md", "decisions")]
)
def test_an_index_lists_every_page_of_its_folder(index: str, folder: str) -> None:
    """Who looks for a page finds it in its list, and not only by way of other pages."""
    page = ROOT / "docs" / index
    listed = {(page.parent / link.partition("#")[0]).resolve() for link in LINK.findall(page.read_text("utf-8"))}
    pages = [path.resolve() for path in (ROOT / "docs" / folder).glob("*.md") if path.name != "index.md"]
    assert [path.name for path in pages if path not in listed] == []


def test_every_decision_has_a_number_of_its_own() -> None:
    """No two notes share a number; each begins with its number, and the list has its title."""
    notes = sorted((ROOT / "docs" / "decisions").glob("0*.md"))
    numbers = [note.name[:4] for note in notes]
    assert len(set(numbers)) == len(numbers)
    listed = (ROOT / "docs" / "decisions" / "index.md").read_text("utf-8")
    for number, note in zip(numbers, notes, strict=True):
        title = note.read_text("utf-8").splitlines()[0].removeprefix("# ")
        assert title.startswith(f"{number} ")
        assert f"[{title}]({note.name})" in listed


def test_the_two_commands_of_the_readme_are_targets() -> None:
    """The README shows `make run` and `make test`, and both are there."""
    readme = (ROOT / "README.md").read_text("utf-8")
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"^make ([\w-]+)", readme, re.MULTILINE):
        assert re.search(rf"^{target}:.*## ", makefile, re.MULTILINE), target
    assert "make run" in readme
    assert "make test" in readme


def test_the_readme_is_one_screen() -> None:
    """The README stays short enough to be read."""
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 80


def tracked() -> list[Path]:
    """The text files of the repository: what git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode:
        pytest.skip("needs git and a clone of the repository")
    return [path for name in listing.stdout.splitlines() if (path := ROOT / name).is_file()]


def test_no_file_names_a_path_of_one_machine() -> None:
    """No file holds an absolute path of the machine that it was written on."""
    here = Path(__file__)
    found = {identity(path) for path in tracked() if path != here and MACHINE_PATHS.search(text_of(path))}
    assert found == set()


def test_only_tests_and_benchmarks_know_the_data_beside_the_repository() -> None:
    """The program and its documentation need nothing that lies outside of the repository."""
    named = {identity(path) for path in tracked() if "../shared" in text_of(path)}
    assert {name for name in named if not name.startswith(("tests/", "benchmarks/"))} == set()


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the installing person's choice: no file names an index or its address."""
    here = Path(__file__)
    assert {identity(path) for path in tracked() if path != here and REGISTRIES.search(text_of(path))} == set()


def text_of(path: Path) -> str:
    """A file's text, or nothing where it is not text."""
    data = path.read_bytes()
    return "" if b"\0" in data else data.decode("utf-8", "replace")
