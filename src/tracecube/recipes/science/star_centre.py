"""Where the star stands behind its mask: the point of symmetry of the satellite spots, all channels together."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray
from tracecube.core.flags import NOT_USABLE
from tracecube.core.params import Params
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.recipes.science.spot_fit import Setting, SpotFit, fit_tracks, window_equations
from tracecube.recipes.science.spot_noise import SpotNoise, spot_noise
from tracecube.recipes.science.spot_search import find_star
from tracecube.recipes.science.spot_windows import (
    NAMES,
    SpotPattern,
    Track,
    Window,
    lenslet_nodes,
    spot_place,
    windows,
)

__all__ = ["CentreFound", "StarCentreParams", "centre_at", "centre_of_spots", "good_samples", "track_of"]

F8 = NDArray[np.float64]

# Half the distance between the midpoints of the diagonals from which one of them is wrong, arcsec: ten times the noise
# of a usual frame.
APART = 0.75e-3


class StarCentreParams(Params):
    """How the star is found from its satellite spots."""

    # 10 periods of the mirror's grid along both axes, 0.97: pupil stop over D [instrument facts].
    orders: float = Field(
        13.718, gt=3.0, description="distance of the spots from the star, lambda / D: 10 sqrt(2) 0.97"
    )
    direction: float = Field(57.3, description="direction of the first diagonal from +x towards +y, degree")
    diameter: float = Field(8.0, gt=0.0, description="D of lambda / D, m")
    obstruction: float = Field(0.14, ge=0.0, lt=0.9, description="central obstruction over diameter")
    reach: float = Field(2.0, gt=0.8, description="radius around a spot that is fitted, lambda / D")
    search: float = Field(0.12, gt=0.0, description="largest distance of the star from the field centre, arcsec")
    scale_error: float = Field(0.01, gt=0.0, description="expected error of the spots' distance, relative")
    turn_error: float = Field(0.6, gt=0.0, description="expected error of the diagonals' direction, degree")
    refraction_error: float = Field(5e-3, gt=0.0, description="expected refraction, arcsec over one (ref/wave)^2")
    width_error: float = Field(0.1, gt=0.0, description="expected error of the spots' width, relative")
    reference_wave: float = Field(12500.0, gt=0.0, description="wavelength at which the star's place is told, Angstrom")
    sigma: float = Field(
        10.0,
        gt=2.0,
        alias="ifs.star_center.sigma",
        description="significance that every spot needs, and residuals beyond which samples lose weight",
    )

    def pattern(self) -> SpotPattern:
        """Return the four spots of two crossed diagonals."""
        angles = np.radians(self.direction + 90.0 * np.arange(4))
        return SpotPattern(self.orders, angles, np.array([0, 1, 0, 1]), self.diameter, self.obstruction)


@dataclass(frozen=True)
class CentreFound:
    """The star, and how it was found.

    Parameters
    ----------
    centre : StarCentre
    fit : SpotFit
    noise : SpotNoise
    quality : tuple of QualityNumber
    caveats : tuple of str
    """

    centre: StarCentre
    fit: SpotFit
    noise: SpotNoise
    quality: tuple[QualityNumber, ...]
    caveats: tuple[str, ...]


def good_samples(spectra: Spectra) -> BoolArray:
    """Samples that may be used, array (n, n_wave)."""
    usable = (spectra.flags & NOT_USABLE) == 0
    row = ((spectra.dq & NOT_USABLE) == 0)[:, None]
    known = np.isfinite(spectra.flux) & np.isfinite(spectra.variance) & (spectra.variance > 0)
    return np.asarray(usable & row & known)


def track_of(spectra: Spectra, reference: float) -> Track:
    """Return the channels of spectra on one wavelength grid.

    Raises
    ------
    BadData
        Each spectrum has its own grid.
    """
    if spectra.wave.ndim != 1:
        raise BadData("spectra without common wavelength grid", hint="rebin them to one grid first")
    spread = np.broadcast_to(np.nan_to_num(spectra.lsf_sigma, nan=0.0), spectra.wave.shape)
    return Track(np.asarray(spectra.wave, float), np.asarray(spread, float), reference)


def centre_of_spots(spectra: Spectra, params: StarCentreParams, *, name: str = "spectra") -> CentreFound:
    """Find the star from the four satellite spots of a frame.

    One model holds for all channels: spots at a fixed number of lambda / D on two diagonals, opposite
    ones at equal distance; star and its residual refraction common to all; flux and background of
    each spot in each channel free.

    Parameters
    ----------
    spectra : Spectra
        Of one DIT, on one wavelength grid.
    params : StarCentreParams
    name : str
        Of the frame, for messages.

    Raises
    ------
    BadData
        No four spots in the frame.
    NoConvergence
        The fit does not settle.
    """
    track, pattern, good = track_of(spectra, params.reference_wave), params.pattern(), good_samples(spectra)
    start = find_star(spectra, track, pattern, good, search=params.search, sigma=params.sigma, name=name)
    setting = _setting(spectra, track, pattern, params)
    values = np.zeros(pattern.size)
    values[:2] = start
    cut = windows(spectra, values, track, pattern, reach=params.reach, good=good)
    values = fit_tracks(cut, values, setting, name=name).values
    cut = windows(spectra, values, track, pattern, reach=params.reach, good=good)
    everywhere = cut
    fit, cut, caveats = _without_strangers(cut, fit_tracks(cut, values, setting, name=name), setting, name=name)
    noise = spot_noise(spectra, fit, cut, setting, reach=params.reach, good=good)
    if noise.samples == 0:
        caveats = (*caveats, "no room between the spots: errors of the star's place by photon noise alone")
    flux, variance = _spot_table(track, fit, noise, cut, pattern)
    centre = replace(
        centre_at(spectra, fit.values[:4], noise.covariance[:4, :4], track.reference, method="spots", name=name),
        spot_flux=flux,
        spot_variance=variance,
    )
    centre = replace(centre, **_spot_places(fit, everywhere, setting))
    return CentreFound(centre, fit, noise, _quality(centre, fit, noise), caveats)


def _setting(spectra: Spectra, track: Track, pattern: SpotPattern, params: StarCentreParams) -> Setting:
    """Priors of the fit: the star anywhere, the pattern near where it should be."""
    diagonals = (pattern.size - len(NAMES)) // 2
    spread = [1.0, 1.0, params.refraction_error, params.refraction_error, params.width_error]
    spread += [params.scale_error, np.radians(params.turn_error)] * diagonals
    nodes, area = lenslet_nodes(spectra)
    return Setting(track, pattern, nodes, area, np.zeros(pattern.size), np.array(spread), clip=min(6.0, params.sigma))


def _without_strangers(
    cut: list[Window], fit: SpotFit, setting: Setting, *, name: str
) -> tuple[SpotFit, list[Window], tuple[str, ...]]:
    """Leave out a spot with a companion or a bad column on it, once.

    The midpoints of the two diagonals are one point, whatever the noise of the channels; where they are not,
    the spot that looks least like a spot is given up. If all look alike, nobody can tell which is wrong.
    """
    moves, chi2 = [], []
    for spot in range(setting.pattern.directions.size):
        own = [p for p, w in zip(fit.parts, cut, strict=True) if w.spot == spot]
        if not own:
            text = f"satellite spot {spot} not measured: the star rests on the others and the pattern's prior"
            return fit, cut, (text,)
        matrix = np.sum([p.matrix for p in own], axis=0)[:2, :2]
        moves.append(np.linalg.solve(matrix, np.sum([p.gradient for p in own], axis=0)[:2]))
        chi2.append(sum(p.chi2 for p in own) / sum(p.count for p in own))
    size = float(np.median(np.hypot(*np.array(moves).T)))
    if size < APART:
        return fit, cut, ()
    worst = int(np.argmax(chi2))
    if chi2[worst] < 1.5 * np.median(np.delete(chi2, worst)):
        return (
            fit,
            cut,
            (f"the diagonals of the spots miss each other by {2e3 * size:.1f} mas: star's error too small",),
        )
    kept = [w for w in cut if w.spot != worst]
    text = f"satellite spot {worst} does not fit the others ({2e3 * size:.1f} mas) and was left out"
    return fit_tracks(kept, fit.values, setting, name=name), kept, (text,)


def centre_at(spectra: Spectra, values: F8, covariance: F8, reference: float, *, method: str, name: str) -> StarCentre:
    """Put a place of the star, with its refraction, into a table of all channels.

    Parameters
    ----------
    spectra : Spectra
    values : array (4,), arcsec
        Star at the reference wavelength, its refraction: the first four of the tracks' parameters.
    covariance : array (4, 4)
    reference : float, Angstrom
    method : str
        See `StarCentre`.
    name : str
        Of the frame.
    """
    track = track_of(spectra, reference)
    count, bend = track.wave.size, track.refraction(track.wave)
    plane, c = spectra.meta.get("PLANE"), covariance
    return StarCentre(
        file=np.full(count, name),
        plane=np.full(count, int(plane) if isinstance(plane, int | float) else 0),
        wave=track.wave,
        x=values[0] + values[2] * bend,
        y=values[1] + values[3] * bend,
        x_error=np.sqrt(c[0, 0] + 2.0 * bend * c[0, 2] + bend**2 * c[2, 2]),
        y_error=np.sqrt(c[1, 1] + 2.0 * bend * c[1, 3] + bend**2 * c[3, 3]),
        dq=np.zeros(count, np.int32),
        spot_flux=np.full((count, 4), np.nan),
        spot_variance=np.full((count, 4), np.nan),
        reference_wave=reference,
        centre_x=float(values[0]),
        centre_y=float(values[1]),
        centre_x_error=float(np.sqrt(c[0, 0])),
        centre_y_error=float(np.sqrt(c[1, 1])),
        refraction_x=float(values[2]),
        refraction_y=float(values[3]),
        method=method,
        meta=spectra.meta,
    )


def _spot_table(track: Track, fit: SpotFit, noise: SpotNoise, cut: list[Window], pattern: SpotPattern) -> tuple[F8, F8]:
    """Flux of each spot in each channel and its variance, halo included."""
    flux, variance = (np.full((track.wave.size, pattern.directions.size), np.nan) for _ in range(2))
    for part, window in zip(fit.parts, cut, strict=True):
        flux[window.channel, window.spot] = part.flux
        variance[window.channel, window.spot] = part.flux_variance + noise.flux_excess[window.channel]
    return flux, variance


def _spot_places(fit: SpotFit, cut: list[Window], setting: Setting) -> dict[str, Any]:
    """Place of each spot by the model, how far it is from there, and the error of that: also of one left out."""
    track, pattern = setting.track, setting.pattern
    size = track.wave.size, pattern.directions.size
    by_spot = [spot_place(fit.values, track.wave, track, pattern, spot) for spot in range(size[1])]
    x, y = np.transpose(by_spot, (1, 2, 0))
    off, error = np.full((2, *size), np.nan), np.full((2, *size), np.nan)
    for window in cut:
        part = window_equations(fit.values, window, setting, model_error=fit.model_error, amplitude=None)
        covariance = np.linalg.inv(part.matrix[:2, :2])  # a move of the star moves the spot alike
        off[:, window.channel, window.spot] = covariance @ part.gradient[:2]
        error[:, window.channel, window.spot] = np.sqrt(np.diag(covariance))
    return {
        "spot_x": x,
        "spot_y": y,
        "spot_dx": off[0],
        "spot_dy": off[1],
        "spot_dx_error": error[0],
        "spot_dy_error": error[1],
    }


def _quality(centre: StarCentre, fit: SpotFit, noise: SpotNoise) -> tuple[QualityNumber, ...]:
    """Numbers to judge the fit by."""
    error = 1e3 * float(np.hypot(centre.centre_x_error, centre.centre_y_error))
    bend = 1e3 * float(np.hypot(centre.refraction_x, centre.refraction_y))
    diagonals = fit.values[len(NAMES) :].reshape(-1, 2)
    return (
        QualityNumber("STAR CENTRE X", 1e3 * centre.centre_x, "mas"),
        QualityNumber("STAR CENTRE Y", 1e3 * centre.centre_y, "mas"),
        QualityNumber("STAR CENTRE ERROR", error, "mas", high=1.0),
        QualityNumber("STAR REFRACTION", bend, "mas", high=5.0),
        QualityNumber("SPOT SCALE", float(np.exp(np.mean(diagonals[:, 0]))), "", 0.99, 1.01),
        QualityNumber("SPOT TURN", float(np.degrees(np.mean(diagonals[:, 1]))), "deg", -0.6, 0.6),
        QualityNumber("SPOT WIDTH", float(np.exp(fit.values[4])), "", 0.8, 1.3),
        QualityNumber("SPOT SHAPE ERROR", fit.model_error, "", high=0.15),
        QualityNumber("SPOT CHI2", fit.chi2, "", high=10.0),
        QualityNumber("SPECKLE OVER SPOT", noise.speckle, "", high=0.2),
    )
