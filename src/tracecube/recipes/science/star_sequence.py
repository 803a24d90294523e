"""A sequence of exposures of one star as plain arrays, and where a companion would stand in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf
from tracecube.kernels.psf import hexagon_area, lattice_pitch
from tracecube.kernels.stamps import Lattice, Profile, gather, lattice_of, paint

__all__ = ["StarSequence", "star_sequence"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

BAD = NOT_USABLE | int(Flag.NOT_ILLUMINATED | Flag.LOW_THROUGHPUT)
# Step of the tabulated image in (lambda / D)**2 of the bluest channel: linear interpolation good to 1e-4 of the peak.
_PROFILE_STEP = 0.005
_PLACES = 1024  # looked at together: each has a place in every exposure and channel


@dataclass(frozen=True)
class StarSequence:
    """Exposures of the same lenslets, time first, then wavelength.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    unit : array (n_wave,), arcsec
        lambda / D.
    flux, weight : float32 array (n_time, n_wave, n)
        electron / Angstrom in a DIT, and inverse variance: 0 where not usable, the flux then 0 too.
    star_x, star_y : array (n_time, n_wave), arcsec
    angle : array (n_time,), degree
        Position angle of +y.
    brightness : array (n_time, n_wave)
        Of star and companions, over that of the star in ``profile``.
    lattice : Lattice
    profile : Profile
        Light of the star itself, not behind the mask, in each lenslet.
    light : array (n_wave,)
        Flux of the star, electron / Angstrom.
    light_error : array (n_wave,)
        Relative error of it, channel by channel.
    lsf_sigma : array (n_wave,), Angstrom
        Width of the line-spread function.
    tilt : array (n_wave,) or (m, n_wave)
        Relative errors of the star's flux that all channels share: by the error of their wavelengths, by that of the
        Strehl ratio.
    """

    wave: F8
    unit: F8
    flux: FloatArray
    weight: FloatArray
    star_x: F8
    star_y: F8
    angle: F8
    brightness: F8
    lattice: Lattice
    profile: Profile
    light: F8
    light_error: F8
    lsf_sigma: F8
    tilt: F8

    @property
    def rotation(self) -> float:
        """Turn of the field during the sequence, degree."""
        turned = np.unwrap(np.radians(self.angle))
        return float(np.degrees(np.ptp(turned)))

    @property
    def radius(self) -> F8:
        """Distance of each lenslet from the star's mean place, array (n,), arcsec."""
        return np.asarray(np.hypot(self.lattice.x - self.star_x.mean(), self.lattice.y - self.star_y.mean()))

    def light_covariance(self, contrast: F8) -> F8:
        """Covariance (n_wave, n_wave) that the errors of the star's flux give a contrast (n_wave,); NaN counts as 0."""
        known = np.where(np.isfinite(contrast), contrast, 0.0)
        tilts = known * np.atleast_2d(self.tilt)
        return np.asarray(np.diag((known * self.light_error) ** 2) + tilts.T @ tilts)

    def places(self, east: F8, north: F8) -> tuple[F8, F8]:
        """Place (n_source, n_time, n_wave) in the lenslet plane of sources at offsets (arcsec) on the sky."""
        turn = np.radians(self.angle)[:, None]
        e, n = np.asarray(east, float)[:, None, None], np.asarray(north, float)[:, None, None]
        px = self.star_x - (e * np.cos(turn) - n * np.sin(turn))
        py = self.star_y + (n * np.cos(turn) + e * np.sin(turn))
        return np.ascontiguousarray(px), np.ascontiguousarray(py)

    def image(self, east: F8, north: F8, contrast: F8) -> FloatArray:
        """Samples (n_time, n_wave, n) that sources of contrasts (n_source, n_wave) make."""
        made = np.empty(self.flux.shape, self.flux.dtype)
        for t in range(len(made)):  # painted in double precision: all at once would need twice the data's room
            one = self.exposure(t)
            px, py = one.places(east, north)
            light = np.asarray(contrast, float)[:, None, :] * one.brightness
            made[t] = paint(self.lattice, self.profile, px, py, np.broadcast_to(light, px.shape).copy())[0]
        return made

    def under(self, east: F8, north: F8, samples: FloatArray) -> F8:
        """Sum samples under the images of sources of contrast 1, array (n_source, n_wave)."""
        found = np.zeros((np.size(east), self.wave.size))
        for t in range(len(samples)):
            one = self.exposure(t)
            scaled = np.ascontiguousarray(samples[t : t + 1] * one.brightness[..., None].astype(samples.dtype))
            for first in range(0, len(found), _PLACES):
                some = slice(first, first + _PLACES)
                found[some] += gather(self.lattice, self.profile, *one.places(east[some], north[some]), scaled)
        return found

    def exposure(self, t: int) -> StarSequence:
        """Return the sequence of one exposure alone."""
        some = slice(t, t + 1)
        return replace(
            self,
            flux=self.flux[some],
            weight=self.weight[some],
            star_x=self.star_x[some],
            star_y=self.star_y[some],
            angle=self.angle[some],
            brightness=self.brightness[some],
        )

    def core(self, reach: float) -> StarSequence:
        """Return the sequence with images cut at ``reach`` (lambda / D)."""
        cut = np.minimum(self.profile.reach, reach * self.unit)
        return replace(self, profile=self.profile._replace(reach=cut))

    def without(self, east: F8, north: F8, contrast: F8) -> StarSequence:
        """Return the sequence with sources taken away."""
        if np.size(east) == 0:
            return self
        flux = self.flux - self.image(east, north, contrast)
        flux[self.weight <= 0] = 0.0
        return replace(self, flux=flux)

    def only(self, rows: I8) -> StarSequence:
        """Return the sequence of some lenslets, whose images are painted in double precision: they are few."""
        old = self.lattice
        taken = any(self.flux.strides)  # zeros that take no room stay such
        shape = (*self.flux.shape[:-1], rows.size)
        return replace(
            self,
            flux=self.flux[..., rows].astype(float) if taken else np.broadcast_to(np.zeros(1), shape),
            weight=self.weight[..., rows],
            lattice=lattice_of(old.x[rows], old.y[rows], old.cell),
        )


