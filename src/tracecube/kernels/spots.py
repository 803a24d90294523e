"""Positions and shapes of many small spots (lasers seen through lenslets, for example).

A spot is ``flux * T(x - x0, y - y0) + ground``, T an *effective* point-spread function: what a pixel
that far from the spot's centre receives, the pixel's own width included (Anderson & King 2000, PASP
112, 1360). T is kept on a fine grid and read by cubic convolution (Keys 1981, IEEE Trans. ASSP 29,
1153), the same for its value and its slopes. A template's centre is that of its core, the fixed point
of the centroid under a Gaussian window.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import erf

from tracecube.kernels.compiled import compiled

__all__ = [
    "CORE_WINDOW",
    "SpotFit",
    "SpotTemplate",
    "build_template",
    "core_centre",
    "fit_spots",
    "gaussian_template",
    "render_spots",
]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I8 = NDArray[np.int64]
B1 = NDArray[np.bool_]

CORE_WINDOW = 1.2
"""Width of the Gaussian window under which the centre of a core is defined, px."""

# Distance of the knots of a template, px: a core of 2.2 px FWHM is met to 1e-3 of its peak.
_KNOT_STEP = 0.5
# Share of the mean information that holds a template at 0 where no pixel says anything.
_RIDGE = 1e-6
_UNKNOWNS = 4  # flux, flux times shift in x and in y, ground
_CORE = 1  # pixels on either side of the centre of which two thirds must be good


class SpotTemplate(NamedTuple):
    """Values (y, x) of T on a grid with ``step`` px; its middle is the centre; their sum times step² is 1."""

    values: F8
    step: float

    @property
    def reach(self) -> float:
        """Distance from the centre to the edge of the grid, px."""
        return float(self.values.shape[0] // 2) * self.step


class SpotFit(NamedTuple):
    """Arrays (n,): flux, position, their errors, ground; ``good`` where the spot was measured."""

    flux: F8
    x: F8
    y: F8
    flux_error: F8
    x_error: F8
    y_error: F8
    ground: F8
    chi2: F8
    good: B1


def gaussian_template(sigma: float, *, reach: float = 5.0, step: float = 0.125) -> SpotTemplate:
    """Return a round Gaussian of width ``sigma`` (px), integrated over pixels."""
    n = int(np.ceil(reach / step))
    t = np.arange(-n, n + 1) * step
    line = 0.5 * (erf((t + 0.5) / (sigma * 2**0.5)) - erf((t - 0.5) / (sigma * 2**0.5)))
    values = np.outer(line, line)
    return SpotTemplate(values / (values.sum() * step**2), step)


def fit_spots(image: F4, ivar: F4, start: F8, template: SpotTemplate, *, half: int = 3, rounds: int = 2) -> SpotFit:
    """Fit flux, place and ground of every spot by linearised least squares.

    Parameters
    ----------
    image, ivar : array (y, x)
        Pixels of ``ivar`` 0 count for nothing.
    start : array (n, 2)
        First guesses (x, y), good to about 1 px.
    template : SpotTemplate
    half : int
        Pixels on either side of the guess that are used.
    rounds : int
        Linearised steps.
    """
    x, y = np.array(start[:, 0], float), np.array(start[:, 1], float)
    out = np.zeros((x.size, 9))
    for _ in range(rounds):
        _fit(np.ascontiguousarray(image), np.ascontiguousarray(ivar), x, y, template.values, template.step, half, out)
        good = out[:, 8] > 0
        x = np.where(good, x + np.clip(out[:, 1], -1.0, 1.0), x)
        y = np.where(good, y + np.clip(out[:, 2], -1.0, 1.0), y)
    return SpotFit(out[:, 0], x, y, out[:, 4], out[:, 5], out[:, 6], out[:, 3], out[:, 7], out[:, 8] > 0)


def build_template(
    image: F4, ivar: F4, spots: SpotFit, *, reach: float = 4.5, step: float = 0.125, use: B1 | None = None
) -> SpotTemplate:
    """Measure the template that spots share, from all their pixels at once.

    T is a sum of bicubic B-splines on knots `_KNOT_STEP` apart whose values at the pixels are fitted; it
    is then moved so that its core is centred.

    Parameters
    ----------
    image, ivar : array (y, x)
    spots : SpotFit
        Flux, place and ground of each spot.
    reach : float, px
        Radius of the template.
    use : bool array (n,), optional
        Spots that count; all good ones if not given.
    """
    chosen = spots.good if use is None else spots.good & use
    per_axis = 2 * round(reach / _KNOT_STEP) + 3
    matrix, rhs = np.zeros((per_axis**2, per_axis**2)), np.zeros(per_axis**2)
    _template_equations(
        np.ascontiguousarray(image), np.ascontiguousarray(ivar),
        np.stack([spots.x, spots.y, spots.flux, spots.ground], axis=1)[chosen], reach, matrix, rhs,
    )  # fmt: skip
    matrix += np.tril(matrix, -1).T
    ridge = _RIDGE * float(np.trace(matrix)) / len(rhs)
    coefficients = np.linalg.solve(matrix + ridge * np.eye(len(rhs)), rhs).reshape(per_axis, per_axis)
    n = int(np.floor((reach - 0.25) / step))
    offset = np.zeros(2)
    for _ in range(4):  # the window moves with the core
        grid = np.arange(-n, n + 1) * step
        values = _spline_rows(grid + offset[1], reach) @ coefficients @ _spline_rows(grid + offset[0], reach).T
        offset += core_centre(SpotTemplate(values, step))
    return SpotTemplate(values / (values.sum() * step**2), step)


def render_spots(image: F4, spots: SpotFit, template: SpotTemplate, *, use: B1 | None = None) -> None:
    """Add the light of good spots to an image (y, x), in place, without their ground.

    Parameters
    ----------
    image : float32 array (y, x)
    spots : SpotFit
    template : SpotTemplate
    use : bool array (n,), optional
        Spots that count; all good ones if not given.
    """
    chosen = spots.good if use is None else spots.good & use
    _render(image, spots.x[chosen], spots.y[chosen], spots.flux[chosen], template.values, template.step)


def core_centre(template: SpotTemplate, *, window: float = CORE_WINDOW) -> F8:
    """Return the centre (x, y) of the core, px from the middle: the centroid under a window centred on itself."""
    n = template.values.shape[0] // 2
    t = np.arange(-n, n + 1) * template.step
    centre = np.zeros(2)
    for _ in range(30):
        weight = np.exp(-0.5 * ((t[None, :] - centre[0]) ** 2 + (t[:, None] - centre[1]) ** 2) / window**2)
        mass = template.values * weight
        moved = np.array([(mass * t[None, :]).sum(), (mass * t[:, None]).sum()]) / mass.sum() - centre
        # A window as wide as the core halves the step: take it twice.
        centre += 2.0 * moved
    return centre


def _spline_rows(place: F8, reach: float) -> F8:
    """Cubic B-splines on knots `_KNOT_STEP` apart at places (k,): array (k, n)."""
    per_axis = 2 * round(reach / _KNOT_STEP) + 3
    rows = np.zeros((place.size, per_axis))
    for k, u in enumerate((np.clip(place, -reach, reach - 1e-9) + reach) / _KNOT_STEP):
        first, weights = _splines_at(u)
        rows[k, first : first + 4] = weights
    return rows


@compiled()
def _splines_at(u: float) -> tuple[int, F8]:
    """Return the first of the four cubic B-splines that are not 0 ``u`` knots from the left end, and their values."""
    i = int(np.floor(u))
    t = u - i
    weights = np.empty(4)
    weights[0] = (1.0 - t) ** 3 / 6.0
    weights[1] = (3.0 * t**3 - 6.0 * t**2 + 4.0) / 6.0
    weights[2] = (-3.0 * t**3 + 3.0 * t**2 + 3.0 * t + 1.0) / 6.0
    weights[3] = t**3 / 6.0
    return i, weights


@compiled()
def _template_equations(image: F4, ivar: F4, spots: F8, reach: float, matrix: F8, rhs: F8) -> None:  # noqa: PLR0913 - the arrays of one loop
    """Sum the normal equations (lower half) of the template's spline coefficients."""
    per_axis = 2 * int(np.rint(reach / _KNOT_STEP)) + 3
    for s in range(spots.shape[0]):
        x0, y0, flux, ground = spots[s]
        for j in range(max(0, int(np.ceil(y0 - reach))), min(image.shape[0], int(np.ceil(y0 + reach)))):
            first_y, wy = _splines_at((j - y0 + reach) / _KNOT_STEP)
            for i in range(max(0, int(np.ceil(x0 - reach))), min(image.shape[1], int(np.ceil(x0 + reach)))):
                w = ivar[j, i]
                if w <= 0.0:
                    continue
                first_x, wx = _splines_at((i - x0 + reach) / _KNOT_STEP)
                for a in range(16):
                    row = (first_y + a // 4) * per_axis + first_x + a % 4
                    left = w * flux * wy[a // 4] * wx[a % 4]
                    rhs[row] += left * (image[j, i] - ground)
                    for b in range(a + 1):
                        column = (first_y + b // 4) * per_axis + first_x + b % 4
                        matrix[row, column] += left * flux * wy[b // 4] * wx[b % 4]


@compiled()
def _keys(t: float, value: F8, slope: F8) -> None:
    """Weights of four nodes for a place ``t`` between the inner two, and their derivatives (Keys 1981, eq. 15)."""
    for k in range(4):
        u = t + 1.0 - k
        s = abs(u)
        sign = 1.0 if u >= 0 else -1.0
        if s < 1.0:
            value[k] = 1.5 * s**3 - 2.5 * s**2 + 1.0
            slope[k] = sign * (4.5 * s**2 - 5.0 * s)
        else:
            value[k] = -0.5 * s**3 + 2.5 * s**2 - 4.0 * s + 2.0
            slope[k] = sign * (-1.5 * s**2 + 5.0 * s - 4.0)


@compiled(inline="always")
def _patch(values: F8, row: int, column: int, along: F8, across: F8) -> float:
    """Weighted sum of the sixteen nodes around a place; 0 beyond the grid."""
    total = 0.0
    for b in range(4):
        for a in range(4):
            j, i = row + b - 1, column + a - 1
            if 0 <= j < values.shape[0] and 0 <= i < values.shape[1]:
                total += along[b] * across[a] * values[j, i]
    return total


@compiled()
def _render(image: F4, x: F8, y: F8, flux: F8, values: F8, step: float) -> None:  # noqa: PLR0913 - the arrays of one loop
    """Add every spot to the image."""
    middle = values.shape[0] // 2
    reach = middle * step
    vx, vy, unused = np.empty(4), np.empty(4), np.empty(4)
    for s in range(x.size):
        for j in range(max(0, int(np.ceil(y[s] - reach))), min(image.shape[0], int(np.floor(y[s] + reach)) + 1)):
            ty = (j - y[s]) / step + middle
            cy = int(np.floor(ty))
            _keys(ty - cy, vy, unused)
            for i in range(max(0, int(np.ceil(x[s] - reach))), min(image.shape[1], int(np.floor(x[s] + reach)) + 1)):
                tx = (i - x[s]) / step + middle
                cx = int(np.floor(tx))
                _keys(tx - cx, vx, unused)
                image[j, i] += flux[s] * _patch(values, cy, cx, vy, vx)


@compiled()
def _fit(image: F4, ivar: F4, x: F8, y: F8, values: F8, step: float, half: int, out: F8) -> None:  # noqa: PLR0913, PLR0917 - the arrays of one loop
    """Solve the four linear unknowns of every spot; out (n, 9): flux, dx, dy, ground, three errors, chi2, good."""
    middle = values.shape[0] // 2
    size = 2 * half + 1
    rows = np.empty((size * size, _UNKNOWNS))
    vx, sx, vy, sy = np.empty(4), np.empty(4), np.empty(4), np.empty(4)
    for s in range(x.size):
        out[s] = 0.0
        i0, j0 = int(np.rint(x[s])), int(np.rint(y[s]))
        if i0 < 0 or j0 < 0 or i0 >= image.shape[1] or j0 >= image.shape[0]:
            continue
        matrix, rhs, total, count, core = np.zeros((4, 4)), np.zeros(4), 0.0, 0, 0
        for j in range(max(0, j0 - half), min(image.shape[0], j0 + half + 1)):
            ty = (j - y[s]) / step + middle
            cy = int(np.floor(ty))
            _keys(ty - cy, vy, sy)
            for i in range(max(0, i0 - half), min(image.shape[1], i0 + half + 1)):
                w = ivar[j, i]
                if w <= 0.0:
                    continue
                tx = (i - x[s]) / step + middle
                cx = int(np.floor(tx))
                _keys(tx - cx, vx, sx)
                f = _patch(values, cy, cx, vy, vx)
                gx, gy = _patch(values, cy, cx, vy, sx), _patch(values, cy, cx, sy, vx)
                row = rows[count]
                # the spot moves one way when the grid moves the other
                row[0], row[1], row[2], row[3] = f, -gx / step, -gy / step, 1.0
                for a in range(4):
                    rhs[a] += w * row[a] * image[j, i]
                    for b in range(4):
                        matrix[a, b] += w * row[a] * row[b]
                total += w * image[j, i] ** 2
                count += 1
                core += abs(i - i0) <= _CORE and abs(j - j0) <= _CORE
        if count <= 2 * _UNKNOWNS or 3 * core < 2 * (2 * _CORE + 1) ** 2:
            continue
        covariance = np.linalg.inv(matrix + 1e-12 * np.trace(matrix) * np.eye(4))
        c = covariance @ rhs
        if c[0] <= 0.0:
            continue
        out[s, 0], out[s, 1], out[s, 2], out[s, 3] = c[0], c[1] / c[0], c[2] / c[0], c[3]
        out[s, 4] = np.sqrt(covariance[0, 0])
        out[s, 5], out[s, 6] = np.sqrt(covariance[1, 1]) / c[0], np.sqrt(covariance[2, 2]) / c[0]
        out[s, 7] = max(total - float(np.dot(c, rhs)), 0.0) / (count - _UNKNOWNS)
        out[s, 8] = 1.0
