"""Lasers of one prism under a header of the other."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.other_prism import check_lasers
from tracecube.kernels.spots import SpotFit, gaussian_template, render_spots
from tracecube.recipes.optics.lasers import find_lattice

SIDE = 400


def lasers(mode: str, off: tuple[int, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """A frame of lasers through one prism, without those that are off, and its weights."""
    rng = np.random.default_rng(4)
    guess = MODES[mode].lattice
    q, r = (axis.ravel() for axis in np.mgrid[-25:26, -25:26])
    first = np.stack([q, r], axis=1) @ guess.basis + np.array([SIDE / 2 + 3.0, SIDE / 2 - 2.0])
    image = np.zeros((SIDE, SIDE), np.float32)
    for laser, offset in enumerate(guess.offsets):
        if laser in off:
            continue
        place = first + np.array([0.0, offset])
        place = place[((place > 6) & (place < SIDE - 7)).all(axis=1)]
        zero = np.zeros(len(place))
        flux = 3000.0 * rng.uniform(0.7, 1.3, len(place))
        spots = SpotFit(flux, place[:, 0], place[:, 1], *[zero] * 5, np.ones(len(place), bool))
        render_spots(image, spots, gaussian_template(guess.sigma))
    variance = 20.0 + image
    image += rng.normal(0, 1, image.shape).astype(np.float32) * np.sqrt(variance)
    return image, np.asarray(1.0 / variance, np.float32)


def checked(header: str, mode: str, off: tuple[int, ...] = ()) -> None:
    image, ivar = lasers(mode, off)
    named = MODES[header]
    check_lasers(image, ivar, find_lattice(image, ivar, named.lattice, distortion=2), named, "laser.fits")


@pytest.mark.parametrize(("header", "mode"), [("YJH", "YJ"), ("YJ", "YJH")])
def test_lasers_of_the_other_prism_are_refused_by_name_and_rule(header, mode):
    with pytest.raises(
        BadData, match=rf"laser\.fits: lasers at .* where {mode} has them; those of {header} are at"
    ) as error:
        checked(header, mode)
    assert "ESO INS2 COMB IFS" in error.value.hint


@pytest.mark.parametrize(
    ("mode", "off"),
    [("YJH", ()), ("YJH", (1,)), ("YJH", (3,)), ("YJH", (1, 2)), ("YJ", ()), ("YJ", (1,)), ("YJ", (2,))],
)
def test_a_laser_that_is_off_is_no_other_prism(mode, off):
    checked(mode, mode, off)
