"""One sky in all slices: brightness, shifts and widths with their errors, and the zero of the wavelengths."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.slices.sky_pieces import SIGMA, Sky
from tracecube.core.errors import NoConvergence
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.sky_steps import SkyMethodParams, _crowd, _zero, sky_model
from tracecube.kernels.sky_spline import derivatives
from tracecube.recipes.slices.nebular import gas_windows
from tracecube.recipes.slices.sky_fit import SETTLED, SkyParams, fit_sky
from tracecube.recipes.slices.sky_light import seen, shifted
from tracecube.recipes.slices.sky_pieces import gather, outside
from tracecube.recipes.slices.sky_zero import find_zero

ZERO = 0.12  # Angstrom by which the day's wavelengths are too short
PARAMS = SkyParams(fraction=1.0, ignore=0.0)
METHOD = SkyMethodParams(fraction=1.0, ignore=0.0)


@pytest.fixture(scope="module")
def sky():
    return Sky()


@pytest.fixture(scope="module")
def segments(sky):
    return sky.segments(2, zero=ZERO)


@pytest.fixture(scope="module")
def fit(segments):
    return fit_sky(gather(segments), PARAMS)


@pytest.fixture(scope="module")
def noun(sky, segments):
    table = {"lambda": sky.line_wave, "flux": sky.strength}
    lines = RawFrame("lines", "SKY_LINES", {}, {}, {"LINES": table})
    return sky_model(segments=segments, sky_lines=lines, sky_exposure=None, masks=(), params=METHOD)


def relative(pulls):
    """Pulls about their own middle: the mean of all slices is the spectrum's."""
    return pulls - np.mean(pulls)


def test_pieces_of_all_detectors_stand_together(segments):
    found = gather(segments)
    assert found.flux.shape == (96, 3780)
    assert found.detector.tolist() == ["CHAN01"] * 12 + ["CHAN02"] * 12
    assert found.aperture.tolist() == [*range(1, 13)] * 2
    assert np.array_equal(found.slice, np.repeat(np.arange(24), 4))
    assert not found.weight[found.wave == 0].any()


def test_brightness_of_slices_has_pulls_of_one(sky, fit):
    assert not fit.dq.any()
    pulls = relative((fit.value[:, 0] - sky.gain) / fit.error[:, 0])
    assert 0.7 < pulls.std() < 1.35  # of 24 numbers: 0.15
    assert np.abs(fit.value[:, 0] - sky.gain).max() < 0.004


def test_shifts_of_slices_have_pulls_of_one(sky, fit):
    pulls = relative((fit.value[:, 1] - sky.shift) / fit.error[:, 1])
    assert 0.7 < pulls.std() < 1.35
    assert np.std(fit.value[:, 1] - sky.shift) < 0.003


def test_widths_of_lines_have_pulls_of_about_one(sky, fit):
    pulls = relative((fit.value[:, 3] - sky.excess) / fit.error[:, 3])
    assert 0.7 < pulls.std() < 1.5
    assert np.std(fit.value[:, 3] - sky.excess) < 0.1 * np.std(sky.excess)
    assert fit.chi2 == pytest.approx(1.0, abs=0.05)


def test_a_fit_that_had_no_time_to_settle_says_so(segments, fit, noun):
    assert fit.moved < SETTLED
    assert next(one for one in noun.quality if one.name == "SKY LAST STEP").good
    assert fit_sky(gather(segments), PARAMS.model_copy(update={"rounds": 2})).moved > SETTLED


def test_light_of_objects_makes_no_slice_brighter(sky):
    extra = np.zeros((24, 4))
    extra[5] = [0.5, 0.8, 0.6, 0.5]  # one slice is filled by an object of half the sky's light
    extra[6, 1] = 0.3
    fit = fit_sky(gather(sky.segments(2, extra=extra)), SkyParams(fraction=0.7, ignore=0.05))
    off = fit.value[:, 0] - sky.gain
    assert abs(off[5] - np.median(off)) < 5 * fit.error[5, 0] + 0.002
    assert not fit.blank[20:24].any()


def test_slices_that_were_not_measured_are_flagged(segments):
    one = replace(segments[0], flux=np.where(segments[0].aperture[:, None] == 3, np.nan, segments[0].flux))
    fit = fit_sky(gather([one]), SkyParams(fraction=1.0, ignore=0.0, rounds=2))
    assert np.flatnonzero(fit.dq).tolist() == [2]
    assert fit.dq[2] == int(Flag.NOT_MEASURED)
    with pytest.raises(NoConvergence, match="no piece of a slice holds light"):
        fit_sky(gather([replace(one, white=np.full(48, np.nan))]), PARAMS)


def test_the_zero_of_the_wavelengths_is_that_of_the_list(sky, fit):
    zero = find_zero(fit, sky.line_wave, sky.strength)
    assert zero is not None
    assert abs(zero.shift - ZERO) < max(5 * zero.error, 0.003)
    assert abs(zero.stretch) < 0.01
    assert zero.error < 0.005
    assert zero.width == pytest.approx(SIGMA, rel=0.05)


def test_too_few_lines_tell_no_zero(fit):
    assert find_zero(fit, np.array([5577.339, 6300.304, 6863.0]), np.ones(3)) is None


