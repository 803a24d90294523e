"""Errors that the sky's subtraction adds: those of throughput and sky are in the variance, whatever the sky's light."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.sky_fibres_drawn import M, N, draw, factors
from tracecube.recipes.sky.fibre_sky import SkyParams, fit_sky
from tracecube.recipes.sky.fibre_throughput import ThroughputParams, fit_throughput, rows_of, throughput_of
from tracecube.recipes.sky.sky_errors import sky_pulls, throughput_error
from tracecube.recipes.sky.sky_subtraction import subtract_sky

SLOTS = (47, 53)


@pytest.fixture(scope="module")
def true():
    return [factors(1), factors(2)]


def test_errors_of_throughput_are_those_of_many_twilights(true) -> None:
    pulls = []
    for seed in range(6):
        twilights = [draw(s, t, level=60.0, seed=100 * seed + s) for s, t in zip(SLOTS, true, strict=True)]
        found, _ = fit_throughput(twilights, ThroughputParams(degree=2))
        scale = np.median(np.concatenate(true))
        for one, t in zip(twilights, true, strict=True):
            value = throughput_of(found, one) * scale / t[:, None]
            error = throughput_error(found, rows_of(found, one), M)
            away = (value - np.median(value, axis=0)) / error
            pulls.append(away[:, ::80].ravel())
    width = 0.7413 * np.diff(np.percentile(np.concatenate(pulls), [25, 75]))[0]
    assert width == pytest.approx(1.0, abs=0.08)


@pytest.mark.parametrize("level", [14.0, 4000.0])
def test_pulls_hold_on_bright_sky_with_throughputs_of_faint_twilights(true, level: float) -> None:
    """At 4000 electron / Angstrom the throughputs' errors are larger than the noise."""
    twilights = [draw(s, t, level=40.0, seed=s) for s, t in zip(SLOTS, true, strict=True)]
    flat, _ = fit_throughput(twilights, ThroughputParams(degree=2))
    spectra = [draw(s, t, level=level, seed=10 + s) for s, t in zip(SLOTS, true, strict=True)]
    model, _, _ = fit_sky([(one, throughput_of(flat, one)) for one in spectra], SkyParams())
    made, plain = [], []
    for one in spectra:
        error = throughput_error(flat, rows_of(flat, one), M)
        made.append(subtract_sky(one, throughput_of(flat, one), model, error))
        plain.append(one.variance / (throughput_of(flat, one) * model.light[rows_of(model, one)][:, None]) ** 2)
    pull = np.concatenate([one.flux / np.sqrt(one.variance) for one in made])
    assert pull.std() == pytest.approx(1.0, abs=0.04)
    bare = np.concatenate([one.flux / np.sqrt(v) for one, v in zip(made, plain, strict=True)]).std()
    assert (bare > 1.1) == (level > 100.0)
    # what is common along a spectrum is stated beside it, so that sums have errors, too
    for one in made:
        size = one.level_error * one.sky.mean(axis=1)
        noise = np.sqrt(one.variance.mean(axis=1) - size**2)
        total = one.flux.mean(axis=1) / np.hypot(size, noise / M**0.5)
        assert np.std(total) == pytest.approx(1.0, abs=0.3)


def test_bundles_of_unequal_light_leave_no_level_behind(true) -> None:
    """The median of two bundles' light jumps from one to the other; sky times light may not.

    What is left, half a per cent, is what the cut of sources takes from fibres that hold none.
    """
    lit = [t * level for t, level in zip(true, (0.93, 1.07), strict=True)]
    for seed in range(4):
        spectra = [draw(s, t, level=200.0, seed=10 * seed + s) for s, t in zip(SLOTS, lit, strict=True)]
        flat = [np.broadcast_to(t[:, None], (N, M)) for t in true]
        model, _, _ = fit_sky(list(zip(spectra, flat, strict=True)), SkyParams())
        for one, t in zip(spectra, flat, strict=True):
            made = subtract_sky(one, t, model)
            assert abs(np.mean(made.flux) / np.mean(made.sky)) < 0.01


def test_pulls_are_told_amplifier_by_amplifier(true) -> None:
    spectra = [draw(s, t, level=14.0, seed=10 + s) for s, t in zip(SLOTS, true, strict=True)]
    flat = [np.broadcast_to(t[:, None], (N, M)) for t in true]
    model, _, _ = fit_sky(list(zip(spectra, flat, strict=True)), SkyParams())
    made = [subtract_sky(one, t, model) for one, t in zip(spectra, flat, strict=True)]
    made[0].amp[N // 2 :] = "LU"
    made[0].variance[N // 2 :] *= 0.25
    blank = [model.blank[rows_of(model, one)] == 1 for one in spectra]
    found = {one.name: one.value for one in sky_pulls(made, blank)}
    assert set(found) == {"SKY PULL 047LL", "SKY PULL 047LU", "SKY PULL 053LL", "SKY SUM PULL"}
    assert found["SKY PULL 047LL"] == pytest.approx(1.0, abs=0.02)
    assert found["SKY PULL 047LU"] == pytest.approx(2.0, abs=0.04)
