"""A spectrograph: where its fibres fall on the CCD, how they look there, and what is lost between."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.fft import irfft2, next_fast_len, rfft2
from scipy.ndimage import gaussian_filter1d

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.instruments.virus.ccd import HALF
from tracecube.instruments.virus.simulation.geometry import FIBRES

__all__ = ["Spectrograph", "draw_spectrograph", "paint"]

ROWS = 2 * HALF
COUNT = 2 * FIBRES
U = (np.arange(HALF) - 515.5) / 515.5
"""Place along dispersion, -1 to 1."""

_PITCH, _GAPS = 8.76, (36, 74)  # px between fibres; after these fibres of an amplifier there is a gap of twice that
_REACH = 8  # px on either side of a trace; light beyond it is the scattered light's
_STEP = 0.02  # px between nodes of the profile's integral
_BIN = 4  # px; scattered light is smooth beyond the spectra's cores
_DEAD = 0.0012  # share of dead fibres (819 observed amplifiers)


@dataclass(frozen=True)
class Spectrograph:
    """Optics of one CCD, at the temperature of the afternoon.

    Parameters
    ----------
    trace : array (224, 4)
        Centre of light of each fibre, rows of the CCD, as a power series in `U`; both amplifiers.
    wave : array (224, 4)
        Wavelength (Angstrom, air) likewise.
    width : array (224,)
        Of the profile, over that of `cumulative`.
    lsf : array (224, 2)
        Standard deviation of the line-spread function, pixel included, Angstrom: middle, and slope in `U`.
    throughput : array (224,)
    dead : bool array (224,)
    cumulative : array (k,)
        Integral of the profile across dispersion, from ``-low`` px in steps of 0.02.
    low : float, px
    scattered : float
        Share of all light that is scattered over the CCD.
    warmth : (float, float, float)
        Change of place with temperature: across (px/K), along (px/K), of the scale across (1/K).
    """

    trace: FloatArray
    wave: FloatArray
    width: FloatArray
    lsf: FloatArray
    throughput: FloatArray
    dead: BoolArray
    cumulative: FloatArray
    low: float
    scattered: float
    warmth: tuple[float, float, float]

    def places(self, kelvin: float) -> tuple[FloatArray, FloatArray]:
        """Trace (row) and wavelength (Angstrom) of each fibre and column, (224, 1032), at so many kelvin from noon."""
        trace, wave = self.series(kelvin)
        powers = U[None, :] ** np.arange(trace.shape[1])[:, None]
        return trace @ powers, wave @ powers

    def series(self, kelvin: float) -> tuple[FloatArray, FloatArray]:
        """Power series of `places`, (224, 4) each."""
        across, along, scale = (kelvin * rate for rate in self.warmth)
        middle = self.trace[:, 0] - HALF
        trace = self.trace.copy()
        trace[:, 0] += across + scale * middle
        # light moves by `along` pixels to the red end: what falls on u was at u - along before
        shift = along / 515.5
        a, b, c, d = self.wave.T
        moved = [
            a - b * shift + c * shift**2 - d * shift**3,
            b - 2 * c * shift + 3 * d * shift**2,
            c - 3 * d * shift,
            d,
        ]
        return trace, np.stack(moved, axis=1)

    def dispersion(self) -> FloatArray:
        """Angstrom per pixel, (224, 1032)."""
        slope = self.wave[:, 1, None] + 2.0 * self.wave[:, 2, None] * U + 3.0 * self.wave[:, 3, None] * U**2
        return np.asarray(slope / 515.5)

    def resolution(self) -> FloatArray:
        """Standard deviation of the line-spread function, Angstrom, (224, 1032)."""
        return np.asarray(self.lsf[:, :1] + self.lsf[:, 1:] * U)


def draw_spectrograph(rng: np.random.Generator) -> Spectrograph:
    """Draw the optics of one CCD."""
    index = np.arange(FIBRES)
    steps = _PITCH * (index + sum((index > gap) * 1.0 for gap in _GAPS))
    low, high = rng.uniform(15.0, 27.0, 2)
    rest = np.concatenate([low + steps, HALF + high + steps]) + rng.normal(0.0, 0.15, COUNT)
    v = (rest - HALF) / HALF
    bow, tilt, cubic = rng.normal([3.5, 0.0, 0.0], [1.0, 2.0, 0.4])
    trace = np.stack([rest, tilt + 0.3 * v, bow * v, cubic * v], axis=1)
    start, span, bend, third = rng.normal([4500.0, 1042.0, 14.0, -3.5], [3.0, 2.0, 1.5, 0.4])
    smile, lean = rng.normal([7.0, 0.0], [1.5, 1.0])
    middle = start + smile * v**2 + lean * v + rng.normal(0.0, 0.01, COUNT)
    ones = np.ones(COUNT)
    wave = np.stack([middle, span + 0.8 * v**2, bend + 0.5 * v, third * ones], axis=1)
    field = gaussian_filter1d(rng.standard_normal(COUNT), 20.0, mode="nearest")
    width = 1.0 + 0.03 * field / np.std(field) + 0.03 * v**2
    lsf = np.stack([2.38 * (1.0 + 0.02 * v + 0.02 * v**2), 0.04 * ones], axis=1) * rng.normal(1.0, 0.01)
    cumulative, reach = _profile(rng)
    return Spectrograph(
        trace, wave, width, lsf,
        throughput=rng.normal(1.0, 0.05) * np.clip(rng.normal(1.0, 0.05, COUNT), 0.7, 1.3),
        dead=rng.random(COUNT) < _DEAD,
        cumulative=cumulative,
        low=reach,
        scattered=0.035 * float(np.exp(rng.normal(0.0, 0.25))),
        warmth=(rng.normal(-0.05, 0.02), rng.normal(0.02, 0.01), rng.normal(0.0, 2e-6)),
    )  # fmt: skip


def _profile(rng: np.random.Generator) -> tuple[FloatArray, float]:
    """Integral of the image of a fibre: a disc seen by a camera that leans and has wings; its centroid is at zero."""
    low = _REACH + 0.5
    y = np.arange(-low, low + 0.5 * _STEP, _STEP)
    radius, blur, lean, wing = rng.normal([2.0, 0.95, 0.16, 0.035], [0.08, 0.06, 0.03, 0.006])
    disc = np.sqrt(np.maximum(radius**2 - y**2, 0.0))
    coma = np.exp(-0.5 * ((y - 1.6) / 1.3) ** 2)
    halo = (1.0 + (y / 2.2) ** 2) ** -1.6
    core = gaussian_filter1d(disc, blur / _STEP)
    parts = [(1.0 - lean - wing) * core / core.sum(), lean * coma / coma.sum(), wing * halo / halo.sum()]
    density = sum(parts) / _STEP
    centre = float((density * y).sum() * _STEP)
    moved = np.interp(y + centre, y, density)
    total = np.concatenate([[0.0], np.cumsum(0.5 * (moved[1:] + moved[:-1]) * _STEP)])
    return np.asarray(total / total[-1], np.float32), low


def paint(optics: Spectrograph, trace: FloatArray, electrons: FloatArray) -> FloatArray:
    """Image (2064, 1032) of light (224, 1032) that falls along traces, scattered light added."""
    image = np.zeros((ROWS, HALF), np.float32)
    columns = np.broadcast_to(np.arange(HALF), trace.shape)
    near = np.rint(trace).astype(np.int32)
    scale = 1.0 / (optics.width[:, None] * _STEP)
    start = ((near - 0.5 - trace) * scale + optics.low / _STEP).astype(np.float32)
    step = np.broadcast_to(scale, trace.shape).astype(np.float32)
    kept = np.asarray(electrons * (1.0 - optics.scattered), np.float32)
    before = _integral(optics.cumulative, start - _REACH * step)
    for k in range(-_REACH, _REACH + 1):
        after = _integral(optics.cumulative, start + (k + 1) * step)
        image[near + k, columns] += kept * (after - before)
        before = after
    return image + _scattered(image, optics.scattered / (1.0 - optics.scattered))


def _integral(cumulative: FloatArray, at: FloatArray) -> FloatArray:
    """Interpolate the profile's integral at places in steps."""
    at = np.clip(at, 0.0, len(cumulative) - 1.001)
    whole = at.astype(np.int32)
    below = cumulative[whole]
    return np.asarray(below + (at - whole) * (cumulative[whole + 1] - below))


