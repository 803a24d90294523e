"""Pack the templates: half the bins of the source, half precision, and a table of what they are.

python bench/spectral_types/library.py snidsage_0.8.1_templates_flux.npz
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np

import tracecube
from tracecube.kernels.log_spectrum import BINS

FOLDER = Path(tracecube.__file__).parent / "recipes" / "classify" / "static"
NO_AGE = -99.0  # the source writes -99.9 and -100
STRONGEST = 50.0  # times the continuum: above, the continuum of a template was none


def main(source: str) -> None:
    given = np.load(source)
    flux = given["flux"].astype(np.float64)
    measured = flux != 0.0
    first = measured.argmax(1)
    last = flux.shape[1] - measured[:, ::-1].argmax(1)
    bins = np.arange(flux.shape[1])
    known = (bins >= first[:, None]) & (bins < last[:, None])
    shape = (len(flux), BINS, flux.shape[1] // BINS)
    mean = np.clip(flux, -STRONGEST, STRONGEST).reshape(shape).mean(2)
    mean[~known.reshape(shape).all(2)] = np.nan
    order = np.argsort(given["name"], kind="stable")
    np.save(FOLDER / "templates.npy", mean[order].astype(np.float16))
    with (FOLDER / "templates.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["object", "type", "subtype", "age"])
        columns = [given[key][order] for key in ("name", "type", "subtype", "age")]
        for name, kind, subtype, age in zip(*columns, strict=True):
            rows.writerow([name, kind, subtype, f"{age:g}" if age > NO_AGE else ""])


if __name__ == "__main__":
    main(*sys.argv[1:])
