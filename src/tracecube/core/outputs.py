"""What the counts of a detector's outputs are worth."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, card, column, meta

__all__ = ["LinearityLevel", "OutputLinearity"]


@dataclass(frozen=True)
class LinearityLevel:
    """Light and noise in small boxes of a detector, from two or more exposures of one length.

    Parameters
    ----------
    output, box : int array (n,)
        Output of the detector, and number of the box, the same in all exposures.
    signal, signal_error : array (n,), adu
        Mean counts above the bias level of one exposure.
    noise : array (n,), adu**2
        Variance of a pixel of one exposure, from differences: what is fixed on the detector is not in it.
    count : int array (n,)
        Independent differences behind ``noise``.
    seconds : float
        Exposure time.
    mjd : float
    """

    output: IntArray = column("BOXES", "output")
    box: IntArray = column("BOXES", "box")
    signal: FloatArray = column("BOXES", "signal", unit="adu")
    signal_error: FloatArray = column("BOXES", "signal_error", unit="adu")
    noise: FloatArray = column("BOXES", "noise", unit="adu**2")
    count: IntArray = column("BOXES", "count")
    seconds: float = card("LEVSEC", unit="s", text="exposure time")
    mjd: float = card("LEVMJD", unit="d", text="start of the first exposure")
    meta: Meta = meta()


@dataclass(frozen=True)
class OutputLinearity:
    """Gain and linearity of each output: ``light = counts (1 + sum_k coefficient_k (counts / unit)^k)``, k from 1.

    Parameters
    ----------
    output : int array (n,)
    gain, gain_error : array (n,), electron/adu
        At little light.
    noise, noise_error : array (n,), electron
        Read noise; NaN where noise against light does not tell it.
    coefficient : array (n, k)
    covariance : array (n, k, k)
    limit : array (n,), adu
        Brightest counts that it rests on.
    level_seconds, level_light : array (m,)
        Exposure times (s), and the lamp's light in them relative to the mean.
    unit : float, adu
    """

    output: IntArray = column("OUTPUTS", "output")
    gain: FloatArray = column("OUTPUTS", "gain", unit="electron/adu")
    gain_error: FloatArray = column("OUTPUTS", "gain_error", unit="electron/adu")
    noise: FloatArray = column("OUTPUTS", "noise", unit="electron")
    noise_error: FloatArray = column("OUTPUTS", "noise_error", unit="electron")
    coefficient: FloatArray = column("OUTPUTS", "coefficient")
    covariance: FloatArray = column("OUTPUTS", "covariance")
    limit: FloatArray = column("OUTPUTS", "limit", unit="adu")
    level_seconds: FloatArray = column("LEVELS", "seconds", unit="s")
    level_light: FloatArray = column("LEVELS", "light")
    unit: float = card("LINUNIT", unit="adu", text="unit of the counts in the polynomial")
    meta: Meta = meta()