def star_sequence(
    spectra: Sequence[Spectra],
    centres: Sequence[StarCentre],
    angles: Sequence[float],
    psf: StarPsf,
    *,
    brightness: F8 | None = None,
    tilt: F8 | None = None,
    diameter: float = 8.0,
    reach: float = 3.0,
) -> StarSequence:
    """Bring the exposures of a star together.

    Parameters
    ----------
    spectra : sequence of Spectra
        Of the same lenslets, on one wavelength grid.
    centres : sequence of StarCentre
        Of the star in each.
    angles : sequence of float, degree
        Position angle of +y in each.
    psf : StarPsf
        The star beside its mask; its flux is that of one exposure.
    brightness : array (n_time, n_wave), optional
        Of the star in each exposure over that in ``psf``; 1 where not given.
    tilt : array (n_wave,), optional
        Relative error of ``brightness`` that all exposures and channels share.
    diameter : float, m
        Of lambda / D.
    reach : float, lambda / D
        Radius to which the image of a companion counts.

    Raises
    ------
    BadData
        Exposures of different lenslets or channels, or none; a star without flux.
    """
    _same(spectra, centres, angles)
    first = spectra[0]
    wave = np.asarray(first.wave, float)
    rows = np.flatnonzero(np.isfinite(first.x) & np.isfinite(first.y) & ((first.dq & NOT_USABLE) == 0))
    good = np.stack([_good(one)[rows].T for one in spectra])
    # Samples are as exact as in files; whatever sums many of them does so in double precision, channel by channel.
    flux = np.stack([np.asarray(one.flux[rows], np.float32).T for one in spectra])
    weight = np.stack([np.asarray(one.variance[rows], np.float32).T for one in spectra])
    x, y = np.asarray(first.x[rows], float), np.asarray(first.y[rows], float)
    unit = np.degrees(wave * 1e-10 / diameter) * 3600.0
    pitch = lattice_pitch(x, y)
    light, error = _light(psf, wave)
    good &= (light > 0.0)[None, :, None]
    flux[~good] = weight[~good] = 0.0
    weight[good] = 1.0 / weight[good]
    return StarSequence(
        wave=wave,
        unit=unit,
        flux=flux,
        weight=weight,
        star_x=np.stack([np.asarray(c.x, float) for c in centres]),
        star_y=np.stack([np.asarray(c.y, float) for c in centres]),
        angle=np.asarray(angles, float),
        brightness=np.ones((len(spectra), wave.size)) if brightness is None else np.asarray(brightness, float),
        lattice=lattice_of(x, y, 2.0 * pitch),
        profile=_profile(psf, light, unit, (hexagon_area(pitch), reach)),
        light=light,
        light_error=error,
        tilt=np.vstack([np.zeros(wave.size) if one is None else np.asarray(one, float) for one in (psf.tilt, tilt)]),
        lsf_sigma=np.broadcast_to(np.nan_to_num(np.asarray(first.lsf_sigma, float)), wave.shape).copy(),
    )


