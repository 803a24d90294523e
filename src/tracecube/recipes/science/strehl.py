"""How the star's flux changes with the Strehl ratio, from the frame beside the mask to the DITs behind it.

Speckle halo and core share the star's light: with the wavefront's error w, S = exp(-(2 pi w / lambda)**2) of it is in
the core (Marechal), 1 - S in the halo. Behind a mask the core is not seen, but two things tell of it:

* satellite spots are copies of the core, of a share that falls as lambda**-2 (a mirror shape of fixed height is a phase
  that goes with 1 / lambda; Marois et al. 2006, ApJ 647, 612; Wang et al. 2014, Proc. SPIE 9147). What is left of
  their colour against the star's own, ln(spot / star) + 2 ln lambda, is a constant plus (change of (2 pi w)**2) /
  lambda**2: the share itself need not be known.
* the outer halo of a DIT over that of a frame with spots is (1 - S) over (1 - S).

Of several frames with spots each tells the same thing, its own colour brought to the DITs by their halos: the mean is
taken, and what they differ by beyond the noise of their spots makes its error larger.

Neither tells how the air's transmission changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.fields import BoolArray
from tracecube.core.params import Params
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.recipes.science.star_centre import good_samples

__all__ = [
    "SpotColour",
    "Strehl",
    "StrehlParams",
    "core_light",
    "halo_ratio",
    "halo_share",
    "spot_colour",
    "usual_change",
]

F8 = NDArray[np.float64]

MIDDLE = 12500.0  # Angstrom: where errors are told
_LEAST_CHANNELS = 8
_HUBER = 1.5  # deviations from which a channel counts less
_FAR = 5.0  # deviations from which a lenslet counts less: a companion, a hit
_SPOT_REACH = 4.0  # lambda / D: halo nearer to a spot is the spot's
_LEAST_LENSLETS = 300
_ASSUMED = 0.03  # of the Strehl ratio, where halos do not tell what is usual; the level's error holds it
_WORTH = 2.0  # frames that this counts for: three DITs may be alike by chance


class StrehlParams(Params):
    """How the change of the Strehl ratio is measured."""

    change: float | None = Field(
        None,
        gt=0.0,
        description="expected change of the Strehl ratio between two frames at 1.25 um; measured in the halos of the "
        "DITs where not given",
    )
    transmission: float = Field(
        0.02,
        ge=0.0,
        description="expected change of the air's transmission between frames: less than 2 % in the nights that ESO's "
        "observing conditions call photometric",
    )
    wavefront: float = Field(
        850.0,
        gt=0.0,
        description="error of the wavefront, Angstrom: a Strehl ratio of 0.9 in H (Beuzit et al. 2019); by it the "
        "halo's brightness becomes a Strehl ratio",
    )
    wavefront_error: float = Field(0.2, ge=0.0, description="relative error of that")
    band: float = Field(0.2, ge=0.0, lt=1.0, description="share of the star's largest flux from which channels tell")
    inner: float = Field(
        0.5,
        gt=0.0,
        description="inner radius of the halo, arcsec: what 40 actuators across the pupil correct (Beuzit et al. 2019) "
        "ends at 20 lambda / D, 0.5 arcsec at 1 um; within, speckles last",
    )
    outer: float = Field(
        0.8, gt=0.0, description="outer radius of the halo, arcsec: the field's half width, 0.865, less its edge"
    )
    diameter: float = Field(8.0, gt=0.0, description="D of lambda / D, m")


@dataclass(frozen=True)
class Strehl:
    """Light of the star's core in exposures over that in the frame beside the mask.

    Parameters
    ----------
    light : array (n_time, n_wave)
    error : float
        Relative, common to all exposures and channels, at 1.25 micrometres.
    change, change_error : float
        ln S of the frames with spots (mean) less that of the frame beside the mask, at 1.25 micrometres: as measured,
        NaN where spots do not tell.
    halo : array (n_time,)
        Brightness of the outer halo over that of the frames with spots (geometric mean); NaN where it does not tell, or
        is not used.
    colour : float
        Part of ``error`` that is the Strehl ratio's: other wavelengths have it times (12500 / wave)**2.
    frames : int
        Frames with spots that tell.
    chi2 : float
        Reduced, of what they say of the DITs by the noise of their spots; NaN of one frame.
    """

    light: F8
    error: float
    change: float
    change_error: float
    halo: F8
    colour: float = 0.0
    frames: int = 0
    chi2: float = float("nan")

    def tilt(self, wave: F8) -> F8:
        """Relative error of the light in channels (n_wave,) less that at 1.25 micrometres, common to all."""
        return self.colour * ((MIDDLE / np.asarray(wave, float)) ** 2 - 1.0)

    def mean_error(self, wave: F8) -> float:
        """Relative error of the light's mean over channels (n_wave,), less what `tilt` makes of it (in quadrature).

        The Strehl ratio's part of ``error`` and `tilt` are one quantity: a mean of m = <(12500 / wave)**2> has it m
        times, which is not the root of 1 and (m - 1)**2.
        """
        return float(np.sqrt(self.error**2 + 2.0 * self.colour * float(np.mean(self.tilt(wave)))))


class SpotColour(NamedTuple):
    """Change of ln S at 1.25 micrometres from the star beside the mask to its spots; NaN if unknown.

    Parameters
    ----------
    change, error : float
    own : float
        Part of the error that is the spots': the star's own noise and wavelengths are common to all frames with spots.
    """

    change: float
    error: float
    own: float


_UNKNOWN = SpotColour(np.nan, np.nan, np.nan)


def spot_colour(psf: StarPsf, centre: StarCentre, params: StrehlParams) -> SpotColour:
    """Measure the change of the Strehl ratio by the spots of one frame.

    Parameters
    ----------
    psf : StarPsf
    centre : StarCentre
        Of the frame with spots, on the same channels.
    params : StrehlParams

    Notes
    -----
    Deep bands of the air are filled by the line-spread function's wings in a star that stands still, not in spots that
    move with wavelength: channels off the law lose weight, and errors are scaled by what is left. A wavelength error
    tilts the star's flux through its filter, not the spots': as far as it looks like the law it is part of the error.
    """
    flux, variance = np.asarray(centre.spot_flux, float), np.asarray(centre.spot_variance, float)
    if flux.shape[0] != psf.wave.size:
        return _UNKNOWN
    seen = np.isfinite(flux) & (variance > 0)
    spots = seen.mean(axis=0) > 0.8  # noqa: PLR2004 - a spot left out must not come and go between channels
    light = np.asarray(psf.flux, float)
    total = np.where(seen, flux, 0.0)[:, spots].sum(axis=1)
    used = seen[:, spots].all(axis=1) & (total > 0) & np.isfinite(light) & (light > params.band * np.nanmax(light))
    used &= (np.asarray(psf.flags) == 0) & spots.any()
    if np.count_nonzero(used) < _LEAST_CHANNELS:
        return _UNKNOWN
    wave = np.asarray(psf.wave, float)[used]
    of_spots = variance[used][:, spots].sum(axis=1) / total[used] ** 2
    noise = of_spots + np.asarray(psf.variance)[used] / light[used] ** 2
    colour = np.log(total[used] / light[used]) + 2.0 * np.log(wave)
    columns = np.stack([np.ones(wave.size), (MIDDLE / wave) ** 2 - 1.0])
    found, covariance = _robust(columns, colour, 1.0 / noise)
    tilts = np.zeros((1, wave.size)) if psf.tilt is None else np.atleast_2d(np.asarray(psf.tilt, float))[:, used]
    solver = np.linalg.pinv((columns / np.sqrt(noise)).T)[1] / np.sqrt(noise)
    own = np.sqrt(covariance[1, 1] * float(solver**2 @ of_spots) / float(solver**2 @ noise))
    error = np.sqrt(covariance[1, 1] + np.sum((tilts @ solver) ** 2))
    return SpotColour(float(found[1]), float(error), float(own))


def _robust(columns: F8, data: F8, weight: F8) -> tuple[F8, F8]:
    """Least squares with Huber's weights: coefficients, and covariance scaled up by the scatter that is left."""
    share, scale = np.ones(data.size), 1.0
    for _ in range(20):
        inverse = np.linalg.inv((columns * (weight * share)) @ columns.T)
        found = inverse @ (columns @ (weight * share * data))
        off = np.abs(data - found @ columns) * np.sqrt(weight)
        scale = max(1.4826 * float(np.median(off)), 1e-12)
        share = np.minimum(1.0, _HUBER * scale / np.maximum(off, 1e-12))
    return found, np.asarray(inverse * max(scale, 1.0) ** 2, np.float64)


