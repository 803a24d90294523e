"""Where the telescope pointed, through how much air, and how fast the Earth moved."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Meta
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.headers import exposure_time, needed, number, start_mjd, text
from tracecube.instruments.muse.modes import has_corrector
from tracecube.kernels.atmosphere import air_to_vacuum, refraction_shift

__all__ = ["Pointing", "barycentric_velocity", "on_sky", "pointing_of", "refraction", "with_astrometry"]

_LONGITUDE, _LATITUDE, _ALTITUDE = -70.404, -24.627, 2648.0  # degree east, degree north, m: UT4 on Paranal
_WEATHER = {"ESO TEL AMBI PRES START": 743.0, "ESO TEL AMBI TEMP": 12.0, "ESO TEL AMBI RHUM": 15.0}
"""hPa, degree Celsius, per cent: the site's yearly means."""

_DEGREE = 3600.0  # arcsec
_SCALE_ERROR = 0.1

REFERENCE = 7000.0
"""Wavelength (Angstrom) at which sources stay where they are."""


@dataclass(frozen=True)
class Pointing:
    """One exposure's place on the sky.

    Parameters
    ----------
    ra, dec : float, degree
        Of the centre of the field.
    angle : float, degree
        Position angle of the field.
    airmass, parallactic : (float, float)
        At start and end; degree.
    pressure, temperature, humidity : float
        hPa, degree Celsius, per cent.
    exptime : float, second
    mjd : float
        Middle of the exposure.
    caveats : tuple of str
        What the header lacks, and what stands in for it.
    matrix : (float, float, float, float)
        By rows: true places (arcsec) along the axes of the field from nominal ones.
    shift : (float, float), arcsec
        What is added to them.
    corrected : bool
        The instrument takes refraction off.
    """

    ra: float
    dec: float
    angle: float
    airmass: tuple[float, float]
    parallactic: tuple[float, float]
    pressure: float
    temperature: float
    humidity: float
    exptime: float
    mjd: float
    caveats: tuple[str, ...] = ()
    matrix: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    shift: tuple[float, float] = (0.0, 0.0)
    corrected: bool = False

    @property
    def mean_airmass(self) -> float:
        """Between start and end."""
        return 0.5 * (self.airmass[0] + self.airmass[1])


def pointing_of(meta: Meta, name: str) -> Pointing:
    """Read the pointing of an exposure.

    Raises
    ------
    MissingInput
        A card is absent that nothing else tells: RA, DEC, position angle, airmass, parallactic angle, time.
    """
    seconds = exposure_time(meta, name)
    airmass = tuple(needed(meta, name, f"ESO TEL AIRM {end}") for end in ("START", "END"))
    parallactic = tuple(needed(meta, name, f"ESO TEL PARANG {end}") for end in ("START", "END"))
    turn = (parallactic[1] - parallactic[0] + 180.0) % 360.0 - 180.0
    told = {key: number(meta, key) for key in _WEATHER}
    lacking = [key for key, value in told.items() if value is None]
    weather = [_WEATHER[key] if value is None else value for key, value in told.items()]
    caveats = [f"{name}: no {', '.join(lacking)}: refraction by the site's yearly mean"] if lacking else []
    angle, doubt = _position_angle(meta, name)
    caveats += doubt
    return Pointing(
        ra=needed(meta, name, "RA"),
        dec=needed(meta, name, "DEC"),
        angle=angle,
        airmass=(airmass[0], airmass[1]),
        parallactic=(parallactic[0], parallactic[0] + turn),
        pressure=weather[0],
        temperature=weather[1],
        humidity=weather[2],
        exptime=seconds,
        mjd=start_mjd(meta, name) + 0.5 * seconds / 86400.0,
        caveats=tuple(caveats),
        corrected=has_corrector(meta),
    )


def _position_angle(meta: Meta, name: str) -> tuple[float, list[str]]:
    """Return the position angle of the field (degree, north through east), and what is doubtful about it.

    The derotator follows the sky and its card is the angle, or it stands still and the card counts the other way
    (as the observatory's pipeline has it: the places of pixels in its products with cards changed).
    """
    angle, how = needed(meta, name, "ESO INS DROT POSANG"), text(meta, "ESO INS DROT MODE")
    if how == "STAT":
        return -angle, []
    if how == "SKY":
        return angle, []
    what = f"derotator mode {how!r} is not known" if how else "no derotator mode (ESO INS DROT MODE)"
    return angle, [f"{name}: {what}: its angle is taken as on the sky"]


