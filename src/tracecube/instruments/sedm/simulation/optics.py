"""Where the light of every lenslet falls on a simulated detector.

Numbers are those of the instrument page; each night draws its own distortion, tilts, widths and
throughputs around them, so that no reduction can know them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.polynomial import chebyshev
from scipy.ndimage import gaussian_filter1d

from tracecube.core.fields import BoolArray, FloatArray, IntArray
from tracecube.kernels import forward

__all__ = ["BLUE", "RED", "SUBPIXELS", "Optics", "SpectralGrid", "draw_optics", "paint"]

RED, BLUE = 10500.0, 3450.0  # Angstrom, ends of a spectrum
REFERENCE = 6500.0
SUBPIXELS = 5  # samples a detector pixel along dispersion

# Prism law of the observatory's first pipeline (kpy): nm against px from the red end; its spectra are 264 px long
# where those of the detector are 284, hence the stretch.
_LAW = (1066.97198, -5.82924699, 9.12740701e-3, -5.84149923e-6, -7.65158285e-10)
_STRETCH = 284.0 / 264.0
_LAW_PIXELS = np.linspace(-8.0, 280.0, 2305)

PITCH, AXIS = 45.5, -15.8  # px and degree from +x: the lattice on the detector
SCALE = 0.01407  # arcsec a pixel of the lattice
POSITION_ANGLE_X, POSITION_ANGLE_Y = 87.0, -3.0  # degree: where +x and +y point on the sky
CENTRE = (1014.0, 1012.0)  # px: where 6500 Angstrom of the field centre falls
_ILLUMINATED = (950.0, 950.0, 1090.0)  # px: centre and radius of the light
_HALF_WIDTH = 9  # px: how far a profile is followed

_PROFILE_U = np.linspace(-8.0, 8.0, 321)
_PROFILE = 0.93 * np.exp(-0.5 * _PROFILE_U**2) + 0.02 / (1.0 + (_PROFILE_U / 1.8) ** 2) ** 1.5  # core and wings


@dataclass(frozen=True)
class Optics:
    """Geometry of all lenslets: arrays (n,) unless stated, pixels 0-based.

    Parameters
    ----------
    q, r : int array
        Hexagonal indices.
    x_ref, y_ref, slope, curvature
        Trace: y = y_ref + slope d + curvature d**2, d = x - x_ref; x_ref is where 6500 Angstrom falls.
    stretch
        Length of the spectrum over that of the prism law.
    sigma, lsf : px
        Width of the core across dispersion, and along it.
    throughput
    dead, full : bool array
        No light; whole spectrum on the detector.
    east, north : arcsec
        Place on the sky from the field centre.
    """

    q: IntArray
    r: IntArray
    x_ref: FloatArray
    y_ref: FloatArray
    slope: FloatArray
    curvature: FloatArray
    stretch: FloatArray
    sigma: FloatArray
    lsf: FloatArray
    throughput: FloatArray
    dead: BoolArray
    full: BoolArray
    east: FloatArray
    north: FloatArray

    def column(self, wave: FloatArray) -> FloatArray:
        """Column (n, n_wave) where light of these wavelengths falls."""
        return self.x_ref[:, None] + self.stretch[:, None] * _law_pixel(wave)

    def row(self, column: FloatArray) -> FloatArray:
        """Row (n, m) of the trace at columns (n, m)."""
        d = column - self.x_ref[:, None]
        return self.y_ref[:, None] + self.slope[:, None] * d + self.curvature[:, None] * d**2

    def shifted(self, dx: float, dy: float) -> Optics:
        """The same optics with all light moved."""
        return replace(self, x_ref=self.x_ref + dx, y_ref=self.y_ref + dy)

    def chebyshev(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Columns of the red and blue ends (n,), and ten coefficients (n, 10) of wavelength between them."""
        ends = self.column(np.array([RED, BLUE]))
        nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
        pixel = 0.5 * (nodes + 1.0) * (_law_pixel(np.array([BLUE])) - _law_pixel(np.array([RED])))
        coefficients = chebyshev.chebfit(nodes, _law_wave(_law_pixel(np.array([RED])) + pixel), 9)
        return ends[:, 0], ends[:, 1], np.tile(coefficients, (self.q.size, 1))


def _law_pixel(wave: FloatArray) -> FloatArray:
    """Pixels from where 6500 Angstrom falls, to the blue."""
    law = 10.0 * chebyshev.chebval(_LAW_PIXELS, _LAW)
    pixel = np.interp(-np.append(wave, REFERENCE), -law, _LAW_PIXELS)
    return np.asarray(_STRETCH * (pixel[:-1] - pixel[-1]))


def _law_wave(pixel: FloatArray) -> FloatArray:
    """Wavelength (Angstrom) so many pixels from where 6500 Angstrom falls."""
    law = 10.0 * chebyshev.chebval(_LAW_PIXELS, _LAW)
    zero = np.interp(-REFERENCE, -law, _LAW_PIXELS)
    return np.asarray(np.interp(zero + pixel / _STRETCH, _LAW_PIXELS, law))


