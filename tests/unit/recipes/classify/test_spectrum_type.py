from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.flags import Flag
from tracecube.core.spectra import Spectrum
from tracecube.kernels.log_spectrum import STEP, grid
from tracecube.recipes.classify.library import templates
from tracecube.recipes.classify.parameters import ClassifyParams
from tracecube.recipes.classify.prepare import prepare
from tracecube.recipes.classify.spectrum_type import classified

WAVE = 3700.0 + 25.57 * np.arange(220)


def seen(name: str, age: float, z: float, *, snr: float = 25.0, host: float = 0.0, seed: int = 0) -> Spectrum:
    """A template on a smooth continuum, with noise and light of a host galaxy."""
    held = templates()
    rows = np.flatnonzero(held.name == name)
    row = rows[np.nanargmin(np.abs(held.age[rows] - age))] if np.isfinite(held.age[rows]).any() else rows[0]
    bins = np.log(WAVE / (1.0 + z) / grid()[0]) / STEP

    def features(which: int) -> np.ndarray:
        return np.interp(bins, np.arange(grid().size), np.nan_to_num(held.flux[which].astype(float)))

    flux = (WAVE / 6000.0) ** -1.0 * (1.0 + features(int(row)))
    galaxy = int(np.flatnonzero(held.name == "kcSb")[0])
    flux = (1.0 - host) * flux + host * (WAVE / 6000.0) ** 0.5 * (1.0 + features(galaxy))
    sigma = np.full(WAVE.size, 1.0 / snr)
    flux = 1e-16 * (flux + sigma * np.random.default_rng(seed).normal(size=WAVE.size))
    none = np.full(WAVE.size, np.nan)
    return Spectrum(
        wave=WAVE, flux=flux, variance=(1e-16 * sigma) ** 2, flags=np.zeros(WAVE.size, np.int32), sky=none,
        flux_uncal=none, variance_uncal=none, covariance_uncal=none, lsf_sigma=none, medium="AWAV",
        meta={"OBJECT": name},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "age", "z", "type_"),
    [
        ("sn2005cf", 0.0, 0.06, "Ia"),
        ("sn1994I", 0.0, 0.02, "Ic"),
        ("sn1999em", 30.0, 0.03, "II"),
        ("kcE", 0.0, 0.05, "Galaxy"),
    ],
)
def test_a_spectrum_is_told_by_others_of_its_type(name: str, age: float, z: float, type_: str) -> None:
    found, numbers, _ = classified(seen(name, age, z), ClassifyParams(exclude=(name,)))
    assert found.type == type_
    assert found.z == pytest.approx(z, abs=0.01)
    assert abs(found.z - z) < 5.0 * found.z_error
    if type_ != "Galaxy":
        assert abs(found.age - age) < 5.0 * found.age_error
    assert name not in set(found.match_name)
    assert found.kind_probability.sum() == pytest.approx(1.0)
    assert found.probability == pytest.approx(found.kind_probability[found.kind_type == type_].sum())
    sums = found.snid_ia + found.snid_ib + found.snid_ic + found.snid_ii + found.snid_not
    assert sums == pytest.approx(1.0)
    assert {number.name for number in numbers} >= {"TYPE PROBABILITY", "NOISE RATIO"}


def test_the_template_itself_is_the_best_match_with_its_age() -> None:
    found, _, caveats = classified(seen("sn2005cf", 0.0, 0.05, snr=50.0), ClassifyParams())
    assert found.snid_template == "sn2005cf"
    assert found.snid_type == "Ia"
    assert found.snid_subtype == "norm"
    assert found.snid_z_match == pytest.approx(0.05, abs=0.002)
    assert abs(found.snid_age_match) < 4.0
    assert found.snid_rlap > 6.0
    assert not caveats
    model = found.model - found.value
    assert np.median(np.abs(model)) < 2.0 * np.median(found.error)