def with_astrometry(pointing: Pointing, solution: RawFrame | None, side: tuple[float, float]) -> Pointing:
    """Return the pointing of a field whose scale, turn and centre were measured.

    Parameters
    ----------
    pointing : Pointing
    solution : RawFrame or None
        Header with CDi_j (degree / spaxel) and CRPIXi (spaxel from the field's centre), see `core.field_wcs`.
    side : (float, float), arcsec
        Nominal size of a spaxel.

    Raises
    ------
    MissingInput
        A card is absent.
    BadData
        The scale is more than a tenth off: it is that of another mode.
    """
    if solution is None:
        return pointing
    cd = np.array([[solution.number(f"CD{i}_{j}") for j in (1, 2)] for i in (1, 2)])
    matrix = np.diag([-1.0, 1.0]) @ cd * _DEGREE @ np.diag(1.0 / np.array(side))
    scale = float(np.sqrt(abs(np.linalg.det(matrix))))
    if abs(scale - 1.0) > _SCALE_ERROR:
        raise BadData(f"{solution.name}: {scale:.2f} of the nominal scale", hint="is it that of this mode?")
    centre = np.array([solution.number(f"CRPIX{i}") for i in (1, 2)]) * np.array(side)
    a, b, c, d = (float(value) for value in matrix.ravel())
    along, across = -matrix @ centre
    return replace(pointing, matrix=(a, b, c, d), shift=(float(along), float(across)))


def on_sky(x: FloatArray, y: FloatArray, pointing: Pointing) -> tuple[FloatArray, FloatArray]:
    """Return places to the west and north (arcsec) from nominal places along the axes of the field."""
    a, b, c, d = pointing.matrix
    along, across = a * x + b * y + pointing.shift[0], c * x + d * y + pointing.shift[1]
    angle = np.radians(pointing.angle)
    return along * np.cos(angle) - across * np.sin(angle), across * np.cos(angle) + along * np.sin(angle)


def refraction(pointing: Pointing, wave: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return by how much light of air wavelengths stands west and north (arcsec, field axes) of the reference's."""
    vacuum = air_to_vacuum(np.asarray(wave, np.float64))
    if pointing.corrected:
        return np.zeros_like(vacuum), np.zeros_like(vacuum)
    east, north = refraction_shift(
        vacuum,
        float(air_to_vacuum(np.array([REFERENCE]))[0]),
        pointing.airmass,
        pointing.parallactic,
        pressure=pointing.pressure,
        temperature=pointing.temperature,
        humidity=pointing.humidity,
    )
    angle = np.radians(pointing.angle)
    return -east * np.cos(angle) + north * np.sin(angle), north * np.cos(angle) + east * np.sin(angle)


def barycentric_velocity(pointing: Pointing, frame: str = "bary") -> float:
    """Return the velocity (km/s) that makes observed wavelengths those at the barycentre: wave (1 + v / c).

    Or those at the Sun (``helio``), at the centre of the Earth (``geo``), as observed (``none``).
    """
    from astropy import units as u  # noqa: PLC0415 - slow to import
    from astropy.coordinates import EarthLocation, SkyCoord  # noqa: PLC0415
    from astropy.time import Time  # noqa: PLC0415
    from astropy.utils import iers  # noqa: PLC0415

    if frame == "none":
        return 0.0
    place = EarthLocation.from_geodetic(_LONGITUDE * u.deg, _LATITUDE * u.deg, _ALTITUDE * u.m)
    target, time = SkyCoord(pointing.ra * u.deg, pointing.dec * u.deg), Time(pointing.mjd, format="mjd")
    with iers.conf.set_temp("auto_download", False):
        if frame == "geo":
            moved = place.get_gcrs_posvel(time)[1].xyz
            found = np.sum(target.cartesian.xyz * moved)
        else:
            kind = {"bary": "barycentric", "helio": "heliocentric"}[frame]
            found = target.radial_velocity_correction(kind, obstime=time, location=place)
    return float(found.to(u.km / u.s).value)
