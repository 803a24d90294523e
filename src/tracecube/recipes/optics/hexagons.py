"""From the hexagonal indices of lenslets to their places on the sky."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.optics import Layout, TraceSet
from tracecube.kernels.polynomials import fit_field

__all__ = ["SkyGuess", "layout_from_traces"]

F8 = NDArray[np.float64]

# Degree of the distortion between lattice and detector: all that is needed is the lattice's
# direction and the node at the field centre.
_DEGREE = 3


@dataclass(frozen=True)
class SkyGuess:
    """Nominal geometry between the detector and the sky.

    Parameters
    ----------
    pitch : float, arcsec
        Distance of neighbouring lenslets on the sky.
    angle : float, degree
        Position angle, from north through east, of the direction of dispersion on the detector;
        the direction across is 90 degrees less.
    centre : (float, float), px
        Detector place (along, across) of a reference point at the field centre.
    """

    pitch: float
    angle: float
    centre: tuple[float, float]


def layout_from_traces(traces: TraceSet, reference: F8, sky: SkyGuess) -> Layout:
    """Place the lenslets on the sky as a regular hexagonal lattice.

    The lattice's direction and the node at the field centre are measured on the detector; its shape is
    that of the lenslet array, not of the distorted image of it that the detector has.

    Parameters
    ----------
    traces : TraceSet
        With the indices (q, r); r is 60 degrees from q, from along towards across.
    reference : array (n, 2), px
        Reference points (along, across) of the traces.
    sky : SkyGuess
    """
    node = np.stack([traces.q, traces.r], axis=1).astype(float)
    centre = fit_field(reference, node, degree=_DEGREE)(np.array([sky.centre]))[0]
    steps = fit_field(node, reference, degree=_DEGREE).jacobian(centre[None])[0].T
    direction = sky.angle - _lattice_angle(steps)
    offset = sky.pitch * ((node[:, 0] - centre[0])[:, None] * _towards(direction))
    offset += sky.pitch * ((node[:, 1] - centre[1])[:, None] * _towards(direction - 60.0))
    return Layout(
        aperture=traces.aperture,
        x=offset[:, 0],
        y=offset[:, 1],
        dq=np.zeros(node.shape[0], dtype=np.int32),
        pitch=sky.pitch,
        angle=float(direction % 360.0),
        meta=traces.meta,
    )


def _lattice_angle(steps: F8) -> float:
    """Direction (degree, from along towards across) of q, from all three axes of the lattice."""
    axes = np.array([steps[0], steps[1], steps[1] - steps[0]])
    turned = (axes[:, 0] + 1j * axes[:, 1]) * np.exp(-1j * np.pi / 3.0 * np.arange(3))
    return float(np.degrees(np.angle(turned.sum())))


def _towards(position_angle: float) -> F8:
    """Unit vector (east, north) of a position angle in degrees."""
    angle = np.radians(position_angle)
    return np.array([np.sin(angle), np.cos(angle)])
