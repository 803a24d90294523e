"""Light through the mask of pinholes: its variance is that of the light expected."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.instruments.muse.raw_channel import HIGH, NOISE, WIDE, raw
from tracecube.core.frame import Frame
from tracecube.instruments.muse.ccd import Channel, noise_card
from tracecube.instruments.muse.geometry_steps import _of_mask


def test_sums_over_lines_scatter_as_their_variance_says_in_pinholes_and_between():
    rng = np.random.default_rng(4)
    y, x = np.mgrid[: 2 * HIGH, : 2 * WIDE]
    line = np.exp(-0.5 * (((y % 16) - 8.0) / 1.1) ** 2)
    light = 300.0 * line * np.exp(-0.5 * (((x % 12) - 6.0) / 0.8) ** 2)
    none = np.zeros(light.shape, np.float32)
    bias = Frame(none, none, none.astype(np.int32), {noise_card(k): NOISE[k] for k in NOISE})
    pulls = []
    for _ in range(4):
        made = _of_mask(Channel.of(raw(rng, light)), bias)
        left = (made.data - light).reshape(-1, 16, 2 * WIDE)[:, 5:12].sum(axis=1)
        left -= np.median(left)
        pulls.append(left / np.sqrt(made.variance.reshape(-1, 16, 2 * WIDE)[:, 5:12].sum(axis=1)))
    scatter = np.std(np.concatenate(pulls), axis=0)
    assert scatter[6::12].mean() == pytest.approx(1.0, abs=0.05)
    assert np.concatenate([scatter[0::12], scatter[1::12]]).mean() == pytest.approx(1.0, abs=0.05)