def test_the_recipe_tells_shift_of_every_slice(sky, noun):
    found = noun.sky
    assert not noun.caveats
    off = found.shift - (sky.shift + ZERO)
    assert np.abs(off).max() < 0.02
    assert np.all(found.shift_error < 0.02)
    own = found.of("CHAN02")
    for name in ("aperture", "gain", "shift", "stretch", "excess", "skew", "flat", "dq"):
        assert np.array_equal(getattr(own, name), getattr(found, name)[12:])
    table = np.asarray(own.line_wave)
    assert np.all(np.isin(table, sky.line_wave))


def test_the_sky_that_a_slice_sees_leaves_noise_alone(sky, segments, noun):
    for number in (0, 1):
        own = noun.sky.of(f"CHAN{number + 1:02d}")
        pulls = []
        for row in range(12):
            wave = segments[number].wave[4 * row]
            inside = (wave > 4900) & (wave < 9200)
            left = segments[number].flux[4 * row] - seen(own, row, wave)
            pulls.append((left / np.sqrt(segments[number].variance[4 * row]))[inside])
        assert 0.97 < np.std(pulls) < 1.06
    one = noun.sky.of("CHAN01")
    wave = np.array([5000.0, 7000.0, 9000.0])
    expected = wave + one.shift[3] + one.stretch[3] * (wave - 7000.0) / 2300.0
    assert np.allclose(shifted(one, 3, wave), expected, atol=1e-9)


def test_the_spectrum_is_the_sky(sky, fit):
    wave = np.linspace(5000.0, 9000.0, 4000)
    found = derivatives(wave - ZERO, fit.coefficient, fit.first, fit.step)[0]
    typical = sky.seen(wave)
    assert np.std(found / typical - 1.0) < 0.02


def test_without_a_list_two_lines_of_oxygen_serve(segments):
    made = sky_model(
        segments=segments[:1],
        sky_lines=None,
        sky_exposure=None,
        masks=(),
        params=SkyMethodParams(fraction=1.0, ignore=0.0, rounds=1),
    )
    assert len(made.caveats) >= 1
    assert "no list of sky lines" in made.caveats[0]
    assert made.sky.line_wave.size == 2 * int("two lines of oxygen" in made.caveats[0])


def test_where_oxygen_is_not_seen_nothing_rests_on_it(fit):
    dark = replace(fit, coefficient=np.ones_like(fit.coefficient))
    zero, [said] = _zero(dark, None)
    assert (zero.shift, zero.wave.size) == (0.0, 0)
    assert said.startswith("no list of sky lines")
    assert "arcs" in said
    assert "oxygen" not in said


def test_samples_at_lines_of_gas_tell_nothing_of_slices():
    wave, weight = np.array([5560.0, 5006.0, 6570.0, 6300.0]), np.ones(4, np.float32)
    assert outside(wave, weight, ()).tolist() == [1.0] * 4
    assert outside(wave, weight, gas_windows(0.0)).tolist() == [1.0, 0.0, 0.0, 1.0]
    assert outside(wave, weight, gas_windows(1500.0)).tolist() == [1.0, 1.0, 1.0, 1.0]


def test_slices_are_as_bright_without_the_ranges_that_lines_of_gas_may_have(sky, segments):
    found = fit_sky(gather(segments), PARAMS, without=gas_windows(60.0))
    pulls = relative((found.value[:, 0] - sky.gain) / found.error[:, 0])
    assert 0.6 < pulls.std() < 1.4


def with_hits(segments, count, wave):
    """Hits of 50 errors at a wavelength, in the first pieces."""
    made = []
    for one in segments:
        flux = one.flux.copy()
        for row in range(count):
            at = int(np.argmin(np.abs(one.wave[row] - wave)))
            flux[row, at] += 50.0 * np.sqrt(one.variance[row, at])
        made.append(replace(one, flux=flux))
    return made


def test_hits_within_lines_of_gas_do_not_get_into_the_spectrum(sky, segments):
    wave = np.arange(6560.0, 6572.0, 0.25)
    spectra = []
    for given in (segments, with_hits(segments, 6, 6565.0 - ZERO)):
        found = fit_sky(gather(given), PARAMS, without=gas_windows(100.0))
        spectra.append(derivatives(wave - ZERO, found.coefficient, found.first, found.step)[0])
    assert np.abs(spectra[1] - spectra[0]).max() < 0.002 * np.median(spectra[0])


def test_the_continuum_at_lines_of_gas_tells_nothing_of_slices(segments):
    """Light there that half of the slices see more of, alike in all samples, moves none of them."""
    extra = []
    for one in segments:
        inside = np.zeros(one.wave.shape, bool)
        for low, high in gas_windows(100.0):
            inside |= (one.wave > low) & (one.wave < high)
        more = 0.03 * (inside & (one.aperture % 2 == 0)[:, None])
        extra.append(replace(one, flux=(one.flux + more).astype(np.float32)))
    base, found = (fit_sky(gather(given), PARAMS, without=gas_windows(100.0)) for given in (segments, extra))
    assert np.abs(found.value[:, 0] - base.value[:, 0]).max() < 3e-4


def test_where_pieces_are_not_alike_it_is_said(fit):
    assert not _crowd(fit)
    [said] = _crowd(replace(fit, chi2=2.4))
    assert "chi-square 2.4" in said
    assert "SKY_MASK" in said
