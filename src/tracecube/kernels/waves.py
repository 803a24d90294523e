"""Plane waves of the electronics in a read-out, found where no light falls: in its overscan.

An interference of one frequency in time is a plane wave in an image that is read row after row, whatever its
frequency. The overscan holds it without light, which tells that it is there and its frequency along the columns; the
rows without light tell its frequency along the rows. Waves are taken one by one, the strongest first (CLEAN, Hogbom
1974, A&AS 15, 417), each with frequencies, amplitude and phase of its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.fft import fft, fft2

__all__ = ["Panel", "Wave", "plane_waves", "wave_image"]

F4 = NDArray[np.float32]
C16 = NDArray[np.complex128]
Mask = NDArray[np.bool_]

_CHANCE = 16.0  # power over that of noise: of the overscan's 16000 frequencies noise brings one in 500 images there
_SLOWEST = 0.04  # cycles a pixel along rows: slower ones are the level's drift from row to row, and structure
_MOST = 16
_FINE = 4  # steps in which frequencies are searched, of one over the image's length
_SURE = 0.1  # cycles by which a wave may be out of step at the image's far end


class Wave(NamedTuple):
    """One plane wave: Re(amplitude * exp(2 pi i (fy y + fx x))); frequencies in cycles a pixel."""

    fy: float
    fx: float
    amplitude: complex


class Panel(NamedTuple):
    """A part of a read-out without light: rows ``y`` (k,) and columns ``x`` (m,).

    ``data`` (k, m) is less level and drift, and 0 where it is not ``known``.
    """

    data: F4
    known: Mask
    y: NDArray[np.intp]
    x: NDArray[np.intp]

    def less(self, wave: Wave) -> Panel:
        """The panel without a wave."""
        model = _painted([wave], self.y, self.x)
        return self._replace(data=np.where(self.known, self.data - model, 0.0).astype(np.float32))

    def sums(self, at: tuple[float, float], shape: tuple[int, int]) -> tuple[C16, C16]:
        """Sums (x,) over rows out of step with a frequency along y, and (y,) over columns with one along x."""
        along, across = np.zeros(shape[1], complex), np.zeros(shape[0], complex)
        along[self.x] = _turn(at[0], self.y, -1) @ self.data
        across[self.y] = self.data @ _turn(at[1], self.x, -1)
        return along, across


def plane_waves(covered: Panel, dark: Panel, shape: tuple[int, int]) -> list[Wave]:
    """Find the plane waves of a read-out that stand out of the noise of its overscan, the strongest first.

    A wave whose frequency along rows is not known well enough to be carried over the image is left where it is.

    Parameters
    ----------
    covered : Panel
        The overscan, all rows.
    dark : Panel
        Rows of the image that hold no light; may be none.
    shape : (int, int)
        Rows and columns of the read-out.
    """
    found: list[Wave] = []
    while len(found) < _MOST:
        start = _strongest(covered)
        wave = None if start is None else _refined(start, (covered, dark), shape)
        if wave is None:
            break
        found.append(wave)
        covered, dark = covered.less(wave), dark.less(wave)
    return found


def wave_image(waves: list[Wave], shape: tuple[int, int]) -> F4:
    """Return the sum (y, x) of plane waves."""
    return _painted(waves, np.arange(shape[0]), np.arange(shape[1]))


def _turn(frequency: float, at: NDArray[np.intp], sign: int) -> NDArray[np.complex64]:
    return np.asarray(np.exp(2j * np.pi * sign * frequency * at), np.complex64)


def _painted(waves: list[Wave], rows: NDArray[np.intp], columns: NDArray[np.intp]) -> F4:
    """Waves at some rows and columns: two products of vectors each."""
    if not waves:
        return np.zeros((rows.size, columns.size), np.float32)
    x = np.array([_turn(wave.fx, columns, 1) for wave in waves])
    y = np.array([wave.amplitude * _turn(wave.fy, rows, 1) for wave in waves]).T
    return np.asarray(np.hstack([y.real, -y.imag]).astype(np.float32) @ np.vstack([x.real, x.imag]).astype(np.float32))


def _strongest(covered: Panel) -> tuple[float, float] | None:
    """Frequencies of the strongest wave of the overscan; None where nothing stands out of its noise."""
    ny, nx = (2 * size for size in covered.data.shape)
    slow = int(np.ceil(_SLOWEST * nx))
    power = np.abs(fft2(covered.data, (ny, nx), workers=1)[:, slow : nx // 2 + 1]) ** 2
    y, x = np.unravel_index(int(np.argmax(power)), power.shape)
    if power[y, x] < _CHANCE * float(np.sum(covered.data**2, dtype=np.float64)):
        return None
    return float(np.fft.fftfreq(ny)[y]), float((x + slow) / nx)


def _refined(start: tuple[float, float], panels: tuple[Panel, ...], shape: tuple[int, int]) -> Wave | None:
    """Return the wave whose frequencies all dark pixels agree on best, beside those that the overscan gave."""
    fy, fx = start
    reach = 1.0 / panels[0].data.shape[1]
    for _ in range(2):
        fx = _peak(np.sum([one.sums((fy, fx), shape)[0] for one in panels], axis=0), fx, reach)
        fy = _peak(np.sum([one.sums((fy, fx), shape)[1] for one in panels], axis=0), fy, 1.0 / shape[0])
        reach = 1.0 / shape[1]
    amplitude = _amplitude((fy, fx), panels)
    number = np.zeros(shape[1])
    for one in panels:
        number[one.x] += one.known.sum(axis=0)
    power = sum(float(np.sum(one.data**2, dtype=np.float64)) for one in panels)
    x = np.arange(shape[1])
    spread = float(np.sqrt(np.average((x - np.average(x, weights=number)) ** 2, weights=number)))
    # Rife & Boorstyn 1974, IEEE IT-20, 591
    error = (0.5 * power) ** 0.5 / number.sum() / (np.pi * abs(amplitude) * spread)
    return Wave(fy, fx, amplitude) if error * shape[1] < _SURE else None


def _amplitude(at: tuple[float, float], panels: tuple[Panel, ...]) -> complex:
    """Least squares for the two parts of an amplitude a in Re(a e), over all panels."""
    square, number, right = 0.0 + 0.0j, 0.0, 0.0 + 0.0j
    for one in panels:
        y, x = _turn(at[0], one.y, 1), _turn(at[1], one.x, 1)
        square += complex((y**2) @ (one.known.astype(np.float32) @ (x**2)))
        number += float(one.known.sum())
        right += complex(np.conj(y) @ (one.data @ np.conj(x)))
    matrix = np.array([[number + square.real, -square.imag], [-square.imag, number - square.real]])
    real, imaginary = np.linalg.solve(matrix, 2.0 * np.array([right.real, right.imag]))
    return complex(real, imaginary)


def _peak(series: C16, near: float, reach: float) -> float:
    """Frequency of the most power within ``reach`` of one, by a parabola through the three highest values."""
    size = _FINE * series.size
    power = np.abs(fft(series, size, workers=1)) ** 2
    bins = np.arange(int(np.floor((near - reach) * size)), int(np.ceil((near + reach) * size)) + 1)
    values = power[bins % size]
    k = int(np.argmax(values))
    if not 0 < k < values.size - 1:
        return float(bins[k] / size)
    left, middle, right = values[k - 1 : k + 2]
    return float((bins[k] + 0.5 * (left - right) / (left - 2.0 * middle + right)) / size)