def halo_ratio(frame: Spectra, reference: Spectra, centre: StarCentre, params: StrehlParams) -> float:
    """Brightness of a frame's outer halo over that of the frame with spots; NaN where too little of it is seen.

    Parameters
    ----------
    frame, reference : Spectra
        Of the same lenslets and channels, background subtracted.
    centre : StarCentre
        Of the reference.
    params : StrehlParams
    """
    if frame.flux.shape != reference.flux.shape or not np.array_equal(frame.aperture, reference.aperture):
        return np.nan
    rows, away = _halo_samples(reference, centre, params)
    away &= good_samples(frame)[rows] & good_samples(reference)[rows]
    told = np.flatnonzero(away.sum(axis=0) >= _LEAST_LENSLETS)
    ratios = [_ratio(frame, reference, rows[away[:, k]], int(k)) for k in told]
    return float(np.median(ratios)) if len(ratios) >= _LEAST_CHANNELS else np.nan


def halo_share(psf: StarPsf, frame: Spectra, centre: StarCentre, params: StrehlParams) -> float:
    """Light around the mask, out to the halo's outer radius, over all that the star sends: median of the channels.

    Some five to fifty per cent; more than all, or next to nothing, is a star whose flux is wrong. NaN where too little
    is seen.

    Parameters
    ----------
    psf : StarPsf
    frame : Spectra
        Of a DIT with the star behind its mask, on the same channels.
    centre : StarCentre
        Of that DIT.
    params : StrehlParams
    """
    light = np.asarray(psf.flux, float)
    inside = np.hypot(frame.x - centre.centre_x, frame.y - centre.centre_y) < params.outer
    inside &= frame.dq == 0
    if frame.flux.shape[1] != light.size or np.count_nonzero(inside) < _LEAST_LENSLETS:
        return np.nan
    good = good_samples(frame)[inside]
    known = good.sum(axis=0) > 0.5 * len(good)  # noqa: PLR2004 - half of the lenslets
    known &= np.isfinite(light) & (light > params.band * np.nanmax(light))
    if not known.any():
        return np.nan
    mean = np.where(good, frame.flux[inside], 0.0).sum(axis=0, dtype=float) / np.maximum(good.sum(axis=0), 1)
    return float(np.median((mean * len(good) / light)[known]))


