"""Optics of one channel: where slices and wavelengths fall on its CCD, and how wide a line is.

All numbers are drawn from the quality-control numbers of a reduction of 24 channels and three nights (IC 4406, June
2017), as the instrument's README quotes them. Pixels count from 0.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.instruments.muse.geometry import SKY_SLICES

__all__ = ["CENTRE", "COLUMNS", "HALF", "ROWS", "SLICES", "Optics", "State", "draw_optics"]

ROWS, COLUMNS, SLICES = 4112, 4096, 48
CENTRE, HALF = 2055.5, 2056.0  # px: u = (y - CENTRE) / HALF

_STACK, _CHANNEL = 75.2, 12.03  # spaxels: from stack to stack, and from channel to channel
_OUTER = np.isin(np.arange(1, SLICES + 1), (3, 10, 15, 22, 27, 34, 39, 46))  # narrower lines


@dataclass(frozen=True)
class State:
    """How far a channel's light has moved since the day.

    Parameters
    ----------
    dx : float, px
        All slices, along x.
    shift : float, Angstrom
        All wavelengths.
    stretch : float, Angstrom
        More at 9300 Angstrom, less at 4700.
    slices : array (48,), Angstrom
        Each slice.
    gain : array (48,)
        Brightness of each slice.
    """

    dx: float
    shift: float
    stretch: float
    slices: FloatArray
    gain: FloatArray

    @classmethod
    def of_day(cls) -> State:
        """Nothing has moved."""
        return cls(0.0, 0.0, 0.0, np.zeros(SLICES), np.ones(SLICES))


@dataclass(frozen=True)
class Optics:
    """One channel; arrays (48,), a slice of the CCD each.

    Parameters
    ----------
    number : int
        Of the channel, 1 to 24.
    x0, c1, c2, c3 : array, px
        Middle of a slice: x0 + c1 u + c2 u**2 + c3 u**3.
    width : array, px
    offset, tilt, curve, wave, phase : array
        Wavelengths, see `places`.
    throughput : array
    left, right : array
        Share of the sky's light that is lost at the ends, where the lamp's is not.
    x, y : array, spaxel
        Middle in the field: to the west and to the north at position angle 0.
    angle : array, degree
    length : array, spaxel
    core, wing, lean, box : array
        Line-spread function, see `lsf.line_spread`: standard deviation relative to the law, share of the wing, its
        place in standard deviations of the core, and width of the slit (Angstrom).
    """

    number: int
    x0: FloatArray
    c1: FloatArray
    c2: FloatArray
    c3: FloatArray
    width: FloatArray
    offset: FloatArray
    tilt: FloatArray
    curve: FloatArray
    wave: FloatArray
    phase: FloatArray
    throughput: FloatArray
    left: FloatArray
    right: FloatArray
    x: FloatArray
    y: FloatArray
    angle: FloatArray
    length: FloatArray
    core: FloatArray
    wing: FloatArray
    lean: FloatArray
    box: FloatArray

    def middle(self, y: FloatArray, state: State) -> FloatArray:
        """Middles of the slices (48, n), px, in rows (n,)."""
        u = (y - CENTRE) / HALF
        return np.asarray(self.x0[:, None] + state.dx + np.polynomial.polynomial.polyval(u, self._bend()))

    def _bend(self) -> FloatArray:
        return np.stack([np.zeros(SLICES), self.c1, self.c2, self.c3])

    def places(self, y: FloatArray, aside: FloatArray, state: State) -> FloatArray:
        """Wavelengths (48, n, m), Angstrom in air, in rows (n,) at distances (m,) px from the middle of a slice."""
        d = aside[None, None, :]
        u = ((y - CENTRE) / HALF)[None, :, None] + (
            self.tilt[:, None, None] * d + self.curve[:, None, None] * d**2
        ) / HALF
        found = 7020.0 + self.offset[:, None, None] + 2560.0 * u + 14.0 * u**2 - 9.0 * u**3
        found = found + self.wave[:, None, None] * np.sin(1.1 * np.pi * u + self.phase[:, None, None])
        moved = state.shift + state.slices[:, None, None] + state.stretch * (found - 7000.0) / 2300.0
        return np.asarray(found + moved)


def draw_optics(rng: np.random.Generator, number: int) -> Optics:
    """Draw a channel."""
    k = np.arange(SLICES)
    across = (k - 23.5) / 23.5
    stack, row = (np.array(SKY_SLICES) - 1) // 12, (np.array(SKY_SLICES) - 1) % 12
    width = 75.1 + 4.1 * across**2 + rng.uniform(-0.3, 0.3, SLICES) + rng.uniform(-0.15, 0.15)
    first, last = rng.uniform(64.0, 91.0), rng.uniform(3998.0, 4022.0)
    gap = rng.normal(1.0, 0.09, SLICES - 1)
    room = last - first - 0.5 * (width[1:] + width[:-1]).sum()
    step = 0.5 * (width[1:] + width[:-1]) + gap * room / gap.sum()
    stagger = np.array([138.0, -12.0, -172.0])[k % 3] + np.array([32.0, 28.0, 30.0])[k % 3] * across
    fan = (0.0097 + 0.0009 * ((k % 3) - 1) * np.sign(across)) * across  # px/px at the ends of the traces
    return Optics(
        number=number,
        x0=first + np.concatenate([[0.0], np.cumsum(step)]),
        c1=rng.uniform(-0.55, -0.05) + rng.normal(0.0, 0.08, SLICES),
        c2=0.5 * HALF * fan + rng.normal(0.0, 0.2, SLICES),
        c3=rng.normal(0.0, 0.05, SLICES),
        width=width,
        offset=stagger + rng.normal(0.0, 2.5, SLICES) + rng.uniform(-4.0, 4.0),
        tilt=-0.044 * across * (1.0 + 0.04 * (k % 3)) + rng.normal(0.0, 0.0006, SLICES),
        curve=rng.normal(9.0e-5, 1.2e-5, SLICES),
        wave=rng.normal(0.0, 0.03, SLICES),
        phase=rng.uniform(0.0, 2.0 * np.pi, SLICES),
        throughput=rng.normal(1.0, 0.05) * rng.normal(1.0, 0.04, SLICES),
        left=rng.uniform(-0.03, 0.03, SLICES),
        right=rng.uniform(-0.03, 0.03, SLICES),
        x=(1.5 - stack) * _STACK + rng.normal(0.0, 0.35, SLICES),
        y=(12.5 - number) * _CHANNEL + 5.5 - row + rng.normal(0.0, 0.04, SLICES),
        angle=rng.normal(0.0, 0.06, SLICES),
        length=rng.normal(75.2, 0.1, SLICES),
        core=np.where(_OUTER, 0.92, 1.0) * rng.normal(1.0, 0.02, SLICES),
        wing=np.clip(rng.normal(0.22, 0.03, SLICES), 0.1, 0.3),
        lean=0.55 * np.array([1.0, 0.4, -0.5, -0.9])[stack] * rng.uniform(0.7, 1.3, SLICES),
        box=rng.uniform(0.8, 1.2, SLICES),
    )
