"""The wavelength solution on simulated arcs, whole and with a lamp missing."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.small_field import SHAPE, frame, nominal_law, small_field
from tracecube.core.errors import MissingInput, NoConvergence
from tracecube.recipes.extract.joint import ExtractionParams, extract, trace_matrix
from tracecube.recipes.optics.arcs import ArcSpectra, LineList
from tracecube.recipes.optics.wavelength import WavelengthParams, fit_wavelengths, pixel_map

FIELD = small_field()
LAMPS = {
    "Hg": ([3651.2, 4047.7, 4359.6, 5462.3, 5771.2, 5792.3], [0.3, 4, 20, 25, 2.6, 2.8]),
    "Cd": ([3611.5, 4679.5, 4801.3, 5087.2, 6440.2], [0.2, 6, 17, 25, 8]),
    "Xe": ([7644.1, 8233.9, 8282.4, 8821.8, 8954.7, 9048.0, 9165.2], [1, 4.5, 2.2, 4.6, 2, 2.5, 1.9]),
}
LINES = LineList(
    np.concatenate([[lamp] * len(w) for lamp, (w, _) in LAMPS.items()]),
    np.concatenate([w for w, _ in LAMPS.values()]),
    np.concatenate([s for _, s in LAMPS.values()]),
)


def arcs(lamps: tuple[str, ...] = ("Hg", "Cd", "Xe")) -> dict[str, ArcSpectra]:
    matrix, rng, made = trace_matrix(FIELD.traces, SHAPE, half_width=12), np.random.default_rng(1), {}
    for lamp in lamps:
        wave, strength = (np.array(v) for v in LAMPS[lamp])
        seen = frame(FIELD.lines(wave, 1000.0 * strength), rng)
        found = extract(seen, matrix, ExtractionParams(scatter_pieces=0), floor=16.0)
        made[lamp] = ArcSpectra(found.flux, found.variance)
    return made


@pytest.fixture(scope="module")
def solved():
    return fit_wavelengths(arcs(), FIELD.traces, LINES, nominal_law(), WavelengthParams())


def test_wavelengths_are_right_over_the_whole_field(solved) -> None:
    solution, numbers, caveats = solved
    off, wave = solution.wave - FIELD.wave(), FIELD.wave()
    inside = (wave > 4000) & (wave < 9200)
    assert np.sqrt(np.mean(off[inside] ** 2)) < 1.0
    blue = (wave > 3700) & (wave < 4047)
    assert np.sqrt(np.mean(off[blue] ** 2)) < 3.0
    named = {number.name: number.value for number in numbers}
    assert named["WAVE APERTURES"] == 1.0
    assert named["WAVE LEFT OUT RMS"] < 3.0
    assert caveats == ()


def test_line_widths_are_measured(solved) -> None:
    assert np.nanmedian(solved[0].lsf_sigma) == pytest.approx(1.1, abs=0.03)


def test_pixel_map_shows_the_nearest_trace(solved) -> None:
    shown = pixel_map(FIELD.traces, solved[0], SHAPE, half_width=3.0)
    row, sample = 40, 150
    c, s = round(FIELD.traces.centre[row, sample]), FIELD.traces.start[row] + sample
    assert shown.aperture[c, s] == FIELD.traces.aperture[row]
    assert shown.wave[c, s] == pytest.approx(solved[0].wave[row, sample])
    assert (shown.aperture == -1).any()


def test_a_missing_lamp_is_named_and_survived() -> None:
    solution, _, caveats = fit_wavelengths(arcs(("Hg", "Cd")), FIELD.traces, LINES, nominal_law(), WavelengthParams())
    assert any("Xe" in caveat for caveat in caveats)
    off, wave = solution.wave - FIELD.wave(), FIELD.wave()
    assert np.sqrt(np.mean(off[(wave > 4000) & (wave < 6500)] ** 2)) < 1.0


def test_no_lamp_is_refused() -> None:
    with pytest.raises(MissingInput, match="no arc frame"):
        fit_wavelengths({}, FIELD.traces, LINES, nominal_law(), WavelengthParams())


def test_wrong_lamps_are_not_recognised() -> None:
    made = arcs()
    swapped = {"Hg": made["Xe"], "Cd": made["Hg"], "Xe": made["Cd"]}
    with pytest.raises(NoConvergence, match="right lamps"):
        fit_wavelengths(swapped, FIELD.traces, LINES, nominal_law(), WavelengthParams())
