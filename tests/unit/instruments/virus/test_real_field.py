"""The real observation 20180611v017: source lists of the observatory, its catalogue, its own solution."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tracecube.instruments.virus.layout import PARANGLE_OFFSET, field_rotation, nominal_places
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.sky.field_astrometry import Finds, match_field

SHOT = Path(__file__).parents[5] / "shared" / "real" / "virus" / "shot_20180611v017"
OWN = SHOT / "test_fiducial" / "20180611v017"
EXPOSURES = ("20180611T054545", "20180611T055249", "20180611T060006")
START = (207.6705, 51.3479, 291.24907)  # radec.dat: pointing and PARANGLE
CENTRE = (26.2, 26.7)  # px: where the observatory's tables have a bundle's centre in its image (icx less xfplane)
THEIR_RMS = ((0.52429, 0.64023), (0.76297, 0.43126), (0.50450, 0.60085))  # arcsec, getoff2_exp0?.out

pytestmark = pytest.mark.skipif(not OWN.is_dir(), reason="no real observation of this instrument beside the checkout")


def finds(plane):
    rows = []
    for number, start in enumerate(EXPOSURES, 1):
        for path in sorted(OWN.glob(f"{start}_[0-9][0-9][0-9].als")):
            for line in path.read_text().splitlines()[3:]:
                word = line.split()
                if len(word) >= 9 and int(path.stem[-3:]) in plane:
                    rows.append([int(path.stem[-3:]), number, *map(float, word[1:5])])
    table = np.array(rows)
    slot, exposure = table[:, 0].astype(int), table[:, 1].astype(int)
    # the images are stacked without the dithers: all exposures are placed as the first
    east, north = nominal_places(
        table[:, 2] - CENTRE[0],
        table[:, 3] - CENTRE[1],
        slot,
        np.ones(len(slot), int),
        plane=plane,
        rotation=field_rotation(START[2]),
    )
    return Finds(east, north, np.full(len(slot), 0.3), table[:, 4], exposure)


@pytest.fixture(scope="module")
def plate():
    lines = (SHOT / "config" / "fplane.txt").read_text().splitlines()
    words = [line.split() for line in lines if line[:1].isdigit()]
    plane = {int(word[0]): (float(word[1]), float(word[2])) for word in words}
    listed = [line.split() for line in (OWN / "shout.ifustars").read_text().splitlines() if line[:1] != "#"]
    stars = np.array([[float(word[i]) for i in (2, 3, 5)] for word in listed])
    east, north = sky_to_plane(stars[:, 0], stars[:, 1], *START[:2])
    return match_field(finds(plane), east, north, stars[:, 2])


def observatory():
    """Centres (degree) and position angle of the focal plane in the observatory's solution, as its tables apply it."""
    centres, angles = [], []
    for number in (1, 2, 3):
        ra, dec, _ = map(float, (OWN / f"radec2_exp0{number}.dat").read_text().split())
        rows = list(csv.DictReader((OWN / f"tmp_exp0{number}.csv").read_text().splitlines()))
        x, y, star_ra, star_dec = (
            np.array([float(row[key]) for row in rows]) for key in ("xfplane", "yfplane", "ra", "dec")
        )
        design = np.column_stack([np.ones_like(x), x, y])
        east = np.linalg.lstsq(design, sky_to_plane(star_ra, star_dec, ra, dec)[0], rcond=None)[0]
        centres.append((ra, dec))
        angles.append(270.0 - np.degrees(np.arctan2(-east[2], -east[1])))
    return np.array(centres), float(np.mean(angles))


def test_centre_and_angle_are_the_observatory_s(plate):
    centres, angle = observatory()
    ra, dec = plane_to_sky(plate.east, plate.north, *START[:2])
    off = np.hypot((ra - centres[:, 0]) * np.cos(np.radians(dec)), dec - centres[:, 1]) * 3600.0
    assert np.all(off < 0.3)
    own = START[2] + PARANGLE_OFFSET - plate.rotation
    assert abs((own - angle + 180.0) % 360.0 - 180.0) < 0.02


def test_the_angle_of_the_tables_is_applied_without_a_fit_and_the_label_agrees_within_the_error(plate):
    """The label, 1.45 degree beyond the header's angle, was carried along; the tables say where stars are."""
    centres, angle = observatory()
    for number, (ra, dec) in enumerate(centres, 1):
        rows = list(csv.DictReader((OWN / f"tmp_exp0{number}.csv").read_text().splitlines()))
        x, y = (np.array([float(row[key]) for row in rows]) for key in ("xfplane", "yfplane"))
        sky = (np.array([float(row[key]) for row in rows]) for key in ("ra", "dec"))
        design = np.column_stack([np.ones_like(x), x, y])
        for plane in sky_to_plane(*sky, ra, dec):
            applied = design @ np.linalg.lstsq(design, plane, rcond=None)[0]
            assert np.abs(plane - applied).max() < 1e-5  # arcsec
    label = float((OWN / "radec2_exp01.dat").read_text().split()[2])
    assert label == pytest.approx(float((OWN / "radec.orig").read_text().split()[2]) + 1.45, abs=1e-6)
    assert abs(label - angle) == pytest.approx(0.035, abs=0.002)
    own = START[2] + PARANGLE_OFFSET - plate.rotation
    assert abs(own - label) < 2.5 * plate.rotation_error
    assert abs(own - angle) < 1.0 * plate.rotation_error


def test_residuals_are_below_the_observatory_s_and_errors_are_theirs(plate):
    assert len(plate.find) >= 24
    size = np.hypot(plate.residual_east, plate.residual_north) / np.sqrt(2.0)
    theirs = np.sqrt(np.mean(np.square(THEIR_RMS)))
    assert np.sqrt(np.mean(size**2)) < theirs
    # errors of offsets follow from the scatter of the pairs and their number
    for error in (plate.east_error, plate.north_error):
        assert np.all(error > 0.5 * plate.scatter / np.sqrt(len(plate.find)))
        assert np.all(error < 0.3)
    assert 0.01 < plate.rotation_error < 0.03
