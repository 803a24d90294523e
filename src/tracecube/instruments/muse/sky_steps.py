"""The sky of an exposure, from all its channels together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from pydantic import Field

from tracecube.core.fields import BoolArray, FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_light import SkyContinuum, SkySpectrum, SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.core.spectra import Image
from tracecube.instruments.muse.modes import notch
from tracecube.instruments.muse.sky_sources import (
    chosen_method,
    mask_image,
    masked_pieces,
    pointing_with,
    spectra_of,
    with_method,
)
from tracecube.recipes.slices.nebular import Nebula, gas_windows, nebula_in
from tracecube.recipes.slices.sky_exposure import continuum_of, sampled
from tracecube.recipes.slices.sky_fit import MOST_LIT, SETTLED, SkyFit, SkyParams, Windows, fit_sky
from tracecube.recipes.slices.sky_gap import over_gap
from tracecube.recipes.slices.sky_pieces import Slices, gather
from tracecube.recipes.slices.sky_zero import Zero, find_zero

__all__ = ["sky_model"]

_BRIGHT_LINES = np.array([5577.339, 6300.304])
"""Angstrom, air: the lines of oxygen that need no list (Osterbrock et al. 1996, PASP 108, 277)."""

_UNLIKE = 1.5  # chi-square of a piece, above which people should know
_WIDTH = 1.1  # Angstrom, sigma of a line where none can be measured


_FRACTIONS = {"own": 0.4, "model": 0.75, "subtract-model": 0.75, "simple": 0.2, "none": 0.4}
"""Share of the faintest pieces by method: more where an exposure of the sky tells of the continuum."""


class SkyMethodParams(SkyParams):
    """Numbers of the sky's model, and where it comes from."""

    fraction: float = Field(
        default=0.0,
        ge=0,
        le=1,
        alias="skymodel_fraction",
        description="Share of pieces, the faintest, that see sky; 0: 0.4, 0.75 with a sky exposure's model, 0.2 simple",
    )
    method: str = Field(
        default="auto",
        alias="skysubtraction",
        pattern="^(auto|own|model|subtract-model|simple|none)$",
        description="auto: own, or model where objects fill the field; model: continuum of the closest SKY, lines "
        "refitted; subtract-model: that SKY as it is; simple: own, alike in all slices; none",
    )


@dataclass(frozen=True, kw_only=True)
class SkyOut(Outputs):
    """The sky of an exposure, and how each slice sees it; its spectrum, continuum, and where it was seen."""

    sky: SliceSky
    sky_spectrum: SkySpectrum
    sky_continuum: SkyContinuum
    sky_mask: Image


@recipe(version="28")
def sky_model(  # noqa: PLR0913 - what the sky is told by
    *,
    segments: Sequence[SliceSegments],
    sky_lines: RawFrame | None,
    sky_exposure: SliceSky | None,
    masks: Sequence[RawFrame],
    astrometry: RawFrame | None = None,
    params: SkyMethodParams,
) -> SkyOut:
    """Fit one spectrum of the sky to all channels, and brightness, shift and width of lines of each slice.

    The spectrum is that of the faintest pieces or of those of a mask, or that of the SKY exposure closest in time, its
    lines refitted. The zero of the wavelengths is that of a list of sky lines; without one, or with too few lines
    alone, that of the arcs in the mean, and a caveat says so.
    """
    slices = gather(segments)
    method, caveats = chosen_method(params.method, slices, sky_exposure)
    pointing = pointing_with(segments, astrometry)
    allowed, unused = masked_pieces(masks, segments, pointing)
    share = params.fraction or _FRACTIONS[method]
    own = params.model_copy(update={"fraction": share})
    fit, without = _fitted(slices, own, allowed, notch(segments[0].meta))
    method, more = _lit_everywhere(fit, params.method, method, sky_exposure, masked=allowed is not None)
    caveats += more
    zero, said = _zero(fit, sky_lines)
    fit, numbers = with_method(fit, method, sky_exposure, segments[0].meta, zero, without)
    value = fit.value.copy()
    value[:, 1] += zero.shift
    value[:, 2] += zero.stretch
    # the fit keeps first moments where they are; the arcs' wavelengths are those of Gaussians, see SliceSky
    value[:, 1:3] += value[:, 5:7] / (4.0 * zero.width**2)
    noun = _noun(fit, value, slices, zero, segments[0])
    spectrum, base = spectra_of(noun)
    gas, doubts = _gas(spectrum, base, method)
    return SkyOut(
        sky=noun,
        sky_spectrum=spectrum,
        sky_continuum=base,
        sky_mask=mask_image(segments, fit.blank, pointing),
        quality=(*_numbers(fit, value, zero), *numbers, gas),
        caveats=(
            *caveats,
            *more,
            *unused,
            *said,
            *_crowd(fit),
            *_lit(fit, method, masked=allowed is not None),
            *doubts,
        ),
    )