def _same(spectra: Sequence[Spectra], centres: Sequence[StarCentre], angles: Sequence[float]) -> None:
    """Check that the exposures belong together."""
    if not spectra or not len(spectra) == len(centres) == len(angles):
        raise BadData(
            f"{len(spectra)} exposures, {len(centres)} star centres and {len(angles)} angles",
            hint="give one star centre and one angle an exposure",
        )
    first = spectra[0]
    for number, one in enumerate(spectra):
        if one.wave.ndim != 1 or one.flux.shape != first.flux.shape or not np.array_equal(one.wave, first.wave):
            raise BadData(f"exposure {number}: other channels than the first", hint="extract all with the same grid")
        if not np.array_equal(one.aperture, first.aperture):
            raise BadData(f"exposure {number}: other lenslets than the first", hint="extract all with the same traces")


def _good(one: Spectra) -> BoolArray:
    good = (one.flags & BAD) == 0
    good &= np.isfinite(one.flux) & np.isfinite(one.variance) & (one.variance > 0)
    return np.asarray(good)


def _light(psf: StarPsf, wave: F8) -> tuple[F8, F8]:
    """Flux of the star in each channel and its relative error; 0 where not measured."""
    if psf.wave.size != wave.size or not np.allclose(psf.wave, wave):
        raise BadData("star's image: other channels than the exposures", hint="extract both with the same grid")
    flux, variance = np.asarray(psf.flux, float), np.asarray(psf.variance, float)
    known = np.isfinite(flux) & np.isfinite(variance) & (flux > 0)
    known &= (np.asarray(psf.flags) & int(Flag.SATURATED | Flag.NOT_MEASURED)) == 0
    if np.count_nonzero(known) < 3:
        raise BadData("star's flux is known in fewer than three channels", hint="look at the OBJECT,FLUX frame")
    light = np.where(known, flux, 0.0)
    return light, np.where(known, np.sqrt(np.where(known, variance, 0.0)) / np.where(known, flux, 1.0), 0.0)


def _profile(psf: StarPsf, light: F8, unit: F8, lenslet: tuple[float, float]) -> Profile:
    """Tabulate the star's light per lenslet against radius; lenslet is (area, reach)."""
    area, reach = lenslet
    step = _PROFILE_STEP * float(unit.min()) ** 2
    radius = np.sqrt(step * np.arange(int((reach * float(unit.max())) ** 2 / step) + 3))
    shares = [
        light[k] * area / unit[k] ** 2 * np.interp(radius / unit[k], psf.radius, np.nan_to_num(psf.profile[k]))
        for k in range(unit.size)
    ]
    return Profile(np.stack(shares), step, reach * unit)
