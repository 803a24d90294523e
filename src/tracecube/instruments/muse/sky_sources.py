"""Where the sky of an exposure comes from: the exposure itself, an exposure of the sky, a mask of the user."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.spatial import cKDTree

from tracecube.core.fields import BoolArray, FloatArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.slice_light import SkyContinuum, SkySpectrum, SliceSky
from tracecube.core.slices import SliceSegments
from tracecube.core.spectra import Image
from tracecube.instruments.muse.geometry import spaxel
from tracecube.instruments.muse.headers import SAME_EXPOSURE, exposure_time, number, start_mjd, text
from tracecube.instruments.muse.pointing import Pointing, on_sky, pointing_of, with_astrometry
from tracecube.instruments.muse.sky_axes import SkyAxes, told
from tracecube.kernels.tangent_plane import plane_to_sky
from tracecube.recipes.slices.cube import Grid, flat_cards
from tracecube.recipes.slices.sky_exposure import borrowed_sky, continuum_of, sampled
from tracecube.recipes.slices.sky_fit import REFERENCE, SPAN, SkyFit, Windows
from tracecube.recipes.slices.sky_pieces import Slices
from tracecube.recipes.slices.sky_zero import Zero

__all__ = ["chosen_method", "mask_image", "masked_pieces", "pointing_with", "spectra_of", "with_method"]

_FULL = 0.015  # scatter of the faintest pieces over their level, beyond which objects fill the field
_FAINTEST = 0.4  # share of the pieces for that


def chosen_method(wanted: str, slices: Slices, exposure: SliceSky | None) -> tuple[str, list[str]]:
    """Return the method that is used, and what people should know of it.

    Without a word it is the exposure's own sky; in a field that objects fill, that of the closest exposure of the sky.
    """
    full = _scatter(slices) > _FULL
    if wanted == "auto" and full and exposure is None:
        return "own", ["objects fill the field, and no SKY is there: light that all pieces see is taken for sky"]
    if wanted == "auto":
        said = ["objects fill the field: the sky's continuum is that of the closest SKY exposure"] if full else []
        return ("model" if full else "own"), said
    if wanted in {"model", "subtract-model"} and exposure is None:
        return "own", [f"skysubtraction={wanted}, and there is no SKY exposure: the sky is that of the exposure itself"]
    return wanted, ["no sky is subtracted"] if wanted == "none" else []


def _scatter(slices: Slices) -> float:
    """Return how much the faintest pieces differ, over their level."""
    white = slices.white[np.isfinite(slices.white)]
    if not white.size:
        return 0.0
    faint = white[white <= np.quantile(white, _FAINTEST)]
    middle = float(np.median(faint))
    return 1.4826 * float(np.median(np.abs(faint - middle))) / abs(middle) if middle else 0.0


def with_method(
    fit: SkyFit, method: str, exposure: SliceSky | None, meta: Meta, zero: Zero, without: Windows = ()
) -> tuple[SkyFit, tuple[QualityNumber, ...]]:
    """Return the fit with the spectrum that the method takes, and numbers of it; gas has lines ``without``."""
    if method == "none":
        return replace(fit, coefficient=np.zeros_like(fit.coefficient)), ()
    if method == "simple":
        value = fit.value.copy()
        value[:, 3:] = 0.0
        return replace(fit, value=value), ()
    if exposure is None or method == "own":
        return fit, ()
    scale = exposure_time(meta, "exposure") / exposure_time(exposure.meta, "SKY exposure")
    place = zero.shift, zero.stretch
    found = borrowed_sky(fit, exposure, zero=place, scale=scale, refit=method == "model", without=without)
    numbers = (
        QualityNumber("SKY LINES RATIO", found.strength, low=0.3, high=3.0),
        QualityNumber("SKY LINES CHANGE", found.change),
        QualityNumber("SKY LINES APART", found.apart),
        QualityNumber("SKY LINES LEFT", found.left, high=0.02),
    )
    return replace(fit, coefficient=found.coefficient), numbers if method == "model" else ()


def spectra_of(sky: SliceSky) -> tuple[SkySpectrum, SkyContinuum]:
    """Return the spectrum of the sky and its continuum, at true wavelengths."""
    wave, light = sampled(np.asarray(sky.coefficient, np.float64), sky.first, sky.step)
    true = wave + sky.own_shift + sky.own_stretch * (wave - REFERENCE) / SPAN
    base = continuum_of(light[0], float(wave[1] - wave[0]))
    spectrum = SkySpectrum(true, light[0], {**sky.meta, "ESO PRO CATG": "SKY_SPECTRUM"})
    return spectrum, SkyContinuum(true, base, {**sky.meta, "ESO PRO CATG": "SKY_CONTINUUM"})


def _places(segments: Sequence[SliceSegments], pointing: Pointing) -> tuple[FloatArray, FloatArray]:
    """Return places of all pieces to the west and north (arcsec)."""
    x = np.concatenate([np.asarray(one.x, np.float64) for one in segments])
    y = np.concatenate([np.asarray(one.y, np.float64) for one in segments])
    return on_sky(x, y, pointing)


def pointing_with(segments: Sequence[SliceSegments], astrometry: RawFrame | None) -> Pointing:
    """Return where an exposure lies on the sky, as its cube will.

    Raises
    ------
    MissingInput
        A card of the pointing is absent.
    """
    meta = segments[0].meta
    return with_astrometry(pointing_of(meta, "exposure"), astrometry, spaxel(meta))


def masked_pieces(
    masks: Sequence[RawFrame], segments: Sequence[SliceSegments], pointing: Pointing
) -> tuple[BoolArray | None, tuple[str, ...]]:
    """Return which pieces see sky by the mask of this exposure (the same MJD-OBS), and caveats; None without one.

    The mask may be turned.

    Raises
    ------
    MissingInput, BadData
        The mask has no image, no axes, another projection, or no scale.
    """
    meta = segments[0].meta
    for frame in masks:
        time = number(frame.meta, "MJD-OBS")
        if time is None or abs(time - start_mjd(meta, "exposure")) > SAME_EXPOSURE:
            continue
        image, column, row = _mask_pixels(frame, segments, pointing)
        known = np.isfinite(column) & np.isfinite(row)
        at = np.rint(np.where(known, row, -1)).astype(int), np.rint(np.where(known, column, -1)).astype(int)
        inside = (at[0] >= 0) & (at[0] < image.shape[0]) & (at[1] >= 0) & (at[1] < image.shape[1])
        found = np.zeros(column.size, bool)
        found[inside] = image[at[0][inside], at[1][inside]] > 0
        return found, ()
    if not masks:
        return None, ()
    names = ", ".join(f"{one.name} ({one.meta.get('MJD-OBS')})" for one in masks)
    time = start_mjd(meta, "exposure")
    return None, (f"no SKY_MASK has the MJD-OBS of this exposure, {time:.6f}: not used is {names}",)


def _mask_pixels(
    frame: RawFrame, segments: Sequence[SliceSegments], pointing: Pointing
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the image of a mask, and its columns and rows (from 0) in which pieces lie.

    Its axes are those of the sky, or spaxels along the axes of the field, as ESO's recipe writes them (CTYPE PIXEL).
    """
    if text(frame.meta, "CTYPE1") != "PIXEL":
        axes = SkyAxes.of(frame, 2)
        x, y = _places(segments, pointing)
        return axes.image, *axes.pixel_of(*plane_to_sky(-x, y, pointing.ra, pointing.dec))
    x, y = (np.concatenate([np.asarray(getattr(one, axis), np.float64) for one in segments]) for axis in ("x", "y"))
    along, across = spaxel(segments[0].meta)
    column = (x / along - told(frame, "CRVAL1")) / told(frame, "CD1_1") + told(frame, "CRPIX1") - 1.0
    row = (y / across - told(frame, "CRVAL2")) / told(frame, "CD2_2") + told(frame, "CRPIX2") - 1.0
    return frame.data, column, row