def _fitted(
    slices: Slices, params: SkyParams, allowed: BoolArray | None, gap: tuple[float, float] | None
) -> tuple[SkyFit, Windows]:
    """Return the fit, a straight line in the gap about the laser, and where gas has lines that do not count."""

    def fitted(without: Windows = ()) -> SkyFit:
        found = fit_sky(slices, params, allowed=allowed, without=without)
        own, shared = (over_gap(one, found.first, found.step, gap) for one in (found.coefficient, found.shared))
        return replace(found, coefficient=own, shared=shared)

    fit = fitted()
    gas = _nebula(fit)
    if gas is None:
        return fit, ()
    windows = gas_windows(gas.velocity)  # lines of gas are not as bright in all slices: once more without
    return fitted(windows), windows


def _nebula(fit: SkyFit) -> Nebula | None:
    """Return the gas in the spectrum that the pieces share, if there is any: also of those that do not count for it."""
    wave, light = sampled(fit.shared.astype(np.float64), fit.first, fit.step)
    return nebula_in(wave, light[0], continuum_of(light[0], float(wave[1] - wave[0])))


def _lit_everywhere(
    fit: SkyFit, wanted: str, method: str, exposure: SliceSky | None, *, masked: bool
) -> tuple[str, tuple[str, ...]]:
    """Return the method where lines of gas were left in the sky: nebulae may be as even as the sky."""
    if wanted != "auto" or method != "own" or exposure is None or masked:
        return method, ()
    wave, light = sampled(fit.coefficient.astype(np.float64), fit.first, fit.step)
    found = nebula_in(wave, light[0], continuum_of(light[0], float(wave[1] - wave[0])))
    if found is None:
        return method, ()
    said = "lines of gas stand in all of the field: the sky's continuum is that of the closest SKY exposure"
    return "model", (said,)


def _crowd(fit: SkyFit) -> tuple[str, ...]:
    """Say so where pieces are not the sky of a slice and smooth light of objects."""
    if not fit.chi2 > _UNLIKE:
        return ()
    said = (
        f"pieces of slices are not one sky and smooth light of objects (chi-square {fit.chi2:.1f}): brightness and "
        "shifts of slices are less sure, and lines of stars may stand in the sky; give a SKY exposure or a SKY_MASK"
    )
    return (said,)


def _lit(fit: SkyFit, method: str, *, masked: bool) -> tuple[str, ...]:
    """Say so where pieces that were taken for sky have lines of their own, and what became of them."""
    share = f"{100.0 * fit.lit:.0f} per cent"
    if fit.lit > MOST_LIT and method not in {"none", "model", "subtract-model"}:
        said = "have lines of their own: an object fills the field, and its lines are taken for the sky's"
        return (f"{share} of the pieces taken for sky {said}; give a SKY exposure or a SKY_MASK",)
    if masked and 0.0 < fit.lit <= MOST_LIT:
        return (f"{share} of the pieces that SKY_MASK takes for sky have lines of their own, and do not count",)
    return ()


