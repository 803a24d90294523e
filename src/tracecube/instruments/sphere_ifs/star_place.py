"""Where the star is in a DIT, by the best way that its frames allow."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from tracecube.core.errors import TracecubeError
from tracecube.core.fields import BoolArray, FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre
from tracecube.instruments.sphere_ifs.filters import neutral_density
from tracecube.instruments.sphere_ifs.headers import integration_time
from tracecube.instruments.sphere_ifs.star_parameters import CentreParams, FluxParams, ScienceParams
from tracecube.recipes.science.filter_light import passed_light
from tracecube.recipes.science.halo_shift import halo_move
from tracecube.recipes.science.spot_windows import SpotPattern
from tracecube.recipes.science.star_centre import centre_at, centre_of_spots, good_samples, track_of
from tracecube.recipes.science.star_psf import PsfFound, filter_transmission, measure_psf

__all__ = [
    "another_star",
    "frame_name",
    "place_standard",
    "place_star",
    "star_beside_mask",
    "star_in_frame",
    "star_name",
]

# Halo within this distance of a satellite spot belongs to the spot, lambda / D.
SPOT_REACH = 4.0


def frame_name(meta: Meta) -> str:
    """Return the name of the raw file without .fits: ARCFILE, or from DATE-OBS as the archive makes it."""
    given = str(meta.get("ARCFILE") or "").strip()
    return given.removesuffix(".fits") if given else f"SPHER.{str(meta.get('DATE-OBS') or 'unknown').strip()}"


def star_name(meta: Meta) -> str:
    """Return the name of the target, OBJECT or ESO OBS TARG NAME, empty where neither tells it."""
    return str(meta.get("OBJECT") or meta.get("ESO OBS TARG NAME") or "").strip()


def another_star(one: Meta, other: Meta) -> bool:
    """Whether two frames are known to be of different stars."""
    names = ["".join(star_name(meta).upper().split()) for meta in (one, other)]
    return all(names) and names[0] != names[1]


def _spots_on(meta: Meta) -> bool:
    """Whether the mirror made satellite spots in this frame."""
    amplitude = meta.get("ESO OCS WAFFLE AMPL")
    return isinstance(amplitude, int | float) and amplitude > 0.0


def star_in_frame(
    spectra: Spectra, params: CentreParams
) -> tuple[StarCentre, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Find the star in a frame by its spots, or as the brightest source when asked to.

    Raises
    ------
    BadData
        No spots, or no star.
    NoConvergence
        The fit does not settle.
    """
    name = frame_name(spectra.meta)
    if params.use_waffle:
        found = centre_of_spots(spectra, params.spots(str(spectra.meta.get("ESO OCS WAFFLE ORIENT") or "x")), name=name)
        return found.centre, found.quality, found.caveats
    wave = track_of(spectra, params.reference_wave).wave
    seen = measure_psf(spectra, FluxParams(), transmission=np.ones(wave.size), time_ratio=1.0, dit=1.0, name=name)
    values, covariance = seen.fit.values, seen.fit.covariance
    centre = centre_at(spectra, values[:4], covariance[:4, :4], params.reference_wave, method="core", name=name)
    return centre, seen.quality, (*seen.caveats, "star taken as the brightest source of the frame, not by its spots")


def star_beside_mask(spectra: Spectra, science: Spectra | None, params: FluxParams) -> tuple[PsfFound, tuple[str, ...]]:
    """Measure the star beside its mask; flux scaled by filter and DIT.

    Raises
    ------
    MissingInput
        No DIT, or a filter whose curve is not known.
    BadData
        No star, or a saturated one.
    """
    name = frame_name(spectra.meta)
    curve = neutral_density(spectra.meta, name)
    track = track_of(spectra, params.reference_wave)
    own = integration_time(spectra.meta, name)
    caveats: tuple[str, ...] = ()
    wanted = own
    if science is None:
        caveats = ("no science frame given: the star's flux is for the DIT of the flux frame itself",)
    else:
        wanted = integration_time(science.meta, frame_name(science.meta))
    transmission = filter_transmission(track, *curve)
    found = measure_psf(
        spectra,
        params,
        transmission=transmission,
        time_ratio=wanted / own,
        dit=wanted,
        name=name,
    )
    psf = found.psf
    right = transmission / passed_light(track.wave, track.spread, curve, psf.flux * transmission)
    tilt = np.gradient(np.log(transmission), track.wave) * _wave_error(spectra)
    psf = replace(psf, flux=psf.flux * right, variance=psf.variance * right**2, tilt=tilt)
    return replace(found, psf=psf), (*found.caveats, *caveats)


def _wave_error(spectra: Spectra) -> FloatArray:
    """Error of the channels' wavelengths, Angstrom: that of the light's shift along dispersion since the day."""
    from tracecube.instruments.sphere_ifs.exposure import mode_of_frame  # noqa: PLC0415 - brings numba
    from tracecube.instruments.sphere_ifs.sky import SHIFT_ERROR  # noqa: PLC0415

    shift = spectra.meta.get(SHIFT_ERROR)
    wave = np.asarray(spectra.wave, float)
    if not isinstance(shift, float) or not np.isfinite(shift):
        return np.zeros(wave.size)
    mode = mode_of_frame(RawFrame("star", "FLUX", spectra.meta, {}, {}))
    return np.asarray(shift / np.abs(np.gradient(mode.law(wave), wave)))


