"""Pictures of slices and their cubes show what their titles promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from tracecube.core.alignment import Offsets, SourceList
from tracecube.core.frame import Frame
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SkySpectrum, SliceSky
from tracecube.core.slices import SliceLsf, SliceTraces, SliceWavelengths
from tracecube.core.spectra import Cube, Image
from tracecube.io.products import holds, write_product
from tracecube.report.figures.alignment import alignment
from tracecube.report.figures.cube_images import cube_images
from tracecube.report.figures.slice_lsf import slice_lsf
from tracecube.report.figures.slice_response import slice_response
from tracecube.report.figures.slice_sky import slice_sky
from tracecube.report.figures.slice_traces import slice_traces
from tracecube.report.figures.slice_wavelengths import slice_wavelengths
from tracecube.report.figures.style import png

Nouns = Mapping[str, Any]
SLICES, ROWS = 6, 200
NAME = {"DETECTOR": "CHAN07"}
NUMBER = np.arange(1, SLICES + 1)
GOOD = np.where(NUMBER == 3, 1, 0)


def wavelengths() -> SliceWavelengths:
    """Lines of six slices with residuals as wide as their errors; every seventh is left out."""
    wave = np.repeat([5400.0, 6402.0, 7032.0, 8377.0], SLICES)
    residual = np.random.default_rng(5).normal(0.0, 0.004, wave.size)
    used = (np.arange(wave.size) % 7 > 0).astype(int)
    return SliceWavelengths(
        NUMBER, GOOD, np.zeros((SLICES, 3, 7)), np.zeros((SLICES, 7, 7)), np.full(SLICES, 0.004),
        np.tile(NUMBER, 4), wave, np.zeros(wave.size, int), wave / 2.0, residual, np.full(wave.size, 0.004), used,
        np.unique(wave), np.zeros(4), np.zeros(4), middle=100.0, half=100.0, reach=38.0, meta=NAME,
    )  # fmt: skip


def sky() -> SliceSky:
    """Two channels of six slices; the third slice of each is bad, the last two per cent bright."""
    n, two = 60, np.ones(2 * SLICES)
    gain = np.tile(np.where(NUMBER == SLICES, 1.02, 1.0), 2)
    return SliceSky(
        np.ones(n), np.repeat(["CHAN06", "CHAN07"], SLICES), np.tile(NUMBER, 2), gain, 0.001 * two, 0.1 * two,
        0.002 * two, 0.0 * two, np.zeros((2 * SLICES, 2)), np.zeros((2 * SLICES, 2)), 0.0 * two, np.tile(GOOD, 2),
        np.array([5577.3]), np.array([0.004]), np.array([0.001]), own_shift=0.0, own_stretch=0.0, width=1.1,
        first=5000.0, step=1.0,
    )  # fmt: skip


def cube() -> Cube:
    """A ground of zero with noise of one, and a star in the middle."""
    shape = (50, 31, 41)
    data = np.random.default_rng(3).normal(0.0, 1.0, shape)
    data[:, 15, 20] += 100.0
    wcs = {"CD1_1": -0.2 / 3600.0, "CD2_1": 0.0, "CRVAL3": 5000.0, "CRPIX3": 1.0, "CD3_3": 1.25, "BUNIT": "unit"}
    return Cube(data, np.ones(shape), np.zeros(shape, int), np.zeros((0, 3), int), np.zeros(0), wcs)


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    centre = 50.0 + 85.0 * np.arange(SLICES)[:, None] + 0.01 * np.arange(ROWS)
    flags = np.zeros(centre.shape, int)
    traces = SliceTraces(
        NUMBER,
        0 * NUMBER,
        GOOD,
        np.ones(SLICES),
        centre,
        centre - 38.0,
        centre + 38.0,
        0.001 * centre,
        flags,
        meta=NAME,
    )
    wave, offset = np.linspace(4750.0, 9300.0, 9), np.linspace(-7.5, 7.5, 151)
    profile = np.exp(-0.5 * (offset / 1.1) ** 2) / (1.1 * np.sqrt(2 * np.pi))
    density = np.broadcast_to(profile, (SLICES, wave.size, offset.size)).copy()
    fwhm = np.full((SLICES, wave.size), 2.59)
    lsf = SliceLsf(density, 0.01 * density, wave[None], offset[None], NUMBER, fwhm, GOOD, meta=NAME)
    k = np.linspace(4750.0, 9300.0, 300)
    one = np.ones(k.size)
    response = SliceResponse(k, 20 * one, 0.01 * one, one, 0.005 * one, one, 1.01 * one, (k > 5000).astype(int), 0.8)
    flat = Frame(np.ones((ROWS, 600), np.float32), np.ones((ROWS, 600)), np.zeros((ROWS, 600), int))
    return {
        "traces": traces, "flat": flat, "waves": wavelengths(), "lsf": lsf, "response": response, "sky": sky(),
        "telluric": Telluric(k, one, 0.01 * one, airmass=1.2), "cube": cube(),
        "spectrum": SkySpectrum(k, one),
    }  # fmt: skip


DRAWN: dict[str, Callable[[Nouns], Figure]] = {
    "traces": lambda s: slice_traces(s["traces"], s["flat"]),
    "traces alone": lambda s: slice_traces(s["traces"]),
    "wavelengths": lambda s: slice_wavelengths(s["waves"]),
    "no lines": lambda s: slice_wavelengths(replace(s["waves"], line_used=np.zeros(24, int))),
    "profile": lambda s: slice_lsf(s["lsf"]),
    "no slices": lambda s: slice_lsf(replace(s["lsf"], dq=np.ones(SLICES, int))),
    "response": lambda s: slice_response(s["response"], s["telluric"]),
    "response alone": lambda s: slice_response(s["response"]),
    "sky": lambda s: slice_sky(s["sky"], s["spectrum"]),
    "cube": lambda s: cube_images(s["cube"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_all_are_drawn(name: str, nouns: Nouns) -> None:
    figure = DRAWN[name](nouns)
    assert png(figure).startswith(b"\x89PNG")
    assert any(ax.get_title(loc="left") for ax in figure.axes)


def test_bad_slices_are_counted(nouns: Nouns) -> None:
    assert slice_traces(nouns["traces"]).axes[0].get_title(loc="left") == "CHAN07: 6 slices, 1 not good (red)"


def test_widths_are_those_between_the_edges(nouns: Nouns) -> None:
    panel = next(ax for ax in slice_traces(nouns["traces"]).axes if ax.get_title(loc="left") == "Widths and gaps")
    np.testing.assert_allclose(panel.lines[0].get_ydata(), 76.0)


def test_lines_of_the_list_scatter_about_their_shift_and_stretch(nouns: Nouns) -> None:
    wave = np.array([5577.3, 6300.3, 7276.4, 8344.6])
    drawn = replace(
        nouns["sky"], line_wave=wave, line_offset=0.2 + 1e-5 * wave + 0.004 * np.array([1.0, -1.0, -1.0, 1.0])
    )
    title = slice_sky(drawn, nouns["spectrum"]).axes[0].get_title(loc="left")
    assert title.endswith("4 lines of the list, rms 4 mÅ")


def test_a_bright_slice_stands_at_its_number_in_its_channel(nouns: Nouns) -> None:
    panel = next(ax for ax in slice_sky(nouns["sky"], nouns["spectrum"]).axes if "brightness" in ax.get_ylabel())
    x, y = (np.asarray(one) for one in panel.lines[0].get_data())
    assert x[y > 1.0].tolist() == [SLICES, 2 * SLICES]


def test_the_ground_of_a_cube_scatters_as_its_errors_say(nouns: Nouns) -> None:
    pull = np.asarray(cube_images(nouns["cube"]).axes[1].images[0].get_array())
    assert np.unravel_index(pull.argmax(), pull.shape) == (15, 20)
    assert np.std(pull[:10]) == pytest.approx(1.0, abs=0.1)


def test_the_ground_of_noise_is_zero(nouns: Nouns) -> None:
    lines = cube_images(nouns["cube"]).axes[2].lines
    pull = 3.0 * np.asarray(lines[0].get_ydata()) / np.asarray(lines[1].get_ydata())
    assert np.std(pull) == pytest.approx(1.0, abs=0.25)
    assert np.mean(pull) == pytest.approx(0.0, abs=0.5)


def test_images_of_a_strip_lie_above_one_another() -> None:
    shape = (20, 8, 60)
    wide = replace(cube(), data=np.random.default_rng(4).normal(size=shape), variance=np.ones(shape),
                   flags=np.zeros(shape, int))  # fmt: skip
    figure = cube_images(wide)
    figure.draw_without_rendering()
    white, pull = (ax.get_position() for ax in figure.axes[:2])
    assert white.y0 > pull.y1


def test_nouns_of_slices_are_told_from_those_of_fibres(nouns: Nouns, tmp_path: Any) -> None:
    write_product(tmp_path / "traces.fits", nouns["traces"])
    assert holds(tmp_path / "traces.fits", SliceTraces)
    write_product(tmp_path / "response.fits", nouns["response"])
    assert holds(tmp_path / "response.fits", SliceResponse)


def aligned(lost: bool) -> tuple[Image, Offsets, SourceList]:
    """Two exposures; a source in both, one in the second alone."""
    rng = np.random.default_rng(8)
    two, none, pair = np.ones(2), np.zeros(0), np.zeros(0, np.int32)
    number = np.array([1, 2, 2])
    dec = np.array([-27.8, -27.8, -27.8003])
    image = rng.normal(0, 1, (40, 90)).astype(np.float32)
    offsets = Offsets(
        np.array(["a", "b"]), 58500.0 * two, np.array([0.0, 1e-4]), np.array([0.0, -5e-5]), two, 1e-6 * two, 1e-6 * two,
        0.01 * two, 0 * two, two, np.array([1, 2]), np.array(["reference", "header" if lost else "images"]),
        np.array([0, 1024 if lost else 0]), np.array(["a", "b"]), pair, pair, *[none] * 7, pair,
        53.16, -27.8, -9.0, -4.0, 0.2, 90, 40,
    )  # fmt: skip
    sources = SourceList(
        number, number, 10.0 * number, 9.0 * number, *[0.1 * number] * 5, 0.0 * number, 53.16 + 0 * dec, dec,
        53.16 + 0 * dec, dec, np.array([1, 1, 0]),
    )  # fmt: skip
    return Image(image, np.ones_like(image), np.zeros(image.shape, np.int32)), offsets, sources


@pytest.mark.parametrize("lost", [False, True])
def test_alignment_shows_the_field_its_sources_and_every_offset(lost):
    figure = alignment(*aligned(lost))
    field, offsets = figure.axes[0], figure.axes[1]
    assert [len(line.get_xdata()) for line in field.lines] == [2, 1]
    assert [text.get_text() for text in offsets.texts] == ["1", "2"]
    assert bool([line for line in offsets.lines if line.get_label() == "not measured"]) == lost
    assert png(figure)