def mask_image(segments: Sequence[SliceSegments], blank: BoolArray, pointing: Pointing) -> Image:
    """Return an image of the field: 1 where pieces saw sky, 0 elsewhere, flagged where no piece lies."""
    meta = segments[0].meta
    side = spaxel(meta)[0]
    x, y = _places(segments, pointing)
    known = np.isfinite(x) & np.isfinite(y)
    low = np.floor(np.array([x[known].min(), y[known].min()]) / side) - 1
    high = np.ceil(np.array([x[known].max(), y[known].max()]) / side) + 1
    columns, rows = (high - low + 1).astype(int)
    grid = Grid(0.0, 1.0, float(low[0] * side), float(low[1] * side), side, (1, int(rows), int(columns)))
    row, column = np.mgrid[:rows, :columns]
    stretch = np.array([0.1, 1.0])  # a piece is some ten spaxels long and one wide
    tree = cKDTree(np.stack([x[known], y[known]], axis=1) * stretch)
    at = np.stack([grid.x0 + side * column.ravel(), grid.y0 + side * row.ravel()], axis=1) * stretch
    far, nearest = tree.query(at)
    data = blank[known][nearest].reshape(row.shape).astype(np.float32)
    flags = np.where(far.reshape(row.shape) < 1.5 * side, 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    cards = flat_cards({**meta, **grid.cards(pointing.ra, pointing.dec)})
    cards["ESO PRO CATG"] = "SKY_MASK"
    return Image(data, np.zeros_like(data), flags, cards)
