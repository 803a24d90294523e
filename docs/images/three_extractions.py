"""Extract the same lenslet frames by box, optimally and jointly: the picture and the table of the docs page.

Run with ``python docs/images/three_extractions.py``; the same seed gives the same numbers. Lenslets stand
as those of SPHERE-IFS do: 15.55 px apart, traces 5 px from each other, a core of 2.2 px with wings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from tracecube.core.flags import Flag
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.kernels.forward import project
from tracecube.kernels.solve import estimate, factorise, normal_equations
from tracecube.recipes.extract.apertures import extract_by
from tracecube.recipes.extract.joint import ExtractionParams, TraceMatrix, trace_matrix
from tracecube.report.figures.style import BLUE, DIVERGING, GREY, ORANGE, VERMILION, png, sheet, styled

SHAPE = (300, 300)  # pixels across and along
LENGTH, FLOOR = 38, 36.0  # samples of a spectrum; electron**2, read noise
METHODS = ("box", "optimal", "joint")
COLOURS = dict(zip(METHODS, (VERMILION, ORANGE, BLUE), strict=True))
FLAGGED, UNSEEN = 0.01, 0.0005  # shares of pixels that are bad and known as such, and hit unseen
HERE = Path(__file__).parent
PAGE = HERE.parent / "physics" / "three-extractions.md"


@dataclass(frozen=True)
class Row:
    """What one method makes of the frames; per cent but for the ratios."""

    bias: float
    crosstalk: float
    noise: float
    pull: float
    wrong: float


def lenslets() -> TraceSet:
    """Traces of all lenslets whose spectra lie on the piece of detector."""
    turn = np.radians(-10.886 + 60.0 * np.arange(2))
    basis = 15.554 * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    q, r = (a.ravel() for a in np.mgrid[-20:40, -20:40])
    across, along = (np.stack([q, r], axis=1) @ basis).T
    on = (across > 15) & (across < SHAPE[0] - 15) & (along > 3) & (along < SHAPE[1] - LENGTH - 3)
    q, r, across, along = q[on], r[on], across[on], along[on]
    u = np.linspace(-14.0, 14.0, 1401)
    density = 0.97 * np.exp(-0.5 * (u / 0.95) ** 2) / (0.95 * np.sqrt(2 * np.pi))
    density += 0.03 * (1 + (u / 2.0) ** 2) ** -1.25 / np.trapezoid((1 + (u / 2.0) ** 2) ** -1.25, u)
    centre = across[:, None] + np.zeros(LENGTH)
    one = np.zeros(centre.shape)
    none = np.zeros(q.size, np.int32)
    return TraceSet(
        np.arange(q.size), np.round(along).astype(int), q, r, none, centre, one + 1.0, one.astype(np.int32), u, density
    )


def spectra(traces: TraceSet) -> np.ndarray:
    """Electrons (n, m): a star's halo with speckles, its spectrum cut by water, and a companion."""
    x = np.arange(LENGTH)
    shape = 1.0 - 0.6 * np.exp(-0.5 * ((x - 21) / 2.5) ** 2) - 0.3 * np.exp(-0.5 * ((x - 10) / 1.5) ** 2)
    place = np.stack([traces.centre[:, 0], traces.start + 0.5 * LENGTH])
    radius = np.hypot(*(place - 0.5 * np.array([[SHAPE[0]], [SHAPE[1]]]))) / 15.55
    speckles = np.random.default_rng(3).exponential(1.0, radius.size) + 0.05
    level = 2500.0 * speckles * (1.0 + (radius / 3.0) ** 2) ** -1.2 + 30.0
    flux = level[:, None] * shape * (1.0 + 0.2 * x / LENGTH)
    companion = int(np.argmin(np.abs(radius - 6.0)))
    flux[companion] += 8000.0 * (x / LENGTH) ** 2
    return flux


def exposure(matrix: TraceMatrix, flux: np.ndarray, rng: np.random.Generator) -> Frame:
    """A frame with noise, bad pixels that are flagged, and hits that are not."""
    light = project(matrix.a, matrix.gather(flux))
    data = (rng.poisson(light) + rng.normal(0.0, FLOOR**0.5, SHAPE)).astype(np.float32)
    flagged, unseen = rng.random(SHAPE) < FLAGGED, rng.random(SHAPE) < UNSEEN
    data[flagged] = rng.uniform(-200, 5000, int(flagged.sum()))
    data[unseen] += 1500.0
    flags = np.where(flagged, int(Flag.BAD_PIXEL), 0).astype(np.int32)
    return Frame(data, (FLOOR + np.maximum(data, 0.0)).astype(np.float32), flags, {"NOISEFLR": FLOOR})


def settings(method: str) -> ExtractionParams:
    """Parameters of a method; no scattered light is in these frames."""
    return ExtractionParams.model_validate({"method": method, "scatter_pieces": 0, "half_width": 14})


def crosstalk(matrix: TraceMatrix, traces: TraceSet, method: str) -> float:
    """Largest share of a lone bright lenslet's light that another is given, per cent."""
    flux = np.zeros(traces.centre.shape)
    bright = traces.aperture.size // 2
    flux[bright] = 1e5
    light = project(matrix.a, matrix.gather(flux))
    frame = Frame(light, light + np.float32(FLOOR), np.zeros(SHAPE, np.int32), {"NOISEFLR": FLOOR})
    share = np.nanmean(extract_by(frame, matrix, settings(method), floor=FLOOR).flux, axis=1) / 1e5
    share[bright] = 0.0
    return 100.0 * float(np.abs(share).max())


