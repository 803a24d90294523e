"""How well spectra are classified by what has not seen their objects, and how long it takes.

    python bench/bench_classify.py [SPECTRA A ROW] [--picture FILE] [--snr 20] [--limit]

Spectra are drawn as `bench/spectral_types/draws.py` says: classes alike, objects of a class alike, spectra of an
object alike, redshifts 0.005 to 0.15 for all, so that redshift tells nothing of the class; a host in 60 per cent, to
60 per cent of the light. Templates of the object, and networks that have seen it, are left out of each verdict.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent / "spectral_types"))

from classify_limit import limit
from draws import WAVE, Draw, Sampler, Settings

from tracecube.core.spectra import Spectrum
from tracecube.recipes.classify.kinds import CLASS_OF, CLASSES
from tracecube.recipes.classify.library import matched, templates
from tracecube.recipes.classify.measures import measured
from tracecube.recipes.classify.networks import learnt
from tracecube.recipes.classify.parameters import LIBRARY_RESOLUTION, ClassifyParams
from tracecube.recipes.classify.prepare import prepare
from tracecube.recipes.classify.spectrum_type import SURVEY, classified, evidence, own_rows, verdict

SEED = 20260
BINS = 10


def as_spectrum(one: Draw) -> Spectrum:
    none = np.full(WAVE.size, np.nan)
    return Spectrum(
        wave=WAVE,
        flux=one.flux,
        variance=one.variance,
        flags=np.where(one.covered, 0, 64).astype(np.int32),
        sky=none,
        flux_uncal=none,
        variance_uncal=none,
        covariance_uncal=none,
        lsf_sigma=none,
        medium="AWAV",
    )


def judged(count: int, snr: float, seed: int) -> dict[str, np.ndarray]:
    """Draw spectra and classify each: redshift unknown, known, and with the shares of a survey."""
    held, known = templates(), learnt()
    sampler = Sampler(held, np.random.default_rng(seed))
    settings = Settings(snr=(snr, snr * 1.0001), z=(0.005, 0.15), faults=False)
    rows: dict[str, list[object]] = {}
    for n in range(count):
        one = sampler.draw(settings, n % len(CLASSES))
        name = str(held.name[one.row])
        params = ClassifyParams()
        ready = prepare(as_spectrum(one), params.low, params.high, params.resolution, LIBRARY_RESOLUTION)
        found = evidence(ready, params.most_redshift, (name,))
        modes = {
            "blind": params,
            "known": ClassifyParams(redshift=one.z),
            "survey": ClassifyParams(prior="survey"),
        }
        said = {mode: verdict(found, wanted, ready.snr) for mode, wanted in modes.items()}
        got = measured(said["blind"].spread, found.score, own_rows(found, said["blind"], 20), held, known, known=False)
        row = {
            "label": int(CLASS_OF[one.kind]), "kind": one.kind, "z": one.z, "host": one.host, "age": held.age[one.row],
            "z_told": got.z, "z_error": got.z_error, "age_told": got.age, "age_error": got.age_error,
            "kind_told": said["blind"].kind, "ratio": ready.noise_ratio,
            **{mode: each.classes for mode, each in said.items()},
        }  # fmt: skip
        for key, value in row.items():
            rows.setdefault(key, []).append(value)
    return {key: np.array(value) for key, value in rows.items()}


def balanced(right: np.ndarray, label: np.ndarray) -> float:
    return float(np.mean([right[label == k].mean() for k in np.unique(label)]))


def purity(p: np.ndarray, ia: np.ndarray, weight: np.ndarray, completeness: float) -> float:
    """Purity of type Ia at the threshold that keeps this share of them."""
    threshold = np.quantile(p[ia], 1.0 - completeness)
    kept = p >= threshold
    return float(weight[kept & ia].sum() / weight[kept].sum())


def calibration_error(p: np.ndarray, right: np.ndarray) -> float:
    """Mean distance of probability and frequency over bins of equal numbers (expected calibration error)."""
    parts = np.array_split(np.argsort(p), BINS)
    return float(sum(len(part) * abs(p[part].mean() - right[part].mean()) for part in parts) / p.size)


def line(found: dict[str, np.ndarray], snr: float) -> str:
    label = found["label"]
    ia = label == 0
    weight = np.array(SURVEY)[label] / np.bincount(label, minlength=4)[label]
    cells = [f"{snr:6.0f}"]
    for mode in ("blind", "known"):
        p = found[mode]
        cells.append(f"{balanced(p.argmax(1) == label, label):7.3f}")
        cells.append(f"{balanced((p[:, 0] > 0.5) == ia, ia):7.3f}")
    survey = found["survey"]
    cells.append(f"{(weight * ((survey[:, 0] > 0.5) == ia)).sum() / weight.sum():8.3f}")
    cells.append(f"{purity(survey[:, 0], ia, weight, 0.9):8.4f}")
    cells.append(f"{purity(found['blind'][:, 0], ia, np.ones(ia.size), 0.9):8.4f}")
    away = np.abs(found["z_told"] - found["z"])
    typed = ia & (found["blind"].argmax(1) == 0)
    pull = (found["z_told"] - found["z"])[typed] / found["z_error"][typed]
    cells += [f"{np.mean(away[ia] < 0.01):7.3f}", f"{1.4826 * np.median(away[ia]):8.4f}"]
    cells += [f"{1.4826 * np.median(np.abs(pull)):6.2f}"]
    old = typed & np.isfinite(found["age"]) & np.isfinite(found["age_told"]) & (found["age"] < 60.0)
    days = (found["age_told"] - found["age"])[old]
    cells += [
        f"{1.4826 * np.median(np.abs(days)):6.1f}",
        f"{1.4826 * np.median(np.abs(days / found['age_error'][old])):6.2f}",
    ]
    top = found["blind"].max(1)
    cells.append(f"{calibration_error(top, found['blind'].argmax(1) == label):7.3f}")
    cells.append(f"{calibration_error(found['blind'][:, 0], ia):7.3f}")
    return " ".join(cells)


HEAD = "   S/N  4 cls Ia/rest 4 cls,z Ia/r,z  survey  pur90s  pur90b  dz<.01  nmad z  pull  age  pull  ECE top ECE Ia"


def seconds(count: int = 8) -> float:
    """Time of one spectrum, all told, without the first."""
    held = templates()
    sampler = Sampler(held, np.random.default_rng(1))
    spectra = [as_spectrum(sampler.draw(Settings(), n % 4)) for n in range(count + 1)]
    classified(spectra[0], ClassifyParams())
    start = time.perf_counter()
    for one in spectra[1:]:
        classified(one, ClassifyParams())
    return (time.perf_counter() - start) / count


def confusion(found: dict[str, np.ndarray], mode: str) -> None:
    told = found[mode].argmax(1)
    for k, name in enumerate(CLASSES):
        shares = [np.mean(told[found["label"] == k] == j) for j in range(4)]
        print(f"  {name:6s}" + " ".join(f"{share:6.2f}" for share in shares))


def picture(found: dict[str, np.ndarray], path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5.2, 4.2), layout="constrained")
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="0.6", lw=0.8)
    for k, name in enumerate(CLASSES):
        p, right = found["blind"][:, k], found["label"] == k
        parts = np.array_split(np.argsort(p), 12)
        seen = np.array([right[part].mean() for part in parts])
        error = np.array(
            [np.sqrt(max(s * (1 - s), 0.5 / len(part)) / len(part)) for s, part in zip(seen, parts, strict=True)]
        )
        ax.errorbar([p[part].mean() for part in parts], seen, error, fmt="o-", ms=3, lw=0.9, label=name)
    ax.set(xlabel="probability told", ylabel="share that is of the class", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.legend(frameon=False)
    figure.savefig(path, dpi=110)


def main() -> None:
    asked = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    asked.add_argument("spectra", nargs="?", type=int, default=200)
    asked.add_argument("--snr", nargs="*", type=float, default=[5.0, 10.0, 20.0, 50.0, 100.0])
    asked.add_argument("--picture", type=Path)
    asked.add_argument("--seed", type=int, default=SEED)
    asked.add_argument("--limit", action="store_true", help="what noise, hosts and too few objects cost; no table")
    given = asked.parse_args()
    if given.limit:
        limit(given.spectra, given.seed)
        return
    start = time.perf_counter()
    matched(LIBRARY_RESOLUTION)
    print(f"library read in {time.perf_counter() - start:.2f} s; {seconds():.2f} s a spectrum")
    print(HEAD, flush=True)
    every = []
    for k, snr in enumerate(given.snr):
        found = judged(given.spectra, snr, given.seed + k)
        every.append(found)
        print(line(found, snr), flush=True)
        if snr == 20.0 or len(given.snr) == 1:
            for mode in ("blind", "known"):
                print(f"  {mode}: told", *CLASSES)
                confusion(found, mode)
    if given.picture:
        picture({key: np.concatenate([one[key] for one in every]) for key in every[0]}, given.picture)


if __name__ == "__main__":
    main()
