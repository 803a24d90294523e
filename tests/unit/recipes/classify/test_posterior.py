from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES, KINDS, TYPE_OF, TYPES, kind_of
from tracecube.recipes.classify.library import matched, templates
from tracecube.recipes.classify.networks import learnt


def test_library_holds_all_templates() -> None:
    held = templates()
    assert held.flux.shape == (5557, 512)
    assert held.flux.dtype == np.float16
    assert len(held.objects) == 653
    assert {KINDS[k] for k in held.kind} == set(KINDS)
    assert (np.diff(held.object) >= 0).all()
    assert all(held.name[row] == name for row, name in zip(held.first, held.objects, strict=True))
    assert np.isfinite(matched(100.0).flux).all()


def test_kinds_types_and_classes_belong_together() -> None:
    assert [CLASSES[k] for k in CLASS_OF[[KINDS.index(n) for n in ("Ia-csm", "Ibn", "IIb", "TDE")]]] == list(CLASSES)
    assert all(KINDS[k].startswith(TYPES[t][:2]) for k, t in enumerate(TYPE_OF))
    assert KINDS[kind_of("Icn", "Icn")] == "Ibn"


def test_a_known_redshift_is_kept_to() -> None:
    free = posterior.z_prior(None, 0.0, 0.02, 0.1)
    assert posterior.GRID[np.isfinite(free)].min() >= 0.02
    assert posterior.GRID[np.isfinite(free)].max() <= 0.1
    held = np.exp(posterior.z_prior(0.05, 0.001, 0.0, 0.3))
    assert (held * posterior.GRID).sum() / held.sum() == pytest.approx(0.05, abs=1e-3)


def test_probabilities_are_those_of_the_sum() -> None:
    rng = np.random.default_rng(0)
    energy = rng.normal(size=(posterior.GRID.size, len(KINDS)))
    score = rng.normal(size=energy.T.shape)
    joint = posterior.probabilities(energy, score, np.zeros(posterior.GRID.size), np.array([1.0, 0.5]))
    assert joint.sum() == pytest.approx(1.0)
    assert np.log(joint[3, 7] / joint[9, 30]) == pytest.approx(
        energy[7, 3] - energy[30, 9] + 0.5 * (score[3, 7] - score[9, 30])
    )


def test_calibration_changes_classes_and_leaves_what_is_inside_them() -> None:
    joint = np.random.default_rng(1).dirichlet(np.ones(len(KINDS) * 5)).reshape(len(KINDS), 5)
    plain = replace(learnt(), slope=np.array([[1.0, 0.0]] * 2), offset=np.zeros((2, 4)))
    np.testing.assert_allclose(posterior.calibrated(joint, plain, 20.0, known=False), joint)
    shares = np.array([0.7, 0.1, 0.1, 0.1])
    made = posterior.calibrated(joint, plain, 20.0, known=False, shares=shares)
    assert made.sum() == pytest.approx(1.0)
    ia, ii = CLASS_OF == 0, CLASS_OF == 2
    gain = (made[ia].sum() / made[ii].sum()) / (joint[ia].sum() / joint[ii].sum())
    assert gain == pytest.approx(7.0)
    np.testing.assert_allclose(made[ia] / made[ia].sum(), joint[ia] / joint[ia].sum())


def test_networks_that_have_seen_an_object_do_not_judge_it() -> None:
    known = learnt()
    name = str(known.objects[10])
    chosen = known.without([name])
    assert 0 < len(chosen.bias_3) < len(known.networks.bias_3)
    assert len(known.without([]).bias_3) == len(known.networks.bias_3)
    assert set(known.left_out.tolist()) == set(known.fold.tolist())
    other = str(known.objects[np.flatnonzero(known.fold != known.fold[10])[0]])
    with pytest.raises(BadData, match="has seen one"):
        known.without([name, other])
