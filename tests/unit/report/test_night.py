"""The page of a night: complete, linked, and redrawn only where something changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.core.errors import MissingInput
from tracecube.io import write_product
from tracecube.report.night import write_report

Reduced = Callable[..., Path]


class Page(HTMLParser):
    """Links, pictures and tags of a page that must be closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.links += [str(given[key]) for key in ("href", "src") if key in given]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_everything_is_linked_and_there(one_night: Path) -> None:
    index = one_night / "report" / "index.html"
    page = Page(index)
    assert not page.open
    files = [link for link in page.links if not link.startswith("#")]
    assert len({link for link in files if link.endswith(".fits")}) == 10
    assert len({link for link in files if link.endswith(".png")}) == 9
    assert all((index.parent / link).is_file() for link in files)
    anchors = {link[1:] for link in page.links if link.startswith("#")}
    assert all(f'id="{anchor}"' in page.text for anchor in anchors)
    assert "http" not in page.text, "nothing is loaded from elsewhere"


def test_what_a_person_must_see_is_said(one_night: Path) -> None:
    text = (one_night / "report" / "index.html").read_text(encoding="utf-8")
    assert "target outside the field" in text
    assert "lamp &lt;Xe&gt; was weak" in text
    assert "no rule &lt;x&gt;" in text
    assert "no DOME" in text
    assert "10 jobs done" in text
    assert "1 job incomplete" in text
    assert "outside its limits" in text
    assert "0.3123" in text


def test_sha_of_a_product_is_what_the_page_shows(one_night: Path, sketch: Mapping[str, Any], tmp_path: Path) -> None:
    sha = write_product(tmp_path / "again.fits", sketch["SPECTRUM"])
    assert sha[:12] in (one_night / "report" / "index.html").read_text(encoding="utf-8")


def test_a_moved_folder_keeps_its_links(one_night: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(one_night, tmp_path / "elsewhere"))
    page = Page(moved / "report" / "index.html")
    assert all((moved / "report" / link).is_file() for link in page.links if not link.startswith("#"))


def test_pictures_are_drawn_again_only_when_a_product_changed(reduced: Reduced) -> None:
    out = reduced("2021-04-21", only=["RESPONSE"])
    write_report(out)
    before = {path: path.stat().st_mtime_ns for path in (out / "report" / "pictures").iterdir()}
    write_report(out)
    assert len(before) == 1
    assert before == {path: path.stat().st_mtime_ns for path in (out / "report" / "pictures").iterdir()}


def test_pictures_that_no_page_shows_are_removed(reduced: Reduced) -> None:
    out = reduced("2021-04-21", only=["RESPONSE", "TRACES"])
    write_report(out)
    (out / "tracecube.db").unlink()
    write_report(reduced("2021-04-21", only=["RESPONSE"]))
    assert [path.name.split("-")[0] for path in (out / "report" / "pictures").iterdir()] == ["response"]


def test_an_unreadable_product_is_said_and_stops_nothing(reduced: Reduced) -> None:
    out = reduced("2021-04-21", broken="SPECTRUM", only=["SPECTRA", "SPECTRUM"])
    text = write_report(out).read_text(encoding="utf-8")
    assert "no END card" in text
    assert text.count("<figure") == 2


def test_jobs_name_their_subworkflow_where_there_is_one(reduced: Reduced) -> None:
    out = reduced("2021-04-21", only=["TRACES"])
    assert "sub-workflow" not in write_report(out).read_text(encoding="utf-8")
    with Ledger.open(out) as ledger:
        [made] = products(ledger)
    text = write_report(out, parts={(made.instrument, made.task): "optics"}).read_text(encoding="utf-8")
    assert "<th>sub-workflow</th><th>task</th>" in text
    assert f"<tr><td>optics</td><td>{made.task}</td>" in text


def test_several_nights_have_a_page_each(reduced: Reduced) -> None:
    index = write_report(reduced("2021-04-21", "2021-04-22", only=["TARGET"]))
    assert Page(index).links == ["2021-04-21.html", "2021-04-22.html"]
    assert "night of 2021-04-22" in (index.parent / "2021-04-22.html").read_text(encoding="utf-8")


def test_nothing_reduced_here(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match=r"no tracecube\.db here"):
        write_report(tmp_path)


def test_pictures_of_calibrations_have_the_names_that_the_observatory_gives_them(reduced: Reduced) -> None:
    out = reduced("2021-04-21", only=["WAVELENGTH", "LAYOUT", "LENSLET_FLAT"])
    with Ledger.open(out) as ledger:
        instrument = products(ledger)[0].instrument
    names = {(instrument, "wavelength"): "{date}_wavesolution_dispersionmap", ("another", "flat"): "{date}_flat3d"}
    text = write_report(out, names=names).read_text(encoding="utf-8")
    assert 'src="pictures/20210421_wavesolution_dispersionmap.png"' in text
    assert (out / "report" / "pictures" / "20210421_wavesolution_dispersionmap.png").is_file()
    assert "_flat3d" not in text


def test_targets_show_their_type_and_how_sure_the_flux_is(
    reduced: Reduced, sketch: Mapping[str, Any], typed: Any
) -> None:
    spectrum = sketch["SPECTRUM"]
    sure = replace(spectrum, meta={**spectrum.meta, "LEVELERR": 0.0213, "COLERR": 0.0341})
    out = reduced.func(reduced.args[0], {**sketch, "SPECTRUM": sure, "CLASSIFICATION": typed}, "2021-04-21")  # type: ignore[attr-defined]
    text = write_report(out).read_text(encoding="utf-8")
    assert '<td>Ia</td><td class="n">0.0333</td><td>2.1 %, colour 3.4 %</td>' in text