def place_star(
    spectra: Spectra, star: StarCentre | None, reference: Spectra | None, params: ScienceParams
) -> tuple[StarCentre, tuple[str, ...]]:
    """Place the star in a science DIT: by its own spots, by its halo, by the frame with spots, or not at all.

    Returns
    -------
    centre : StarCentre
    caveats : tuple of str
        One for every better way that was tried and failed.
    """
    name = frame_name(spectra.meta)
    caveats: list[str] = []
    if params.user_cent:
        at = [params.pixel * (v - (params.size // 2 + 1)) for v in (params.cx, params.cy)]
        values, covariance = np.array([*at, 0.0, 0.0]), np.diag([params.pixel**2 / 12.0] * 2 + [0.0] * 2)
        wave = CentreParams().reference_wave
        return centre_at(spectra, values, covariance, wave, method="given", name=name), ("star placed by the user",)
    if _spots_on(spectra.meta):
        try:
            centre, _, said = star_in_frame(spectra, CentreParams())
        except TracecubeError as failure:
            caveats.append(f"satellite spots of this frame not used: {failure}")
        else:
            return centre, said
    if star is None:
        caveats.append(
            "no frame with satellite spots: the star is taken at the field centre, astrometry not trusted "
            "(try: add the OBJECT,CENTER frame, or place the star with ifs.science_dr.user_cent, cx and cy)"
        )
        values, covariance = np.zeros(4), np.diag([0.05**2, 0.05**2, 0.0, 0.0])  # stars are put within 50 mas of it
        centre = centre_at(spectra, values, covariance, CentreParams().reference_wave, method="none", name=name)
        return replace(centre, dq=np.full(centre.wave.size, int(Flag.ASTROMETRY), np.int32)), tuple(caveats)
    if another_star(spectra.meta, star.meta):
        reference = None  # speckles of another star tell of no move
        caveats.append(f"no frame with satellite spots of this star: that of {star_name(star.meta)} stands in")
    return _moved(spectra, star, reference, params, caveats, name)


def place_standard(spectra: Spectra, params: ScienceParams) -> tuple[StarCentre, tuple[str, ...]]:
    """Place a standard star: by its spots where they are on, else as the brightest source of its frame.

    Where no source stands out the field centre is taken, flagged and said.
    """
    if params.user_cent or _spots_on(spectra.meta):
        return place_star(spectra, None, None, params)
    try:
        centre, _, caveats = star_in_frame(spectra, CentreParams(use_waffle=False))
    except TracecubeError as failure:
        centre, caveats = place_star(spectra, None, None, params)
        return centre, (f"no star found: {failure}", *caveats)
    return centre, tuple(text for text in caveats if not text.startswith("star taken as the brightest"))


def _moved(
    spectra: Spectra,
    star: StarCentre,
    reference: Spectra | None,
    params: ScienceParams,
    caveats: list[str],
    name: str,
) -> tuple[StarCentre, tuple[str, ...]]:
    """Star of the frame with spots, moved as the halo has moved since."""
    values = np.array([star.centre_x, star.centre_y, star.refraction_x, star.refraction_y])
    covariance = np.diag([star.centre_x_error**2, star.centre_y_error**2, 0.0, 0.0])
    if reference is None:
        caveats.append("spectra of the frame with satellite spots not given: star assumed where that frame had it")
    else:
        try:
            good = good_samples(spectra), good_samples(reference) & ~_spot_samples(reference, star)
            move = halo_move(spectra, reference, (star.centre_x, star.centre_y), params.halo(), good=good)
        except TracecubeError as failure:
            caveats.append(f"star assumed where the frame with spots had it, its halo does not tell: {failure}")
        else:
            values[:2] += move.x, move.y
            covariance[:2, :2] += move.covariance
            return centre_at(spectra, values, covariance, star.reference_wave, method="halo", name=name), tuple(caveats)
    covariance[:2, :2] += params.move_error**2 * np.eye(2)
    return centre_at(spectra, values, covariance, star.reference_wave, method="carried", name=name), tuple(caveats)


def _spot_samples(spectra: Spectra, star: StarCentre) -> BoolArray:
    """Samples on or near satellite spots, array (n, n_wave)."""
    orientation = str(spectra.meta.get("ESO OCS WAFFLE ORIENT") or "x")
    pattern: SpotPattern = CentreParams().spots(orientation).pattern()
    unit = pattern.resolution(np.asarray(spectra.wave, float))
    found = np.zeros(spectra.flux.shape, bool)
    for angle in pattern.directions:
        dx = spectra.x[:, None] - star.x - pattern.orders * unit * np.cos(angle)
        dy = spectra.y[:, None] - star.y - pattern.orders * unit * np.sin(angle)
        found |= np.hypot(dx, dy) < SPOT_REACH * unit
    return found
