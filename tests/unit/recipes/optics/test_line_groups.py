"""Groups of arc lines: what faint neighbours do to a line is in its error."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.kernels.lines import line_image
from tracecube.recipes.optics.arcs import ArcSpectra, LineList
from tracecube.recipes.optics.line_groups import (
    LineState,
    Stage,
    _Fitted,
    blend_error,
    faint_strength,
    measure_groups,
)

N, M, SIGMA = 40, 330, 1.1
STRONG = np.arange(30.0, 310.0, 40.0)
BRIGHT = np.array([5000.0, 3000.0, 2000.0, 5000.0, 1000.0, 3000.0, 2000.0])
FAINT = 150.0  # rms strength
FINAL = Stage(isolated=False, seeded=False, width=False)


def lamp(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Places (z) and pulls of the strong lines of a lamp whose faint lines are drawn anew."""
    clear = (STRONG[:-1, None] + np.arange(8.0, 33.0, 6.0) + rng.uniform(-1.0, 1.0, (STRONG.size - 1, 5))).ravel()
    beside = STRONG + rng.uniform(0.5, 1.9, STRONG.size) * rng.choice([-1, 1], STRONG.size)
    faint = np.abs(rng.normal(0.0, FAINT, clear.size + beside.size))
    unlisted = rng.uniform(0.0, M, rng.poisson(faint.size))
    hidden = np.abs(rng.normal(0.0, 0.5 * FAINT, unlisted.size))
    listed, every = np.concatenate([STRONG, clear, beside]), np.concatenate([STRONG, clear, beside, unlisted])
    strength = np.concatenate([BRIGHT, faint, hidden])
    phase, start = rng.uniform(0.0, 20.0, (N, 1)), np.zeros(N, np.int64)
    shape = (N, every.size)
    light = line_image(every + phase, np.full(shape, SIGMA), np.broadcast_to(strength, shape).copy(), start, M + 20)
    variance = light + 16.0
    arc = ArcSpectra(light + rng.normal(size=light.shape) * np.sqrt(variance), variance)
    lines = LineList(np.full(listed.size, "Xe"), 5000.0 + listed, np.where(np.arange(listed.size) < 7, 1.0, 0.0))
    state = LineState(listed + phase, np.full((N, listed.size), SIGMA))
    groups = measure_groups({"Xe": arc}, SimpleNamespace(start=start), lines, state, FINAL)
    mine = [int(np.argmin(np.abs(groups.wave - 5000.0 - z))) for z in STRONG]
    off = np.median(groups.x[:, mine] - phase - STRONG, axis=0)
    counted = np.median(groups.error[:, mine], axis=0) * np.sqrt(np.pi / 2 / N)  # of a median
    return off, off / np.hypot(groups.blend[mine], counted)


def test_pulls_of_lines_with_faint_neighbours() -> None:
    rng = np.random.default_rng(11)
    drawn = [lamp(rng) for _ in range(120)]
    pulls = np.concatenate([pull for _, pull in drawn])
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1.0, abs=0.1)
    assert np.std(np.stack([off for off, _ in drawn])[:, 0]) > 0.01  # many times what counts alone allow


def fitted(*, poisson: bool) -> _Fitted:
    at, sigma = np.full((8, 1), 50.0) + np.linspace(0, 1, 8)[:, None], np.full((8, 1), SIGMA)
    start, light = np.zeros(8, np.int64), np.full((8, 1), 1e6)
    ivar = 1.0 / (line_image(at, sigma, light, start, 100) + 1.0) if poisson else np.ones((8, 100))
    return _Fitted(LineState(at, sigma), light, np.zeros(1, np.int64), np.ones((1, 1)), ivar, start)


@pytest.mark.parametrize(("poisson", "pull"), [(False, np.exp(-((0.7 / (2 * SIGMA)) ** 2))), (True, 1.0)])
def test_a_neighbour_pulls_as_its_closed_form_says(poisson: bool, pull: float) -> None:
    one = fitted(poisson=poisson)
    beside = LineState(one.lines.position + 0.7, one.lines.sigma)
    found = blend_error(one, beside, 1e4, crowd=0.0)
    assert found == pytest.approx(0.01 * 0.7 * pull, rel=0.2)  # pixels, window and ground are not in the formula


def test_a_lone_line_has_the_error_of_lines_nobody_listed() -> None:
    one, none = fitted(poisson=False), LineState(np.zeros((8, 0)), np.zeros((8, 0)))
    assert blend_error(one, none, 1e4, crowd=0.0) == 0.0
    assert 0.0 < blend_error(one, none, 1e4, crowd=0.1)[0] < 0.01
    assert blend_error(one, none, 2e4, crowd=0.1)[0] == pytest.approx(
        2 * blend_error(one, none, 1e4, crowd=0.1)[0], rel=0.1
    )


def test_the_faint_lines_of_a_lamp_tell_how_strong_such_lines_are() -> None:
    assert faint_strength(np.array([1.0, 0.0, 0.0]), np.array([100.0, 3.0, 4.0])) == pytest.approx(12.5**0.5)
    assert faint_strength(np.array([1.0]), np.array([100.0])) == pytest.approx(2.0)
