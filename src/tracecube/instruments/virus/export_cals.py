"""Remedy's table of calibrations: one row an amplifier."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.foreign import ForeignTable, Plane
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.instruments.virus.ccd import HALF, HALVES

__all__ = ["CcdCalibration", "cals_rows"]

FIBRES = 112
"""Fibres of an amplifier."""

_SPECTRA = ("lampspec", "scispec", "maskspec")
_IMAGES = ("masterdark", "masterflt", "mastertwi", "mastercmp", "mastersci", "masterbias")


@dataclass(frozen=True)
class CcdCalibration:
    """What is known of one CCD. What is not there becomes NaN.

    Parameters
    ----------
    unit : str
        slot/spectrograph/bundle/controller.
    side : {"L", "R"}
    traces, wavelengths : mapping of str to noun
        By amplifier.
    images : mapping of str to array (2064, 1032), electron
        ``masterdark``, ``masterflt``, ``mastertwi``, ``mastercmp``, ``mastersci``, ``masterbias``, as the CCD lies.
    flags : int array (2064, 1032) or None
        Bad pixels.
    spectra : mapping of str to FibreSpectra
        ``lampspec``, ``scispec``; ``maskspec`` is made of the flags of the first.
    read_noise : mapping of str to float, electron
        By amplifier.
    """

    unit: str
    side: str
    traces: Mapping[str, TraceSet]
    wavelengths: Mapping[str, WavelengthSolution]
    images: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    flags: NDArray[Any] | None = None
    spectra: Mapping[str, FibreSpectra] = field(default_factory=dict)
    read_noise: Mapping[str, float] = field(default_factory=dict)


def cals_rows(ccd: CcdCalibration) -> Iterator[ForeignTable]:
    """Rows of table Cals, one an amplifier that has traces.

    Raises
    ------
    BadData
        The unit's name is not of four parts.
    """
    parts = ccd.unit.split("/")
    if len(parts) != 4:  # noqa: PLR2004
        raise BadData(f"unit {ccd.unit!r} is not slot/spectrograph/bundle/controller", hint="see headers.unit")
    slot, spectrograph, bundle, controller = parts
    for half, amp in enumerate(HALVES[ccd.side]):
        if amp not in ccd.traces:
            continue
        rows = slice(half * HALF, (half + 1) * HALF)
        columns = [
            Plane("wavelength", _fibres(ccd.wavelengths[amp].wave, ccd.wavelengths[amp].aperture)
                  if amp in ccd.wavelengths else _none(), "Angstrom"),
            Plane("trace", _fibres(ccd.traces[amp].centre, ccd.traces[amp].aperture), "pix"),
            *(Plane(name, _spectra(ccd, name, amp), "electron" if name != "maskspec" else "") for name in _SPECTRA),
            *(Plane(name, _image(ccd.images.get(name), rows), "electron") for name in _IMAGES),
            Plane("pixelmask", (np.zeros((HALF, HALF), np.int32) if ccd.flags is None
                                else (np.asarray(ccd.flags[rows]) != 0).astype(np.int32))[None]),
            Plane("ifupos", _positions(ccd, amp), "arcsec"),
            Plane("ifuslot", np.array([int(slot)], np.int32)),
            Plane("ifuid", np.array([bundle.encode()], "S3")),
            Plane("specid", np.array([spectrograph.encode()], "S3")),
            Plane("contid", np.array([controller.encode()], "S8")),
            Plane("amp", np.array([amp.encode()], "S2")),
            Plane("readnoise", np.array([ccd.read_noise.get(amp, np.nan)], np.float32), "electron"),
        ]  # fmt: skip
        yield ForeignTable("Cals", tuple(columns))


def _none() -> NDArray[np.float32]:
    return np.full((1, FIBRES, HALF), np.nan, np.float32)


def _fibres(values: NDArray[Any], aperture: NDArray[Any]) -> NDArray[np.float32]:
    """Samples of the fibres in the order of the amplifier, (1, 112, 1032)."""
    out = _none()
    known = (np.asarray(aperture) >= 0) & (np.asarray(aperture) < FIBRES)
    out[0, np.asarray(aperture)[known], : values.shape[1]] = values[known]
    return out


def _image(values: NDArray[Any] | None, rows: slice) -> NDArray[np.float32]:
    if values is None:
        return np.full((1, HALF, HALF), np.nan, np.float32)
    return np.asarray(values[rows], np.float32)[None]


def _spectra(ccd: CcdCalibration, name: str, amp: str) -> NDArray[np.float32]:
    """Spectra of an amplifier; of the mask: 1 where a sample is flagged."""
    given = next(iter(ccd.spectra.values()), None) if name == "maskspec" else ccd.spectra.get(name)
    if given is None:
        return _none()
    mine = np.flatnonzero(np.asarray(given.amp).astype(str) == amp)
    values = (given.flags[mine] != 0).astype(np.float32) if name == "maskspec" else given.flux[mine]
    return _fibres(values, given.fibre[mine])


def _positions(ccd: CcdCalibration, amp: str) -> NDArray[np.float32]:
    """Places of the fibres in their bundle, (1, 112, 2)."""
    out = np.full((1, FIBRES, 2), np.nan, np.float32)
    for given in ccd.spectra.values():
        mine = np.flatnonzero(np.asarray(given.amp).astype(str) == amp)
        out[0, given.fibre[mine]] = np.column_stack([given.x[mine], given.y[mine]])
    return out
