"""Products of ESO's pipeline among the raw files, as our own products: they take the place of what we would make."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre, polynomial

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.fields import FloatArray, IntArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import Frame, RawFrame
from tracecube.core.headers import number
from tracecube.core.outputs import OutputLinearity
from tracecube.core.params import Params
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.slice_flux import SliceResponse, Telluric
from tracecube.core.slice_light import SliceIllumination
from tracecube.core.slices import SliceExposureOnDisk, SliceTraces, SliceWavelengths
from tracecube.instruments.muse.ccd import described_quadrants, level_card, noise_card, trimmed_outputs
from tracecube.instruments.muse.eso_pixels import SAMPLING, dispersion
from tracecube.instruments.muse.eso_planes import flags_of
from tracecube.instruments.muse.exposure_steps import LAMP_CARD, LEVEL_CARD
from tracecube.instruments.muse.headers import night_of, start_mjd
from tracecube.instruments.muse.known_pixels import linearity_cards, listed_flags
from tracecube.instruments.muse.lit import lit_cards
from tracecube.instruments.muse.of_detector import closest_by_detector
from tracecube.recipes.optics.slice_traces import TraceParams, trace_slices
from tracecube.recipes.slices.lamp import lamp_spectrum

__all__ = ["given_bias", "given_dark", "given_flat", "given_response", "given_telluric", "given_traces", "given_waves"]

_SLICES = 48
_CUTS = 128  # of ESO's traces: rows of the detector over the 32 that make one cut
_WHOLE = 4500.0, 9500.0  # Angstrom, what the response may be wanted for
_GAP = 10.0  # Angstrom between samples, and three times what is usual, that are of two bands
_ORDERS = 3, 7  # terms across and along a slice, those of ESO's polynomials


class GivenParams(Params):
    """There is nothing to choose."""


@dataclass(frozen=True, kw_only=True)
class GivenFrame(Outputs):
    """An image of a detector."""

    frame: Frame


@dataclass(frozen=True, kw_only=True)
class GivenTraces(Outputs):
    """Where the slices lie."""

    traces: SliceTraces


@dataclass(frozen=True, kw_only=True)
class GivenWaves(Outputs):
    """Wavelengths."""

    wavelengths: SliceWavelengths


@dataclass(frozen=True, kw_only=True)
class GivenResponse(Outputs):
    """Response."""

    response: SliceResponse


@dataclass(frozen=True, kw_only=True)
class GivenTelluric(Outputs):
    """Bands of the atmosphere."""

    telluric: Telluric


def _said(raw: RawFrame, what: str) -> tuple[str, ...]:
    return (f"{what} of the observatory's pipeline ({raw.name}) takes the place of our own",)


def _meta(raw: RawFrame, **more: Scalar) -> Meta:
    """Return the header with the detector's name."""
    detector = raw.meta.get("DETECTOR") or raw.meta.get("UNITNAME")
    return {**raw.meta, "DETECTOR": detector, **more}


