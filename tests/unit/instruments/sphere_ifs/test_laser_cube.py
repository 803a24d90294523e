"""The lasers as a cube: where their lines stand, and what the task is called."""

from __future__ import annotations

import numpy as np
import pytest

from tests.unit.recipes.star_field import lattice, spectra_of
from tracecube.core.spectra import Spectra
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.laser_cube import laser_offsets

LASERS = np.array([9877.2, 11237.1, 13093.7, 15451.0])
WAVE = np.linspace(9565.0, 16650.0, 39)


def spectra(shift: float, on: int = 4) -> Spectra:
    """Lines of 1.2 channels, so far off (Angstrom), over a faint floor; every tenth lenslet sees ten times too much."""
    x, y = lattice(0.15)
    width = 1.2 * (WAVE[1] - WAVE[0])
    line = np.exp(-0.5 * ((WAVE - LASERS[:on, None] - shift) / width) ** 2).sum(axis=0)
    light = np.where(np.arange(x.size) % 10 == 0, 10.0, 1.0)[:, None] * (1.0 + 500.0 * line)
    return spectra_of(x, y, WAVE, np.full(WAVE.size, width), light, np.ones_like(light), {})


@pytest.mark.parametrize("shift", [0.0, 15.0])
def test_lines_are_found_where_they_stand(shift):
    assert laser_offsets(spectra(shift), LASERS) == pytest.approx(shift, abs=8.0)  # of channels of 186


def test_a_laser_that_is_off_has_no_offset():
    found = laser_offsets(spectra(0.0, on=3), LASERS)
    assert np.isfinite(found).tolist() == [True, True, True, False]


def test_the_task_is_made_when_it_is_asked_for():
    task = next(one for one in instrument.workflow.tasks if one.name == "ifs_wavecalib_cube")
    assert task.output_tags() == {"cube": "LASER_CUBE"}
    assert "ifs.wave_calib.coll_alg" in task.parameter_names()
    tags = {tag for one in instrument.workflow.tasks for rule in one.associations for tag in rule.tags}
    assert "LASER_CUBE" not in tags  # nothing waits for it
