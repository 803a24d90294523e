"""Spectra at places of a field, and simulated sources put into it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.science.test_field import CENTRE, scene, solved
from tracecube.core.errors import BadData
from tracecube.core.sources import Sources
from tracecube.kernels.tangent_plane import plane_to_sky
from tracecube.recipes.flux.fibre_flux import scale_flux
from tracecube.recipes.science.fibre_targets import (
    bundles_at,
    inject_source,
    place_in_bundle,
    places_from,
    spectra_at,
)

LEVEL = 2e-16
FLAT = (np.array([3000.0, 6000.0]), np.full(2, LEVEL))


@pytest.fixture(scope="module")
def field():
    """A solved field: calibrated spectra, its solution, the places of its stars."""
    made = scene(9)
    result = solved(made)
    return scale_flux(result.spectra, result.solution), result.solution, made[3]


def sky(at) -> tuple[float, float]:
    ra, dec = plane_to_sky(*np.array(at, float).reshape(2, 1), *CENTRE)
    return float(ra[0]), float(dec[0])


def known(places) -> Sources:
    ra, dec = np.array([sky(one) for one in places]).T
    none = np.zeros(len(places))
    return Sources(
        object=np.array([f"S{k}" for k in range(len(places))]), ra=ra, dec=dec, ra_err=none, dec_err=none, ra_seen=ra,
        dec_seen=dec, seen_err=none, mag=none, mag_err=none, mag_cat=none, flux=none + 1e-15, flux_err=none, snr=none,
        chi2=none, dq=none.astype(np.int32), meta={},
    )  # fmt: skip


@pytest.mark.parametrize("seeing", [None, 2.3])
def test_an_injected_source_comes_back(field, seeing):
    spectra, solution, stars = field
    place = sky(stars[1] + [6.0, 5.0])
    seen = solution if seeing is None else type(solution)(**{**vars(solution), "fwhm": np.full(3, seeing)})
    with_source = inject_source(spectra, solution, place, FLAT, seeing=seeing)
    before, after = (spectra_at([one], seen, (place,))[0][0] for one in (spectra, with_source))
    ok = (before.flags[0] == 0) & (after.flags[0] == 0)
    assert ok.sum() > 200
    np.testing.assert_allclose(np.mean((after.flux - before.flux)[0][ok]), LEVEL, rtol=0.01)
    np.testing.assert_array_equal(with_source.variance, spectra.variance)


def test_light_put_in_has_the_pull_of_the_noise(field):
    spectra, solution, stars = field
    pulls = []
    for k in range(2, 8):
        place = sky(stars[k] + [9.0, -7.0])
        [(group, member)] = spectra_at(
            [inject_source(spectra, solution, place, FLAT)], solution, (place,), known=known(stars)
        )
        ok = (group.flags[member] == 0) & np.isfinite(group.variance[member])
        # Native pixels of 10 Angstrom fall into 5 samples: one a pixel is independent.
        every = np.flatnonzero(ok)[::10]
        pulls.append((group.flux[member] - LEVEL)[every] / np.sqrt(group.variance[member][every]))
    pull = np.concatenate(pulls)
    assert pull.size > 300
    assert np.std(pull) == pytest.approx(1.0, abs=0.15)


def test_a_known_neighbour_is_solved_for_together(field):
    spectra, solution, stars = field
    place = sky(np.add(stars[3], [3.0, 0.0]))
    with_source = inject_source(spectra, solution, place, FLAT)
    together, alone = (spectra_at([with_source], solution, (place,), known=one)[0] for one in (known(stars), None))
    error = [abs(np.nanmedian(group.flux[member]) / LEVEL - 1.0) for group, member in (together, alone)]
    assert len(together[0].flux) > len(alone[0].flux) == 1
    assert error[0] < 0.3 * error[1]


def test_places_in_a_bundle_and_on_the_sky_agree(field):
    spectra, solution, _ = field
    slot = int(spectra.ifuslot[0])
    mine = np.flatnonzero((spectra.ifuslot == slot) & (spectra.exp == spectra.exp.min()))
    one = mine[40]
    ra, dec = place_in_bundle([spectra], slot, float(spectra.x[one]), float(spectra.y[one]))
    assert np.hypot((ra - spectra.ra[one]) * np.cos(np.radians(dec)), dec - spectra.dec[one]) * 3600.0 < 0.01
    other = replace(spectra, ra=spectra.ra + 0.5)
    assert bundles_at([other, spectra, other], solution, [(ra, dec), (ra + 0.5, dec)])[0] is spectra


def test_texts_of_places_are_read_or_refused():
    assert places_from("214.81 52.6; 214.82,-3.5 ;") == ((214.81, 52.6), (214.82, -3.5))
    assert places_from("") == ()
    for text in ("214.81", "14:19:00 +52:36", "400 10", "10 95"):
        with pytest.raises(BadData):
            places_from(text)


def test_what_lies_in_no_bundle_or_has_no_spectrum_is_said(field):
    spectra, solution, stars = field
    with pytest.raises(BadData, match="no fibre bundle"):
        spectra_at([spectra], solution, ((214.9, 52.6),))
    with pytest.raises(BadData, match="IFU 012"):
        place_in_bundle([spectra], 12, 0.0, 0.0)
    with pytest.raises(BadData, match="does not cover"):
        inject_source(spectra, solution, sky(stars[1]), (np.array([4000.0, 5000.0]), np.ones(2)))
