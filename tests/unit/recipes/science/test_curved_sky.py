"""A faint star on a bright sky that is not flat: moonlight, and what a lenslet flat leaves."""

from __future__ import annotations

from types import ModuleType

import numpy as np

from tracecube.recipes.science.chromatic_fit import NAMES, Prior
from tracecube.recipes.science.point_source import extract_point_source
from tracecube.recipes.science.scene import make_scene

HALO = ("log_ratio", "log_beta", "logit_core")


def known_halo(prior: Prior) -> Prior:
    """The simulated profile in the words of the prior: half Gaussian, half Moffat of exponent 2.5, equally wide."""
    ratio = np.log(2.354820 / 2 / np.sqrt(2**0.4 - 1))
    at, mean = [NAMES.index(name) for name in HALO], prior.mean.copy()
    mean[at] = ratio, np.log(1.5), 0.0
    sd = prior.sd.copy()
    sd[at] = 0.04, 0.07, 0.12
    return Prior(mean, sd)


def test_curved_sky_does_not_go_into_the_star(sim: ModuleType, star: np.ndarray) -> None:
    x, y = sim.field()
    curved = 100.0 * (1.0 - 0.012 * (x / 13.0) ** 2 + 0.006 * (x / 13.0) * (y / 13.0))
    level, bias = 1000.0, {}
    for degree in (1, 2):
        ratios = []
        for seed in range(4):
            scene = make_scene(sim.observe(level * star + curved, seed, sky=0.0))
            prior = known_halo(sim.prior(0.4, -0.7, 0.2, width=0.15))
            found = extract_point_source(scene, sim.track(), prior, sim.choices(sky_degree=degree))
            ratios.append(found.flux[8:-8].mean() / level - 1.0)
        bias[degree] = float(np.mean(ratios))
    assert abs(bias[2]) < 0.01
    assert abs(bias[2]) < abs(bias[1])
