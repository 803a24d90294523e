"""How far the night's light lies from the day's along dispersion, by the lamp's band and the bands of the air.

The night's mean spectrum is K [l a r]: l the lamp before the line-spread function K, a the air, r the smooth ratio of
star to lamp. To blur the lamp first and to multiply afterwards is wrong where the ratio has a slope: a colour of
5 per cent a pixel moves an edge by sigma^2 x 0.05, a twentieth of a pixel, and hydrogen lines beside it by more.

What is smooth is a Gaussian process in place along the spectrum: its spread and length, and how exact the model is, are
those that the spectrum itself makes most likely (Rasmussen & Williams 2006, chapter 5), and so is the error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from pydantic import Field
from scipy.linalg import solve, solve_triangular
from scipy.optimize import minimize

from tracecube.core.errors import NoConvergence
from tracecube.core.fields import FloatArray
from tracecube.core.flags import Flag
from tracecube.core.optics import LampSpectrum
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.kernels.atmosphere import transmission_in_bins

__all__ = ["AirTransmission", "ShiftParams", "Transmission", "mean_spectrum", "shift_along"]

_STEP = 0.25  # px, and of the blur's sigma at most: of the spectra before the line-spread function
_BEYOND = 6.0  # px of them beyond the ends of what is seen
_FAINT = 0.3  # of the lamp's peak: beyond the band's ends the next lenslet's light begins
_MOST = 0.9  # of the spectra reach where their mean is taken
_TRIANGLE = 1.0 / 6.0  # px^2: what linear interpolation between samples adds to the blur
_LAMP_ERROR, _LAMP_BEND = 2e-3, 0.5  # relative; of its peak a px^2
_SPREADS, _LENGTHS, _NOISES = (0.01, 0.03, 0.1), (3.0, 5.0), (0.002, 0.005, 0.01)
"""Spread of the ratio, its length (px), and relative error of the model: the most likely of these is taken."""
_NOISE_FLOOR = 0.2  # of the peak: light below which the error of the model no longer falls with it
_AIR_ERROR, _AIR_LENGTH = 0.12, 2.0  # of the air's optical depth, saturated lines above all, and its length, px
_LSF_ERROR = 0.08  # relative, of the line-spread function's width
_DEPTH_ERROR = 0.5  # of ln of the depth of the air's bands over the table's
_HYDROGEN = (9548.6, 10052.1, 10941.1, 12821.6, 15560.7, 15704.9, 15884.9, 16113.7, 16411.7, 16811.1)
_LINE_WIDTH, _LINE_DEPTH = 35.0, 0.1  # Angstrom; one sigma: hydrogen in a star of any type
_FLOOR = 0.02  # px: what edges and bands disagree by in simulated nights beyond the error that they give
_LIT = 5.0  # significance of a whole spectrum's light
_TRIALS = 0.25  # px between trial shifts
_NEAR, _KEPT = 6.0, 4  # in -2 ln of the likelihood, and how many at most: models that are averaged


class ShiftParams(Params):
    """How the night's shift is measured."""

    reach: float = Field(1.5, gt=0, description="largest shift along dispersion that is looked for, px")
    smooth_degree: int = Field(3, ge=1, le=12, description="degree of the free part of the ratio of night to lamp")


@dataclass(frozen=True)
class Transmission:
    """What something lets through: arrays (k,), wave in Angstrom."""

    wave: FloatArray
    transmission: FloatArray

    def at(self, wave: FloatArray) -> FloatArray:
        """Transmission at wavelengths over its mean there; constant beyond the table's ends."""
        found = np.interp(wave, self.wave, self.transmission)
        return np.asarray(found / found.mean())


class AirTransmission(Transmission):
    """What the air lets through at one airmass."""


