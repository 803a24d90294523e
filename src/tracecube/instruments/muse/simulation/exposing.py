"""Light of each kind of exposure on the pixels of one channel: lamps, twilight, the night sky with its sources."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import ndtr

from tracecube.core.fields import FloatArray
from tracecube.instruments.muse.simulation import light
from tracecube.instruments.muse.simulation.airglow import Airglow
from tracecube.instruments.muse.simulation.field import GAS_LINES, Source, seeing, shares
from tracecube.instruments.muse.simulation.lamps import Lamp
from tracecube.instruments.muse.simulation.lsf import LineSpread
from tracecube.instruments.muse.simulation.observing import Aim
from tracecube.instruments.muse.simulation.optics import SLICES, Optics, State
from tracecube.instruments.muse.simulation.paint import EVEN, SHARE_WAVES, Beam, Part, paint, smear, smear_lines
from tracecube.instruments.muse.simulation.readout import Chip

__all__ = ["Conditions", "Hardware", "arc_light", "flat_light", "night_light", "twilight_light"]

_C = 299792.458  # km/s
_LAMP_SLOPE = 1.0e-4  # a spaxel along each slice, that the sky does not show
_FIELD_SLOPE = 2.0e-4  # a spaxel to the west, of all light through the telescope
_TWILIGHT_SLOPE = 4.0e-6  # a spaxel
_ROLL = 2.5  # px over which light of the sky fades at the ends of slices
_EDGE, _WITHIN = 2.0, 8.0  # Angstrom over which the filter against the laser fades, so far within its gap
_RIM, _MIDDLE, _HALF_BAND = 150.0, 7000.0, 2300.0  # spaxels, Angstrom: where the tint is as it is told
_GLOW = 2.0e-4  # of arc lamps between the lines, an Angstrom


@dataclass(frozen=True)
class Hardware:
    """One channel.

    Parameters
    ----------
    optics : Optics
    spread : LineSpread
    chip : Chip
    gap : (float, float) or None, Angstrom
        What the filter against the sodium laser takes away, where it is in.
    tint : float
        By how much more red light than blue the west of the field gets through the telescope: at 30 arcsec from the
        centre, between 7000 and 9300 Angstrom.
    """

    optics: Optics
    spread: LineSpread
    chip: Chip
    gap: tuple[float, float] | None = None
    tint: float = 0.0


@dataclass(frozen=True)
class Conditions:
    """The sky of one exposure.

    Parameters
    ----------
    aim : Aim
        Where the telescope truly points.
    seeing : float, arcsec
        At zenith and 5000 Angstrom.
    transparency : float
    velocity : float, km/s
        That makes observed wavelengths barycentric.
    lines : array (n,), erg/s/cm2/spaxel
        Of the airglow.
    moon : float, AB mag/arcsec2
    """

    aim: Aim
    seeing: float
    transparency: float
    velocity: float
    lines: FloatArray
    moon: float


def flat_light(hardware: Hardware, state: State, electrons: float) -> FloatArray:
    """Electrons of the continuum lamps; ``electrons`` is their length (s) times how bright they are."""
    smooth = np.broadcast_to(electrons * light.flat_lamp(), (SLICES, light.GRID.size))
    return _painted(hardware, state, smooth, _lamp_even(hardware.optics))


def arc_light(hardware: Hardware, state: State, lamp: Lamp, electrons: float) -> FloatArray:
    """Electrons of an arc lamp, ``electrons`` times as bright as usual."""
    blaze = light.throughput(lamp.wave) / 0.3
    smooth = smear_lines(lamp.wave, electrons * lamp.electrons * blaze, hardware.spread)
    smooth = smooth + _GLOW * electrons * lamp.electrons.max() * light.throughput(light.GRID) / 0.3
    return _painted(hardware, state, smooth, _lamp_even(hardware.optics))


def twilight_light(hardware: Hardware, state: State, electrons: float) -> FloatArray:
    """Electrons of the twilight sky; ``electrons`` is its length (s) times how bright it is."""
    optics = hardware.optics
    even = _sky_even(optics) * (1.0 + _TWILIGHT_SLOPE * _places(optics)[0])
    return _tinted(
        _painted(hardware, state, electrons * smear(light.twilight(), hardware.spread), even), hardware, state
    )


def night_light(
    hardware: Hardware,
    state: State,
    night: Conditions,
    glow: Airglow,
    sources: Sequence[tuple[Source, float, float]],
    seconds: float,
) -> FloatArray:
    """Electrons of the night sky and of sources in it.

    Parameters
    ----------
    hardware : Hardware
    state : State
    night : Conditions
    glow : Airglow
    sources : sequence of (Source, float, float)
        With right ascension and declination, degree.
    seconds : float
    """
    spread, optics = hardware.spread, hardware.optics
    per_flux = light.electrons_of_flux(light.GRID, seconds)
    smooth = smear(per_flux * light.dark_sky(night.moon), spread)
    smooth = smooth + smear_lines(glow.wave, night.lines * light.electrons_of_flux(glow.wave, seconds), spread)
    clear = night.transparency * 10.0 ** (-0.4 * night.aim.airmass * light.extinction(light.GRID))
    seen = per_flux * clear * light.absorption(night.aim.airmass)
    parts = []
    for lines in sorted({source.lines for source, _, _ in sources}):
        own = [one for one in sources if one[0].lines == lines and one[0].flux > 0]
        at = light.GRID * (1.0 + night.velocity / _C)
        series = 1.0 if lines == "none" else np.interp(at, light.GRID, light.star_lines(lines))
        weights = np.array([source.continuum(SHARE_WAVES) for source, _, _ in own])
        if own:
            parts.append(Part(smear(seen * series, spread), _shares(own, weights, night, optics)))
    for redshift in sorted({source.redshift for source, _, _ in sources if source.halpha > 0}):
        own = [one for one in sources if one[0].halpha > 0 and one[0].redshift == redshift]
        wave = np.array([rest for _, rest, _ in GAS_LINES]) * (1.0 + redshift) / (1.0 + night.velocity / _C)
        strength = np.array([ratio for _, _, ratio in GAS_LINES]) * np.interp(wave, light.GRID, seen)
        weights = np.array([np.full(SHARE_WAVES.size, source.halpha) for source, _, _ in own])
        parts.append(Part(smear_lines(wave, strength, spread), _shares(own, weights, night, optics)))
    return _tinted(_painted(hardware, state, smooth, _sky_even(optics), *parts), hardware, state)


def _shares(
    sources: Sequence[tuple[Source, float, float]], weights: FloatArray, night: Conditions, optics: Optics
) -> FloatArray:
    east, north = night.aim.offsets(np.array([ra for _, ra, _ in sources]), np.array([dec for _, _, dec in sources]))
    fwhm = seeing(night.seeing, SHARE_WAVES, night.aim.airmass)
    return shares([source for source, _, _ in sources], weights, (east, north), night.aim, optics, fwhm)


def _painted(hardware: Hardware, state: State, smooth: FloatArray, even: FloatArray, *parts: Part) -> FloatArray:
    optics = hardware.optics
    if hardware.gap is not None:
        passed = _passed(hardware.gap)
        smooth = smooth * passed
        parts = tuple(replace(part, spectrum=part.spectrum * passed) for part in parts)
    return paint(Beam.of(optics, state), optics, optics.throughput * state.gain, smooth, even, *parts)


def _tinted(image: FloatArray, hardware: Hardware, state: State) -> FloatArray:
    """Return light through the telescope with its change from blue to red across the field; lamps do not show it."""
    if hardware.tint == 0.0:
        return image
    optics, beam = hardware.optics, Beam.of(hardware.optics, state)
    x = np.arange(image.shape[1])
    change = np.zeros_like(image)
    for s in range(SLICES):
        half = 0.5 * float(optics.width[s]) + 3.0
        low, high = int(beam.middle[s].min() - half), int(beam.middle[s].max() + half) + 1
        own = slice(max(low, 0), min(high, x.size))
        d = x[None, own] - beam.middle[s][:, None]
        wave = beam.wave[s, :, 0, None] + d * (beam.wave[s, :, 1, None] + d * beam.wave[s, :, 2, None])
        west = optics.x[s] - d / optics.width[s] * optics.length[s]
        light_of = hardware.tint * west / _RIM * (wave - _MIDDLE) / _HALF_BAND
        change[:, own] = np.where(np.abs(d) < half, light_of, change[:, own])
    return np.asarray(image * (1.0 + change))


def _passed(gap: tuple[float, float]) -> FloatArray:
    """Return the transmission of the filter against the laser on the grid of wavelengths; its edges are soft."""
    low, high = gap[0] + _WITHIN, gap[1] - _WITHIN
    return np.asarray(1.0 - ndtr((light.GRID - low) / _EDGE) * (1.0 - ndtr((light.GRID - high) / _EDGE)))


def _places(optics: Optics) -> tuple[FloatArray, FloatArray]:
    """Places in the field (spaxels, west and north; (48, 129)) of `EVEN` in each slice."""
    t, turn = EVEN[None, :] * optics.length[:, None], np.radians(optics.angle)[:, None]
    return optics.x[:, None] + t * np.cos(turn), optics.y[:, None] + t * np.sin(turn)


def _lamp_even(optics: Optics) -> FloatArray:
    """How even light of the lamps is along the slices, in an area of one pixel."""
    return np.asarray(1.0 + _LAMP_SLOPE * EVEN[None, :] * optics.length[:, None])


def _sky_even(optics: Optics) -> FloatArray:
    """How even light through the telescope is along the slices: electrons of a pixel over those of a spaxel."""
    px = optics.width[:, None]
    left = optics.left[:, None] * np.exp(-(0.5 - EVEN) * px / _ROLL)  # columns run against the field
    right = optics.right[:, None] * np.exp(-(0.5 + EVEN) * px / _ROLL)
    area = (optics.length / optics.width)[:, None]
    return np.asarray(area * (1.0 - left - right) * (1.0 + _FIELD_SLOPE * _places(optics)[0]))