def _gas(spectrum: SkySpectrum, base: SkyContinuum, method: str) -> tuple[QualityNumber, tuple[str, ...]]:
    """Return how bright lines of a nebula are in the sky's spectrum, over its continuum, and what to do about it."""
    found = None if method == "none" else nebula_in(spectrum.wave, spectrum.light, base.light)
    if found is None:
        return QualityNumber("SKY NEBULA", 0.0, high=0.03), ()
    said = (
        f"lines of gas at {found.velocity:.0f} km/s ({', '.join(found.lines)}) stand in the sky's spectrum: light of "
        "an object is taken for sky; give a SKY exposure of a blank field, or a SKY_MASK"
    )
    return QualityNumber("SKY NEBULA", found.strength, high=0.03), (said,)


def _zero(fit: SkyFit, sky_lines: RawFrame | None) -> tuple[Zero, list[str]]:
    """Return the zero of the wavelengths, and what it rests on where that is not the list."""
    caveats = []
    zero = None
    if sky_lines is not None:
        zero = find_zero(fit, *_lines(sky_lines))
    if zero is None:
        zero = find_zero(fit, _BRIGHT_LINES, np.ones(2), least=2)
        why = "no list of sky lines" if sky_lines is None else "too few lines of the list can be told"
        base = "rests on two lines of oxygen" if zero else "is that of the arcs, for no bright line of the sky is seen"
        caveats.append(f"{why}: the zero of the wavelengths {base}")
    if zero is None:
        zero = Zero(0.0, 0.0, float("inf"), np.zeros(0), np.zeros(0), np.zeros(0), _WIDTH)
    return zero, caveats


def _numbers(fit: SkyFit, value: FloatArray, zero: Zero) -> tuple[QualityNumber, ...]:
    known = fit.dq == 0
    return (
        QualityNumber("SKY CHI2", fit.chi2, low=0.8, high=_UNLIKE),
        QualityNumber("SKY PIECES LIT", fit.lit, high=MOST_LIT),
        QualityNumber("SKY LAST STEP", fit.moved, high=SETTLED),
        QualityNumber("SLICE GAIN RMS", float(np.std(value[known, 0])), high=0.05),
        QualityNumber("SLICE GAIN ERROR", float(np.median(fit.error[known, 0])), high=0.005),
        QualityNumber("SLICE GAIN TOLD", float(np.median(fit.told[known])) if known.any() else 0.0),
        QualityNumber("SLICE GAIN SCALE", fit.scale, high=3.0),
        QualityNumber("WAVE SHIFT", float(np.median(value[known, 1])), "Angstrom", low=-0.6, high=0.6),
        QualityNumber("WAVE SHIFT RMS", float(np.std(value[known, 1])), "Angstrom"),
        QualityNumber("WAVE SHIFT ERROR", float(np.median(fit.error[known, 1])), "Angstrom", high=0.02),
        QualityNumber("WAVE ZERO ERROR", zero.error, "Angstrom", high=0.02),
        QualityNumber("NUM LOST SLICES", float(np.count_nonzero(fit.dq)), high=0.0),
    )


def _lines(table: RawFrame) -> tuple[FloatArray, FloatArray]:
    """Return wavelengths (Angstrom, air) and fluxes of a list of sky lines.

    Raises
    ------
    BadData
        No such columns.
    """
    found = table.table("lambda", "flux")
    return np.asarray(found["lambda"], np.float64), np.asarray(found["flux"], np.float64)


def _noun(fit: SkyFit, value: FloatArray, slices: Slices, zero: Zero, first: SliceSegments) -> SliceSky:
    """The spline stays on its own scale: its first knot moves with the zero."""
    return SliceSky(
        coefficient=fit.coefficient,
        detector=slices.detector,
        aperture=slices.aperture,
        gain=value[:, 0],
        gain_error=fit.error[:, 0],
        shift=value[:, 1],
        shift_error=np.hypot(fit.error[:, 1], zero.error),
        stretch=value[:, 2],
        excess=value[:, 3:5],
        skew=value[:, 5:7],
        flat=value[:, 7],
        dq=fit.dq,
        line_wave=zero.wave,
        line_offset=zero.offset,
        line_error=zero.spread,
        own_shift=zero.shift,
        own_stretch=zero.stretch,
        width=zero.width,
        first=fit.first,
        step=fit.step,
        meta=first.meta,
    )