def compare(frames: int, *, seed: int = 7) -> tuple[dict[str, Row], dict[str, np.ndarray], TraceSet, np.ndarray]:
    """Extract so many frames in three ways: numbers, all fluxes (frames, n, m) of each, and what is true."""
    traces = lenslets()
    matrix = trace_matrix(traces, SHAPE, half_width=14)
    truth = spectra(traces)
    light = project(matrix.a, matrix.gather(truth))
    limit = estimate(*_limit(matrix, light)).covariance[0]
    sigma = np.sqrt(matrix.spread(limit))
    faint = np.median(truth, axis=1) < np.median(truth)
    rng = np.random.default_rng(seed)
    seen = [exposure(matrix, truth, rng) for _ in range(frames)]
    rows, fluxes = {}, {}
    for method in METHODS:
        made = [extract_by(frame, matrix, settings(method), floor=FLOOR) for frame in seen]
        flux, error = (np.stack([getattr(one, name) for one in made]) for name in ("flux", "variance"))
        pull = (flux - truth) / np.sqrt(error)
        calm = np.abs(pull) < 5.0
        known = np.where(calm, flux, np.nan)
        mean = np.nanmean(known, axis=0)
        rows[method] = Row(
            bias=100.0 * float(np.median((np.nansum(mean, axis=1) / truth.sum(axis=1) - 1.0)[faint])),
            crosstalk=crosstalk(matrix, traces, method),
            noise=float(np.nanmedian(np.nanstd(known, axis=0, ddof=1) / sigma)),
            pull=float(np.std(pull[calm & np.isfinite(pull)])),
            wrong=100.0 * float((~calm & np.isfinite(pull)).sum() / np.isfinite(pull).sum()),
        )
        fluxes[method] = known
    return rows, fluxes, traces, truth


def _limit(matrix: TraceMatrix, light: np.ndarray) -> tuple:
    """Factor and right-hand side whose solution has the smallest variance there can be, of perfect pixels."""
    equations = normal_equations(matrix.a, light, (1.0 / (light + FLOOR)).astype(np.float32), band=matrix.band)
    return factorise(equations), equations.rhs


@styled
def picture(fluxes: dict[str, np.ndarray], traces: TraceSet, truth: np.ndarray) -> Figure:
    """A piece of detector, a faint lenslet beside a bright one, and the error of every lenslet in three ways."""
    figure = sheet(9.6, 6.0)
    grid = figure.add_gridspec(2, 3, height_ratios=[1.0, 1.0], hspace=0.04, wspace=0.04)
    matrix = trace_matrix(traces, SHAPE, half_width=14)
    frame = exposure(matrix, truth, np.random.default_rng(1))
    axes = figure.add_subplot(grid[0, 0])
    axes.imshow(frame.data[90:190, 90:190] + 30.0, norm=LogNorm(30, 4000), origin="lower", cmap="cividis")
    axes.set(title="the frame", xlabel="along dispersion, px", ylabel="across, px")
    loss = np.nanmean(fluxes["box"], axis=0).sum(axis=1) / truth.sum(axis=1) - 1.0
    worst = int(np.argsort(loss)[-8])
    axes = figure.add_subplot(grid[0, 1:])
    axes.plot(truth[worst], color=GREY, lw=5, alpha=0.5, label="truth")
    for method in METHODS:
        axes.plot(np.nanmean(fluxes[method], axis=0)[worst], color=COLOURS[method], label=method)
    axes.set(title="a faint lenslet beside bright ones", xlabel="sample", ylabel="electron", ylim=(0, None))
    axes.legend(frameon=False, ncols=4)
    for number, method in enumerate(METHODS):
        axes = figure.add_subplot(grid[1, number])
        error = 100.0 * (np.nanmean(fluxes[method], axis=0).sum(axis=1) / truth.sum(axis=1) - 1.0)
        dots = axes.scatter(
            traces.start + 0.5 * LENGTH,
            traces.centre[:, 0],
            c=error,
            cmap=DIVERGING,
            vmin=-20,
            vmax=20,
            s=60,
            marker="H",
        )
        axes.set(
            title=f"{method}: error of each lenslet", aspect="equal", xlabel="px", ylabel="px" if not number else ""
        )
    figure.colorbar(dots, ax=figure.axes[-3:], label="flux error, %", shrink=0.8)
    return figure


def table(rows: dict[str, Row]) -> str:
    """The numbers as a table of the page."""
    head = (
        "| | bias of faint lenslets | cross-talk of a bright neighbour | noise over the limit | pull width "
        "| wrong beyond 5 σ |\n"
        "|---|---|---|---|---|---|\n"
    )
    return head + "".join(
        f"| {name} | {row.bias:+.2f} % | {row.crosstalk:.2f} % | {row.noise:.2f} | {row.pull:.2f} "
        f"| {row.wrong:.3f} % |\n"
        for name, row in rows.items()
    )


def main() -> None:
    """Write the picture, and the table into the page."""
    rows, fluxes, traces, truth = compare(40)
    (HERE / "three-extractions.png").write_bytes(png(picture(fluxes, traces, truth)))
    marked = re.compile(r"(<!-- table -->\n).*?(<!-- end -->)", re.DOTALL)
    PAGE.write_text(marked.sub(rf"\g<1>{table(rows)}\g<2>", PAGE.read_text("utf-8")), "utf-8")
    print(table(rows))


if __name__ == "__main__":
    main()
