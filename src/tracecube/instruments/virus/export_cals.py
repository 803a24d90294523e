"""Remedy's table of calibrations: one row an amplifier and night.

What stands in a column is what the reduction used, electrons: ``masterbias`` and ``masterdark`` are the structure with
its level that every exposure loses (the current, electron/s, stands beside it in ``darkcurrent``), ``masterflt``,
``mastercmp`` and ``mastertwi`` the means of lamps and twilights, which tasks keep on demand (``keep=true``);
``scispec``, ``mastersci`` and ``lampspec`` are no part of this reduction. What is not there is NaN.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import BadData
from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import HasMeta, Meta, Scalar
from tracecube.core.foreign import ForeignStream, ForeignTable, Plane
from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet, WavelengthSolution
from tracecube.core.several import TraceSets, WavelengthSolutions
from tracecube.instruments.virus.ccd import HALF, HALVES
from tracecube.instruments.virus.headers import night_of, number, text, unit

__all__ = ["CcdCalibration", "cals_rows", "period"]

FIBRES = 112
"""Fibres of an amplifier."""

_SPECTRA = ("lampspec", "scispec", "twispec", "maskspec")
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
        ``lampspec``, ``scispec``, ``twispec``; ``maskspec`` is made of the flags of the first.
    read_noise : mapping of str to float, electron
        By amplifier.
    current : mapping of str to float, electron/s
        Dark current, likewise.
    night : str
    """

    unit: str
    side: str
    traces: Mapping[str, TraceSet]
    wavelengths: Mapping[str, WavelengthSolution]
    images: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    flags: NDArray[Any] | None = None
    spectra: Mapping[str, FibreSpectra] = field(default_factory=dict)
    read_noise: Mapping[str, float] = field(default_factory=dict)
    current: Mapping[str, float] = field(default_factory=dict)
    night: str = ""


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
            Plane("pixelmask", (np.full((HALF, HALF), -1, np.int32) if ccd.flags is None
                                else (np.asarray(ccd.flags[rows]) != 0).astype(np.int32))[None]),
            Plane("ifupos", _positions(ccd, amp), "arcsec"),
            Plane("ifuslot", np.array([int(slot)], np.int32)),
            Plane("ifuid", np.array([bundle.encode()], "S3")),
            Plane("specid", np.array([spectrograph.encode()], "S3")),
            Plane("contid", np.array([controller.encode()], "S8")),
            Plane("amp", np.array([amp.encode()], "S2")),
            Plane("readnoise", np.array([ccd.read_noise.get(amp, np.nan)], np.float32), "electron"),
            Plane("darkcurrent", np.array([ccd.current.get(amp, np.nan)], np.float32), "electron/s"),
            Plane("night", np.array([ccd.night.encode()], "S10")),
        ]  # fmt: skip
        yield ForeignTable("Cals", tuple(columns))


_Noun = TypeVar("_Noun", bound=HasMeta)
_Key = tuple[str, str, str]


class _Ordered(Generic[_Noun]):
    """Products in the order of their names, night by night and unit by unit, gone through once beside others."""

    def __init__(self, nouns: Iterable[_Noun]) -> None:
        self._rest = iter(nouns)
        self._next: _Noun | None = next(self._rest, None)

    def at(self, key: _Key) -> _Noun | None:
        """Return the product of a night, unit and CCD, if there is one; those before it are passed over."""
        while self._next is not None and _key(self._next.meta) < key:
            self._next = next(self._rest, None)
        found = self._next
        return found if found is not None and _key(found.meta) == key else None


def _key(meta: Meta) -> _Key:
    """Night, unit and side, as the names of products begin."""
    return night_of(meta, "calibration"), unit(meta, "calibration"), text(meta, "CCDPOS")


def period(
    _: Mapping[str, Scalar],
    *,
    traces: Iterable[TraceSets],
    wavelengths: Iterable[WavelengthSolutions],
    darks: Iterable[Frame],
    twilights: Iterable[FibreSpectra],
    flats: Iterable[Frame],
    arcs: Iterable[Frame],
    skies: Iterable[Frame],
) -> ForeignStream:
    """Lay out the calibrations of all nights: table Cals, one row an amplifier and night, one CCD in memory at a time.

    Products come in the order of their names, which begin with night, unit and CCD.
    """
    all_waves, all_darks, all_twilights = _Ordered(wavelengths), _Ordered(darks), _Ordered(twilights)
    images = {"masterflt": _Ordered(flats), "mastercmp": _Ordered(arcs), "mastertwi": _Ordered(skies)}

    def rows() -> Iterator[ForeignTable]:
        for one in traces:
            key = _key(one.meta)
            waves, dark, twilight = all_waves.at(key), all_darks.at(key), all_twilights.at(key)
            means = {name: frame.data for name, some in images.items() if (frame := some.at(key)) is not None}
            yield from cals_rows(
                CcdCalibration(
                    unit=key[1],
                    side=key[2],
                    traces=_by_amp(one.parts),
                    wavelengths=_by_amp(waves.parts) if waves is not None else {},
                    images={**means, **_structure(dark, key[2])},
                    flags=None if dark is None else dark.flags,
                    spectra={} if twilight is None else {"twispec": twilight},
                    read_noise=_cards(dark, "RN", key[2]),
                    current=_cards(dark, "DARK", key[2]),
                    night=key[0],
                )
            )

    return ForeignStream(rows(), {"TITLE": "VIRUS calibrations"})


def _by_amp(parts: Mapping[str, Any]) -> dict[str, Any]:
    return {name[-2:]: part for name, part in parts.items()}


def _cards(dark: Frame | None, key: str, side: str) -> dict[str, float]:
    """Numbers of a master dark by amplifier."""
    found = {amp: number(dark.meta, f"{key} {amp}") for amp in HALVES[side]} if dark is not None else {}
    return {amp: value for amp, value in found.items() if value is not None}


def _structure(dark: Frame | None, side: str) -> dict[str, NDArray[Any]]:
    """What every exposure loses, with its level."""
    if dark is None:
        return {}
    data = np.array(dark.data, np.float32)
    for half, amp in enumerate(HALVES[side]):
        data[half * HALF : (half + 1) * HALF] += np.float32(_cards(dark, "LEVEL", side).get(amp, np.nan))
    return {"masterbias": data, "masterdark": data}


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