def test_a_known_redshift_is_held_to() -> None:
    spectrum = seen("sn1999em", 30.0, 0.03)
    found, _, _ = classified(spectrum, ClassifyParams(redshift=0.03, exclude=("sn1999em",)))
    assert found.z == pytest.approx(0.03, abs=0.003)
    assert found.z_error < 0.004
    assert found.redshift_given == 0.03


def test_the_share_of_a_host_is_seen() -> None:
    alone, _, _ = classified(seen("sn2005cf", 0.0, 0.05, snr=60.0), ClassifyParams())
    within, _, _ = classified(seen("sn2005cf", 0.0, 0.05, snr=60.0, host=0.5), ClassifyParams())
    assert within.type == "Ia"
    assert within.host_share > alone.host_share + 0.1


def test_a_survey_has_more_of_type_ia() -> None:
    spectrum = seen("sn1994I", 0.0, 0.02, snr=8.0)
    even, _, _ = classified(spectrum, ClassifyParams())
    survey, _, _ = classified(spectrum, ClassifyParams(prior="survey"))
    assert survey.snid_ia > even.snid_ia


def test_bad_samples_and_brightness_do_not_matter() -> None:
    spectrum = seen("sn2005cf", 0.0, 0.06)
    flux, flags = spectrum.flux * 1e10, spectrum.flags.copy()
    flux[50:53], flags[50:53] = 1e3, int(Flag.COSMIC_RAY)
    one, _, _ = classified(replace(spectrum, flags=flags), ClassifyParams())
    two, _, _ = classified(
        replace(spectrum, flux=flux, variance=spectrum.variance * 1e20, flags=flags), ClassifyParams()
    )
    assert one.probability == pytest.approx(two.probability, abs=1e-6)
    assert one.z == pytest.approx(two.z, abs=1e-6)


def test_errors_that_cannot_be_are_mended_and_said() -> None:
    spectrum = seen("sn2005cf", 0.0, 0.06, snr=20.0)
    variance = spectrum.variance.copy()
    variance[[30, 90, 140]] *= 1e-8
    ready = prepare(replace(spectrum, variance=variance), 3800.0, 9200.0, 100.0, 100.0)
    assert ready.collapsed == 3
    found, _, caveats = classified(replace(spectrum, variance=variance), ClassifyParams())
    assert found.type == "Ia"
    assert any("3 samples" in text for text in caveats)
    small = prepare(replace(spectrum, variance=spectrum.variance / 25.0), 3800.0, 9200.0, 100.0, 100.0)
    assert small.noise_ratio == pytest.approx(5.0, rel=0.25)
    assert small.snr == pytest.approx(ready.snr, rel=0.25)


def test_a_sharper_spectrum_is_smoothed() -> None:
    wave = np.arange(3700.0, 9300.0, 2.0)
    coarse = seen("sn2005cf", 0.0, 0.06, snr=1000.0)
    sharp = replace(
        coarse, wave=wave, flux=np.interp(wave, WAVE, coarse.flux), variance=np.full(wave.size, 1e-34),
        flags=np.zeros(wave.size, np.int32),
    )  # fmt: skip
    found, _, _ = classified(sharp, ClassifyParams(resolution=1000.0))
    assert found.type == "Ia"
    assert found.z == pytest.approx(0.06, abs=0.005)


def test_too_little_of_a_spectrum_is_no_spectrum() -> None:
    spectrum = seen("sn2005cf", 0.0, 0.06)
    with pytest.raises(BadData, match="too few"):
        classified(spectrum, ClassifyParams(low=5000.0, high=5400.0))
    with pytest.raises(BadData, match="too few"):
        classified(replace(spectrum, flags=np.full(WAVE.size, int(Flag.USER), np.int32)), ClassifyParams())


def test_same_inputs_give_the_same_numbers() -> None:
    spectrum = seen("sn1999em", 30.0, 0.03)
    one, two = (classified(spectrum, ClassifyParams())[0] for _ in range(2))
    np.testing.assert_array_equal(one.kind_probability, two.kind_probability)
    np.testing.assert_array_equal(one.model, two.model)
