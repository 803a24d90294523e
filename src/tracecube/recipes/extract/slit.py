"""Live fibres of a CCD, both amplifiers one above the other: their footprints, and how these change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, IntArray
from tracecube.core.optics import TraceSet
from tracecube.kernels.slit_light import SlitLight, phase_table
from tracecube.kernels.slit_moves import Changes

__all__ = ["Slit", "gather"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]


@dataclass(frozen=True)
class Slit:
    """Fibres from the bottom up, on the columns of the CCD: arrays (m columns, n fibres).

    Parameters
    ----------
    centre : array (m, n), px
        Rows of the CCD, as the lamp had them.
    place : array (m, n)
        The same within each amplifier, -1 to 1.
    mix : array (m, n, s)
        Weights of the profile's shapes; the last is its change with the width.
    amplifier, row : int array (n,)
        Which amplifier a fibre is of, from the bottom, and its row in the amplifier's traces.
    tables : tuple of array (amplifiers, phases, s, k)
        Shapes by phase, their slopes, and the change with the width alone.
    half : int, px
    """

    centre: F8
    place: F8
    mix: F4
    amplifier: NDArray[np.int64]
    row: IntArray
    tables: tuple[F4, F4, F4]
    half: int

    def light(self, move: FloatArray) -> SlitLight:
        """Footprints where the light lies after a move (amplifiers, 4) of `kernels.slit_moves`."""
        x = np.linspace(-1.0, 1.0, len(self.centre))[:, None]
        shift, along, across, width = np.asarray(move, np.float64)[self.amplifier].T
        mix = self.mix.copy()
        mix[:, :, -1] = width
        centre = self.centre + shift + along * self.place + across * x
        return SlitLight(centre, mix, self.amplifier, self.tables[0], self.half)

    def changes(self, light: SlitLight) -> Changes:
        """How footprints change with shift and width."""
        one = np.ones((*self.centre.shape, 1), np.float32)
        slope, width = light._replace(table=self.tables[1]), light._replace(mix=one, table=self.tables[2])
        return Changes(slope, width, self.place)


def gather(traces: Sequence[TraceSet | None], rows: int) -> Slit:
    """Take the live fibres out of the trace sets of a CCD's amplifiers, from the bottom up.

    Raises
    ------
    BadData
        There is no trace at all.
    """
    height = rows // len(traces)
    known = [(k, one, np.flatnonzero(one.dq == 0)) for k, one in enumerate(traces) if one is not None]
    if not known:
        raise BadData("no amplifier of the CCD has traces", hint="leave the CCD out")
    count = max(1 if one.mix is None else len(one.mix) for _, one, _ in known) + 1
    half = max(int(np.ceil(one.profile_u[-1])) for _, one, _ in known)
    amplifier = np.concatenate([np.full(live.size, k) for k, _, live in known])
    centre = np.concatenate([one.centre[live] + k * height for k, one, live in known]).T
    return Slit(
        np.ascontiguousarray(centre, np.float64),
        np.ascontiguousarray(2.0 * (centre - amplifier * height) / height - 1.0, np.float64),
        np.ascontiguousarray(np.concatenate([_weights(one, live, count) for _, one, live in known], axis=1).T),
        amplifier.astype(np.int64),
        np.concatenate([live for _, _, live in known]),
        _tables(traces, half, count),
        half,
    )


def _weights(one: TraceSet, live: IntArray, count: int) -> F4:
    """Weights (count, n, m) of the shapes of live fibres; those it has not are 0."""
    weights = np.zeros((count, live.size, one.centre.shape[1]), np.float32)
    if one.mix is None:
        weights[0] = 1.0
    else:
        weights[: len(one.mix)] = one.mix[:, live]
    return weights


def _tables(traces: Sequence[TraceSet | None], half: int, count: int) -> tuple[F4, F4, F4]:
    """Tabulate the profiles of all amplifiers: (shapes and widening), their slopes, widening alone."""
    shapes, slopes, wider = [], [], []
    for one in traces:
        u = np.array([-1.0, 0.0, 1.0]) if one is None else one.profile_u.astype(np.float64)
        value = np.zeros((u.size, count))
        if one is not None:
            own = one.profile.reshape(u.size, -1)
            value[:, : own.shape[1]] = own
            value[:, -1] = -(own[:, 0] + u * np.gradient(own[:, 0].astype(np.float64), u))
        shapes.append(phase_table(u, value, half))
        slopes.append(phase_table(u, np.asarray(-1.0 * np.asarray(np.gradient(value, u, axis=0))), half))
        wider.append(phase_table(u, value[:, -1:], half))
    return np.stack(shapes), np.stack(slopes), np.stack(wider)
