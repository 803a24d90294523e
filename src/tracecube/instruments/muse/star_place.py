"""Which of the stars in an exposure is the standard, and whether there was one at all."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray
from tracecube.core.slices import SliceSegments
from tracecube.instruments.muse.pointing import Pointing
from tracecube.kernels.tangent_plane import sky_to_plane

__all__ = ["brightest", "check_throughput", "expected_place", "star_place"]

_FEWEST = 20  # samples of a piece whose median is not that of hits
_NEAR = 15.0  # arcsec: errors of the pointing, and motion of the star since its place was listed
_FAINTEST = 0.02  # of the brightest star: a standard is not fainter than that by more
_LEAST, _MOST = 0.01, 1.0  # throughputs at 7000 A that no star and no sky make


def _lights(segments: Sequence[SliceSegments]) -> tuple[FloatArray, FloatArray]:
    """Return the light of every piece of a slice (n,), and its place (n, 2; arcsec).

    By the median of what samples there are: the steep light of a star, clipped as if it were hits, leaves few.
    """
    light, place = [np.zeros(0)], [np.zeros((0, 2))]
    for one in segments:
        known = np.flatnonzero(np.isfinite(one.flux).sum(axis=1) >= _FEWEST)
        if known.size:
            light.append(np.nanmedian(one.flux[known], axis=1))
            place.append(np.stack([np.asarray(one.x)[known], np.asarray(one.y)[known]], axis=1))
    found = np.concatenate(light)
    if not found.size:
        raise BadData("no piece of a slice holds light", hint="is it an exposure of a star?")
    return found, np.concatenate(place)


def brightest(segments: Sequence[SliceSegments]) -> tuple[float, float]:
    """Return the place of the brightest piece of all slices (arcsec).

    Raises
    ------
    BadData
        No piece holds light.
    """
    light, place = _lights(segments)
    x, y = place[int(np.argmax(light))]
    return float(x), float(y)


def expected_place(pointing: Pointing, ra: float, dec: float) -> tuple[float, float] | None:
    """Return where a star (degree) is expected along the axes of the field (arcsec); None without its coordinates."""
    if not (np.isfinite(ra) and np.isfinite(dec)) or abs(dec - pointing.dec) > 1.0:
        return None
    east, north = (float(value) for value in sky_to_plane(np.array(ra), np.array(dec), pointing.ra, pointing.dec))
    angle = np.radians(pointing.angle)
    along, across = -east * np.cos(angle) + north * np.sin(angle), north * np.cos(angle) + east * np.sin(angle)
    return float(along), float(across)


def star_place(
    segments: Sequence[SliceSegments], expected: tuple[float, float] | None, select: str
) -> tuple[tuple[float, float], tuple[str, ...]]:
    """Return the place of the standard star (arcsec), and what people should know of it.

    Parameters
    ----------
    segments : sequence of SliceSegments
    expected : (float, float) or None, arcsec
        Where it should be.
    select : {"distance", "flux"}
        The star near that place, or the brightest of all.
    """
    light, place = _lights(segments)
    top = int(np.argmax(light))
    best = float(place[top, 0]), float(place[top, 1])
    if select == "flux" or expected is None:
        return best, ()
    away = np.hypot(*(place - expected).T)
    if away[top] < _NEAR:
        return best, ()
    ground = float(np.median(light))
    near = np.flatnonzero(away < _NEAR)
    own = int(near[np.argmax(light[near])]) if near.size else top
    if own == top or light[own] - ground < _FAINTEST * (light[top] - ground):
        said = f"the brightest star, {away[top]:.0f} arcsec from where the standard should be, is taken for it"
        return best, (f"{said}: nothing shines there",)
    factor = (light[top] - ground) / (light[own] - ground)
    said = (
        f"a star {factor:.1f} times as bright stands {away[top]:.0f} arcsec away: the one near its coordinates is taken"
    )
    return (float(place[own, 0]), float(place[own, 1])), (said,)


def check_throughput(share: float) -> None:
    """Refuse a response that no standard star has.

    Raises
    ------
    BadData
        Of the photons that should arrive at 7000 A nearly none do, or more than all.
    """
    if not _LEAST < share < _MOST:
        raise BadData(
            f"{100.0 * share:.2g} per cent of the photons of the standard star at 7000 A are seen: it is another star, "
            "or none, or clouds hide it",
            hint="leave this exposure out, or look at OBJECT, RA, DEC and STD_FLUX_TABLE; or take the brightest star: "
            "-p response.select=flux",
        )
