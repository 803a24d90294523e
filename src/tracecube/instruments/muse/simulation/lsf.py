"""Line-spread functions of the slices of a channel: a slit through optics that lean to one side."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import erf

from tracecube.core.fields import FloatArray
from tracecube.instruments.muse.simulation.optics import SLICES, Optics

__all__ = ["NODES", "OFFSET", "LineSpread", "line_spread"]

NODES = np.linspace(4500.0, 9700.0, 8)
"""Wavelengths (Angstrom) between which the function changes linearly."""

OFFSET = -20.0 + 0.05 * np.arange(801)
"""Distances (Angstrom) at which it is given."""

_WING = 1.5  # width of the wing over that of the core
_PIXEL = 1.245  # Angstrom


@dataclass(frozen=True)
class LineSpread:
    """Line-spread functions with the pixel in them.

    Parameters
    ----------
    value : array (48, node, offset), 1/Angstrom
        Of unit integral; the Gaussian that fits best in least squares lies at 0.
    fwhm, moment : array (48, node), Angstrom
        Full width at half maximum; first moment.
    """

    value: FloatArray
    fwhm: FloatArray
    moment: FloatArray


def line_spread(optics: Optics) -> LineSpread:
    """Tabulate the line-spread functions of a channel.

    A slit of some width through a Gaussian core, with a share of the light in a wider Gaussian beside it; the core is
    as wide as makes the whole follow the law of the survey fields, FWHM = 5.866e-8 l**2 - 9.187e-4 l + 6.040
    Angstrom (Bacon et al. 2017, A&A 608, A1), but for the slice's own factor.
    """
    law = 5.866e-8 * NODES**2 - 9.187e-4 * NODES + 6.040
    sigma = np.sqrt((law / 2.3548) ** 2 - (_PIXEL**2 + 1.0) / 12.0)[None, :] * 0.9 * optics.core[:, None]
    bent = 1.0 + 0.15 * (NODES[None, :] - 7000.0) / 2300.0
    place = sigma * optics.lean[:, None] * bent
    core = _blurred(np.zeros_like(sigma), sigma, optics.box)
    wing = _blurred(place, _WING * sigma, optics.box)
    share = optics.wing[:, None, None]

    def shape(shift: FloatArray) -> FloatArray:
        return np.asarray((1.0 - share) * core(shift) + share * wing(shift))

    value = shape(_gaussian_centre(shape(np.zeros((SLICES, NODES.size)))))
    return LineSpread(value, _half_width(value), (value * OFFSET).sum(axis=2) * (OFFSET[1] - OFFSET[0]))


def _blurred(place: FloatArray, sigma: FloatArray, box: FloatArray) -> Callable[[FloatArray], FloatArray]:
    """Return what gives, for shifts (48, node) to the blue, a Gaussian through the slit and a pixel."""
    slit, pixel = 0.5 * np.maximum(box, 0.05)[:, None, None], 0.5 * _PIXEL
    width = sigma[:, :, None]

    def ramp(z: FloatArray) -> FloatArray:
        return np.asarray(0.5 * z * (1.0 + erf(z / np.sqrt(2.0))) + np.exp(-0.5 * z**2) / np.sqrt(2.0 * np.pi))

    def at(shift: FloatArray) -> FloatArray:
        x = OFFSET[None, None, :] - (place - shift)[:, :, None]
        corners = ((slit + pixel, 1.0), (slit - pixel, -1.0), (pixel - slit, -1.0), (-slit - pixel, 1.0))
        total = sum(sign * ramp((x + far) / width) for far, sign in corners)
        return np.asarray(width * total / (4.0 * slit * pixel))

    return at


def _gaussian_centre(value: FloatArray) -> FloatArray:
    """Centres (48, node) of the Gaussians that fit best in least squares."""
    total = value.sum(axis=2)
    centre = (value * OFFSET).sum(axis=2) / total
    sigma = np.sqrt((value * (OFFSET - centre[:, :, None]) ** 2).sum(axis=2) / total)
    height = value.max(axis=2)
    for _ in range(8):
        z = (OFFSET - centre[:, :, None]) / sigma[:, :, None]
        bell = np.exp(-0.5 * z**2)
        model = height[:, :, None] * bell
        slopes = np.stack([bell, model * z / sigma[:, :, None], model * z**2 / sigma[:, :, None]], axis=-1)
        normal = np.einsum("snxi,snxj->snij", slopes, slopes)
        step = np.linalg.solve(normal, np.einsum("snxi,snx->sni", slopes, value - model)[..., None])[..., 0]
        height, centre, sigma = height + step[..., 0], centre + step[..., 1], sigma + step[..., 2]
    return np.asarray(centre)


def _half_width(value: FloatArray) -> FloatArray:
    """Full widths at half maximum (48, node), Angstrom."""
    found = np.empty(value.shape[:2])
    for index in np.ndindex(*found.shape):
        one = value[index]
        top = int(np.argmax(one))
        half = 0.5 * one[top]
        left = np.interp(half, one[: top + 1], OFFSET[: top + 1])
        right = np.interp(-half, -one[top:], OFFSET[top:])
        found[index] = right - left
    return found
