"""Make the networks and calibration that the package holds, from its templates alone.

    python bench/spectral_types/train.py bank FOLDER        # simulated spectra to learn from
    python bench/spectral_types/train.py networks FOLDER    # a few for each fold of objects left out
    python bench/spectral_types/train.py scores FOLDER      # other spectra, matched with templates of other objects
    python bench/spectral_types/train.py judge FOLDER       # and judged by networks that have not seen theirs
    python bench/spectral_types/train.py pack FOLDER        # calibration from these; writes networks.npz

Steps that were done are not done again. Two processor hours in all.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from draws import Sampler, Settings
from learn import NOT_KNOWN, learnt
from library import FOLDER as STATIC
from scipy.optimize import minimize

from tracecube.kernels.log_spectrum import BINS
from tracecube.kernels.template_match import correlate, score
from tracecube.kernels.type_network import FIRST, LAST, Networks, energies, inputs
from tracecube.recipes.classify import posterior
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES
from tracecube.recipes.classify.library import matched, templates
from tracecube.recipes.classify.parameters import LIBRARY_RESOLUTION

FOLDS, EPOCHS = 5, 3
REPLICAS = (
    (2, 1.0),
    (2, 1.0),
    (2, 0.5),
    (3, 0.5),
)  # banks learnt from, and `own` of `learnt`: networks unlike each other
OF_BANK, JUDGED = 60000, 1600
WEIGHTS = (0.0, 0.05, 0.1, 0.15, 0.2)
Z_SCALE, Z_FLOOR, AGE_SCALE = 0.7, 0.001, 0.87  # pulls of objects left out at S/N 20, as bench_classify.py tells them
JUDGED_SHIFTS = posterior.SHIFTS[: posterior.reach(0.25)]
LEARNT = (Settings(far=0.25, blend=0.6), Settings(far=0.25), Settings(far=0.25))
SEEDS = (103, 103, 104)


def folds() -> np.ndarray:
    """Fold of each object of the library."""
    return np.random.default_rng(5).permutation(len(templates().objects)) % FOLDS


def bank(folder: Path) -> None:
    held = templates()
    for number in range(len(LEARNT)):
        path = folder / f"bank{number}.npz"
        if path.exists():
            continue
        sampler = Sampler(held, np.random.default_rng(SEEDS[number]), folds() if LEARNT[number].blend else None)
        told = np.zeros((OF_BANK, 4))
        spectra = np.zeros((OF_BANK, 2, BINS), np.float16)
        for n in range(OF_BANK):
            one = sampler.draw(LEARNT[number], n % len(CLASSES))
            flat = one.flat()
            told[n] = one.row, held.object[one.row], one.z, one.kind
            spectra[n, 0] = np.clip(flat.value, -1.5, 6.0)
            spectra[n, 1] = np.where(flat.used, np.minimum(flat.variance, NOT_KNOWN - 0.2), NOT_KNOWN)
        np.savez(path, told=told, spectra=spectra)


def networks(folder: Path) -> None:
    banks = [np.load(folder / f"bank{number}.npz") for number in range(len(LEARNT))]
    told = np.concatenate([one["told"] for one in banks])
    spectra = np.concatenate([one["spectra"] for one in banks])
    fold = folds()[told[:, 1].astype(int)]
    for replica, (banks_used, own) in enumerate(REPLICAS):
        for left_out in range(FOLDS):
            path = folder / f"net_{left_out}_{replica}.npz"
            if path.exists():
                continue
            rows = np.flatnonzero((fold != left_out) & (np.arange(fold.size) < banks_used * OF_BANK))
            rng = np.random.default_rng(100 * left_out + replica)
            kind, z = told[rows, 3].astype(int), told[rows, 2]
            net = learnt(spectra[rows, 0], spectra[rows, 1], kind, z, rng, epochs=EPOCHS, own=own)
            np.savez(path, *net.p)


def trained(folder: Path) -> tuple[Networks, np.ndarray]:
    """All networks there are, and the fold that each has not seen."""
    paths = sorted(folder.glob("net_*_*.npz"))
    parts = [[np.load(path)[f"arr_{k}"] for k in range(6)] for path in paths]
    return Networks(*(np.stack(layer) for layer in zip(*parts, strict=True))), np.array(
        [int(path.stem.split("_")[1]) for path in paths]
    )


def scores(folder: Path, seed: int = 900) -> None:
    """Spectra to be judged, with the templates' score of each, those of its own object left out."""
    held, library = templates(), matched(LIBRARY_RESOLUTION)
    sampler = Sampler(held, np.random.default_rng(seed))
    told = np.zeros((JUDGED, 7))
    seen = np.zeros((JUDGED, JUDGED_SHIFTS.size, 2 * ((LAST - FIRST) // 2) + 2), np.float16)
    made = np.zeros((JUDGED, len(CLASS_OF), JUDGED_SHIFTS.size), np.float16)
    for n in range(JUDGED):
        one = sampler.draw(Settings(), n % len(CLASSES))
        flat, number = one.flat(), held.object[one.row]
        match = score(correlate(library, flat, JUDGED_SHIFTS))
        made[n] = posterior.by_kind(posterior.by_object(match, held, np.array([number])), held)
        seen[n] = inputs(flat, JUDGED_SHIFTS)
        told[n] = one.row, number, one.z, one.kind, one.snr, one.host, CLASS_OF[one.kind]
    np.savez(folder / "scores.npz", told=told, seen=seen, scores=made)


def judge(folder: Path) -> None:
    """The energy that networks give these spectra which have not seen their objects."""
    held = np.load(folder / "scores.npz")
    nets, left_out = trained(folder)
    fold = folds()[held["told"][:, 1].astype(int)]
    seen = held["seen"]
    energy = np.zeros((*seen.shape[:2], len(CLASS_OF)), np.float32)
    for n, one in enumerate(seen):
        energy[n] = energies(nets.chosen(np.flatnonzero(left_out == fold[n])), one.astype(np.float32))
    np.savez(folder / "judged.npz", told=held["told"], energy=energy, scores=held["scores"])


def class_logs(log: np.ndarray) -> np.ndarray:
    """Log probability (n, classes) of logs (n, m, kinds), each summed over redshift and kind."""
    top = log.max((1, 2), keepdims=True)
    each = np.exp(log - top).sum(1)
    total = np.stack([each[:, k == CLASS_OF].sum(1) for k in range(len(CLASSES))], axis=1)
    return np.log(np.maximum(total / total.sum(1, keepdims=True), 1e-12))


def loss(log: np.ndarray, label: np.ndarray) -> float:
    top = log.max(1, keepdims=True)
    return float(np.mean(np.log(np.exp(log - top).sum(1)) + top[:, 0] - log[np.arange(len(label)), label]))


def calibrated_logs(x: np.ndarray, logs: np.ndarray, snr: np.ndarray) -> np.ndarray:
    """Logs (n, classes) with a slope that changes with signal to noise, and offsets."""
    slope = x[0] + x[1] * np.log(np.clip(snr, *posterior.CALIBRATED) / posterior.TYPICAL)
    return slope[:, None] * logs + np.r_[0.0, x[2:]]


def calibration(logs: np.ndarray, label: np.ndarray, snr: np.ndarray) -> np.ndarray:
    """Slope, its change, and offsets of three classes over the first."""
    found = minimize(
        lambda x: loss(calibrated_logs(x, logs, snr), label),
        np.r_[0.6, 0.0, 0.0, 0.0, 0.0],
        method="Nelder-Mead",
        options={"maxiter": 3000, "maxfev": 3000, "xatol": 1e-4, "fatol": 1e-6},
    )
    return np.asarray(found.x)


def at_redshift(log: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Add the prior of a known redshift."""
    prior = np.stack([posterior.z_prior(one, 0.001, 0.0, 0.38) for one in z])
    return log + prior[:, : log.shape[1], None]


def pack(folder: Path) -> None:
    held = np.load(folder / "judged.npz")
    told, energy = held["told"], held["energy"].astype(np.float32)
    scores = held["scores"].astype(np.float32).transpose(0, 2, 1)
    label, z, snr = told[:, 6].astype(int), told[:, 2], told[:, 4]
    best = None
    for weight in WEIGHTS:
        log = energy + weight * scores
        logs = [class_logs(log), class_logs(at_redshift(log, z))]
        numbers = [calibration(one, label, snr) for one in logs]
        cost = sum(loss(calibrated_logs(x, one, snr), label) for x, one in zip(numbers, logs, strict=True))
        print(f"weight of the templates {weight:.2f}: loss {cost:.4f}", flush=True)
        if best is None or cost < best[0]:
            best = (cost, weight, numbers)
    _, weight, numbers = best
    nets, left_out = trained(folder)
    layers = {name: part.astype(np.float16) for name, part in zip(Networks._fields, nets, strict=True)}
    np.savez_compressed(
        STATIC / "networks.npz",
        **layers,
        left_out=left_out.astype(np.int8),
        objects=templates().objects,
        fold=folds().astype(np.int8),
        weights=np.array([1.0, weight]),
        slope=np.stack([x[:2] for x in numbers]),
        offset=np.stack([np.r_[0.0, x[2:]] for x in numbers]),
        z_scale=Z_SCALE,
        z_floor=Z_FLOOR,
        age_scale=AGE_SCALE,
    )
    print("calibration", *numbers)


if __name__ == "__main__":
    step, where = sys.argv[1], Path(sys.argv[2])
    {"bank": bank, "networks": networks, "scores": scores, "judge": judge, "pack": pack}[step](where)
