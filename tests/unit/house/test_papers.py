"""README, documentation and code speak of the same things."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tracecube.core.flags import MEANING, Flag

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
ADDED = ("reference/", "instruments/", "adr/")
"""Made, or added to the navigation, by docs/generate.py when the documentation is built."""


def pages(nav: object) -> list[str]:
    if isinstance(nav, str):
        return [nav]
    branches = nav.values() if isinstance(nav, dict) else nav
    return [page for branch in branches for page in pages(branch)]  # type: ignore[attr-defined]


def test_every_page_of_the_documentation_can_be_reached() -> None:
    nav = set(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["nav"]))
    written = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    assert {page for page in written if not page.startswith(ADDED)} <= nav
    assert all(page in written or page.startswith(ADDED) for page in nav)


def test_pages_that_the_code_names_exist() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    named = set(re.findall(r"\bdocs[:/] ?((?:physics|howto|adr|tutorials)/[\w-]+)", text))
    assert {name for name in named if not (DOCS / f"{name}.md").is_file()} == set()


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_readme_fits_on_a_screen_and_says_the_sentence() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 50
    assert "d = A f + b + n" in text
    assert "make test" in text
    assert "make demo" in text


def test_make_knows_what_is_promised() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert all(
        re.search(rf"^{target}:", makefile, re.MULTILINE)
        for target in ["setup", "demo", "test", "lint", "docs", "bench"]
    )
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111


def test_every_flag_has_a_meaning() -> None:
    assert set(MEANING) == set(Flag)
    assert len(set(MEANING.values())) == len(Flag)
