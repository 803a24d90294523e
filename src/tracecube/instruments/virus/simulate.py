"""A night of raw frames, made by a forward model of fibres, light and read-out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.virus.ccd import HALVES
from tracecube.instruments.virus.classify import classify
from tracecube.instruments.virus.simulation import light, readout, scored, tables, truth
from tracecube.instruments.virus.simulation.detectability import Seen, line_signal_to_noise
from tracecube.instruments.virus.simulation.field import (
    FIBRE_AREA,
    NODES,
    Air,
    Disc,
    Emitter,
    Light,
    Source,
    Star,
    draw_sources,
    fibre_light,
)
from tracecube.instruments.virus.simulation.geometry import AMPS, Pointing, amp_rows, bundle, in_plane, slots
from tracecube.instruments.virus.simulation.headers import Unit, frame_name, header
from tracecube.instruments.virus.simulation.optics import draw_spectrograph, paint
from tracecube.instruments.virus.simulation.schedule import DITHERS, Shot, schedule
from tracecube.simulate.night import raw_image

__all__ = ["FAULTS", "simulate"]

FAULTS = {
    "dead": "one amplifier reads 65535 all night",
    "swapped": "two units stood in each other's slots when the observation was made",
    "controller": "one unit had another controller when the observation was made",
    "crossed": "the cables of two amplifiers of a unit were exchanged when the observation was made",
    "no_hg": "the mercury lamp was not exposed",
    "no_cd": "the cadmium lamp was not exposed",
}
"""What can be wrong with a night."""

_MOST = 78
_NOON = 12.2  # degree Celsius, see schedule
_WOBBLE = 0.2  # degree Celsius: optics follow the dome's thermometer no better


def simulate(
    *,
    seed: int = 1,
    ifus: int = 2,
    exposures: int = 3,
    size: Literal["small", "night"] = "small",
    field: Literal["empty", "sparse", "crowded"] = "sparse",
    faults: str = "",
    files: Literal["loose", "tar"] = "loose",
) -> Iterator[RawFrame]:
    """Simulate a night.

    Parameters
    ----------
    seed : int
        Same seed, same night, bit for bit.
    ifus : int
        Fibre bundles, 1 to 78, each with two CCDs.
    exposures : int
        Dithers of the observation, 0 to 3.
    size : {"small", "night"}
        Few calibrations, or as many as a night has.
    field : {"empty", "sparse", "crowded"}
        Sky alone, about eight stars in a bundle, or about seventy; with stars go emission lines, and one faint disc.
    faults : str
        Names of `FAULTS`, with "+" between them.
    files : {"loose", "tar"}
        One file a frame, or one archive an observation.

    Yields
    ------
    RawFrame
        Raw files in order of time, text tables, then the truth in ``truth/``.

    Raises
    ------
    ValueError
        Such a night cannot be.
    """
    wrong = tuple(name for name in faults.split("+") if name)
    if not 1 <= ifus <= _MOST or not 0 <= exposures <= len(DITHERS):
        raise ValueError(f"1 to {_MOST} ifus, 0 to {len(DITHERS)} exposures")
    for value, known in ((field, ("empty", "sparse", "crowded")), (files, ("loose", "tar"))):
        if value not in known:
            raise ValueError(f"{value!r} is none of {', '.join(known)}")
    if set(wrong) - set(FAULTS) or ("swapped" in wrong and ifus == 1):
        raise ValueError(f"faults are {', '.join(FAULTS)}; two units are needed to be swapped")
    night = _Night(seed, ifus, field, wrong)
    lamps = tuple(lamp for lamp, off in (("Hg", "no_hg"), ("Cd-A", "no_cd")) if off not in wrong)
    for shot in schedule(seed, size, exposures, lamps):
        yield from night.frames(shot, archived=files == "tar")
    yield from night.tables()


class _Night:
    """What stays the same all night, and what is known of it so far."""

    def __init__(self, seed: int, ifus: int, field: str, faults: tuple[str, ...]) -> None:
        self.seed, self.faults = seed, faults
        chosen = slots(self.draw("slots"), ifus, schedule(seed, "small", 0, ())[0].start.date())
        hardware = self.draw("hardware")
        numbers = hardware.permutation(np.arange(301, 401))
        self.units = [_unit(hardware, place, int(numbers[i])) for i, place in enumerate(chosen)]
        self.optics = {
            (u.specid, side): draw_spectrograph(self.draw(f"{u.specid}{side}")) for u in self.units for side in "LR"
        }
        self.chips = {key: readout.make_chip(self.draw(f"chip{key}")) for key in self.optics}
        rng = self.draw("pointing")
        ra, dec, parallactic = rng.uniform(150.0, 230.0), rng.uniform(46.0, 56.0), rng.uniform(60.0, 80.0)
        self.pointing = Pointing(float(ra), float(dec), float(parallactic))
        away = rng.normal(0.0, 2.0 / 3600.0, 2)
        self.told = Pointing(float(ra + away[0] / np.cos(np.radians(dec))), float(dec + away[1]), float(parallactic))
        self.pointing = replace(self.pointing, offset=float(rng.normal(0.0, 0.08)))
        self.sources: dict[int, list[Source]] = {
            unit.slot: draw_sources(self.draw(f"sources{unit.slot}"), unit.slot, field, first=i == 0)
            for i, unit in enumerate(self.units)
        }
        self.skew = float(self.draw("refraction").normal(0.0, 3.0))
        self.spectra = {"flt": light.flat_lamp(), "twi": light.twilight()}
        self.spectra |= {lamp: light.lamp_lines(lamp, self.draw(f"lamp{lamp}")) for lamp in light.ARCS}
        self.told_of: set[tuple[str, int, str]] = set()
        self.airs: list[tuple[Air, float]] = []
        self.seen: dict[str, list[truth.Columns]] = {"optics": [], "exposures": [], "fibres": [], "hits": []}

    def draw(self, what: str) -> np.random.Generator:
        """Random numbers of one thing, independent of the order in which things are made."""
        return np.random.default_rng([self.seed, *what.encode()])

    def dead(self, unit: Unit) -> tuple[str, ...]:
        """Amplifiers of a unit that do not read."""
        return ("LU",) if "dead" in self.faults and unit.slot == self.units[0].slot else ()

    def crossed(self, unit: Unit) -> dict[str, str]:
        """Amplifiers whose files hold the counts of another one during the observation."""
        wrong = "crossed" in self.faults and unit.slot == self.units[0].slot
        return {"RL": "RU", "RU": "RL"} if wrong else {}

    def present(self, kind: str) -> list[Unit]:
        """What stood in the slots during an exposure of a kind."""
        units = list(self.units)
        if kind != "sci":
            return units
        if "swapped" in self.faults:
            a, b = units[:2]
            units[:2] = [replace(b, slot=a.slot, x=a.x, y=a.y), replace(a, slot=b.slot, x=b.x, y=b.y)]
        if "controller" in self.faults:
            units[-1] = replace(units[-1], contid="S/N 0199")
        return units

    def frames(self, shot: Shot, *, archived: bool) -> Iterator[RawFrame]:
        """Expose all spectrographs."""
        rng = self.draw(shot.stamp)
        kelvin = shot.celsius - _NOON + (rng.normal(0.0, _WOBBLE) if shot.kind in {"sci", "twi"} else 0.0)
        air = self._air(shot, rng) if shot.kind in {"sci", "twi"} else None
        if shot.kind == "sci" and air is not None:
            self.spectra["sky"] = light.night_sky(air.sky)
            self.seen["exposures"].append(truth.exposure_row(shot, air))
            self.airs.append((air, shot.seconds))
        for unit in self.present(shot.kind):
            shares = fibre_light(self.sources[unit.slot], air) if shot.kind == "sci" and air is not None else []
            if shot.kind == "sci" and air is not None:
                self.seen["fibres"].append(self._fibres(shot, unit, air, shares))
            for side in HALVES:
                yield from self._ccd(shot, unit, side, (kelvin, air, shares), archived=archived)

    def _air(self, shot: Shot, rng: np.random.Generator) -> Air:
        """Draw the sky of an exposure."""
        nominal = DITHERS[shot.number - 1] if shot.kind == "sci" else (0.0, 0.0)
        off = rng.normal(0.0, 0.06, 2) if shot.kind == "sci" and shot.number > 1 else (0.0, 0.0)
        slope = rng.normal(0.0, 8.0e-5 if shot.kind == "sci" else 1.0e-5, 2)
        return Air(
            fwhm=float(rng.uniform(1.4, 2.2)),
            transparency=float(rng.uniform(0.85, 1.0)),
            illumination=float(rng.uniform(0.85, 1.05)),
            sky=float(rng.normal(1.0, 0.04)),
            gradient=(float(slope[0]), float(slope[1])),
            shift=(float(nominal[0] + off[0]), float(nominal[1] + off[1])),
            skew=self.skew,
        )

    def _ccd(
        self, shot: Shot, unit: Unit, side: str, sky: tuple[float, Air | None, list[Light]], *, archived: bool
    ) -> Iterator[RawFrame]:
        """Expose one CCD, and read its two amplifiers."""
        rng = self.draw(f"{shot.stamp}{unit.slot}{side}")
        optics, kelvin = self.optics[unit.specid, side], sky[0]
        image = None
        if shot.kind not in {"zro", "drk"}:
            trace, wave = optics.places(kelvin)
            self._note_optics(shot, unit, side, kelvin)
            image = paint(optics, trace, self._electrons(shot, unit, side, wave, sky[1:]))
        charge, hits = readout.collect(self.chips[unit.specid, side], image, shot.seconds, rng)
        if shot.kind == "sci":
            same = {"state": shot.state, "slot": unit.slot, "side": side}
            found = {key: np.full(hits.x.size, value) for key, value in same.items()}
            self.seen["hits"].append({**found, "x": hits.x, "y": hits.y, "electrons": hits.electrons})
        waves = readout.draw_waves(self.draw(f"waves{shot.stamp}{unit.slot}"))
        for amp in HALVES[side]:
            level, phase = 1100.0 + 12.0 * AMPS.index(amp) + rng.normal(0.0, 1.0), rng.uniform(0.0, 6.28)
            read = self.crossed(unit).get(amp, amp) if shot.kind == "sci" else amp
            counts = readout.read_out(charge, read, unit, phase, level, rng, waves=waves)
            if amp in self.dead(unit):
                counts = readout.dead_readout()
            name, cards = frame_name(shot, unit.slot, amp, archived=archived), header(shot, unit, amp, self.told)
            yield raw_image(name, classify(name, cards).tag, cards, counts)

    def _note_optics(self, shot: Shot, unit: Unit, side: str, kelvin: float) -> None:
        """Keep the truth about a CCD, once for each state of the optics."""
        key = (shot.state, unit.slot, side)
        if key not in self.told_of:
            self.told_of.add(key)
            optics = self.optics[unit.specid, side]
            self.seen["optics"].append(truth.optics_columns(shot.state, unit, side, optics, kelvin))

    def _electrons(self, shot: Shot, unit: Unit, side: str, wave: FloatArray, sky: tuple[Any, ...]) -> FloatArray:
        """Electrons (224, 1032) of each fibre and column."""
        optics = self.optics[unit.specid, side]
        sigma = optics.resolution()
        rows = np.concatenate([np.arange(448)[amp_rows(amp)] for amp in HALVES[side]])
        share = np.where(optics.dead, 0.0, optics.throughput)[:, None] * optics.dispersion()
        air, shares = sky
        if air is not None:
            places = bundle()[rows] + np.array(air.shift)
            share = share * air.relative(*in_plane((unit.x, unit.y), places))[:, None]
        if shot.kind != "sci":
            lamp = self.spectra[shot.object if shot.kind == "cmp" else shot.kind]
            return np.asarray(share * lamp.at(wave, sigma) * shot.seconds)
        flux = self.spectra["sky"].at(wave, sigma) * FIBRE_AREA
        for source, near, part in shares:
            mine = np.flatnonzero(np.isin(rows, near))
            if mine.size:
                flux[mine] += air.transparency * _received(source, near, part, rows[mine], wave[mine], sigma[mine])
        return np.asarray(share * air.illumination * flux * light.electrons_of_flux(wave, shot.seconds))

    def _fibres(self, shot: Shot, unit: Unit, air: Air, shares: list[Light]) -> truth.Columns:
        """Where the fibres of a bundle looked, and the continuum that sources gave them (erg/s/cm2/Angstrom)."""
        places = bundle() + np.array(air.shift)
        ra, dec = self.pointing.sky(*in_plane((unit.x, unit.y), places))
        found, lines = np.zeros((448, NODES.size)), np.zeros(448)
        for source, near, part in shares:
            if isinstance(source, Star):
                found[near] += part * source.smooth.at(NODES, np.full(NODES.size, 2.38))
            elif isinstance(source, Disc):
                found[near] += part * source.flux
            else:
                lines[near] += source.flux * np.array([np.interp(source.wave, NODES, row) for row in part])
        amp, fibre = np.empty(448, "U2"), np.empty(448, int)
        for name in AMPS:
            rows = np.arange(448)[amp_rows(name)]
            amp[rows], fibre[rows] = name, np.arange(rows.size)
        same = {"state": np.full(448, shot.state), "slot": np.full(448, unit.slot), "amp": amp, "fibre": fibre}
        lit = air.illumination * air.relative(*in_plane((unit.x, unit.y), places))
        return {**same, "ra": ra, "dec": dec, "source": found, "lines": lines, "illumination": lit}

    def tables(self) -> Iterator[RawFrame]:
        """Text tables beside the frames, then the truth."""
        yield tables.focal_plane(self.units, schedule(self.seed, "small", 0, ())[0].start)
        yield tables.bundle_table()
        every = [source for sources in self.sources.values() for source in sources]
        at = {unit.slot: unit for unit in self.units}
        slot_x, slot_y = (np.array([getattr(at[source.slot], axis) for source in every]) for axis in "xy")
        places = self.pointing.sky(
            slot_x + np.array([source.y for source in every]), slot_y + np.array([source.x for source in every])
        )
        yield tables.catalogue(every, places, self.pointing, self.draw("catalogue"))
        yield from self._truth(every, places)

    def _truth(self, every: list[Source], places: tuple[FloatArray, FloatArray]) -> list[RawFrame]:
        """Put the truth into files."""
        profiles, defects, units, signal = [], [], [], []
        for unit, there in zip(self.units, self.present("sci"), strict=True):
            mine = {side: self.optics[unit.specid, side] for side in HALVES}
            moved = unit != there
            for side, optics in mine.items():
                profiles.append(truth.profile_columns(unit, side, optics))
                defects.append(truth.defect_columns(unit, side, *self.chips[unit.specid, side].defects()))
            dead, crossed = self.dead(unit), self.crossed(unit)
            units.append(truth.unit_rows(unit, dead, crossed, moved=moved, fault="+".join(self.faults)))
            lost = AMPS if moved else (*dead, *crossed)
            signal += line_signal_to_noise(self.sources[unit.slot], Seen.of(unit, mine, lost), self.airs)
        optics_file = truth.optics_file(self.seen["optics"], profiles)
        exposures, fibres, hits = (self.seen[name] for name in ("exposures", "fibres", "hits"))
        night_file = truth.night_file(self.pointing, units, exposures, fibres, hits, defects)
        sources_file = truth.sources_file(every, places, light.night_sky(1.0).values[1], signal)
        return [optics_file, night_file, sources_file, *scored.scored_files(optics_file, night_file, sources_file)]


def _received(
    source: Source, near: FloatArray, part: FloatArray, rows: FloatArray, wave: FloatArray, sigma: FloatArray
) -> FloatArray:
    """Flux (erg/s/cm2/Angstrom) of a source in some fibres of its neighbourhood, at their wavelengths."""
    share = part[np.searchsorted(near, rows)]
    if isinstance(source, Disc):
        return np.asarray(share[:, :1] * source.flux)
    middle, half = 0.5 * (NODES[0] + NODES[-1]), 0.5 * (NODES[-1] - NODES[0])
    series = np.polynomial.chebyshev.chebfit((NODES - middle) / half, share.T, 7)
    at = np.polynomial.chebyshev.chebval((wave - middle) / half, series[:, :, None], tensor=False)
    if isinstance(source, Emitter | Star):
        at = at * source.smooth.at(wave, sigma)
    return np.asarray(at)


def _unit(rng: np.random.Generator, place: tuple[int, float, float], specid: int) -> Unit:
    """Draw the hardware of a slot."""
    slot, x, y = place
    gain = {amp: round(float(rng.normal(1.2, 0.03)), 3) for amp in AMPS}
    noise = {amp: round(float(rng.normal(2.7, 0.15)), 2) for amp in AMPS}
    contid = f"S/N {specid - 220:04d}"
    return Unit(slot, specid, f"{specid - 290:03d}", contid, x, y, bool(rng.random() < 0.5), gain, noise)