def _planes(raw: RawFrame) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Return DATA, STAT and our flags.

    Raises
    ------
    BadData
        One of the planes is absent.
    """
    if not {"DATA", "DQ", "STAT"} <= set(raw.images):
        raise BadData(f"{raw.name}: no images DATA, DQ and STAT", hint="is it a product of ESO's pipeline?")
    data, variance = (np.array(raw.images[name], np.float32) for name in ("DATA", "STAT"))
    return data, variance, flags_of(np.asarray(raw.images["DQ"]).astype(np.int64))


@recipe(version="4")
def given_bias(
    *,
    raw: RawFrame,
    bad_pixels: RawFrame | None = None,
    linearity: OutputLinearity | None = None,
    params: GivenParams,  # noqa: ARG001
) -> GivenFrame:
    """Take a MASTER_BIAS: its adu become electrons, the read noise is that of its quality numbers.

    What is known of the read-out goes with it, as with a bias of our own: bad pixels, gain and linearity.

    Raises
    ------
    MissingInput
        The read noise of an output is not told.
    """
    data, variance, flags = _planes(raw)
    cards: dict[str, Scalar] = {}
    for output, (chip, gain) in trimmed_outputs(raw.meta, raw.name).items():
        chip.of(data)[:] *= np.float32(gain)
        chip.of(variance)[:] *= np.float32(gain**2)
        noise = number(raw.meta, f"ESO QC BIAS MASTER{output} RON")
        if noise is None:
            raise MissingInput(f"{raw.name}: no ESO QC BIAS MASTER{output} RON", hint="use the raw biases instead")
        cards[noise_card(output)] = noise
        cards[level_card(output)] = number(raw.meta, f"ESO DRS MUSE OVSC{output} MEAN")
    meta = _meta(raw, **cards)
    if bad_pixels is not None:
        flags |= listed_flags(bad_pixels, str(meta["DETECTOR"]), described_quadrants(raw), data.shape)
    if linearity is not None:
        meta = {**meta, **linearity_cards(linearity)}
    return GivenFrame(frame=Frame(data, variance, flags, meta), caveats=_said(raw, "master bias"))


@recipe(version="2")
def given_dark(*, raw: RawFrame, params: GivenParams) -> GivenFrame:  # noqa: ARG001
    """Take a MASTER_DARK, which is of an hour."""
    return GivenFrame(frame=Frame(*_planes(raw), _meta(raw, BUNIT="electron/h")), caveats=_said(raw, "master dark"))


@recipe(version="2")
def given_flat(*, raw: RawFrame, params: GivenParams) -> GivenFrame:  # noqa: ARG001
    """Take a MASTER_FLAT: what it was before its mean was made 1.

    Raises
    ------
    MissingInput
        Its mean is not told.
    """
    data, variance, flags = _planes(raw)
    mean = number(raw.meta, "ESO QC FLAT MASTER MEAN")
    if mean is None:
        raise MissingInput(f"{raw.name}: no ESO QC FLAT MASTER MEAN", hint="use the raw flats instead")
    scale = np.float32(mean)
    frame = Frame(data * scale, variance * scale**2, flags, _meta(raw, BUNIT="electron"))
    return GivenFrame(frame=frame, caveats=_said(raw, "lamp flat"))


def _rows(raw: RawFrame, *names: str) -> Mapping[str, FloatArray]:
    """Return the columns of the table that has these.

    Raises
    ------
    BadData
        None has.
    """
    return {name: np.asarray(values, np.float64) for name, values in raw.table(*names).items()}


@recipe(version="1")
def given_traces(*, raw: RawFrame, flat: Frame, params: TraceParams) -> GivenTraces:
    """Take a TRACE_TABLE; over which width slices fade at their edges is measured in the flat."""
    columns = _rows(raw, "SliceNo", "tc0_00", "tc1_00", "tc2_00", "MSE0")
    y = np.arange(flat.data.shape[0]) + 1.0
    curves = []
    for which in range(3):
        names = sorted(name for name in columns if name.startswith(f"tc{which}_"))
        curves.append(np.array([polynomial.polyval(y, row) - 1.0 for row in np.stack([columns[n] for n in names], 1)]))
    lost = ~np.isfinite(curves[0][:, 0])
    dq = np.where(lost, int(Flag.NOT_MEASURED), 0).astype(np.int32)
    terms = len([name for name in columns if name.startswith("tc0_")])
    error = np.sqrt(columns["MSE0"] * terms / _CUTS)  # of a curve of as many terms through so many cuts
    traces = SliceTraces(
        aperture=columns["SliceNo"].astype(np.int32),
        start=np.zeros(dq.size, np.int32),
        dq=dq,
        edge=trace_slices(flat, count=_SLICES, params=params).traces.edge,
        centre=curves[0],
        left=curves[1],
        right=curves[2],
        error=np.repeat(error[:, None], y.size, axis=1),
        sample_dq=np.repeat(dq[:, None], y.size, axis=1),
        axis=0,
        meta=_meta(raw),
    )
    return GivenTraces(traces=traces, caveats=_said(raw, "trace table"))


@recipe(version="2")
def given_waves(*, raw: RawFrame, traces: SliceTraces, params: GivenParams) -> GivenWaves:  # noqa: ARG001
    """Take a WAVECAL_TABLE: its polynomials of the pixel's place become ours of the place in the slice.

    The covariance is that of a fit to as many lines as the header says of the slice; unknown where it says nothing.
    """
    columns = _rows(raw, "SliceNo", "wlc00", "wlc01", "MSE")
    names = [name for name in columns if name.startswith("wlc")]
    nx, ny = (1 + max(int(name[at]) for name in names) for at in (3, 4))
    rows = traces.centre.shape[1]
    half, reach = 0.5 * (rows - 1), 0.5 * float(np.nanmedian(traces.right - traces.left))
    y, t = np.arange(0.0, rows, 16.0), np.linspace(-1.0, 1.0, 15)
    nt, nu = max(_ORDERS[0], nx), max(_ORDERS[1], ny)
    design = np.einsum("ti,yj->ytij", polynomial.polyvander(t, nt - 1), legendre.legvander((y - half) / half, nu - 1))
    design = design.reshape(-1, nt * nu)
    count = columns["SliceNo"].size
    coefficient, covariance = np.full((count, nt, nu), np.nan), np.full((count, nu, nu), np.nan)
    for row in range(count):
        matrix = np.array([[columns[f"wlc{i}{j}"][row] for j in range(ny)] for i in range(nx)])
        if not np.isfinite(matrix).all() or traces.dq[row]:
            continue
        x = traces.centre[row][y.astype(int), None] + t * reach
        wave = polynomial.polyval2d(x + 1.0, np.broadcast_to(y[:, None] + 1.0, x.shape), matrix)
        coefficient[row] = np.linalg.lstsq(design, wave.ravel(), rcond=None)[0].reshape(nt, nu)
        covariance[row] = columns["MSE"][row] * _unit_covariance(raw, int(columns["SliceNo"][row]), nu)
    lost = ~np.isfinite(coefficient[:, 0, 0])
    line, listed = _no_lines()
    solution = SliceWavelengths(
        columns["SliceNo"].astype(np.int32), np.where(lost, int(Flag.NOT_MEASURED), 0).astype(np.int32),
        coefficient, covariance, np.sqrt(columns["MSE"]), *line, *listed, half, half, reach, "AWAV", _meta(raw),
    )  # fmt: skip
    untold = int(np.count_nonzero(~lost & ~np.isfinite(covariance[:, 0, 0])))
    caveats = [f"errors of the wavelengths of {untold} slices are unknown: no number of their lines"] if untold else []
    return GivenWaves(wavelengths=solution, caveats=(*_said(raw, "wavelength table"), *caveats))


def _unit_covariance(raw: RawFrame, aperture: int, terms: int) -> FloatArray:
    """Return the covariance of Legendre terms (k, k) fitted to even lines of unit error; NaN where too few are told."""
    lines = int(number(raw.meta, f"ESO QC WAVECAL SLICE{aperture} FIT NLINES") or 0)
    if lines < terms:
        return np.full((terms, terms), np.nan)
    basis = legendre.legvander(np.linspace(-1.0, 1.0, lines), terms - 1)
    return np.asarray(np.linalg.inv(basis.T @ basis))


_Line = tuple[IntArray, FloatArray, IntArray, FloatArray, FloatArray, FloatArray, IntArray]
_Listed = tuple[FloatArray, FloatArray, FloatArray]


def _no_lines() -> tuple[_Line, _Listed]:
    """Return the empty columns of lines that a table does not tell."""
    whole = np.zeros(0, np.int32)
    none = np.zeros(0)
    return (whole, none, whole, none, none, none, whole), (none, none, none)


@recipe(version="4")
def given_response(  # noqa: PLR0913 - what light relative to the lamp follows from
    *,
    raw: RawFrame,
    flats: Sequence[Frame],
    traces: Sequence[SliceTraces],
    wavelengths: Sequence[SliceWavelengths],
    twilights: Sequence[SliceIllumination] | None = None,
    exposures: Sequence[SliceExposureOnDisk] | None = None,
    params: GivenParams,  # noqa: ARG001
) -> GivenResponse:
    """Take a STD_RESPONSE, which is for counts of the first channel; ours is for light relative to the lamp.

    The lamp is that closest in time to the response, and so is the twilight by which exposures were divided: without
    one, exposures tell its level themselves (pixel tables of ESO's recipes do).
    """
    columns = _rows(raw, "lambda", "response")
    wave, magnitude = columns["lambda"], columns["response"]
    start_mjd(raw.meta, raw.name)  # what is closest to a time that is not told, no one knows
    flat_of = closest_by_detector(flats, raw.meta, "lamp flat")
    trace_of = closest_by_detector(traces, raw.meta, "traces")
    wave_of = closest_by_detector(wavelengths, raw.meta, "wavelengths")
    known = [one for one in flat_of.detectors if one in trace_of and one in wave_of]
    if not known:
        raise BadData(f"{raw.name}: no channel has flat, traces and wavelengths", hint="look at the calibrations")
    flat, trace, solution = flats[flat_of[known[0]]], traces[trace_of[known[0]]], wavelengths[wave_of[known[0]]]
    lamp_wave, lamp = lamp_spectrum(flat, trace, solution)
    level = _level(known[0], raw.meta, twilights or (), exposures or ())
    lamp = np.interp(wave, lamp_wave, lamp) * level
    mean = float(np.mean(flat.data, dtype=np.float64))
    lit: Meta = {"DETECTOR": known[0], LAMP_CARD: mean, LEVEL_CARD: level}
    ratio: FloatArray
    if raw.meta.get("ESO DRS MUSE FLUX FFCORR") is True:
        counts = 10.0 ** (0.4 * magnitude) * SAMPLING / dispersion(trace, solution, wave)
        ratio = counts / lamp
    else:
        ratio = 10.0 ** (0.4 * magnitude) * SAMPLING / (mean * level)
    error = ratio * columns.get("resperr", np.full(wave.size, np.nan)) / 1.0857
    response = SliceResponse(
        wave=wave,
        response=2.5 * np.log10(ratio * lamp),
        error=error / ratio * 1.0857,
        ratio=ratio,
        ratio_error=error,
        lamp=lamp,
        measured=ratio,
        used=np.ones(wave.size, np.int32),
        fwhm=float("nan"),
        meta={**flat.meta, **raw.meta, **lit_cards([lit])},
    )
    night = night_of(start_mjd(flat.meta, "lamp flat"))
    other = (
        f"it is for the lamp of {night}: exposures of other nights are off by as much as their lamp has other colours"
    )
    return GivenResponse(response=response, caveats=(*_said(raw, "response"), other))


def _level(
    detector: str, meta: Meta, twilights: Sequence[SliceIllumination], exposures: Sequence[SliceExposureOnDisk]
) -> float:
    """Return the light of the twilight over that of the lamp by which exposures of a channel were divided."""
    of_twilight = closest_by_detector(twilights, meta, "twilight")
    if detector in of_twilight:
        return float(np.nanmedian(twilights[of_twilight[detector]].level))
    of_exposure = closest_by_detector(exposures, meta, "exposure")
    if detector in of_exposure:
        return number(exposures[of_exposure[detector]].meta, LEVEL_CARD) or 1.0
    return 1.0


@recipe(version="2")
def given_telluric(*, raw: RawFrame, params: GivenParams) -> GivenTelluric:  # noqa: ARG001
    """Take a STD_TELLURIC, which is at airmass 1 and knows bands alone: between and beyond them nothing is absorbed."""
    columns = _rows(raw, "lambda", "ftelluric")
    told = columns["lambda"]
    error = columns.get("ftellerr", np.full(told.size, np.nan))
    wave = np.arange(_WHOLE[0], _WHOLE[1] + SAMPLING, SAMPLING)
    far = np.abs(told[np.clip(np.searchsorted(told, wave), 1, told.size - 1) - np.array([[1], [0]])] - wave)
    gap = max(_GAP, 3.0 * float(np.median(np.diff(told))))
    beyond = (far.max(axis=0) > gap) | (wave < told[0]) | (wave > told[-1])
    bands = Telluric(
        wave,
        np.where(beyond, 1.0, np.interp(wave, told, columns["ftelluric"])),
        np.where(beyond, 0.0, np.interp(wave, told, error)),
        1.0,
        _meta(raw),
    )
    return GivenTelluric(telluric=bands, caveats=_said(raw, "correction of the atmosphere's bands"))
