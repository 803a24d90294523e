"""The verification picture: the marks that observers know, its name, and when it is drawn again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from tracecube.core.finder import Finder
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import Target
from tracecube.report.figures.style import png
from tracecube.report.figures.verification import RED, time_stamp, verification
from tracecube.report.night import write_report
from tracecube.report.verify import write_verification

Sketch = Mapping[str, Any]
NAME = "verify_auto_robot_lstep1__crr_b_ifu20210421_10_47_05_ZTF21abc"
CARDS = {"RAWNAME": "ifu20210421_10_47_05", "PICTNAME": NAME, "EXTRTAG": "robot", "REDUCER": "auto"}


def target(how: str = "astrom", quality: int = 0, place: tuple[float, float] = (1.0, 0.0)) -> Target:
    return Target("ZTF21abc", quality, "some reason", *place, 0.1, 0.1, how, meta=CARDS)


def finder(**more: Any) -> Finder:
    image = np.random.default_rng(1).normal(0, 9, (80, 100))
    image[:, :20] = np.nan
    given = {"x": 15.0, "y": 30.0, "rotation": 1.0, **more}
    return Finder(data=image, field_x=18.0, field_y=28.0, field_size=28.0, scale=0.4, frames="rc1", **given)


def axes_of(figure: Figure) -> dict[str, Axes]:
    names = ("field", "finder", "data", "model", "residual", "spectrum")
    return dict(zip(names, figure.axes, strict=True))


def marks(ax: Axes) -> set[tuple[str, str]]:
    """Shape and colour of the marks that say where the target is."""
    found = {(str(line.get_marker()), str(line.get_color())) for line in ax.lines if line.get_marker() in {"x", "+"}}
    return found | {("o", str(patch.get_edgecolor())) for patch in ax.patches if isinstance(patch, Circle)}


@pytest.mark.parametrize(
    ("how", "shape", "colour"),
    [("astrom", "x", RED), ("auto", "o", RED), ("brightest", "o", RED), ("manual", "+", "black")],
)
def test_the_centroid_says_how_it_was_found(sketch: Sketch, how: str, shape: str, colour: str) -> None:
    ax = axes_of(verification(sketch["SPECTRA"], target(how), sketch["PSF_FIT"], finder(), sketch["SPECTRUM"]))["field"]
    found = marks(ax)
    assert {one for one, _ in found} == {shape}
    if shape != "o":
        assert colour in {one for _, one in found}


def test_the_title_says_time_object_quality_and_reason(sketch: Sketch) -> None:
    figure = verification(sketch["SPECTRA"], target(quality=4))
    title = str(figure.get_suptitle())
    for part in (
        "10_47_05",
        "ZTF21abc",
        "quality 4: some reason",
        "place from the guider (1.00, 0.00 arcsec)",
        "robot",
    ):
        assert part in title
    assert time_stamp({"RAWNAME": "other"}) == "other"


def test_spaxels_used_are_dots(sketch: Sketch) -> None:
    ax = axes_of(verification(sketch["SPECTRA"], target(), sketch["PSF_FIT"]))["field"]
    [dots] = [line for line in ax.lines if line.get_marker() == "."]
    assert len(dots.get_xdata()) == int((sketch["PSF_FIT"].used != 0).sum())


def test_the_right_angle_meets_at_the_target(sketch: Sketch) -> None:
    ax = axes_of(verification(sketch["SPECTRA"], target(), None, finder()))["finder"]
    arms = [line.get_xydata() for line in ax.lines if line.get_color() == RED]
    assert len(arms) == 2
    assert {tuple(np.sign(arm.mean(axis=0))) for arm in arms} == {(-1.0, 0.0), (0.0, 1.0)}
    left, right, bottom, top = ax.images[0].get_extent()
    assert (left, right) == pytest.approx(((15 + 0.5) * 0.4, (15 - 99.5) * 0.4))  # the target is the origin, east left
    assert (bottom, top) == pytest.approx((-30.5 * 0.4, 49.5 * 0.4))


def test_without_astrometry_no_target_is_marked_in_the_finder(sketch: Sketch) -> None:
    unknown = finder(x=float("nan"), y=float("nan"), rotation=float("nan"))
    ax = axes_of(verification(sketch["SPECTRA"], target("auto"), None, unknown))["finder"]
    assert not [line for line in ax.lines if line.get_color() == RED]
    assert "no astrometry" in ax.get_title(loc="left")


def test_what_is_missing_is_said_in_its_place(sketch: Sketch) -> None:
    figure = verification(sketch["SPECTRA"], target(quality=3, place=(17.5, -9.0)))
    texts = [text.get_text() for ax in figure.axes for text in ax.texts]
    assert texts == ["no guide frame during this exposure", "no extraction", "no spectrum: some reason"]
    low, high = sorted(axes_of(figure)["field"].get_xlim())
    assert low < 17.5 < high, "a target outside the field is shown where it is"
    assert png(figure).startswith(b"\x89PNG")


def test_a_standard_is_held_against_its_reference(sketch: Sketch) -> None:
    one = replace(sketch["SPECTRUM"], reference=0.98 * sketch["SPECTRUM"].flux)
    ax = axes_of(verification(sketch["SPECTRA"], target("brightest"), sketch["PSF_FIT"], None, one))["spectrum"]
    assert "flux / reference 1.020 ± 0.000" in ax.get_title(loc="left")
    assert "reference" in [line.get_label() for line in ax.lines]


def test_a_typed_target_is_shown_with_its_template(sketch: Sketch, typed: SpectralType) -> None:
    figure = verification(sketch["SPECTRA"], target(), sketch["PSF_FIT"], None, sketch["SPECTRUM"], typed)
    match = figure.axes[-1]
    assert "Ia (Ia-norm) 97%, z = 0.0333 ± 0.0020, rlap 12.3" in match.get_title(loc="left")
    assert "sn1999aa and 10% host" in [line.get_label() for line in match.lines]
    assert png(figure).startswith(b"\x89PNG")


@pytest.fixture
def named(sketch: Sketch) -> Sketch:
    return {**sketch, "TARGET": target(), "FINDER": finder()}


@pytest.fixture
def out(tmp_path: Path, named: Sketch, reduced: Callable[..., Path]) -> Path:
    return reduced.func(tmp_path / "out", named, "2021-04-21")  # type: ignore[attr-defined]


def test_the_picture_has_the_name_that_the_observatory_gives_it(out: Path) -> None:
    write_report(out)
    assert (out / "report" / "pictures" / f"{NAME}.png").is_file()
    assert f"pictures/{NAME}.png" in (out / "report" / "index.html").read_text(encoding="utf-8")


def test_it_is_drawn_again_only_where_its_products_changed(out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_verification(out, "ifu1")
    assert path == out / "report" / "pictures" / f"{NAME}.png"
    os.utime(path, ns=(1, 1))
    assert write_verification(out, "ifu1") == path
    assert path.stat().st_mtime_ns == 1
    monkeypatch.setattr("tracecube.report.pictures.DRAWING", "another")
    write_verification(out, "ifu1")
    assert path.stat().st_mtime_ns > 1


def test_other_instruments_targets_have_none(tmp_path: Path, sketch: Sketch, reduced: Callable[..., Path]) -> None:
    out = reduced.func(tmp_path / "other", sketch, "2021-04-21")  # type: ignore[attr-defined]
    assert write_verification(out, "ifu1") is None
    assert write_verification(out, "ifu2") is None
