"""Throughput of an instrument against a photodiode in its beam."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["DiodeThroughput"]


@dataclass(frozen=True)
class DiodeThroughput:
    """Electrons on the detector for one electron of a photodiode's current, in the band of its filter.

    Parameters
    ----------
    aperture, dq : int array (n,)
    ratio, error : array (n,)
        Of each slice.
    total, total_error : float
        Of the detector; the error is that of the current.
    """

    aperture: IntArray = column("THROUGHPUT", "aperture")
    ratio: FloatArray = column("THROUGHPUT", "ratio")
    error: FloatArray = column("THROUGHPUT", "error")
    dq: IntArray = column("THROUGHPUT", "dq")
    total: float = card("THRUPUT", text="electrons a diode electron")
    total_error: float = card("THRUERR", text="its error")
    meta: Meta = meta()
