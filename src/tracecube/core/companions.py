"""What is known of the surroundings of a star: its companions, their spectra, and how faint one would be seen."""

from __future__ import annotations

from dataclasses import dataclass

from tracecube.core.fields import FloatArray, IntArray, Meta, TextArray, card, column, image, meta
from tracecube.core.spectra import Cube

__all__ = ["CompanionSpectrum", "Companions", "ContrastCurve", "ResidualCube"]


@dataclass(frozen=True)
class Companions:
    """Point sources beside a star, which itself is a: b is the most significant, c, d, ... are from outside inwards.

    Parameters
    ----------
    object : str array (n,)
    ra, dec : array (n,), degree
        NaN where the star's coordinates are not known.
    sep_mas, sep_err : array (n,), mas
    pa_deg, pa_err : array (n,), degree
        Position angle, north through east. Errors without those of plate scale and north.
    contrast, contrast_err : array (n,)
        Flux over that of the star, mean over the band; the error has that of the star's flux in it.
    snr : array (n,)
        Flux over its error from places at the same distance, all channels with their optimal weights.
    dq : int32 array (n,)
    """

    object: TextArray = column("SOURCES", "object")
    ra: FloatArray = column("SOURCES", "ra", unit="deg")
    dec: FloatArray = column("SOURCES", "dec", unit="deg")
    sep_mas: FloatArray = column("SOURCES", "sep_mas", unit="mas")
    sep_err: FloatArray = column("SOURCES", "sep_err", unit="mas")
    pa_deg: FloatArray = column("SOURCES", "pa_deg", unit="deg")
    pa_err: FloatArray = column("SOURCES", "pa_err", unit="deg")
    contrast: FloatArray = column("SOURCES", "contrast")
    contrast_err: FloatArray = column("SOURCES", "contrast_err")
    snr: FloatArray = column("SOURCES", "snr")
    dq: IntArray = column("SOURCES", "dq")
    meta: Meta = meta()


@dataclass(frozen=True)
class CompanionSpectrum:
    """Spectrum of a companion over that of its star.

    Parameters
    ----------
    object : str
    wave : array (n_wave,), Angstrom
    contrast, variance : array (n_wave,)
        The variance leaves out what is common to all channels, which is in ``common_error``.
    flags : int32 array (n_wave,)
    covariance : array (n_wave, n_wave)
        Of the channels: speckles are common to several of them.
    common_error : float
        Relative error common to all channels, of the star's flux.
    """

    object: str = card("COMPNAME", text="companion")
    wave: FloatArray = column("SPECTRUM", "WAVE", unit="Angstrom")
    contrast: FloatArray = column("SPECTRUM", "CONTRAST")
    variance: FloatArray = column("SPECTRUM", "STAT")
    flags: IntArray = column("SPECTRUM", "DQ")
    covariance: FloatArray = image("COVAR", text="covariance of the channels")
    common_error: float = card("CONTERR", text="relative error common to all channels", default=0.0)
    meta: Meta = meta()


@dataclass(frozen=True)
class ContrastCurve:
    """How faint a companion would still be found, against distance from the star.

    Parameters
    ----------
    separation : array (n,), arcsec
    contrast : array (n,)
        Of a companion that noise outdoes as rarely as a Gaussian outdoes five sigma (Mawet et al. 2014).
    sigma : array (n,)
        Scatter of the contrasts measured where there is no companion.
    throughput : array (n,)
        Contrast found of injected companions over what was injected; NaN where none was.
    signal : array (n,)
        Weight that the speckle model leaves to a companion; all of it is 1.
    elements : array (n,)
        Independent places the scatter was measured at.
    """

    separation: FloatArray = column("CONTRAST_CURVE", "separation", unit="arcsec")
    contrast: FloatArray = column("CONTRAST_CURVE", "contrast")
    sigma: FloatArray = column("CONTRAST_CURVE", "sigma")
    throughput: FloatArray = column("CONTRAST_CURVE", "throughput")
    signal: FloatArray = column("CONTRAST_CURVE", "signal")
    elements: FloatArray = column("CONTRAST_CURVE", "elements")
    meta: Meta = meta()


@dataclass(frozen=True)
class ResidualCube(Cube):
    """The surroundings of a star with its speckles taken off, north up: the mean of all integrations.

    The speckle model takes some of every source's light; how much it leaves in the middle of a source is stated.

    Parameters
    ----------
    separation : array (n_ring,), arcsec
        Distances from the star.
    throughput : array (n_ring, n_wave)
        Share of a source's brightest pixel that is left there; of a source of the star's colour.
    peak : array (n_wave,), electron / Angstrom
        What a source as bright as the star has in that pixel where nothing is taken: contrast is the value of a
        source's middle over ``peak * throughput``.
    """

    separation: FloatArray | None = column("THROUGHPUT_RADII", "separation", unit="arcsec", default=None)
    throughput: FloatArray | None = image("THROUGHPUT", text="share of a source's light left", default=None)
    peak: FloatArray | None = column("STAR_PEAK", "peak", unit="electron/Angstrom", default=None)
