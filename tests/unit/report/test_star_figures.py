"""Pictures of lenslets, lasers, flats, star centre and companions show what their titles promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tests.unit.report.star_night import CONTRAST, LASERS, STAR_AT, WAVE, companion, sketch, star_centre
from tracecube.core.spectra import Cube
from tracecube.report.figures.centre_drift import centre_drift
from tracecube.report.figures.centre_fit import centre_fit
from tracecube.report.figures.companion_spectra import companion_spectra
from tracecube.report.figures.contrast import contrast, raw_halo
from tracecube.report.figures.cube_channels import cube_channels
from tracecube.report.figures.detection_map import detection_map
from tracecube.report.figures.detector_flat import detector_flat
from tracecube.report.figures.lenslet_map import lenslet_map
from tracecube.report.figures.line_maps import line_maps
from tracecube.report.figures.star_image import star_image
from tracecube.report.figures.style import png

Nouns = Mapping[str, Any]

DRAWN: dict[str, Callable[[Nouns], Figure]] = {
    "lenslets": lambda s: lenslet_map(s["LAYOUT"], s["LENSLET_FLAT"], s["LENSLETS"]),
    "lenslets of unknown place": lambda s: lenslet_map(s["LAYOUT"], s["LENSLET_FLAT"]),
    "lines": lambda s: line_maps(s["WAVELENGTH"], s["LAYOUT"]),
    "detector": lambda s: detector_flat(s["DETECTOR_FLAT"]),
    "channels": lambda s: cube_channels(s["CUBE"], s["DIT_CENTRE"]),
    "centre": lambda s: centre_fit(s["STAR_CENTRE"], s["CENTER_CHANNELS"]),
    "centre without spots": lambda s: centre_fit(s["DIT_CENTRE"]),
    "drift": lambda s: centre_drift([s["DIT_CENTRE"], s["STAR_CENTRE"]]),
    "star": lambda s: star_image(s["STAR_PSF"]),
    "detection": lambda s: detection_map(s["DETECTION_MAP"], s["SOURCES"], s["IMAGE"]),
    "detection alone": lambda s: detection_map(s["DETECTION_MAP"]),
    "companions": lambda s: companion_spectra([s["SPECTRUM_c"], s["SPECTRUM_b"]], s["SOURCES"]),
    "contrast": lambda s: contrast(s["CONTRAST_CURVE"], s["SOURCES"], s["STAR_PSF"], s["CHANNELS"], s["DIT_CENTRE"]),
    "contrast alone": lambda s: contrast(s["CONTRAST_CURVE"]),
}


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    return sketch()


def colours(ax: Any) -> Any:
    return next(c for c in ax.collections if isinstance(c, PolyCollection)).get_array()


@pytest.mark.parametrize("name", DRAWN)
def test_all_axes_have_names_and_units(name: str, nouns: Nouns) -> None:
    figure = DRAWN[name](nouns)
    assert png(figure).startswith(b"\x89PNG")
    labels = [ax.get_xlabel() + ax.get_ylabel() for ax in figure.axes if ax.get_xlabel() or ax.get_ylabel()]
    assert any("(" in label for label in labels)


def test_quality_codes_are_counted_in_words(nouns: Nouns) -> None:
    ax = DRAWN["lenslets"](nouns).axes[0]
    count = len(nouns["LAYOUT"].aperture)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == [f"good: {count - 1}", "not measured: 1"]
    assert colours(ax)[3] == 1
    assert np.count_nonzero(colours(ax)) == 1


def test_throughput_of_a_lenslet_is_told_by_its_number(nouns: Nouns) -> None:
    flat, lenslets = nouns["LENSLET_FLAT"], nouns["LENSLETS"]
    turned = replace(flat, aperture=flat.aperture[::-1], mean=flat.mean[::-1], dq=flat.dq[::-1])
    shown = colours(lenslet_map(nouns["LAYOUT"], turned, lenslets).axes[1])
    np.testing.assert_allclose(shown, flat.mean)


def test_residuals_of_each_line_are_in_their_places(nouns: Nouns) -> None:
    figure = DRAWN["lines"](nouns)
    residual = nouns["WAVELENGTH"].line_residual.reshape(-1, LASERS.size)
    for column in range(LASERS.size):
        np.testing.assert_allclose(colours(figure.axes[column]), residual[:, column])
    smooth = colours(figure.axes[LASERS.size])
    middle = int(np.argmin(np.hypot(nouns["LAYOUT"].x, nouns["LAYOUT"].y)))
    near = np.hypot(nouns["LAYOUT"].x, nouns["LAYOUT"].y) < 3.01 * nouns["LAYOUT"].pitch
    assert near.sum() == 37
    assert smooth[middle] == pytest.approx(residual[near, 0].mean())


def test_of_many_lines_the_best_known_of_each_part_of_the_spectrum_are_drawn(nouns: Nouns) -> None:
    solution, layout = nouns["WAVELENGTH"], nouns["LAYOUT"]
    n = layout.aperture.size
    lines = np.linspace(4000.0, 9000.0, 12)
    error = np.where(np.isin(np.arange(12), [1, 4, 6, 10]), 0.1, 0.2)
    many = replace(
        solution, line_aperture=np.repeat(layout.aperture, 12), line_wave=np.tile(lines, n),
        line_pixel=np.zeros(12 * n), line_residual=np.zeros(12 * n),
        line_error=np.tile(error, n), line_used=np.ones(12 * n, np.int32),
    )  # fmt: skip
    titles = [ax.get_title(loc="left") for ax in line_maps(many, layout).axes[:4]]
    assert [title.split(" ")[0] for title in titles] == [f"{lines[i]:.1f}" for i in (1, 4, 6, 10)]


def test_bad_pixels_have_no_part_in_the_response(nouns: Nouns) -> None:
    figure = DRAWN["detector"](nouns)
    shown = figure.axes[0].images[0].get_array()
    assert np.ma.getmaskarray(shown)[:4, :4].all()
    assert np.ma.getmaskarray(shown).sum() == 16
    assert shown.max() < 1.1
    share = [ax.get_title(loc="left") for ax in figure.axes if "bad" in ax.get_title(loc="left")]
    assert f"{100 * 16 / shown.size:.2f} % of all pixels are bad" in share


def test_the_star_is_marked_in_every_channel(nouns: Nouns) -> None:
    figure = DRAWN["channels"](nouns)
    parts = [ax for ax in figure.axes if ax.images and ax.lines]
    assert [ax.get_title(loc="left") for ax in parts] == [f"{w * 1e-4:.3f} µm" for w in WAVE[[0, 1, 2, 4, 5]]]
    for ax in parts:
        assert (ax.lines[0].get_xdata()[0], ax.lines[0].get_ydata()[0]) == STAR_AT
        left, right, low, high = ax.images[0].get_extent()
        assert left + right == pytest.approx(0.0)
        assert low + high == pytest.approx(0.0)
        assert right - left == pytest.approx(31 * 0.05)


def test_a_cube_without_sky_has_no_compass(nouns: Nouns) -> None:
    cube: Cube = nouns["CUBE"]
    linear = {"CDELT1": 0.05, "CDELT2": 0.05, "CRVAL3": 9600.0, "CDELT3": 1400.0}
    words = [text.get_text() for text in cube_channels(replace(cube, meta=linear), nouns["DIT_CENTRE"]).axes[0].texts]
    assert [text.get_text() for text in cube_channels(cube, nouns["DIT_CENTRE"]).axes[0].texts] == ["E", "N"]
    assert words == []


def test_spots_that_breathe_leave_the_star_where_it_is(nouns: Nouns) -> None:
    axes = {ax.get_ylabel(): ax for ax in centre_fit(star_centre(out=2e-3)).axes}
    out = [c[0].get_ydata() for c in axes["spot − model, outwards (mas)"].containers]
    along = [c[0].get_ydata() for c in axes["spot − model, along the circle (mas)"].containers]
    star = [c[0].get_ydata() for c in axes["star of one channel − of all (mas)"].containers]
    np.testing.assert_allclose(out, 2.0, rtol=1e-6)
    np.testing.assert_allclose(along, 0.0, atol=1e-9)
    np.testing.assert_allclose(star, 0.0, atol=1e-9)
    assert len(out) == 4


def test_integrations_are_in_order(nouns: Nouns) -> None:
    later = replace(star_centre("halo", plane=1), centre_x=STAR_AT[0] + 4e-3)
    ax = centre_drift([later, star_centre("halo")]).axes[0]
    np.testing.assert_allclose(ax.containers[0][0].get_ydata(), [-2.0, 2.0])


def test_companions_stand_where_their_angle_says(nouns: Nouns) -> None:
    ax = DRAWN["detection"](nouns).axes[0]
    left, right = ax.get_xlim()
    assert left > right, "east is left"
    places = {patch.center for patch in ax.patches}
    assert {(round(x, 6), round(y, 6)) for x, y in places} == {(0.4, 0.0), (-0.6, 0.0)}
    assert [text.get_text() for text in ax.texts] == ["b", "c"]


def test_each_companion_has_its_spectrum_in_order(nouns: Nouns) -> None:
    figure = DRAWN["companions"](nouns)
    shown = [ax for ax in figure.axes if ax.get_visible()]
    assert [ax.get_title(loc="left")[:2] for ax in shown] == ["b:", "c:"]
    assert len(shown[0].containers[0][0].get_xdata()) == WAVE.size - 1, "a flagged channel is no point"
    [crosses] = [line for line in shown[0].lines if line.get_marker() == "x"]
    assert len(crosses.get_xdata()) == 1
    assert "3.0 %" in figure.get_suptitle()


def test_many_companions_find_room() -> None:
    figure = companion_spectra([companion(name) for name in "bcdefgh"])
    assert sum(ax.get_visible() for ax in figure.axes) == 7
    assert png(figure)


def test_halo_is_told_in_units_of_the_star(nouns: Nouns) -> None:
    level, scatter = raw_halo(np.array([0.1, 0.2, 0.3]), nouns["STAR_PSF"], nouns["CHANNELS"], nouns["DIT_CENTRE"])
    np.testing.assert_allclose(level, CONTRAST, rtol=0.1)
    np.testing.assert_allclose(scatter, 0.1 * CONTRAST, rtol=0.4)
