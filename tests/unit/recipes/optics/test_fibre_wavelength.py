"""Wavelengths of fibres from synthetic arcs."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import MissingInput
from tracecube.core.flags import Flag
from tracecube.kernels.lines import line_image
from tracecube.recipes.optics.fibre_lines import FibreArc, FibreLine
from tracecube.recipes.optics.fibre_wavelength import FibreWavelengthParams, fit_fibre_wavelengths

LINES = (
    FibreLine(3650.153, "Hg", (3654.836, 3663.279)),
    FibreLine(4046.565, "Hg"),
    FibreLine(4358.335, "Hg"),
    FibreLine(4678.149, "Cd"),
    FibreLine(4799.912, "Cd"),
    FibreLine(5085.822, "Cd"),
    FibreLine(5460.750, "Hg"),
)
N, M, DEAD = 48, 1032, 17
HALF = np.repeat([0, 1], N // 2)
PLACE = 20.0 + 8.8 * np.arange(N)


def night(seed: int, shift: float, jitter: float) -> tuple[dict[str, FibreArc], np.ndarray]:
    """Arcs of both lamps with noise, and the wavelengths (N, M) that they were made with."""
    rng = np.random.default_rng(seed)
    u = 2.0 * np.arange(M) / (M - 1.0) - 1.0
    v = 2.0 * np.arange(N)[:, None] / (N - 1.0) - 1.0
    own = jitter * rng.normal(size=(N, 1))
    wave = 4505.0 + shift + 1035.0 * u + 2.0 * v**2 + 8.0 * u**2 + 1.5 * u**3 + 0.5 * u * v + own
    arcs = {}
    for lamp in ("Hg", "Cd"):
        listed = [
            (w, f)
            for line in LINES
            if line.lamp == lamp
            for w, f in zip((line.wave, *line.companions), (1, 0.3, 0.25), strict=False)
        ]
        x = np.array([[np.interp(w, row, np.arange(M)) for w, _ in listed] for row in wave])
        strength = np.broadcast_to([1e4 * f for _, f in listed], x.shape).copy()
        clean = line_image(x, np.full(x.shape, 1.15), strength, np.zeros(N, np.int64), M)
        variance = clean + 50.0
        flags = np.zeros((N, M), np.int32)
        flags[DEAD] = int(Flag.NOT_ILLUMINATED | Flag.NOT_MEASURED)
        arcs[lamp] = FibreArc(clean + np.sqrt(variance) * rng.normal(size=clean.shape), variance, flags)
    return arcs, wave


@pytest.mark.parametrize("shift", [0.0, -60.0, 45.0])
def test_the_wavelengths_are_found_within_their_errors(shift: float) -> None:
    arcs, truth = night(3, shift, 0.0)
    solutions, quality, caveats = fit_fibre_wavelengths(arcs, LINES, HALF, PLACE, FibreWavelengthParams())
    live = np.arange(N) != DEAD
    wave = np.concatenate([s.wave for s in solutions])[live]
    error = np.concatenate([s.error for s in solutions])[live]
    off = wave - truth[live]
    assert np.sqrt((off**2).mean()) < 0.02
    assert 0.3 < np.sqrt(((off / error) ** 2).mean()) < 2.0
    assert not caveats
    assert {number.name: number.value for number in quality}["WAVE FIBRE TERMS"] == 0.0
    assert np.allclose(np.concatenate([s.lsf_sigma for s in solutions])[live], 1.15, atol=0.03)
    assert solutions[0].dq[DEAD] & int(Flag.NOT_MEASURED)


@pytest.mark.parametrize("jitter", [0.0, 0.01])
def test_the_errors_are_neither_too_wide_nor_too_narrow(jitter: float) -> None:
    """Of many CCDs, whose lamps are off the list of lines as lamps are: 0.003 Angstrom."""
    chi2 = []
    live = np.arange(N) != DEAD
    for seed in range(20):
        off = np.random.default_rng([seed, 1]).normal(0.0, 0.003, len(LINES))
        arcs, truth = night(100 + seed, 0.0, jitter)
        lines = tuple(line._replace(wave=line.wave + move) for line, move in zip(LINES, off, strict=True))
        solutions, _, _ = fit_fibre_wavelengths(arcs, lines, HALF, PLACE, FibreWavelengthParams())
        wave, error = (np.concatenate([getattr(s, name) for s in solutions])[live] for name in ("wave", "error"))
        chi2.append((((wave - truth[live]) / error) ** 2).mean())
    assert np.sqrt(np.mean(chi2)) == pytest.approx(1.0, abs=0.05)


def test_fibres_that_depart_from_the_field_are_followed() -> None:
    arcs, truth = night(4, 0.0, 0.2)
    solutions, _, _ = fit_fibre_wavelengths(arcs, LINES, HALF, PLACE, FibreWavelengthParams())
    off = (np.concatenate([s.wave for s in solutions]) - truth)[np.arange(N) != DEAD]
    assert np.sqrt((off**2).mean()) < 0.05


def test_a_missing_lamp_is_said_and_too_few_lines_refused() -> None:
    arcs, truth = night(5, 0.0, 0.0)
    del arcs["Cd"]
    params = FibreWavelengthParams(least_lines=4)
    solutions, _, caveats = fit_fibre_wavelengths(arcs, LINES, HALF, PLACE, params)
    assert "no Cd arc" in caveats[0]
    live = np.arange(N) != DEAD
    off = (np.concatenate([s.wave for s in solutions]) - truth)[live]
    error = np.concatenate([s.error for s in solutions])[live]
    assert np.sqrt((off**2).mean()) < 0.2
    # what four lines do not tell, the quartic, is in the errors
    assert np.sqrt(((off / error) ** 2).mean()) < 1.5
    assert error[:, 950].mean() > 5.0 * error[:, 285].mean()
    with pytest.raises(MissingInput):
        fit_fibre_wavelengths(arcs, LINES, HALF, PLACE, params.model_copy(update={"least_lines": 5}))


def test_a_line_that_is_off_in_all_fibres_widens_the_errors() -> None:
    arcs, _ = night(8, 0.0, 0.0)
    honest = fit_fibre_wavelengths(arcs, LINES, HALF, PLACE, FibreWavelengthParams())
    moved = tuple(line._replace(wave=line.wave + 0.2) if line.wave == 4799.912 else line for line in LINES)
    widened = fit_fibre_wavelengths(arcs, moved, HALF, PLACE, FibreWavelengthParams())
    shared = [{n.name: n.value for n in found[1]}["WAVE CHI2 SHARED"] for found in (honest, widened)]
    assert shared[0] < 3.0 < shared[1]
    ratio = widened[0][0].error.mean() / honest[0][0].error.mean()
    assert ratio > 0.9 * np.sqrt(shared[1] / max(shared[0], 1.0))


def test_a_lamp_of_few_lines_takes_the_blend_with_an_error_that_says_so() -> None:
    lines = (FibreLine(3610.508, "Cd", (3612.873,)), *(line for line in LINES if line.lamp == "Cd"))
    arcs, truth = night(9, 0.0, 0.0)
    x = np.arange(M)
    for i, centre in enumerate(truth):
        for wave, strength in ((3610.508, 5e3), (3612.873, 1.5e3)):
            arcs["Cd"].flux[i] += strength * np.exp(-0.5 * ((x - np.interp(wave, centre, x)) / 1.15) ** 2) / 2.9
    solutions, quality, caveats = fit_fibre_wavelengths(
        {"Cd": arcs["Cd"]}, (*lines, LINES[0]), HALF, PLACE, FibreWavelengthParams()
    )
    assert "no Hg arc" in caveats[0]
    live = np.arange(N) != DEAD
    pull = np.concatenate([(s.wave) for s in solutions])[live] - truth[live]
    pull /= np.concatenate([s.error for s in solutions])[live]
    assert np.sqrt((pull**2).mean()) < 2.0
    assert {number.name: number.value for number in quality}["WAVE LINES"] == 4.0
