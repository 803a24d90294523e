"""What limits the classes told at a known redshift: the objects of the library, seen without noise and without a host.

Networks and templates are asked apart and together, each without the object it is asked about, at the redshift itself.
What both get wrong where nothing hides the object is unlike its class, or its class is another than the library says.
Then the templates of ever fewer objects are asked: what another object of a class adds is what more objects would.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from draws import Draw, Sampler, Settings

from tracecube.kernels.log_spectrum import STEP
from tracecube.kernels.template_match import correlate, score
from tracecube.kernels.type_network import energies, inputs
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES, KINDS
from tracecube.recipes.classify.library import matched, templates
from tracecube.recipes.classify.networks import learnt
from tracecube.recipes.classify.parameters import LIBRARY_RESOLUTION

NO_NOISE = 1000.0
SHARES = (0.125, 0.25, 0.5, 1.0)
DRAWS = 8  # of objects for each share
FEWEST = 3  # spectra of an object of which it is said that it is told wrong
NOISY = Settings(snr=(20.0, 20.0), z=(0.005, 0.15), faults=False)
CLEAN = Settings(snr=(NO_NOISE, NO_NOISE), z=(0.005, 0.15), hostless=1.0, faults=False)


@dataclass(frozen=True)
class Asked:
    """Spectra and what was said of them: objects (n,), classes (n,), logs (n, classes), scores (n, objects)."""

    object: np.ndarray
    label: np.ndarray
    networks: np.ndarray
    templates: np.ndarray
    together: np.ndarray
    best: np.ndarray


def _classes(log: np.ndarray) -> np.ndarray:
    """Log of the sums over the kinds of each class."""
    return np.stack([np.logaddexp.reduce(log[:, k == CLASS_OF], axis=1) for k in range(len(CLASSES))], axis=1)


def _said(one: Draw) -> tuple[np.ndarray, np.ndarray]:
    """Energies of the kinds, and the scores of the objects, at the redshift."""
    held, flat = templates(), one.flat()
    shift = round(float(np.log1p(one.z)) / STEP)
    near = np.maximum(np.arange(shift - 1, shift + 2), 0)
    best = score(correlate(matched(LIBRARY_RESOLUTION), flat, near))
    by_object = posterior.by_object(best, held, np.array([held.object[one.row]])).max(1)
    nets = learnt().without((str(held.name[one.row]),))
    return energies(nets, inputs(flat, np.array([shift])))[0], by_object


def asked(count: int, settings: Settings, seed: int) -> Asked:
    """Draw spectra, classes alike, and ask of each."""
    held, known = templates(), learnt()
    sampler = Sampler(held, np.random.default_rng(seed))
    drawn = [sampler.draw(settings, n % len(CLASSES)) for n in range(count)]
    energy, best = (np.array(part) for part in zip(*(_said(one) for one in drawn), strict=True))
    kinds = posterior.by_kind(best.T, held).T
    snr = np.clip([one.snr for one in drawn], *posterior.CALIBRATED)
    slope = known.slope[1][0] + known.slope[1][1] * np.log(snr / posterior.TYPICAL)
    log = _classes(known.weights[0] * energy + known.weights[1] * kinds)
    log -= np.logaddexp.reduce(log, axis=1)[:, None]
    return Asked(
        object=held.object[[one.row for one in drawn]],
        label=CLASS_OF[[one.kind for one in drawn]],
        networks=slope[:, None] * _shares(_classes(energy)) + known.offset[1],
        templates=np.stack([kinds[:, k == CLASS_OF].max(1) for k in range(len(CLASSES))], axis=1),
        together=slope[:, None] * log + known.offset[1],
        best=best,
    )


def _shares(log: np.ndarray) -> np.ndarray:
    return log - np.logaddexp.reduce(log, axis=1)[:, None]


def _right(log: np.ndarray, label: np.ndarray) -> float:
    return _mean(log.argmax(1) == label, label)


def _mean(right: np.ndarray, label: np.ndarray) -> float:
    """Mean over the classes."""
    return float(np.mean([right[label == k].mean() for k in range(len(CLASSES))]))


def by_share(found: Asked, seed: int) -> list[float]:
    """Share told right by the templates of some of the objects."""
    held, rng = templates(), np.random.default_rng(seed)
    of_object = CLASS_OF[held.kind[held.first]]
    told = []
    for share in SHARES:
        right = []
        for _ in range(DRAWS if share < 1.0 else 1):
            kept = [rng.permutation(np.flatnonzero(of_object == k)) for k in range(len(CLASSES))]
            kept = [rows[: round(share * rows.size)] for rows in kept]
            right.append(_right(np.stack([found.best[:, rows].max(1) for rows in kept], axis=1), found.label))
        told.append(float(np.mean(right)))
    return told


def _unlike(found: Asked) -> None:
    """Name the objects that both get wrong in half of their spectra or more."""
    held = templates()
    wrong = (found.networks.argmax(1) != found.label) & (found.templates.argmax(1) != found.label)
    shares = [wrong[found.label == k].mean() for k in range(len(CLASSES))]
    print("  wrong by both: " + ", ".join(f"{n} {x:.3f}" for n, x in zip(CLASSES, shares, strict=True)))
    print(f"  right by one of them at least {1.0 - np.mean(shares):.3f}")
    names = []
    for number in np.unique(found.object):
        mine = found.object == number
        if mine.sum() >= FEWEST and wrong[mine].mean() >= 0.5:  # noqa: PLR2004 - half
            told = np.bincount(found.together[mine & wrong].argmax(1), minlength=len(CLASSES)).argmax()
            names.append(f"{held.objects[number]} ({KINDS[held.kind[held.first[number]]]} as {CLASSES[told]})")
    print(f"  {len(names)} objects of {np.unique(found.object).size}: " + ", ".join(names))


def limit(count: int, seed: int) -> None:
    """Print what more signal could gain, and what more objects."""
    for name, settings in (("S/N 20, hosts as drawn", NOISY), ("no noise, no host", CLEAN)):
        found = asked(count, settings, seed)
        parts = {"networks": found.networks, "templates": found.templates, "together": found.together}
        print(f"redshift known, {name}: " + ", ".join(f"{k} {_right(v, found.label):.3f}" for k, v in parts.items()))
        curve = by_share(found, seed)
        print(
            "  templates of "
            + ", ".join(f"{share:g} of the objects {told:.3f}" for share, told in zip(SHARES, curve, strict=True))
            + f": {(curve[-1] - curve[0]) / np.log2(SHARES[-1] / SHARES[0]):.3f} for each doubling"
        )
    _unlike(found)
