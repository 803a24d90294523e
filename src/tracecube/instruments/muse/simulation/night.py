"""One night: hardware, target and sky that stay the same, and every exposure as it is made."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import Scalar
from tracecube.core.frame import RawFrame
from tracecube.instruments.muse.modes import notch
from tracecube.instruments.muse.pointing import barycentric_velocity, pointing_of
from tracecube.instruments.muse.simulation import exposing, headers, light, readout, tables, truth
from tracecube.instruments.muse.simulation.airglow import airglow
from tracecube.instruments.muse.simulation.exposing import Conditions, Hardware
from tracecube.instruments.muse.simulation.field import Field, Source, draw_sources
from tracecube.instruments.muse.simulation.lamps import line_list
from tracecube.instruments.muse.simulation.lsf import line_spread
from tracecube.instruments.muse.simulation.observing import Aim, sidereal
from tracecube.instruments.muse.simulation.optics import SLICES, State, draw_optics
from tracecube.instruments.muse.simulation.schedule import Shot, schedule
from tracecube.simulate.detector import Hits

__all__ = ["Night", "Wish"]

_START = 2.8 / 24.0  # of the target, after midnight
_DITHERS = ((0.0, 0.0), (0.8, 0.5), (-0.6, 0.9), (0.5, -0.7))  # arcsec east and north
_POINTING = 0.25  # arcsec: standard deviation of its errors, along each axis
_SATURATING = 2.2  # times the light of a flat
_SURE = 3  # the last group of lines whose wavelengths every list has right
_STANDARD = "STD-1"


@dataclass(frozen=True)
class Wish:
    """What is to be observed: field, position angle (degree), hour angle (hour), moonlight, exposures, length, mode.

    Besides the tint of the telescope, see `Hardware`.
    """

    field: Field
    angle: float
    hour: float
    moon: float
    exposures: int
    seconds: float
    mode: str = "WFM-NOAO-N"
    tint: float = 0.0


class Night:
    """What stays the same all night, and what is known of it so far.

    Parameters
    ----------
    seed : int
    numbers : tuple of int
        Channels.
    wish : Wish
    faults : frozenset of str
    """

    def __init__(self, seed: int, numbers: tuple[int, ...], wish: Wish, faults: frozenset[str]) -> None:
        self.seed, self.faults, self.wish = seed, faults, wish
        self.date = 58500.0 + seed % 60
        self.hardware = {number: self._channel(number) for number in numbers}
        self.lines = line_list(self.draw("lamps"))
        ra = (sidereal(self.date + _START) - 15.0 * wish.hour) % 360.0
        dec = float(self.draw("target").uniform(-34.0, -12.0))
        self.target = Aim(round(ra, 5), round(dec, 5), wish.angle, self.date, 0.0)
        self.sources = draw_sources(self.draw("sources"), wish.field, numbers)
        x, y = np.array([(one.x, one.y) for one in self.sources]).reshape(-1, 2).T
        self.radec = self.target.directions(*self.target.sky(x, y))
        self.standard = self._standard()
        rng, glow = self.draw("airglow"), airglow()
        self.glow = replace(glow, flux=glow.flux * np.exp(rng.normal(0.0, 0.08, glow.flux.size)))
        self.listed = rng.random(glow.flux.size) > 0.03 * (glow.group > _SURE)
        self.listed_wave = glow.wave + rng.normal(0.0, 0.01, glow.wave.size) * (glow.group > _SURE)
        self.states: dict[str, dict[int, State]] = {}
        self.skies: dict[str, Conditions] = {}
        self.rows: list[dict[str, Any]] = []
        self.hits: list[RawFrame] = []

    def draw(self, what: str) -> np.random.Generator:
        """Random numbers of one thing, independent of the order in which things are made."""
        return np.random.default_rng([self.seed, *what.encode()])

    def _channel(self, number: int) -> Hardware:
        optics = draw_optics(self.draw(f"optics{number}"), number)
        chip = readout.make_chip(self.draw(f"chip{number}"))
        return Hardware(optics, line_spread(optics), chip, tint=self.wish.tint)

    def _standard(self) -> tuple[Source, float, float]:
        """A hot star in the middle of a stack of the middle channel, and its direction."""
        middle = sorted(self.hardware)[len(self.hardware) // 2]
        rng = self.draw("standard")
        x, y = float(rng.normal(-37.6, 3.0)), float((12.5 - middle) * 12.03 + rng.normal(0.0, 0.7))
        aim = self._standard_aim(0.0, 0.0)
        ra, dec = aim.directions(*aim.sky(np.array(x), np.array(y)))
        return Source("star", x, y, 1.5e-13, -3.0, "hydrogen"), float(ra), float(dec)

    def _standard_aim(self, mjd: float, seconds: float) -> Aim:
        return Aim(round((self.target.ra + 15.0 * self.wish.hour + 345.0) % 360.0, 3), -20.5, 0.0, mjd, seconds)

    def all_states(self) -> dict[str, dict[int, State]]:
        """Of all exposures, and of twilight and illumination flat where none was taken too."""
        for shot in schedule(self.date, "small", 0, 0.0, frozenset()):
            for number in self.hardware if shot.tag in {"SKYFLAT", "ILLUM"} else ():
                self.state(shot, number)
        return {name: {n: channels[n] for n in self.hardware} for name, channels in self.states.items()}

    def state(self, shot: Shot, number: int) -> State:
        """How far the optics of a channel have moved, drawn once a state."""
        known = self.states.setdefault(shot.state, {})
        if number not in known:
            known[number] = self._state(shot, number)
        return known[number]

    def _state(self, shot: Shot, number: int) -> State:
        g = shot.progress
        if g == 0.0:
            return State.of_day()
        night, now = self.draw(f"thermal{number}"), self.draw(f"{shot.state}{number}")
        dx, shift = night.uniform(-0.15, 0.15), night.choice([-1.0, 1.0]) * night.uniform(0.08, 0.42)
        stretch, slices = night.normal(0.0, 0.03), night.normal(0.0, 0.02, SLICES)
        gain = 1.0 + g * night.normal(0.0, 0.01, SLICES)
        drift = now.normal(0.0, 0.02)
        if shot.sky:
            gain = gain * now.uniform(0.99, 1.01, SLICES)
        return State(float(g * dx), float(g * shift + drift), float(g * stretch), g * slices, gain)

    def frames(self, shot: Shot) -> Iterator[RawFrame]:
        """Expose all channels."""
        told, target = self._told(shot)
        cards = headers.primary_cards(shot, told, target, 0.8, self._mode(shot))
        if shot.sky:
            self._observe(shot, told, cards)
            seen = round(self.skies[shot.name].seeing, 2)
            cards = headers.primary_cards(shot, told, target, seen, self._mode(shot))
        images: dict[str, NDArray[Any]] = {}
        own: dict[str, dict[str, Scalar]] = {}
        lost = max(self.hardware) if self._loses(shot) else 0
        for number, hardware in self.hardware.items():
            image, hits = self._image(shot, number)
            live = not ("dead_chip" in self.faults and number == max(self.hardware))
            if number != lost:
                images[f"CHAN{number:02d}"] = image if live else np.full_like(image, int(hardware.chip.level[0]))
                own[f"CHAN{number:02d}"] = headers.channel_cards(number, hardware.chip, live=live)
            if shot.sky:
                self.hits.append(truth.hits_file(shot.name, number, hits))
        frame = RawFrame(f"{shot.name}.fits", shot.tag, cards, images, {}, own)
        yield frame
        if shot.name == "object0" and "duplicate" in self.faults:
            yield replace(frame, name="object0_copy.fits")

    def _mode(self, shot: Shot) -> str:
        """Which mode an exposure is of: arcs and twilights are taken without the laser, biases and darks too."""
        return self.wish.mode if shot.sky or shot.tag in {"FLAT", "ILLUM"} else self.wish.mode.replace("-AO-", "-NOAO-")

    def _loses(self, shot: Shot) -> bool:
        return "missing_channel" in self.faults and shot.name == f"object{self.wish.exposures - 1}"

    def _told(self, shot: Shot) -> tuple[Aim, str]:
        """Where the telescope believes to point, and at what."""
        if shot.tag == "STD":
            return self._standard_aim(shot.mjd, shot.seconds), _STANDARD
        east, north = _DITHERS[shot.index] if shot.tag == "OBJECT" else (0.0, 0.0)
        if shot.tag == "SKY":
            east, north = 500.0, -360.0
        aim = self.target.shifted(east, north)
        return replace(aim, mjd=shot.mjd, seconds=shot.seconds), "blank sky" if shot.tag == "SKY" else "target"

    def _observe(self, shot: Shot, told: Aim, cards: dict[str, Scalar]) -> None:
        """Draw the sky of an exposure, and keep the truth about it."""
        rng = self.draw(f"sky{shot.name}")
        error = rng.normal(0.0, _POINTING, 2) if shot.tag == "OBJECT" else np.zeros(2)
        aim = told.shifted(*error)
        strength = {group: np.exp(rng.normal(0.0, 0.25)) * aim.airmass**0.8 for group in np.unique(self.glow.group)}
        factor = np.array([strength[group] for group in self.glow.group])
        lines = 1.0e-16 * light.SPAXEL_AREA * factor * self.glow.flux
        velocity = barycentric_velocity(pointing_of(cards, shot.name))
        zenith, clear = float(0.8 * rng.lognormal(0.0, 0.08)), float(rng.uniform(0.97, 1.0)) if shot.index > 0 else 1.0
        self.skies[shot.name] = Conditions(aim, zenith, clear, velocity, lines, self.wish.moon)
        airmass, parallactic, altitude, _ = aim.at(0.5)
        self.rows.append({
            "name": shot.name, "kind": shot.kind, "catg": shot.catg, "mjd": shot.mjd, "exptime": shot.seconds,
            "header_ra": told.ra, "header_dec": told.dec, "true_ra": aim.ra, "true_dec": aim.dec, "angle": aim.angle,
            "pointing_error_arcsec": [float(one) for one in error], "airmass": airmass, "zenith_deg": 90.0 - altitude,
            "parang": parallactic, "v_bary": velocity, "seeing_zenith_5000": zenith, "transparency": clear,
        })  # fmt: skip

    def _image(self, shot: Shot, number: int) -> tuple[NDArray[np.uint16], Hits]:
        """Expose one channel."""
        gap = notch({"ESO INS MODE": self._mode(shot)})
        hardware, state = replace(self.hardware[number], gap=gap), self.state(shot, number)
        rng = self.draw(f"{shot.name}{number}")
        bright = float(self.draw(shot.name).normal(1.0, 0.004))  # lamps flicker, for all channels alike
        image = None
        if shot.tag in {"FLAT", "ILLUM"}:
            long = _SATURATING if "saturated" in self.faults and shot.name == "flat0" else 1.0
            image = exposing.flat_light(hardware, state, long * bright * shot.seconds)
        elif shot.tag == "ARC":
            image = exposing.arc_light(hardware, state, self.lines.lamps[shot.lamp], bright)
        elif shot.tag == "SKYFLAT":
            image = exposing.twilight_light(hardware, state, bright * 0.93**shot.number * shot.seconds)
        elif shot.sky:
            sources = [self.standard] if shot.tag == "STD" else [] if shot.tag == "SKY" else self._scene()
            image = exposing.night_light(hardware, state, self.skies[shot.name], self.glow, sources, shot.seconds)
        return readout.expose(hardware.chip, image, shot.seconds, rng)

    def _scene(self) -> list[tuple[Source, float, float]]:
        return [(one, float(ra), float(dec)) for one, ra, dec in zip(self.sources, *self.radec, strict=True)]

    def tables(self) -> Iterator[RawFrame]:
        """Static calibrations."""
        hardware = self.hardware
        source, ra, dec = self.standard
        wave = np.arange(4000.0, 10000.1, 4.0)
        inside = np.clip(wave, light.GRID[0], light.GRID[-1])
        flux = source.continuum(wave) * np.interp(inside, light.GRID, light.star_lines(source.lines))
        yield tables.line_catalogue(self.lines)
        yield tables.geometry([one.optics for one in hardware.values()])
        yield tables.extinction()
        yield tables.standard(_STANDARD, ra, dec, wave, flux)
        if "no_sky_lines" not in self.faults:
            yield tables.sky_lines(self.glow, self.listed_wave, airglow().flux, self.listed)
        yield tables.filters()
        yield tables.bad_pixels({number: one.chip for number, one in hardware.items()})

    def truth(self) -> Iterator[RawFrame]:
        """What was put in."""
        states = self.all_states()
        for number, one in self.hardware.items():
            mine = {name: channels[number] for name, channels in states.items()}
            yield truth.channel_file(one.optics, one.spread, one.chip, mine)
        fields = {}
        for row in self.rows:
            if row["kind"] == "OBJECT":
                aim = self.skies[row["name"]].aim
                fields[row["name"]] = aim.field(*aim.offsets(*self.radec))
        source, ra, dec = self.standard
        star = source.continuum(truth.WAVE) * np.interp(truth.WAVE, light.GRID, light.star_lines(source.lines))
        yield from truth.sources_files(truth.source_rows(self.sources, self.radec, fields), self.sources, star)
        flux = {name: one.lines for name, one in self.skies.items()}
        yield truth.sky_file(self.glow, (self.listed, self.listed_wave), flux, self.wish.moon)
        yield from self.hits
        facts = {
            "night": {"seed": self.seed, "scene": self.wish.field, "faults": sorted(self.faults)},
            "ifus": list(self.hardware),
            "target": [self.target.ra, self.target.dec],
            "angle": self.target.angle,
            "std": {"ra": ra, "dec": dec, "slope": source.slope, "flux6000": source.flux},
        }
        yield truth.night_file(facts, states, self.rows)
