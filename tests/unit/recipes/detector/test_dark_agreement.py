"""Darks of another integration time than their cards say are told by their hot pixels."""

from __future__ import annotations

import numpy as np

from tracecube.recipes.detector.dark_agreement import unlike_darks


def dark(rng: np.random.Generator, seconds: float, current: np.ndarray) -> np.ndarray:
    return 3.0 + current * seconds + rng.normal(0.0, 2.0, current.shape)


def test_a_dark_of_another_time_is_named_and_others_are_not() -> None:
    rng = np.random.default_rng(1)
    current = np.where(rng.uniform(size=(300, 300)) < 0.004, rng.exponential(5.0, (300, 300)), 0.0)
    usual = [dark(rng, 16.0, current) for _ in range(3)]
    assert unlike_darks(usual, ["a", "b", "c"]) == ()
    assert unlike_darks(usual[:1], ["a"]) == ()
    [caveat] = unlike_darks([*usual, dark(rng, 1.65, current)], ["a", "b", "c", "d"])
    assert caveat.startswith("d: its hot pixels are 0.1")
    assert len(unlike_darks([usual[0], dark(rng, 1.65, current)], ["a", "d"])) == 2  # either may be wrong


def test_a_pixel_that_is_not_known_hides_no_dark_of_another_time() -> None:
    rng = np.random.default_rng(1)
    current = np.where(rng.uniform(size=(300, 300)) < 0.004, rng.exponential(5.0, (300, 300)), 0.0)
    usual = [dark(rng, 16.0, current) for _ in range(3)]
    usual[1][7, 9] = np.nan
    [caveat] = unlike_darks([*usual, dark(rng, 1.65, current)], ["a", "b", "c", "d"])
    assert caveat.startswith("d: its hot pixels are 0.1")
