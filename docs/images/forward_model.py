"""Draw docs/images/forward-model.png: simulate a piece of detector with A, then invert it.

Run with ``python docs/images/forward_model.py``; the same seed gives the same picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure

from tracecube.kernels.forward import DesignMatrix, Footprints, cumulative_profile, design_matrix, project
from tracecube.kernels.solve import band_width, estimate, factorise, normal_equations
from tracecube.report.figures.style import BLUE, DIVERGING, GREY, ORANGE, VERMILION, png, sheet, styled

SHAPE = (58, 180)  # pixels across and along
READ_NOISE = 4.0  # electron
BRIGHT, FAINT = 4, 5  # neighbours that blend


def traces() -> tuple[DesignMatrix, np.ndarray]:
    """Return A of nine tilted traces 6 pixels apart, and the trace of each unknown."""
    along = np.repeat(np.arange(SHAPE[1], dtype=float), 9)
    trace = np.tile(np.arange(9), SHAPE[1])
    across = 4.5 + 6.0 * trace + 0.008 * along
    zero = np.zeros(along.size)
    u = np.linspace(-8.0, 8.0, 401)
    profile = cumulative_profile(u, np.exp(-0.5 * u**2) + 0.02 / (1.0 + u**2))  # a core with wings
    foot = Footprints(along, across, zero, zero + 1.1, zero)
    return design_matrix(foot, profile, SHAPE, half_width=8), trace


def spectra(trace: np.ndarray) -> np.ndarray:
    """Return electrons of every unknown: a supernova, its faint neighbour, and sky with lines."""
    x = np.arange(SHAPE[1])
    sky = 90.0 + 500.0 * np.exp(-0.5 * ((x - 60) / 1.4) ** 2) + 260.0 * np.exp(-0.5 * ((x - 118) / 1.4) ** 2)
    star = 5000.0 * np.exp(-0.5 * ((x - 110) / 60.0) ** 2) * (1 + 0.45 * np.sin(x / 11.0) * np.exp(-x / 160.0))
    flux = np.tile(sky[:, None], (1, 9))
    flux[:, BRIGHT] += star
    flux[:, FAINT] += 0.04 * star
    return flux[x.repeat(9), trace]


@styled
def picture() -> Figure:
    """Draw data, model, residual, and what came out."""
    random = np.random.default_rng(20)
    a, trace = traces()
    truth = spectra(trace)
    light = project(a, truth)
    data = (random.poisson(light) + random.normal(0.0, READ_NOISE, SHAPE)).astype(np.float32)
    bad = np.zeros(SHAPE, bool)
    bad[:, 140] = True
    data[:, 140] = 0.0
    for step in range(11):  # a cosmic ray, across the bright spectrum
        bad[22 + step, 80 + step // 2] = True
        data[22 + step, 80 + step // 2] += 3000.0
    ivar = np.where(bad, 0.0, 1.0 / (light + READ_NOISE**2)).astype(np.float32)
    equations = normal_equations(a, data, ivar, band=band_width(a))
    solution = estimate(factorise(equations), equations.rhs)
    model = project(a, np.nan_to_num(solution.flux))
    figure = sheet(9.6, 4.4)
    parts = figure.subplot_mosaic([["d", "f"], ["Af", "f"], ["n", "f"]], width_ratios=[1.1, 1])
    grey = {"cmap": "Greys", "norm": PowerNorm(0.45, 0.0, 2000.0), "aspect": "auto"}
    pull = np.where(bad, np.nan, (data - model) / np.sqrt(light + READ_NOISE**2))
    parts["d"].imshow(data, **grey)
    parts["Af"].imshow(model, **grey)
    parts["n"].imshow(pull, cmap=DIVERGING, vmin=-4, vmax=4, aspect="auto")
    parts["n"].imshow(np.where(bad, 1.0, np.nan), cmap="Greys", vmin=0, vmax=1, aspect="auto")
    titles = {"d": "d, the detector", "Af": "A f, the model", "n": "(d − A f) / σ; bad pixels (black) weigh nothing"}
    for name, title in titles.items():
        parts[name].set(title=title, xticks=[], yticks=[])
    x = np.arange(SHAPE[1])
    for number, colour, name in (
        (BRIGHT, BLUE, "a supernova"),
        (FAINT, VERMILION, "its neighbour"),
        (1, ORANGE, "sky"),
    ):
        mine = trace == number
        flux, sigma = solution.flux[mine], np.sqrt(solution.covariance[0][mine])
        parts["f"].fill_between(x, flux - sigma, flux + sigma, color=colour, alpha=0.35, lw=0)
        parts["f"].plot(x, flux, color=colour, lw=1.0, label=name)
        parts["f"].plot(x, truth[mine], color=GREY, lw=0.6, ls="--", label="truth" if number == 1 else None)
    parts["f"].set(title="f, the spectra", xlabel="along dispersion (pixel)", ylabel="electron", yscale="log")
    parts["f"].legend(loc="upper left", ncols=2)
    parts["f"].set_ylim(50, 20000)
    return figure


if __name__ == "__main__":
    Path(__file__).with_name("forward-model.png").write_bytes(png(picture()))
