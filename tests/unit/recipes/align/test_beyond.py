"""Stars that the frame of the array, or a gap from edge to edge, cuts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.align.drawn_field import exposure
from tracecube.core.spectra import Image
from tracecube.recipes.align.align import Aligned, AlignParams, align
from tracecube.recipes.align.beyond import RIM, continued
from tracecube.recipes.align.white import white

OFFSET = (1.44, -2.2)
SETTINGS = ({"fwhm": 4.15, "dither": (-1.0, 1.0)}, {"fwhm": 4.65, "offset": OFFSET, "dither": (2.5, -4.0)})
ROW = 40  # px, where the star lies in the first exposure, but for what a test adds


def pair(seed: int, past: float, change) -> Aligned:
    """Two exposures of one star in unlike seeing, of which the first is changed."""
    made = [
        exposure(seed + i, [(180.0, ROW + past, 33000.0)], shape=(80, 310), **own) for i, own in enumerate(SETTINGS)
    ]
    return align([white(change(made[0])), white(made[1])], AlignParams())


def framed(image: Image) -> Image:
    """The array ends above row 41: the first row that is left is known."""
    meta = {**image.meta, "CRPIX2": image.meta["CRPIX2"] - (ROW + 1)}
    data, variance, flags = (part[ROW + 1 :] for part in (image.data, image.variance, image.flags))
    return replace(image, data=data, variance=variance, flags=flags, meta=meta)


def without_channel(image: Image) -> Image:
    """A channel of twelve slices is missing, from edge to edge."""
    flags = image.flags.copy()
    flags[ROW - 11 : ROW + 1] = 64
    return replace(image, flags=flags, data=np.where(flags == 0, image.data, np.nan).astype(np.float32))


@pytest.mark.parametrize("change", [framed, without_channel])
def test_a_star_that_a_frame_or_a_gap_cuts_is_continued(change):
    """Its middle is seen; it was 0.055 px (5 errors) off, for beyond the frame there was nothing."""
    found = pair(700, 3.0, change)
    off = found.shift[1] - OFFSET
    assert np.abs(off).max() < 0.04
    assert np.abs(off / np.sqrt(np.diag(found.shift_covariance[1]))).max() < 3.5
    assert found.flux[1] == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("past", [-1.0, -3.0])
def test_a_star_whose_middle_is_beyond_the_frame_tells_nothing(past):
    """It was 0.35 to 0.43 px off, with an error of 0.04 to 0.08 claimed."""
    found = pair(710, past, framed)
    assert np.isnan(found.shift[1]).all()
    assert "nothing in both" in found.pairs[0][2].reason


@pytest.mark.parametrize("past", [-1.0, -5.0])
def test_a_star_whose_middle_lies_in_a_gap_tells_by_its_wings_or_not_at_all(past):
    """It was 0.2 to 0.3 px off, three to four times the error claimed."""
    found = pair(710, past, without_channel)
    off, error = found.shift[1] - OFFSET, np.sqrt(np.diag(found.shift_covariance[1]))
    assert np.isnan(off).all() or np.abs(off / error).max() < 3.5


def test_what_lies_beyond_is_trusted_where_it_is_smooth_or_a_star_that_is_told():
    rng = np.random.default_rng(3)
    known = np.ones((60, 60), bool)
    known[20:32] = False
    y, x = np.mgrid[:60, :60].astype(float)
    star = 5000.0 * (1.0 + ((y - 36.0) ** 2 + (x - 30.0) ** 2) / 9.0) ** -2.8
    hidden = 5000.0 * (1.0 + ((y - 18.0 - 4.0) ** 2 + (x - 50.0) ** 2) / 9.0) ** -2.8
    data = star + hidden + rng.normal(0.0, 1.0, y.shape)
    found = continued(np.where(known, data, 0.0), np.ones_like(y), known, 0.0)
    inner = slice(RIM, -RIM)
    light, trusted = found.light[inner, inner], found.trusted[inner, inner]
    assert light[31, 30] == pytest.approx(star[31, 30], rel=0.1)
    assert trusted[28:32, 25:36].all()
    assert not trusted[15:26, 48:53].any()  # what is seen of a hidden star is not trusted either
    assert trusted[:, :20].all()
    assert found.trusted[:RIM].all()
