"""Each picture shows what its title promises."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.colors import AsinhNorm
from matplotlib.figure import Figure

from tracecube.report.figures.flat_map import flat_map
from tracecube.report.figures.psf_fit import psf_fit
from tracecube.report.figures.response import response
from tracecube.report.figures.spaxel_image import band_image, spaxel_image
from tracecube.report.figures.spectrum import spectrum
from tracecube.report.figures.style import _even_ticks, hexagons, outline, png, robust_limits, sheet
from tracecube.report.figures.trace_map import trace_map
from tracecube.report.figures.wavelength_map import wavelength_map

Sketch = Mapping[str, Any]
WAVES = 60  # of the sketch

DRAWN: dict[str, Callable[[Sketch], Figure]] = {
    "traces": lambda s: trace_map(s["TRACES"], s["MASTER_DOME"]),
    "traces alone": lambda s: trace_map(s["TRACES"]),
    "wavelength": lambda s: wavelength_map(s["WAVELENGTH"], s["LAYOUT"]),
    "flat": lambda s: flat_map(s["LENSLET_FLAT"], s["LAYOUT"]),
    "response": lambda s: response(s["RESPONSE"]),
    "field": lambda s: spaxel_image(s["SPECTRA"], s["TARGET"], s["PSF_FIT"]),
    "field alone": lambda s: spaxel_image(s["SPECTRA"]),
    "psf": lambda s: psf_fit(s["PSF_FIT"]),
    "spectrum": lambda s: spectrum(s["SPECTRUM"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_all_axes_have_names_and_units(name: str, sketch: Sketch) -> None:
    figure = DRAWN[name](sketch)
    assert png(figure).startswith(b"\x89PNG")
    labels = [ax.get_xlabel() + ax.get_ylabel() for ax in figure.axes if ax.get_xlabel() or ax.get_ylabel()]
    assert labels
    assert any("(" in label for label in labels)


def test_flagged_traces_are_told_from_good_ones(sketch: Sketch) -> None:
    ax = trace_map(sketch["TRACES"]).axes[0]
    good, bad = (item for item in ax.collections if isinstance(item, LineCollection))
    assert len(bad.get_segments()) == 1
    assert len(good.get_segments()) == len(sketch["TRACES"].aperture) - 1
    assert "1 flagged" in ax.get_title(loc="left")


def test_traces_along_y_are_turned(sketch: Sketch) -> None:
    along_x = trace_map(sketch["TRACES"]).axes[0].collections[0].get_segments()[0]
    along_y = trace_map(replace(sketch["TRACES"], axis=0)).axes[0].collections[0].get_segments()[0]
    np.testing.assert_array_equal(along_x[:, ::-1], along_y)


def test_rms_of_each_aperture_is_in_its_place(sketch: Sketch) -> None:
    solution, layout = sketch["WAVELENGTH"], sketch["LAYOUT"]
    mine = (solution.line_aperture == 5) & (solution.line_used != 0)
    cells = next(c for c in wavelength_map(solution, layout).axes[0].collections if isinstance(c, PolyCollection))
    assert cells.get_array()[5] == pytest.approx(np.sqrt(np.mean(solution.line_residual[mine] ** 2)))  # equal errors


def test_throughput_of_each_aperture_is_in_its_place(sketch: Sketch) -> None:
    ax = flat_map(sketch["LENSLET_FLAT"], sketch["LAYOUT"]).axes[0]
    shown = next(c for c in ax.collections if isinstance(c, PolyCollection)).get_array()
    assert shown[10] == pytest.approx(1.10)
    assert np.ma.is_masked(shown[3]), "flagged"


def test_lines_of_apertures_without_a_place_are_left_out(sketch: Sketch) -> None:
    solution = sketch["WAVELENGTH"]
    wavelength_map(replace(solution, line_aperture=solution.line_aperture + 1000), sketch["LAYOUT"])


def test_band_image_is_nan_where_most_is_flagged(sketch: Sketch) -> None:
    spectra = sketch["SPECTRA"]
    flags = spectra.flags.copy()
    flags[4] = 1
    image = band_image(replace(spectra, flags=flags))
    assert np.isnan(image[4])
    typical = np.median(spectra.flux[:, 0])
    assert image[5] == pytest.approx(spectra.flux[5, 0] - typical, rel=0.02)


def test_band_image_of_a_cut_spectrum_is_that_of_a_whole_one(sketch: Sketch) -> None:
    spectra = sketch["SPECTRA"]
    sky = 1.0 + np.arange(WAVES)
    flags = np.zeros_like(spectra.flags)
    flags[7, : WAVES // 2] = 64
    image = band_image(replace(spectra, flux=np.tile(sky, (len(spectra.x), 1)), flags=flags))
    np.testing.assert_allclose(image, 0.0, atol=1e-9)


def test_flagged_samples_of_a_spectrum_are_marked(sketch: Sketch) -> None:
    top = spectrum(sketch["SPECTRUM"]).axes[0]
    [crosses] = [line for line in top.lines if line.get_marker() == "x"]
    assert len(crosses.get_xdata()) == int((sketch["SPECTRUM"].flags != 0).sum())


def test_a_spectrum_without_calibration_is_shown_in_electrons(sketch: Sketch) -> None:
    one = sketch["SPECTRUM"]
    nothing = np.full_like(one.flux, np.nan)
    top = spectrum(replace(one, flux=nothing, variance=nothing)).axes[0]
    assert "electron" in top.get_ylabel()


def test_stars_that_were_not_used_are_dotted(sketch: Sketch) -> None:
    styles = [line.get_linestyle() for line in response(sketch["RESPONSE"]).axes[0].lines]
    assert styles == ["-", "-", ":"]


def test_nothing_measured_is_still_drawn(sketch: Sketch) -> None:
    one, night = sketch["SPECTRUM"], sketch["RESPONSE"]
    lost = np.full_like(one.flux, np.nan)
    assert png(spectrum(replace(one, flux=lost, variance=lost, flux_uncal=lost, variance_uncal=lost)))
    none = {"star": night.star[:0], "star_response": night.star_response[:0], "used": night.used[:0]}
    assert png(response(replace(night, response=lost, **none)))


def test_cells_of_a_hexagonal_lattice_touch_and_do_not_overlap(sketch: Sketch) -> None:
    layout = sketch["LAYOUT"]
    ax = sheet(3, 3).subplots()
    cells = hexagons(ax, layout.x, layout.y, layout.x)
    corners = np.array([path.vertices[:6] for path in cells.get_paths()])
    assert corners.shape[1] == 6
    area = 0.5 * np.abs(np.sum(corners[:, :, 0] * np.roll(corners[:, :, 1], -1, 1)
                               - np.roll(corners[:, :, 0], -1, 1) * corners[:, :, 1], axis=1))  # fmt: skip
    np.testing.assert_allclose(area, 0.64**2 * np.sqrt(3) / 2, rtol=1e-6)
    assert ax.get_xlim()[0] > ax.get_xlim()[1], "east is left"


def test_outline_is_the_edge_of_the_region_alone(sketch: Sketch) -> None:
    layout = sketch["LAYOUT"]
    ax = sheet(3, 3).subplots()
    outline(ax, layout.x, layout.y, np.hypot(layout.x, layout.y) < 0.7)  # a cell and its six neighbours
    assert len(ax.collections[0].get_segments()) == 18


@pytest.mark.parametrize(("low", "high"), [(45.2, 55.1), (0.2, 480.0), (-0.3, 17.0), (1e-17, 3e-16), (20.0, 20.5)])
def test_ticks_of_a_colour_scale_lie_on_it_and_apart(low: float, high: float) -> None:
    ticks = _even_ticks(AsinhNorm(linear_width=(high - low) / 20, vmin=low, vmax=high))
    assert 4 <= len(ticks) <= 6
    assert low <= ticks[0] < ticks[-1] <= high
    assert min(np.diff(ticks)) > 0


def test_limits_of_nothing_and_of_equal_values() -> None:
    assert robust_limits(np.array([np.nan])) == (0.0, 1.0)
    low, high = robust_limits(np.full(5, 2.0))
    assert high > low


def test_a_spaxel_without_light_is_no_hole_in_the_outline(sketch: Sketch) -> None:
    layout = sketch["LAYOUT"]
    radius = np.hypot(layout.x, layout.y)
    inside, dead = radius < 1.4, np.arange(radius.size) == int(np.argmin(radius))

    def edges(chosen: np.ndarray, blank: np.ndarray | None) -> int:
        ax = sheet(2.0, 2.0).subplots()
        outline(ax, layout.x, layout.y, chosen, blank=blank)
        return len(ax.collections[0].get_segments())

    whole = edges(inside, None)
    assert edges(inside & ~dead, None) == whole + 6
    assert edges(inside & ~dead, dead) == whole
    assert edges(inside, ~inside) == whole
