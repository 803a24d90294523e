"""What is known of the star behind a coronagraph: its place, its satellite spots, its image."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta

__all__ = ["StarBrightness", "StarCentre", "StarPsf"]


@dataclass(frozen=True)
class StarCentre:
    """Place of the star in every channel of a DIT, in the coordinates of its `Spectra`.

    Errors of the channels are common to all of them up to the refraction term: place(wave) = (CENX, CENY)
    + (REFRX, REFRY) ((CENWAVE / wave)**2 - 1).

    Parameters
    ----------
    file : str array (n_wave,)
        Raw file name.
    plane : int array (n_wave,)
        DIT, 0-based.
    wave : array (n_wave,), Angstrom
    x, y, x_error, y_error : array (n_wave,), arcsec
    dq : int32 array (n_wave,)
    spot_flux, spot_variance : array (n_wave, n_spot), electron / Angstrom
        Total flux of each satellite spot; NaN where not measured or where there are no spots.
    spot_x, spot_y : array (n_wave, n_spot), arcsec, or None
        Place of each satellite spot by the model that gives the star; None where there are no spots.
    spot_dx, spot_dy, spot_dx_error, spot_dy_error : array (n_wave, n_spot), arcsec, or None
        Where each spot is by itself less its place by the model, also of a spot that was left out; and the error
        of that by the variances of the samples alone: speckles are not in it.
    reference_wave : float, Angstrom
    centre_x, centre_y, centre_x_error, centre_y_error : float, arcsec
        At the reference wavelength.
    refraction_x, refraction_y : float, arcsec
    method : str
        "spots", "halo" (relative to a frame with spots), "carried" (that of the frame with spots), "core" (star
        seen), "given" (by the user), "none" (field centre).
    """

    file: TextArray = column("STAR_CENTRE", "file")
    plane: IntArray = column("STAR_CENTRE", "plane")
    wave: FloatArray = column("STAR_CENTRE", "wave", unit="Angstrom")
    x: FloatArray = column("STAR_CENTRE", "x", unit="arcsec")
    y: FloatArray = column("STAR_CENTRE", "y", unit="arcsec")
    x_error: FloatArray = column("STAR_CENTRE", "x_error", unit="arcsec")
    y_error: FloatArray = column("STAR_CENTRE", "y_error", unit="arcsec")
    dq: IntArray = column("STAR_CENTRE", "dq")
    spot_flux: FloatArray = column("SPOTS", "flux", unit="electron/Angstrom")
    spot_variance: FloatArray = column("SPOTS", "STAT")
    reference_wave: float = card("CENWAVE", unit="Angstrom")
    centre_x: float = card("CENX", unit="arcsec", text="star at CENWAVE")
    centre_y: float = card("CENY", unit="arcsec", text="star at CENWAVE")
    centre_x_error: float = card("CENXERR", unit="arcsec")
    centre_y_error: float = card("CENYERR", unit="arcsec")
    refraction_x: float = card("REFRX", unit="arcsec", text="residual refraction along x")
    refraction_y: float = card("REFRY", unit="arcsec", text="residual refraction along y")
    method: str = card("CENHOW", text="spots, halo, carried, core, given or none")
    spot_x: FloatArray | None = column("SPOTS", "x", unit="arcsec", default=None)
    spot_y: FloatArray | None = column("SPOTS", "y", unit="arcsec", default=None)
    spot_dx: FloatArray | None = column("SPOTS", "dx", unit="arcsec", default=None)
    spot_dy: FloatArray | None = column("SPOTS", "dy", unit="arcsec", default=None)
    spot_dx_error: FloatArray | None = column("SPOTS", "dx_error", unit="arcsec", default=None)
    spot_dy_error: FloatArray | None = column("SPOTS", "dy_error", unit="arcsec", default=None)
    meta: Meta = meta()


@dataclass(frozen=True)
class StarPsf:
    """Image of the star without mask against wavelength, and its flux in one science DIT.

    Parameters
    ----------
    wave : array (n_wave,), Angstrom
    flux, variance : array (n_wave,), electron / Angstrom
        Total flux of the star in one science DIT without neutral density filter, before the coronagraph.
    flags : int32 array (n_wave,)
    radius : array (n_radius,), lambda / D
    profile, profile_variance : array (n_wave, n_radius), 1 / (lambda / D)**2
        Mean density at a radius as the lenslets see it (their area and the channel included), of unit flux.
    x, y, share, share_variance : array (n,), arcsec and array (n_wave, n)
        Measured share of the flux in each lenslet around the star: place from the star, light.
    dit : float, s
        Of the science DIT that ``flux`` is scaled to.
    width : float
        Width of the core over that of an ideal aperture.
    tilt : array (n_wave,) or None
        Relative error of ``flux``, common to all channels, by the error of the wavelengths: a neutral density filter
        changes by a per cent a nanometre. Several rows (m, n_wave) where there are further such errors.
    at_x, at_y : float, arcsec
        Place of the star in the coordinates of its `Spectra`; NaN where it was not told.
    """

    wave: FloatArray = column("STAR_PSF", "WAVE", unit="Angstrom")
    flux: FloatArray = column("STAR_PSF", "FLUX", unit="electron/Angstrom")
    variance: FloatArray = column("STAR_PSF", "STAT")
    flags: IntArray = column("STAR_PSF", "DQ")
    radius: FloatArray = column("RADII", "radius", text="lambda / D")
    profile: FloatArray = image("PROFILE")
    profile_variance: FloatArray = image("PROFILE_STAT")
    x: FloatArray = column("LENSLETS", "x", unit="arcsec")
    y: FloatArray = column("LENSLETS", "y", unit="arcsec")
    share: FloatArray = image("SHARE", text="share of the flux per lenslet")
    share_variance: FloatArray = image("SHARE_STAT")
    dit: float = card("PSFDIT", unit="s", text="science DIT that FLUX is for")
    width: float = card("PSFWIDTH", text="core width over ideal")
    tilt: FloatArray | None = column("STAR_PSF", "TILT", default=None)
    at_x: float = card("PSFX", unit="arcsec", text="star beside the mask", default=float("nan"))
    at_y: float = card("PSFY", unit="arcsec", text="star beside the mask", default=float("nan"))
    meta: Meta = meta()


@dataclass(frozen=True)
class StarBrightness:
    """How bright the star was in each DIT of a sequence, by its satellite spots; their mean is 1.

    Parameters
    ----------
    file : str array (n,)
        Raw file name.
    plane : int array (n,)
        DIT, 0-based.
    mjd : array (n,), day
        Middle of the DIT, UTC.
    brightness, error : array (n,)
        Over the mean of the DITs; errors by the noise of spots and halo.
    used : int array (n,)
        Spots times channels behind each.
    """

    file: TextArray = column("BRIGHTNESS", "file")
    plane: IntArray = column("BRIGHTNESS", "plane")
    mjd: FloatArray = column("BRIGHTNESS", "mjd", unit="d")
    brightness: FloatArray = column("BRIGHTNESS", "brightness")
    error: FloatArray = column("BRIGHTNESS", "error")
    used: IntArray = column("BRIGHTNESS", "used")
    meta: Meta = meta()