def draw_optics(rng: np.random.Generator, *, dead: float = 0.015) -> Optics:
    """Draw the optics of a night.

    Parameters
    ----------
    rng : numpy Generator
    dead : float
        Share of lenslets without light.
    """
    reach = np.arange(-40, 41)
    q, r = (index.ravel() for index in np.meshgrid(reach, reach, indexing="ij"))
    axis = np.radians(AXIS + rng.normal(0.0, 0.05) + np.array([0.0, 60.0]))
    u = PITCH * (q * np.cos(axis[0]) + r * np.cos(axis[1]))
    v = PITCH * (q * np.sin(axis[0]) + r * np.sin(axis[1]))
    radius2 = (u**2 + v**2) / 1024.0**2
    bend = rng.normal(0.0, 0.002) * radius2
    x, y = CENTRE[0] + u * (1.0 + bend), CENTRE[1] + v * (1.0 + bend)
    x, y = x + rng.normal(0.0, 0.15, x.size), y + rng.normal(0.0, 0.15, y.size)
    s, t = (x - 1024.0) / 1024.0, (y - 1024.0) / 1024.0
    low, high = _STRETCH * np.array([-95.5, 168.0])  # a spectrum from its reference to its ends
    lit = np.hypot(x - _ILLUMINATED[0], y - _ILLUMINATED[1]) < _ILLUMINATED[2]
    lit &= (x + high > 100.0) & (x + low < 1950.0) & (y > 8.0) & (y < 2036.0)
    n = x.size
    x_angle, y_angle = np.radians(np.array([POSITION_ANGLE_X, POSITION_ANGLE_Y]) + rng.normal(0.0, 1.0))
    optics = Optics(
        q=q,
        r=r,
        x_ref=x,
        y_ref=y,
        slope=0.008 + 0.0015 * s + 0.001 * t + rng.normal(0.0, 2e-4, n),
        curvature=4e-6 * s + rng.normal(0.0, 5e-7, n),
        stretch=1.0 + 0.003 * s - 0.002 * t * s + rng.normal(0.0, 2e-4, n),
        sigma=1.11 + 0.05 * (s**2 + t**2),
        lsf=1.08 + 0.04 * (s**2 + t**2),
        throughput=np.clip((1.0 - 0.08 * (s**2 + t**2)) * rng.normal(1.0, 0.04, n), 0.2, None),
        dead=rng.random(n) < dead,
        full=(x + low > 2.0) & (x + high < 2042.0),
        east=SCALE * (u * np.sin(x_angle) + v * np.sin(y_angle)),
        north=SCALE * (u * np.cos(x_angle) + v * np.cos(y_angle)),
    )
    return replace(optics, **{name: getattr(optics, name)[lit] for name in optics.__dataclass_fields__})


@dataclass(frozen=True)
class SpectralGrid:
    """Sub-pixels along the spectrum of every lenslet, moved with the light of one exposure.

    Parameters
    ----------
    optics : Optics
        Already shifted.
    first : int array (n,)
        First detector column of each spectrum.
    wave, width : array (n, m), Angstrom
        Wavelength of each sub-pixel and the interval it spans.
    """

    optics: Optics
    first: IntArray
    wave: FloatArray
    width: FloatArray

    @classmethod
    def of(cls, optics: Optics) -> SpectralGrid:
        """Lay sub-pixels over the columns from the red to the blue end."""
        ends = optics.column(np.array([RED, BLUE]))
        first = np.floor(ends[:, 0]).astype(int)
        columns = int(np.max(np.ceil(ends[:, 1]) - first)) + 1
        sub = (np.arange(columns * SUBPIXELS) + 0.5) / SUBPIXELS - 0.5
        pixel = (first[:, None] + sub - optics.x_ref[:, None]) / optics.stretch[:, None]
        wave = _law_wave(pixel)
        width = np.abs(np.gradient(wave, axis=1))
        width[(wave < BLUE) | (wave > RED)] = 0.0
        return cls(optics, first, wave, width)

    def lines(self, wave: FloatArray, electrons: FloatArray) -> FloatArray:
        """Electrons (n, m) a sub-pixel of lines (n_line,), shared between the two nearest sub-pixels."""
        place = (self.optics.column(wave) - self.first[:, None] + 0.5) * SUBPIXELS - 0.5
        low = np.floor(place).astype(int)
        out = np.zeros_like(self.wave)
        rows = np.arange(len(low))
        for k, light in enumerate(electrons):
            share = place[:, k] - low[:, k]
            for shift, part in ((0, 1.0 - share), (1, share)):
                at = low[:, k] + shift
                on = (at >= 0) & (at < out.shape[1]) & (wave[k] > BLUE) & (wave[k] < RED)
                out[rows[on], at[on]] += light * part[on]
        return out


def paint(grid: SpectralGrid, electrons: FloatArray, shape: tuple[int, int]) -> FloatArray:
    """Write spectra on the detector: A f, through the matrix that extracts them.

    Parameters
    ----------
    grid : SpectralGrid
    electrons : array (n, m)
        Electrons a sub-pixel, before the line-spread function and the lenslets' throughput.
    shape : (int, int)
        Detector (y, x).

    Returns
    -------
    array (y, x), electron
    """
    optics = grid.optics
    light = electrons * (optics.throughput * ~optics.dead)[:, None]
    for width in np.unique(np.round(optics.lsf, 3)):  # lenslets of one width at a time
        own = np.round(optics.lsf, 3) == width
        light[own] = gaussian_filter1d(light[own], float(width) * SUBPIXELS, axis=1, mode="constant", truncate=5.0)
    column_light = light.reshape(len(light), -1, SUBPIXELS).sum(axis=2)
    along = grid.first[:, None] + np.arange(column_light.shape[1])
    across, sigma = optics.row(along.astype(float)), np.repeat(optics.sigma, along.shape[1])
    seen = ((column_light > 0.0) & (along >= 0) & (along < shape[1])).ravel()
    a = forward.design_matrix(
        forward.Footprints(
            along.ravel()[seen].astype(float),
            across.ravel()[seen],
            np.zeros(int(seen.sum())),
            sigma[seen],
            np.zeros(int(seen.sum())),
        ),
        forward.cumulative_profile(_PROFILE_U, _PROFILE),
        shape,
        half_width=_HALF_WIDTH,
    )
    return forward.project(a, column_light.ravel()[seen])