def _halo_samples(reference: Spectra, centre: StarCentre, params: StrehlParams) -> tuple[NDArray[np.int64], BoolArray]:
    """Lenslets of the outer halo, and which of them are away from spots in each channel (n, n_wave)."""
    radius = np.hypot(reference.x - centre.centre_x, reference.y - centre.centre_y)
    rows = np.flatnonzero((radius > params.inner) & (radius < params.outer) & (reference.dq == 0))
    unit = np.degrees(np.asarray(reference.wave) * 1e-10 / params.diameter) * 3600.0
    away = np.ones((rows.size, unit.size), bool)
    if centre.spot_x is not None and centre.spot_y is not None:
        for x, y in zip(np.asarray(centre.spot_x).T, np.asarray(centre.spot_y).T, strict=True):
            gap = np.hypot(reference.x[rows][:, None] - x, reference.y[rows][:, None] - y)
            away &= gap > _SPOT_REACH * unit
    return rows, away


def _ratio(frame: Spectra, reference: Spectra, rows: NDArray[np.int64], k: int) -> float:
    """Brightness of one channel over the reference's, whose noise is allowed for; lenslets far off are left out."""
    ours, theirs = (np.asarray(one.flux[rows, k], float) for one in (frame, reference))
    noise = np.asarray(frame.variance[rows, k], float), np.asarray(reference.variance[rows, k], float)
    share, ratio = np.ones(rows.size), 1.0
    for _ in range(4):
        weight = share / (noise[0] + ratio**2 * noise[1])
        ratio = float((weight * ours * theirs).sum() / (weight * (theirs**2 - noise[1])).sum())
        off = np.abs(ours - ratio * theirs) / np.sqrt(noise[0] + ratio**2 * noise[1])
        limit = _FAR * max(1.4826 * float(np.median(off)), 1.0)
        share = np.where(off > limit, 0.0, 1.0)
    return ratio


def usual_change(halo: F8, params: StrehlParams) -> float:
    """Change of ln S at 1.25 micrometres that is usual between two frames, from the halos of all (n_time,).

    It is the scatter of the frames, times the root of 2; what the air's transmission changes is in it. Few frames are
    drawn towards what is assumed without any (scaled inverse chi-square; Gelman et al., Bayesian Data Analysis, 2.6).
    """
    known = halo[np.isfinite(halo)]
    core = float(np.exp(-((2.0 * np.pi * params.wavefront / MIDDLE) ** 2)))
    change = np.log1p(-known * (1.0 - core))
    freedom = max(known.size - 1, 0)
    squares = 2.0 * float(np.sum((change - change.mean()) ** 2)) if freedom else 0.0
    return float(np.sqrt((_WORTH * _ASSUMED**2 + squares) / (_WORTH + freedom)))


