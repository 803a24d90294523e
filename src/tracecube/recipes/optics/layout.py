"""Places of hexagonal apertures on the sky: a regular lattice, turned as the detector says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray, Meta
from tracecube.core.optics import Layout, TraceSet

__all__ = ["SkyGuess", "hexagonal_layout"]

# Degree of the polynomial that takes distortion out before the lattice's direction is read off.
DISTORTION = 3


@dataclass(frozen=True)
class SkyGuess:
    """How the detector looks at the sky.

    Parameters
    ----------
    pitch : float, arcsec
        Distance between neighbouring apertures.
    along_angle, across_angle : float, degree
        Position angle (north through east) to which the detector's along and across axes point.
    centre : (float, float), px
        Detector position (along, across) of the field centre.
    """

    pitch: float
    along_angle: float
    across_angle: float
    centre: tuple[float, float]


def hexagonal_layout(traces: TraceSet, place: FloatArray, guess: SkyGuess, *, meta: Meta) -> Layout:
    """Place the apertures by their indices on a regular hexagonal lattice.

    The optics distort the lattice on the detector, not on the sky: only its direction at the field
    centre, and the indices there, are taken from the detector.

    Parameters
    ----------
    traces : TraceSet
        With axial indices q, r.
    place : array (n, 2), px
        Reference point (along, across) of each trace.
    guess : SkyGuess
    meta : mapping
    """
    index = np.stack([traces.q, traces.r], axis=1).astype(float)
    middle, half = index.mean(axis=0), np.maximum(np.ptp(index, axis=0).max() / 2.0, 1.0)
    scaled = (index - middle) / half
    powers = [(i, j) for i in range(DISTORTION + 1) for j in range(DISTORTION + 1 - i)]
    basis = np.stack([scaled[:, 0] ** i * scaled[:, 1] ** j for i, j in powers], axis=1)
    fit = np.linalg.lstsq(basis, place - np.asarray(guess.centre), rcond=None)[0]
    steps = np.stack([fit[powers.index((1, 0))], fit[powers.index((0, 1))]]) / half
    origin = fit[powers.index((0, 0))]
    q_axis, r_axis = (_on_sky(step, guess) for step in steps)
    ideal_r = _rotated(q_axis, 60.0 if _cross(q_axis, r_axis) > 0 else -60.0)
    angle = np.arctan2(_cross(ideal_r, r_axis), float(ideal_r @ r_axis)) / 2.0
    q_unit = _rotated(q_axis / np.linalg.norm(q_axis), np.degrees(angle)) * guess.pitch
    r_unit = _rotated(q_unit, 60.0 if _cross(q_axis, r_axis) > 0 else -60.0)
    at_centre = _index_of_centre(steps, origin) + middle
    x, y = ((index - at_centre) @ np.stack([q_unit, r_unit])).T
    return Layout(
        aperture=traces.aperture,
        x=x,
        y=y,
        dq=np.zeros(x.size, np.int32),
        pitch=guess.pitch,
        angle=float(np.degrees(np.arctan2(q_unit[0], q_unit[1])) % 360.0),
        meta=meta,
    )


def _on_sky(step: FloatArray, guess: SkyGuess) -> FloatArray:
    """Turn a step on the detector (along, across) into (east, north), in pixels."""
    angles = np.radians([guess.along_angle, guess.across_angle])
    return np.array([step @ np.sin(angles), step @ np.cos(angles)])


def _rotated(vector: FloatArray, angle: float) -> FloatArray:
    """Rotate (x, y) counterclockwise by an angle in degrees."""
    c, s = np.cos(np.radians(angle)), np.sin(np.radians(angle))
    return np.array([c * vector[0] - s * vector[1], s * vector[0] + c * vector[1]])


def _cross(a: FloatArray, b: FloatArray) -> float:
    return float(a[0] * b[1] - a[1] * b[0])


def _index_of_centre(steps: FloatArray, origin: FloatArray) -> FloatArray:
    """Index, from the middle one, of the detector's field centre."""
    return np.asarray(np.linalg.solve(steps.T, -origin))
