"""Rules of the masks: each flags, none changes a value."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.fibres import FibreSpectra
from tracecube.core.flags import Flag
from tracecube.recipes.sky.fibre_masks import FibreMaskParams, mask_fibres, mask_samples

N, M = 20, 100
OUT = int(Flag.OUTLIER)


def spectra(amps: tuple[str, ...] = ("LL", "LU")) -> FibreSpectra:
    """Fibres of one unit without a fault, as many in each amplifier."""
    n = N * len(amps)
    plane = np.full((n, M), 100.0, np.float32)
    return FibreSpectra(
        flux=plane, variance=plane, flags=np.zeros((n, M), np.int32), wave=np.tile(np.arange(M) * 2.0 + 4000.0, (n, 1)),
        lsf_sigma=plane, blend=0 * plane, unit=np.full(n, "047/1/1/1"), ifuslot=np.full(n, 47),
        amp=np.repeat(amps, N), fibre=np.tile(np.arange(N), len(amps)), exp=np.ones(n, int), x=np.zeros(n),
        y=np.zeros(n), ra=np.zeros(n), dec=np.zeros(n), throughput=np.ones(n), dq=np.zeros(n, np.int32),
        chi2=np.ones((n, M), np.float32),
    )  # fmt: skip


def test_defaults_are_those_of_remedy() -> None:
    params = FibreMaskParams()
    assert (params.chi2, params.chi2_reach) == (5.0, 2)
    assert (params.correction, params.fibre_share, params.amplifier_share) == (0.1, 0.2, 0.2)


def test_samples_that_look_like_no_fibre_are_flagged_with_their_neighbours() -> None:
    one = spectra()
    chi2 = one.chi2.copy()
    chi2[3, 50], chi2[4, 0], chi2[5, 50] = 6.0, 9.0, 4.9
    made, count = mask_samples(replace(one, chi2=chi2), FibreMaskParams())
    assert np.flatnonzero(made.flags[3]).tolist() == [48, 49, 50, 51, 52]
    assert np.flatnonzero(made.flags[4]).tolist() == [0, 1, 2]
    assert not made.flags[5].any()
    assert count == 8
    assert (made.flags[made.flags != 0] == OUT).all()
    assert (made.flux == one.flux).all()


def test_a_bright_fibre_is_allowed_the_faults_of_its_profile() -> None:
    one = spectra()
    flux, variance = one.flux.copy(), one.variance.copy()
    flux[2], variance[2] = 1.0e5, 1.0e5  # 316 sigma: 5 per cent of the light are 16 sigma
    chi2 = one.chi2.copy()
    chi2[2] = 100.0
    given = replace(one, flux=flux, variance=variance, chi2=chi2)
    assert mask_samples(given, FibreMaskParams())[1] == 0
    assert mask_samples(given, FibreMaskParams(trust=0.0))[1] == M


def test_spectra_without_chi_square_are_left_alone() -> None:
    made, count = mask_samples(replace(spectra(), chi2=None), FibreMaskParams())
    assert count == 0
    assert not made.flags.any()


def test_fibres_with_holes_or_impossible_illumination_are_flagged() -> None:
    one = spectra()
    flags = one.flags.copy()
    flags[7, :21] = int(Flag.COSMIC_RAY)
    flags[8, :20] = int(Flag.COSMIC_RAY)
    light = np.ones(2 * N)
    light[9], light[10], light[11] = 1.11, 0.89, np.nan
    (made,), numbers, caveats = mask_fibres([replace(one, flags=flags)], [light], FibreMaskParams())
    assert np.flatnonzero(made.dq).tolist() == [7, 9, 10]
    assert {n.name: n.value for n in numbers} == {
        "MASKED CORRECTION": 2.0,
        "MASKED FIBRES": 1.0,
        "MASKED BY AMPLIFIER": 0.0,
    }
    assert caveats == ()
    assert (made.flux == one.flux).all()


@pytest.mark.parametrize(("bad", "all_of_it"), [(4, False), (5, True)])
def test_an_amplifier_goes_when_a_fifth_of_its_fibres_has_gone(bad: int, all_of_it: bool) -> None:
    one = spectra()
    dq = one.dq.copy()
    dq[:bad] = int(Flag.LOW_THROUGHPUT)
    (made,), numbers, caveats = mask_fibres([replace(one, dq=dq)], [np.ones(2 * N)], FibreMaskParams())
    assert (made.dq[:N] != 0).all() == all_of_it
    assert not made.dq[N:].any()
    assert any("amplifier LL" in text for text in caveats) == all_of_it
    assert {n.name: n.value for n in numbers}["MASKED BY AMPLIFIER"] == (N - bad if all_of_it else 0)