def shift_along(  # noqa: PLR0913 - a spectrum, and all that its light went through
    night: Spectra,
    lamp: LampSpectrum,
    air: AirTransmission,
    params: ShiftParams,
    *,
    lsf: float,
    passed: Transmission | None = None,
) -> tuple[float, float]:
    """Measure the shift along dispersion from the ends of the band and the bands of the atmosphere.

    Parameters
    ----------
    night : Spectra
        As the detector sampled them, with the day's wavelengths.
    lamp : LampSpectrum
    air : AirTransmission
    params : ShiftParams
    lsf : float, px
        Width of the line-spread function.
    passed : Transmission, optional
        Filter that the night's light went through and the lamp's did not: one as steep as the band's end moves it.

    Returns
    -------
    dy, error : float, px

    Raises
    ------
    NoConvergence
        The best shift lies at the edge of what was tried, or nothing in the spectrum tells of it.
    """
    model = _Night(mean_spectrum(_lit(night)), lamp, air, params.smooth_degree, lsf, passed)
    start = _coarse(model, params.reach)
    models = list(product(_SPREADS, _LENGTHS, _NOISES))
    worth = np.array([model.misfit(start, *one) for one in models])
    near = np.argsort(worth)[:_KEPT]
    found = [model.refine(start, *models[k]) for k in near if worth[k] < worth.min() + _NEAR]
    known = [one for one in found if np.isfinite(one[2])]
    if not known:
        raise NoConvergence("no edge of the band tells of the shift along dispersion", hint="look at the frame")
    value, place, error = np.array(known).T
    share = np.exp(-0.5 * (value - value.min()))
    share /= share.sum()
    dy = float(share @ place)
    if abs(dy) > params.reach:
        raise NoConvergence(
            f"the band lies more than {params.reach:g} px from the lamp's", hint="raise reach; look at the frame"
        )
    return dy, float(np.sqrt(share @ (error**2 + (place - dy) ** 2) + _FLOOR**2))


def _lit(night: Spectra) -> Spectra:
    """Keep the spectra that have light: a star beside its mask lights a hundred lenslets, the rest show background.

    Raises
    ------
    NoConvergence
        None has.
    """
    known = (night.flags == 0) & np.isfinite(night.flux) & np.isfinite(night.variance)
    light, noise = (np.where(known, one, 0.0).sum(axis=1, dtype=float) for one in (night.flux, night.variance))
    lit = light > _LIT * np.sqrt(noise)
    if not (lit & ((night.dq & int(Flag.NOT_MEASURED)) == 0)).any():
        raise NoConvergence("no spectrum has light", hint="look at the frame")
    return replace(night, dq=np.where(lit, night.dq, night.dq | int(Flag.NOT_MEASURED)).astype(night.dq.dtype))


def _coarse(model: _Night, reach: float) -> FloatArray:
    """Values to start from: the best trial shift with thin, usual and thick air."""
    trials = np.arange(-reach, reach + 0.5 * _TRIALS, _TRIALS)
    grid = [np.array([dy, depth, 0.0]) for dy in trials for depth in (-1.5, 0.0, 1.5)]
    return grid[int(np.argmin([model.misfit(one, _SPREADS[1], _LENGTHS[1], _NOISES[1]) for one in grid]))]


