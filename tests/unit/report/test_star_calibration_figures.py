"""Pictures of wings, gain, lasers as a cube, pinholes, and of a star's surroundings without speckles."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.unit.report.star_night import LASERS, WAVE, exposure, search
from tracecube.core.companions import ResidualCube
from tracecube.core.optics import LineWings, PointPattern
from tracecube.core.pixels import GainMap
from tracecube.core.spectra import Cube
from tracecube.report.figures.contrast import contrast, raw_halo
from tracecube.report.figures.gain_map import gain_map
from tracecube.report.figures.laser_cube import laser_cube
from tracecube.report.figures.line_wings import line_wings
from tracecube.report.figures.point_pattern import point_pattern, roughness
from tracecube.report.figures.residual_cube import residual_cube
from tracecube.report.figures.style import png
from tracecube.report.kinds import CALIBRATION_PICTURES
from tracecube.report.surroundings_kinds import SURROUNDINGS_PICTURES


def wings() -> LineWings:
    share = np.array([[1e-3, 4e-3, 5e-3, 2e-3]]) * np.array([[1.0], [2.0], [1.5], [1.0]])
    return LineWings(LASERS, np.full(4, 0.9), np.array([-4.0, -3.0, 3.0, 4.0]), share, np.full((4, 4), 3e-4))


def gains() -> GainMap:
    """Four outputs of eight columns, between columns that no light reaches."""
    value = np.repeat([1.80, 1.81, 1.79, 1.80], 8) * np.ones((10, 1))
    value[:, :2] = value[:, -2:] = np.nan
    return GainMap(value, np.zeros(value.shape, np.int32), np.full(value.shape, 1e-4), np.ones(value.shape))


def lasers() -> Cube:
    """Two lines over a dark ground, one spaxel of the second twice as bright."""
    data = 0.01 * np.random.default_rng(1).normal(size=(20, 12, 12))
    data[5] += 10.0
    data[6] += 4.0
    data[14] += 6.0
    data[14, 3, 4] += 6.0
    flags = np.zeros(data.shape, np.int32)
    flags[:, 0] = 1
    axes: dict[str, Any] = {"CRVAL3": 9600.0, "CDELT3": 200.0, "CRPIX3": 1.0, "CDELT1": 0.05, "CDELT2": 0.05}
    axes["BUNIT"] = "electron/Angstrom"
    return Cube(data, data**0, flags, np.array([[1, 0, 0]]), np.array([0.1]), meta=axes)


def points(rough: float = 0.0) -> PointPattern:
    """A grid seen through a cubic distortion, and what a surface can not follow."""
    x, y = (0.16 * one.ravel() for one in np.meshgrid(np.arange(-4.0, 5.0), np.arange(-4.0, 5.0)))
    rng, used = np.random.default_rng(2), np.ones(x.size, int)
    used[[0, -1]] = 0
    grid = x * (1.0 + 0.002 * x**2) + rough * rng.normal(size=x.size), y * (1.0 - 0.001 * x * y)
    return PointPattern(x, y, np.full(x.size, 1e-5), *grid, used)


def residual() -> ResidualCube:
    cube: Cube = exposure()["CUBE"]
    ring = np.array([0.1, 0.3, 0.5])
    return ResidualCube(
        cube.data, cube.variance, cube.flags, np.array([[1, 0, 0]]), np.array([0.1]), meta=cube.meta, separation=ring,
        throughput=np.outer([0.2, 0.5, 0.8], np.ones(WAVE.size)), peak=np.ones(WAVE.size),
    )  # fmt: skip


def test_all_are_drawn_with_units_and_in_the_report() -> None:
    star = (line_wings(wings()), gain_map(gains()), laser_cube(lasers()), point_pattern(points()))
    for figure in (*star, residual_cube(residual())):
        assert png(figure).startswith(b"\x89PNG")
        assert any("(" in ax.get_xlabel() for ax in figure.axes)
    told = {kind.sources[0].tags[0]: kind for kind in (*CALIBRATION_PICTURES, *SURROUNDINGS_PICTURES)}
    for tag in ("LINE_WINGS", "GAIN_MAP", "LASER_CUBE", "POINT_PATTERN", "RESIDUAL_CUBE"):
        assert "Good: " in told[tag].text


def test_wings_of_each_line_stand_on_both_sides_and_their_sum_is_told() -> None:
    ax = line_wings(wings()).axes[0]
    assert ax.get_legend().get_texts()[0].get_text() == "0.988 µm: 1.2 ± 0.1 %, core 0.90 px"
    red, blue = (container[0] for container in ax.containers[:2])
    assert (red.get_xdata() > 0).all()
    np.testing.assert_allclose(blue.get_ydata(), [0.1, 0.4])


def test_each_output_has_one_gain() -> None:
    top, bottom = gain_map(gains()).axes
    assert [round(v, 2) for v in top.containers[0][0].get_ydata()] == [1.80, 1.81, 1.79, 1.80]
    np.testing.assert_allclose(bottom.lines[1].get_xdata(), [4.5, 11.5, 19.5, 26.5])
    assert top.get_title(loc="left").startswith("4 outputs, weighted mean 1.8000")
    blind = replace(gains(), data=np.full((10, 32), np.nan))
    assert png(gain_map(blind))


def test_lasers_are_found_and_a_spaxel_off_the_others_is_seen() -> None:
    figure = laser_cube(lasers())
    titles = [ax.get_title(loc="left") for ax in figure.axes if ax.images]
    assert titles == ["1.060 µm", "1.240 µm"]
    image = figure.axes[2].images[0].get_array()
    assert image[3, 4] == pytest.approx(2.0, rel=0.02)
    assert np.isnan(np.ma.filled(image.astype(float), np.nan)[0]).all()
    dark = replace(lasers(), data=np.zeros((20, 12, 12)), flags=np.ones((20, 12, 12), np.int32))
    assert png(laser_cube(dark))


def test_smooth_distortion_is_not_rough_and_noise_is() -> None:
    assert np.abs(roughness(points())).max() < 1e-8
    assert np.std(roughness(points(5e-5))[0]) == pytest.approx(5e-5, rel=0.2)
    few = PointPattern(*(np.zeros(3) for _ in range(5)), np.ones(3, int))
    assert png(point_pattern(few))
    assert "2 left out" in point_pattern(points()).axes[0].get_title(loc="left")


def test_without_speckles_the_throughput_takes_the_place_of_faint_spaxels() -> None:
    figure = residual_cube(residual())
    white, pull, left = figure.axes[:3]
    np.testing.assert_allclose(left.lines[0].get_ydata(), [0.2, 0.5, 0.8])
    assert "throughput" in left.get_ylabel()
    assert "faint" not in white.get_title(loc="left") + pull.get_title(loc="left")
    bare = replace(residual(), throughput=None, separation=None, peak=None)
    assert "not stated" in [text.get_text() for text in residual_cube(bare).axes[2].texts]


def test_the_halo_of_a_dit_of_another_time_is_that_of_the_stars_own() -> None:
    """A DIT of twice the time has twice the light; its contrast is the same."""
    nouns, ring = exposure(), np.array([0.1, 0.2, 0.3])
    dit, psf, centre = nouns["CHANNELS"], nouns["STAR_PSF"], nouns["DIT_CENTRE"]
    usual = raw_halo(ring, psf, replace(dit, meta={"EXPTIME": psf.dit}), centre)
    twice = replace(dit, flux=2.0 * dit.flux, meta={"EXPTIME": 2.0 * psf.dit})
    np.testing.assert_allclose(raw_halo(ring, psf, twice, centre), usual, rtol=1e-6)
    np.testing.assert_allclose(raw_halo(ring, psf, dit, centre), usual, rtol=1e-6)
    assert png(contrast(search()["CONTRAST_CURVE"], None, psf, twice, centre))