def _scattered(image: FloatArray, share: float) -> FloatArray:
    """Light of an image (2064, 1032) spread as r**-1 over all the CCD, whose total is a share of the image's.

    K(r) = c1 / (c2 + c3 (r/s)) with c2 = 0.5, c3 = 2, s = 1.5 px: the power law found with the flats.
    """
    rows, columns = ROWS // _BIN, HALF // _BIN
    coarse = image.reshape(rows, _BIN, columns, _BIN).sum(axis=(1, 3))
    size = (next_fast_len(2 * rows), next_fast_len(2 * columns))
    y = np.minimum(np.arange(size[0]), size[0] - np.arange(size[0]))[:, None] * _BIN
    x = np.minimum(np.arange(size[1]), size[1] - np.arange(size[1]))[None, :] * _BIN
    kernel = (1.0 / (0.5 + 2.0 * np.hypot(np.hypot(y, x), 1.0) / 1.5)).astype(np.float32)
    spread = irfft2(rfft2(coarse, size) * rfft2(kernel), size)[:rows, :columns]
    spread *= share * coarse.sum() / (spread.sum() * _BIN**2)
    return np.asarray(_refine(rows) @ spread.astype(np.float32) @ _refine(columns).T)


def _refine(count: int) -> FloatArray:
    """Matrix (4 count, count) that interpolates linearly between the middles of bins."""
    at = np.clip((np.arange(count * _BIN) + 0.5) / _BIN - 0.5, 0.0, count - 1.0)
    whole = np.minimum(at.astype(int), count - 2)
    out = np.zeros((count * _BIN, count), np.float32)
    rows = np.arange(count * _BIN)
    out[rows, whole], out[rows, whole + 1] = 1.0 - (at - whole), at - whole
    return out