class _Night:
    """The night's mean spectrum, and how likely it is at a shift, a depth of the air's bands and a width of lines."""

    def __init__(
        self,
        mean: tuple[FloatArray, FloatArray, FloatArray, FloatArray],
        lamp: LampSpectrum,
        air: AirTransmission,
        degree: int,
        lsf: float,
        passed: Transmission | None = None,
    ) -> None:
        wave, own, pixel, noise = mean
        self.lsf, self.air = lsf, air
        self.step = _STEP * min(1.0, float(np.hypot(lsf, np.sqrt(_TRIANGLE))))
        place = np.concatenate([[0.0], np.cumsum(np.diff(wave) / (0.5 * (pixel[1:] + pixel[:-1])))])
        self.fine = np.arange(place[0] - _BEYOND, place[-1] + _BEYOND, self.step)
        self.wave = _extended(self.fine, place, wave, pixel)
        self.passed = np.ones(self.wave.size) if passed is None else passed.at(self.wave)
        inside = (lamp.wave >= self.wave[0]) & (lamp.wave <= self.wave[-1])
        self.lamp_place = np.interp(lamp.wave[inside], self.wave, self.fine)
        light = lamp.flux[inside] * np.interp(lamp.wave[inside], wave, pixel)
        self.lamp_light = light / light.max()
        level = np.interp(wave, lamp.wave, lamp.flux, left=0.0, right=0.0)
        use = np.flatnonzero(np.isfinite(own) & (level > _FAINT * np.nanmax(lamp.flux)))[::2]
        if use.size < 2 * degree or not np.nanmax(own[use]) > 0.0:
            raise NoConvergence("too little light in the lamp's band", hint="look at the frame")
        self.place = place[use]
        seen = own[use] * pixel[use]
        self.seen, self.noise = seen / seen.max(), noise[use] * pixel[use] / seen.max()
        t = 2.0 * (self.fine - self.fine[0]) / (self.fine[-1] - self.fine[0]) - 1.0
        self.free = np.polynomial.legendre.legvander(t, degree)
        self.node = np.arange(self.place[0] - 2.0, self.place[-1] + 3.0)
        hat = np.clip(1.0 - np.abs(self.fine[:, None] - self.node), 0.0, None)
        self.hat = hat / np.maximum(hat.sum(axis=1, keepdims=True), 1e-9)
        lines = [one for one in _HYDROGEN if self.wave[0] < one < self.wave[-1]]
        self.lines = np.exp(-0.5 * ((self.wave[:, None] - np.array(lines)) / _LINE_WIDTH) ** 2)
        self._lamps: dict[float, FloatArray] = {}
        self.ratio = self._usual_ratio()

    def misfit(self, values: FloatArray, spread: float, length: float, error: float) -> float:
        """Minus twice the logarithm of the likelihood, and of what is known of the values before.

        Parameters
        ----------
        values : array (3,)
            Shift (px); logarithm of the depth of the air's bands, and relative change of the width of lines, both over
            their errors.
        spread, length, error : float
        """
        blur, light, depth = self._before(values)
        image = blur * (light * self.ratio)
        smooth = image @ self.hat
        apart = self.node[:, None] - self.node
        cov = spread**2 * smooth @ np.exp(-0.5 * (apart / length) ** 2) @ smooth.T
        bands = (image * depth) @ self.hat
        cov += _AIR_ERROR**2 * bands @ np.exp(-0.5 * (apart / _AIR_LENGTH) ** 2) @ bands.T
        for columns, sigma in ((image @ self.free, 1.0), (image @ self.lines, _LINE_DEPTH)):
            cov += sigma**2 * columns @ columns.T
        cov += np.diag(error**2 * (self.seen**2 + _NOISE_FLOOR**2) + 2.0 * self.noise**2)
        root = np.linalg.cholesky(cov)
        off = solve_triangular(root, self.seen - image.sum(axis=1), lower=True)
        return float(off @ off + 2.0 * np.log(np.diag(root)).sum() + values[1] ** 2 + values[2] ** 2)

    def refine(self, start: FloatArray, spread: float, length: float, error: float) -> tuple[float, float, float]:
        """Best misfit of one model, its shift, and the error of that (nan where the misfit has no minimum)."""
        first = start + np.vstack([np.zeros(3), np.diag([0.1, 0.6, 0.5])])
        options = {"initial_simplex": first, "xatol": 3e-3, "fatol": 3e-2}
        best = minimize(self.misfit, start, args=(spread, length, error), method="Nelder-Mead", options=options)
        step = np.diag([0.02, 0.1, 0.15])
        bend = np.empty((3, 3))
        for i, j in product(range(3), range(3)):
            ends = [
                a * b * self.misfit(best.x + a * step[i] + b * step[j], spread, length, error)
                for a, b in product((1.0, -1.0), (1.0, -1.0))
            ]
            bend[i, j] = sum(ends) / (8.0 * step[i, i] * step[j, j])
        known = np.linalg.eigvalsh(bend).min() > 0.0
        return float(best.fun), float(best.x[0]), float(np.sqrt(np.linalg.inv(bend)[0, 0])) if known else float("nan")

    def _before(self, values: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Blur (k, fine), light of lamp through air (fine,) before it, and the air's optical depth (fine,)."""
        width = self.lsf * float(np.exp(_LSF_ERROR * values[2]))
        depth = float(np.exp(_DEPTH_ERROR * values[1]))
        through = transmission_in_bins(self.wave, self.air.wave, self.air.transmission, depth)
        light = self._lamp(width) * through * self.passed
        return _blur(self.place - values[0], self.fine, width), light, -np.log(np.maximum(through, 1e-3))

    def _lamp(self, width: float) -> FloatArray:
        """The lamp before the line-spread function: what blurs to the lamp as seen, with the least bend."""
        key = round(width, 4)
        if key not in self._lamps:
            matrix = _blur(self.lamp_place, self.fine, width)
            weight = np.maximum(_LAMP_ERROR * self.lamp_light, _LAMP_ERROR * _FAINT) ** -2.0
            bend = np.diff(np.eye(self.fine.size), 2, axis=0) / self.step**2
            normal = (matrix.T * weight) @ matrix + (self.step / _LAMP_BEND**2) * bend.T @ bend
            normal += 1e-2 * np.eye(self.fine.size)
            self._lamps[key] = solve(normal, matrix.T @ (weight * self.lamp_light), assume_a="pos")
        return self._lamps[key]

    def _usual_ratio(self) -> FloatArray:
        """Ratio (fine,) of night to lamp as a polynomial of low degree tells it, of any size over the band."""
        ratio = np.ones(self.fine.size)
        blur, light, _ = self._before(np.zeros(3))
        weight = 1.0 / np.maximum(self.seen, 1e-2)
        for _ in range(3):
            columns = blur @ ((light * ratio)[:, None] * self.free)
            found = np.linalg.lstsq(columns * weight[:, None], self.seen * weight, rcond=None)[0]
            ratio = ratio * np.clip(self.free @ found, 0.2, 5.0)
        return ratio


def _blur(at: FloatArray, fine: FloatArray, width: float) -> FloatArray:
    """Matrix (k, fine) from light on a fine grid to samples at places, px."""
    sigma = np.hypot(width, np.sqrt(_TRIANGLE))
    return np.asarray(
        np.exp(-0.5 * ((at[:, None] - fine) / sigma) ** 2) * ((fine[1] - fine[0]) / (sigma * np.sqrt(2.0 * np.pi)))
    )


def _extended(fine: FloatArray, place: FloatArray, wave: FloatArray, pixel: FloatArray) -> FloatArray:
    """Wavelengths at fine places, beyond the ends with the dispersion there."""
    low, high = fine - place[0], fine - place[-1]
    inside = np.interp(fine, place, wave)
    return np.asarray(inside + np.minimum(low, 0.0) * pixel[0] + np.maximum(high, 0.0) * pixel[-1])


def mean_spectrum(spectra: Spectra) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Mean of all whole spectra, where most of them reach.

    Parameters
    ----------
    spectra : Spectra
        As the detector sampled them.

    Returns
    -------
    wave : array (k,), Angstrom
    flux : array (k,)
        Per Angstrom.
    pixel : array (k,), Angstrom
        Width of a pixel.
    noise : array (k,)
        Error of ``flux`` by the samples' variance.
    """
    whole = spectra.dq & int(Flag.NOT_MEASURED) == 0
    w, good = spectra.wave[whole], spectra.flags[whole] == 0
    steps, middles = np.abs(np.diff(w, axis=1)), 0.5 * (w[:, 1:] + w[:, :-1])
    known = np.isfinite(steps)
    law = np.polynomial.Polynomial.fit(middles[known][::7], steps[known][::7], 5)
    wave = np.arange(np.nanmin(w), np.nanmax(w), float(np.median(steps[known])) / 4.0)
    total, square, count = np.zeros(wave.size), np.zeros(wave.size), np.zeros(wave.size)
    for row, light, variance, fine in zip(w, spectra.flux[whole], spectra.variance[whole], good, strict=True):
        on = fine & np.isfinite(row) & np.isfinite(light)
        if on.sum() < max(np.isfinite(row).sum() - 1, 2):
            continue
        at = slice(*np.searchsorted(wave, [row[on][0], row[on][-1]]))
        total[at] += np.interp(wave[at], row[on], light[on])
        square[at] += np.interp(wave[at], row[on], variance[on])
        count[at] += 1.0
    most = count > _MOST * count.max()
    return wave[most], total[most] / count[most], law(wave[most]), np.sqrt(square[most]) / count[most]
