"""The lenslets of a simulated night and what they write on the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.fields import FloatArray, IntArray
from tracecube.instruments.sphere_ifs.guess import Mode
from tracecube.kernels import forward
from tracecube.kernels.forward import Footprints

__all__ = ["Optics", "draw_optics", "paint", "sampling"]

SHAPE = (2048, 2048)  # (x, y): across, along
PITCH = 0.01295  # arcsec, of the lenslets on the sky; the literature is uncertain by half a per cent
STRETCH = (1.0059, 1.0011)  # of the lenslet plane along x and y
STEP = 0.5  # px between the wavelengths that are painted
HALF_WIDTH = 14  # px of a PSFlet across dispersion
_CORE = 0.94  # px, sigma of a PSFlet at 1.2 micrometres
_WING = 0.03  # share of the light in its wings there


@dataclass(frozen=True)
class Optics:
    """Where and how each lenslet's light falls.

    Parameters
    ----------
    mode : Mode
    q, r : int array (n,)
        Lattice index.
    x, y : array (n,), px
        Place of the first laser's light.
    bend, stretch : array (n,)
        Of the spectra: px along x from end to end, and relative scale of the dispersion.
    width : array (n,)
        Relative size of the PSFlet.
    throughput : array (n,)
    sky_x, sky_y : array (n,), arcsec
        Place on the sky, true to scale, in the instrument's axes.
    dispersion : array (2,)
        Relative change of the prism's law, linear and quadratic over the band.
    """

    mode: Mode
    q: IntArray
    r: IntArray
    x: FloatArray
    y: FloatArray
    bend: FloatArray
    stretch: FloatArray
    width: FloatArray
    throughput: FloatArray
    sky_x: FloatArray
    sky_y: FloatArray
    dispersion: tuple[float, float]

    def place(self, wave: float) -> tuple[FloatArray, FloatArray]:
        """Place (x, y) of a wavelength (Angstrom) in each lenslet's spectrum, px."""
        low, high = self.mode.band
        along = float(self.mode.law(np.array([wave]))[0])
        share = (wave - low) / (high - low)
        along *= 1.0 + self.dispersion[0] + self.dispersion[1] * share
        return self.x + self.bend * share, self.y + along * self.stretch

    def moved(self, dx: float, dy: float, turn: float) -> Optics:
        """The same after flexure: px, and radians about the middle of the detector."""
        middle = 0.5 * (SHAPE[0] - 1.0)
        return replace(self, x=self.x + dx - turn * (self.y - middle), y=self.y + dy + turn * (self.x - middle))


def draw_optics(mode: Mode, rng: np.random.Generator) -> Optics:
    """Draw the optics of a night: near what is known of the mode, and not the same."""
    guess = mode.lattice
    turn = np.radians(guess.angle + rng.normal(0.0, 0.02))
    pitch = guess.pitch * (1.0 + rng.normal(0.0, 5e-4))
    half = 110
    q, r = (a.ravel() for a in np.mgrid[-half : half + 1, -half : half + 1])
    u, v = q + 0.5 * r, np.sqrt(0.75) * r
    x, y = pitch * (u * np.cos(turn) - v * np.sin(turn)), pitch * (u * np.sin(turn) + v * np.cos(turn))
    sx, sy = x / 1024.0, y / 1024.0
    terms = np.stack([sx * sx, sx * sy, sy * sy, sx**3, sx * sx * sy, sx * sy * sy, sy**3])
    warp = rng.normal(0.0, 0.5, (2, 7)) @ terms
    middle = np.array([1023.5, 1023.5 - 15.0]) + rng.normal(0.0, 4.0, 2)
    x, y = x + warp[0] + middle[0], y + warp[1] + middle[1]
    length = float(mode.law(np.array([mode.band[1]]))[0])
    on = (x > 6.0) & (x < SHAPE[0] - 7.0) & (y > 8.0) & (y < SHAPE[1] - 10.0 - length)
    q, r, x, y, sx, sy = (a[on] for a in (q, r, x, y, sx, sy))
    n = x.size
    sky = PITCH * (q + 0.5 * r), PITCH * np.sqrt(0.75) * r
    return Optics(
        mode=mode,
        q=q,
        r=r,
        x=x + rng.normal(0.0, 0.02, n),
        y=y + rng.normal(0.0, 0.02, n),
        bend=-0.15 + 0.3 * sx + 0.15 * sy,
        stretch=1.0 + 0.002 * sx - 0.003 * sy + 0.006 * (sx * sx + sy * sy),
        width=1.0 + 0.03 * sx - 0.02 * sy + 0.03 * (sx * sx + sy * sy),
        throughput=(1.0 - 0.1 * (sx * sx + sy * sy)) * (1.0 + rng.normal(0.0, 0.012, n)),
        sky_x=STRETCH[0] * sky[0],
        sky_y=STRETCH[1] * sky[1],
        dispersion=(float(rng.normal(0.0, 0.003)), float(rng.normal(0.0, 0.002))),
    )


def sampling(mode: Mode) -> tuple[FloatArray, FloatArray]:
    """Wavelengths that are painted and the band that each stands for: arrays (k,), Angstrom."""
    fine = np.linspace(mode.band[0] - 60.0, mode.band[1] + 60.0, 4001)
    along = mode.law(fine)
    edges = np.interp(np.arange(along[0], along[-1], STEP), along, fine)
    return 0.5 * (edges[1:] + edges[:-1]), np.diff(edges)


def paint(optics: Optics, wave: FloatArray, electrons: FloatArray) -> FloatArray:
    """Write light on the detector.

    Parameters
    ----------
    optics : Optics
    wave : array (k,), Angstrom
    electrons : array (n, k)
        Of each lenslet at each wavelength, before its throughput.

    Returns
    -------
    float32 array (y, x), electron
    """
    image = np.zeros(SHAPE, np.float32)
    for k, one in enumerate(wave):
        x, y = optics.place(float(one))
        core = _CORE * optics.width * (0.85 + 0.15 * one / 12000.0)
        foot = Footprints(
            along=np.asarray(y, np.float64),
            across=np.asarray(x, np.float64),
            slope=np.zeros_like(x),
            sigma=core,
            lsf=core,
        )
        matrix = forward.design_matrix(foot, _profile(float(one)), SHAPE, half_width=HALF_WIDTH)
        image += forward.project(matrix, electrons[:, k] * optics.throughput)
    return np.ascontiguousarray(image.T)


def _profile(wave: float) -> forward.Profile:
    """Cross-section of a PSFlet in units of its core: a Gaussian and wings that fall as diffraction makes them."""
    u = np.linspace(-16.0, 16.0, 3201)
    wing = (1.0 + (u / 2.5) ** 2) ** -1.25
    core = np.exp(-0.5 * u * u)
    share = _WING * wave / 12000.0
    return forward.cumulative_profile(u, (1.0 - share) * core / core.sum() + share * wing / wing.sum())
