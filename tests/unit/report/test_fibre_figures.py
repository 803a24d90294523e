"""Pictures of fibres, fields and lines show what their titles promise, and are drawn of the nouns that they need."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure

from tests.unit.recipes.fibre_bundle import CENTRE, REFRACTION, SLOT, Bundle, Source
from tracecube.core.companions import Companions
from tracecube.core.fibre_light import FibreThroughput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.frame import Frame
from tracecube.core.labelled import SourceSpectrum
from tracecube.core.lines import Lines
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.core.sources import FieldSolution, Sources
from tracecube.core.spectra import Cube
from tracecube.io.products import holds, write_product
from tracecube.recipes.cube.fibres import FibreCubeParams, build_fibre_cube
from tracecube.report.figures.bundle_images import bundle_images, seen_in
from tracecube.report.figures.fibre_throughput import fibre_throughput
from tracecube.report.figures.fibre_traces import fibre_traces
from tracecube.report.figures.fibre_wavelengths import fibre_wavelengths
from tracecube.report.figures.field_stars import field_stars
from tracecube.report.figures.line_candidates import line_candidates
from tracecube.report.figures.sky_residuals import sky_residuals
from tracecube.report.figures.style import png
from tracecube.report.figures.throughput_curve import throughput_curve

LINE = 4500.0
EMITTER = Source(8.0, 5.0, wave=LINE, flux=8e-16)
Nouns = Mapping[str, Any]


def optics() -> tuple[TraceSets, WavelengthSolutions]:
    """Two amplifiers of one CCD; fibre 5 of the upper one is dead."""
    index, none = np.arange(112), np.zeros(112, int)
    centre = 20.0 + 8.76 * index[:, None] + np.zeros(1032)
    u = np.linspace(-6.0, 6.0, 61)
    dead = np.where(index == 5, 1, 0)
    parts = {
        name: TraceSet(index, none, index, none, dq, centre, np.ones_like(centre), np.zeros(centre.shape, int), u,
                       np.exp(-0.5 * u**2) / np.sqrt(2 * np.pi))
        for name, dq in (("047LL", none), ("047LU", dead))
    }  # fmt: skip
    wave = np.tile(np.linspace(3470.0, 5540.0, 1032), (112, 1))
    arc = np.repeat([3610.5, 4358.3, 5460.7], 112)
    residual = np.random.default_rng(1).normal(0.0, 0.01, arc.size)
    one = WavelengthSolution(
        index, none, none, wave, 0.01 * np.ones_like(wave), 2.8 * np.ones_like(wave), np.tile(index, 3), arc, arc,
        residual, np.full(arc.size, 0.01), np.arange(arc.size) % 7 > 0, "AWAV",
    )  # fmt: skip
    return TraceSets(parts=parts, meta={"CCDPOS": "L"}), WavelengthSolutions(parts={"047LL": one, "047LU": one})


def throughput(spectra: FibreSpectra) -> FibreThroughput:
    """All alike but fibre 7."""
    series = np.where(spectra.fibre == 7, 1.1, 1.0)[:, None] * np.array([[1.0, 0.0]])
    return FibreThroughput(
        unit=spectra.unit, amp=spectra.amp, fibre=spectra.fibre, ifuslot=spectra.ifuslot, x=spectra.x, y=spectra.y,
        shift=np.zeros(len(series)), coefficients=series, covariance=np.zeros((len(series), 4)), dq=spectra.dq,
        wave=np.array([3470.0, 5540.0]), level=np.ones(2),
    )  # fmt: skip


@pytest.fixture(scope="module")
def nouns() -> Nouns:
    traces, waves = optics()
    bundle = Bundle(sources=[Source(0.0, 0.0, continuum=3e-16), EMITTER])
    spectra = bundle.draw(1)
    spectra = [replace(one, sky=np.full(one.flux.shape, 1.4e-17)) for one in spectra]
    cube = build_fibre_cube(spectra, REFRACTION, FibreCubeParams(), ifuslot=SLOT, centre=CENTRE)
    cube = replace(cube, meta={**cube.meta, "IFUSLOT": SLOT})
    k, two = np.arange(1, 4), np.ones(2)
    field = FieldSolution(
        k, 0.5 * k, -0.2 * k, 0.01 * k, 0.01 * k, 1.5 * two[:1].repeat(3), 0.02 * k, 0.8 + 0.1 * k, 0.01 * k,
        np.array([3500.0, 5500.0]), 0 * two, 0 * two, ra0=CENTRE[0], dec0=CENTRE[1], rotation=0.03,
        rotation_error=0.002, scale=1.0, scale_error=1e-5, reference=4750.0, beta=3.5, width_slope=-0.2, refraction=1.0,
        refraction_error=0.01, refraction_across=0.0, refraction_across_error=0.01, model_error=0.0,
        catalogue_error=0.02, stars=12,
    )  # fmt: skip
    ra, dec = CENTRE[0] * two, np.array([CENTRE[1], CENTRE[1] + 10.0 / 3600.0])
    sources = Sources(
        np.array(["A", "B"]), ra, dec, 0.01 * two, 0.01 * two, ra, dec + np.array([0.0, 0.3 / 3600.0]), 0.02 * two,
        np.array([17.0, 18.1]), 0.01 * two, np.array([17.0, 18.0]), two, two, 50.0 * two, two, np.zeros(2, int),
        ra, dec,
    )  # fmt: skip
    one = np.ones(1)
    ra, dec = EMITTER.sky
    lines = Lines(ra * one, dec * one, LINE * one, 8e-16 * one, 1e-17 * one, 30.0 * one, 0.0 * one, one,
                  np.array([SLOT]), np.array([0]), one, one, one, one, 0.0 * one)  # fmt: skip
    wave = np.linspace(3480.0, 5530.0, 1026)
    flat = np.full(wave.size, 1e-16)
    response = 5.0e5 * 0.15 * wave / 1.98644586e-8
    star = SourceSpectrum(wave, flat, flat**2, np.zeros(wave.size, int), flat, flat * response, flat, flat, flat,
                          meta={"OBJECT": "A"})  # fmt: skip
    return {
        "traces": traces, "waves": waves, "spectra": spectra[0], "cube": cube, "field": field, "sources": sources,
        "lines": lines, "star": star,
        "flat": Frame(np.ones((2064, 1032), np.float32), np.ones((2064, 1032)), np.zeros((2064, 1032), int)),
        "throughput": throughput(spectra[0]),
    }  # fmt: skip


DRAWN: dict[str, Callable[[Nouns], Figure]] = {
    "traces": lambda s: fibre_traces(s["traces"], s["flat"]),
    "traces alone": lambda s: fibre_traces(s["traces"]),
    "wavelengths": lambda s: fibre_wavelengths(s["waves"]),
    "throughput": lambda s: fibre_throughput(s["throughput"]),
    "sky": lambda s: sky_residuals(s["spectra"]),
    "field": lambda s: field_stars(s["field"], s["sources"]),
    "field without catalogue": lambda s: field_stars(s["field"], replace(s["sources"], ra_cat=None)),
    "bundles": lambda s: bundle_images([s["cube"]], s["sources"], s["lines"]),
    "bundles alone": lambda s: bundle_images([s["cube"]] * 5),
    "bundles without places": lambda s: bundle_images([replace(s["cube"], data=np.full_like(s["cube"].data, np.nan))]),
    "lines": lambda s: line_candidates(s["lines"], [s["cube"]]),
    "curve": lambda s: throughput_curve([s["star"]], s["field"]),
}


@pytest.mark.parametrize("name", DRAWN)
def test_all_are_drawn(name: str, nouns: Nouns) -> None:
    figure = DRAWN[name](nouns)
    assert png(figure).startswith(b"\x89PNG")
    assert any(ax.get_title(loc="left") for ax in figure.axes)


def test_dead_fibres_are_counted_by_amplifier(nouns: Nouns) -> None:
    assert fibre_traces(nouns["traces"]).axes[0].get_title(loc="left").endswith("047LL: 0, 047LU: 1")


def test_a_bright_fibre_is_in_its_place(nouns: Nouns) -> None:
    cells = next(c for c in fibre_throughput(nouns["throughput"]).axes[0].collections if isinstance(c, PolyCollection))
    assert np.flatnonzero(np.asarray(cells.get_array()) > 1.05).tolist() == [7]


def test_lines_that_were_left_out_are_counted(nouns: Nouns) -> None:
    used = sum(int(one.line_used.sum()) for one in nouns["waves"].parts.values())
    assert f"{used} lines, rms 0.0" in fibre_wavelengths(nouns["waves"]).axes[0].get_title(loc="left")


def test_residuals_of_a_good_sky_are_as_wide_as_their_errors(nouns: Nouns) -> None:
    titles = [ax.get_title(loc="left") for ax in sky_residuals(nouns["spectra"]).axes]
    width = float(next(title for title in titles if "widths" in title).split()[3])
    assert width == pytest.approx(1.0, abs=0.02)


def test_the_residual_of_a_star_is_told(nouns: Nouns) -> None:
    titles = [ax.get_title(loc="left") for ax in field_stars(nouns["field"], nouns["sources"]).axes]
    assert "Places: rms 0.000, 0.150 arcsec" in titles


def test_a_line_stands_over_its_wavelength_and_in_the_middle_of_its_stamp(nouns: Nouns) -> None:
    figure = line_candidates(nouns["lines"], [nouns["cube"]])
    stamp, spectrum = figure.axes[:2]
    steps = next(line for line in spectrum.lines if len(line.get_xdata()) > 50)
    assert np.asarray(steps.get_xdata())[np.argmax(steps.get_ydata())] == pytest.approx(LINE, abs=4.0)
    image = stamp.images[0]
    left, right, bottom, top = image.get_extent()
    row, column = np.unravel_index(np.nanargmax(image.get_array()), image.get_array().shape)
    rows, columns = image.get_array().shape
    assert left + (column + 0.5) * (right - left) / columns == pytest.approx(0.0, abs=1.5)
    assert bottom + (row + 0.5) * (top - bottom) / rows == pytest.approx(0.0, abs=1.5)


def test_places_outside_a_cube_are_not_in_it(nouns: Nouns) -> None:
    x, _ = seen_in(nouns["cube"], np.array([CENTRE[0], CENTRE[0]]), np.array([CENTRE[1], CENTRE[1] + 0.1]))
    assert np.isfinite(x).tolist() == [True, False]


def test_the_throughput_is_that_of_the_response(nouns: Nouns) -> None:
    line = throughput_curve([nouns["star"]]).axes[0].lines[0]
    np.testing.assert_allclose(line.get_ydata(), 15.0, rtol=1e-6)


def test_a_product_holds_the_noun_it_was_written_as_and_no_other(nouns: Nouns, tmp_path: Any) -> None:
    for name, own, other in (
        ("sources", Sources, Companions),
        ("traces", TraceSets, TraceSet),
        ("cube", Cube, Sources),
    ):
        path = tmp_path / f"{name}.fits"
        write_product(path, nouns[name])
        assert holds(path, own)
        assert not holds(path, other)
    write_product(tmp_path / "old.fits", replace(nouns["sources"], ra_cat=None, dec_cat=None))
    assert holds(tmp_path / "old.fits", Sources)
    assert holds(tmp_path / "absent.fits", Sources)  # reading it will tell