def core_light(
    psf: StarPsf,
    with_spots: Sequence[tuple[StarCentre, Spectra | None]],
    frames: Sequence[Spectra],
    params: StrehlParams,
) -> Strehl:
    """Light of the star's core in exposures over that in the frame beside the mask.

    What spots say is weighed against the change that is expected anyhow; where they say nothing the light is 1, and the
    error what changes usually are. An exposure whose halo does not tell is taken to have the Strehl ratio of the frames
    with spots, with the error of another usual change.

    Parameters
    ----------
    psf : StarPsf
    with_spots : sequence of (StarCentre, Spectra or None)
        Frames with spots, and their channels; may be empty.
    frames : sequence of Spectra
        Channels of the exposures.
    params : StrehlParams
    """
    wave = np.asarray(psf.wave, float)
    core = np.exp(-((2.0 * np.pi * params.wavefront / wave) ** 2))
    colours = [spot_colour(psf, centre, params) for centre, _ in with_spots]
    none = np.full(len(frames), np.nan)
    halos = [_halos(*pair, frames, float(core.min()), params) for pair in with_spots]
    telling = [i for i, colour in enumerate(colours) if np.isfinite(colour.change)]
    if not telling:
        expected = params.change or usual_change(halos[0] if halos else none, params)
        error_ = float(np.hypot(expected, params.transmission))
        return Strehl(np.ones((len(frames), wave.size)), error_, np.nan, np.nan, none, expected)
    told = _together([colours[i] for i in telling], np.array([halos[i] for i in telling]), params)
    # what is usual is so between two frames: a mean of n departs from another frame by less
    expected = (params.change or usual_change(told.halo, params)) * float(np.sqrt(0.5 + 0.5 / len(telling)))
    trust = expected**2 / (expected**2 + told.error**2)  # halos that do not change at all leave the spots nothing
    known = np.isfinite(told.halo)
    filled = np.where(known, told.halo, 1.0)
    light = np.exp(trust * told.change * (MIDDLE / wave) ** 2) * (1.0 - filled[:, None] * (1.0 - core)) / core
    slope = float((2.0 * np.pi * params.wavefront / MIDDLE) ** 2)
    parts = [
        params.transmission * np.sqrt(1.0 + 1.0 / len(frames)),
        expected * np.sqrt(1.0 - trust),  # what spots leave open
        2.0 * params.wavefront_error * slope * abs(float(np.mean(np.log(filled)))),
        expected * np.sqrt(float(np.mean(~known))),  # exposures whose halo does not tell
    ]
    whole, strehl = (float(np.sqrt(np.sum(np.square(some)))) for some in (parts, parts[1:]))
    return Strehl(light, whole, told.change, told.error, told.halo, strehl, len(telling), told.chi2)


def _halos(
    centre: StarCentre, seen: Spectra | None, frames: Sequence[Spectra], least: float, params: StrehlParams
) -> F8:
    """Halos (n_time,) of exposures over that of a frame with spots; NaN where unknown.

    Parameters
    ----------
    least : float
        Strehl ratio of the bluest channel: a halo has not all the light.
    """
    if seen is None:
        return np.full(len(frames), np.nan)
    halo = np.array([halo_ratio(one, seen, centre, params) for one in frames])
    return np.where((halo > 0.0) & (halo * (1.0 - least) < 1.0), halo, np.nan)


class _Told(NamedTuple):
    """What all frames with spots say: change of ln S, its error, halos (n_time,) over theirs, reduced chi-square."""

    change: float
    error: float
    halo: F8
    chi2: float


def _together(colours: Sequence[SpotColour], halos: F8, params: StrehlParams) -> _Told:
    """Bring the frames with spots together, by the noise of their own spots.

    The change that each tells of the mean DIT, its halos' over its own with it, is one number: their reduced chi-square
    scales the error of the mean where it is above 1.

    Parameters
    ----------
    colours : sequence of SpotColour
    halos : array (n_frame, n_time)
    """
    change, error, own = np.array(colours).T
    weight = own**-2 / np.sum(own**-2)
    known = np.isfinite(halos)
    share = np.where(known, weight[:, None], 0.0)
    total = share.sum(axis=0)
    logs = (share * np.log(np.where(known, halos, 1.0))).sum(axis=0)
    halo = np.exp(np.where(total > 0, logs / np.where(total > 0, total, 1.0), np.nan))
    loss = 1.0 - float(np.exp(-((2.0 * np.pi * params.wavefront / MIDDLE) ** 2)))
    moved = np.log1p(-np.where(known, halos, 1.0) * loss).mean(axis=1)
    of_dits, freedom = change + moved, change.size - 1
    off = of_dits - weight @ of_dits
    chi2 = float(np.sum((off / own) ** 2) / freedom) if freedom else np.nan
    common = float(np.sqrt(weight @ np.maximum(error**2 - own**2, 0.0)))
    mean_own = float(np.sum(own**-2) ** -0.5) * np.sqrt(np.nanmax([1.0, chi2]))
    return _Told(float(weight @ change), float(np.hypot(mean_own, common)), halo, chi2)
