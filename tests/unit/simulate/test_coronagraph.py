from __future__ import annotations

import numpy as np
import pytest

from tracecube.simulate.coronagraph import CoronagraphScene, observe_star

SCENE = CoronagraphScene(
    wave=np.linspace(9700.0, 16300.0, 5),
    star=np.full(5, 6e4),
    east=np.array([0.2]),
    north=np.array([0.1]),
    contrast=np.full((1, 5), 1e-2),
    angle=np.array([0.0, 90.0]),
    radius=0.3,
    speckles=0.0,
    halo=0.0,
    read_noise=0.0,
    wander=0.0,
)


def test_equal_seeds_give_equal_sequences() -> None:
    first, again = observe_star(SCENE, 1), observe_star(SCENE, 1)
    assert np.array_equal(first.spectra[1].flux, again.spectra[1].flux)


@pytest.mark.parametrize(("exposure", "place"), [(0, (-0.2, 0.1)), (1, (0.1, 0.2))])
def test_companion_turns_with_the_sky(exposure: int, place: tuple[float, float]) -> None:
    one = observe_star(SCENE, 2).spectra[exposure]
    light = one.flux.sum(axis=1)
    near = np.hypot(one.x - place[0], one.y - place[1]) < 0.05
    assert light[near] @ one.x[near] / light[near].sum() == pytest.approx(place[0], abs=2e-3)
    assert light[near] @ one.y[near] / light[near].sum() == pytest.approx(place[1], abs=2e-3)
    assert light[near].sum() / light.sum() > 0.7
