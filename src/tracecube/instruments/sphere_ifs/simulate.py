"""A night of raw frames, made by the forward model that reduces it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.core.headers import mjd_of
from tracecube.instruments.sphere_ifs.detectors import detector, lamp_wave
from tracecube.instruments.sphere_ifs.guess import MODES
from tracecube.instruments.sphere_ifs.observing import astrometry
from tracecube.instruments.sphere_ifs.simulation import headers, light, optics, truth
from tracecube.instruments.sphere_ifs.simulation.schedule import Shot, night_start, schedule
from tracecube.instruments.sphere_ifs.simulation.sky import BESIDE, DIAMETER, OBSTRUCTION, Air, Sky
from tracecube.kernels.airy import airy_density
from tracecube.simulate.coronagraph import speckle_field
from tracecube.simulate.infrared import InfraredArray, integrate, make_array
from tracecube.simulate.night import raw_image

__all__ = ["simulate"]

GAIN, READ_NOISE, LOSS = 1.8, 6.0, 0.02  # electron/adu, electron, see detectors.toml
FLEXURE = 0.3  # px between day and night, standard deviation
DRIFT = 0.05  # px an hour
GRID = (0.1677, 0.35)  # arcsec, degree: pitch and turn of the pinholes
_PINHOLE = 60.0  # light of the white lamp through a pinhole over that on a lenslet
_WHITE_LIGHT = {"SPECPOS": 0.35, "IFUFLAT": 1.0}  # of the lamp's light that is let in
_WAVEFRONT = 900.0  # Angstrom, median error that the adaptive optics leave


def simulate(
    *,
    seed: int = 1,
    mode: Literal["YJH", "YJ"] = "YJH",
    size: Literal["day", "small", "night"] = "small",
    laser_off: int = 0,
) -> Iterator[RawFrame]:
    """Simulate a night.

    Parameters
    ----------
    seed : int
        Same seed, same night, bit for bit.
    mode : {"YJH", "YJ"}
        The prism.
    size : {"day", "small", "night"}
        Calibrations alone, with a sequence of four science integrations, or of sixteen.
    laser_off : int
        Number of the laser that does not shine, from 1; 0 for none.

    Yields
    ------
    RawFrame
        Raw files in order of time, then the truth in ``truth/``.

    Raises
    ------
    ValueError
        The mode has no laser of that number.
    """
    lasers = len(MODES[mode].lattice.lasers)
    if not 0 <= laser_off <= lasers:
        raise ValueError(f"{mode} has lasers 1 to {lasers}")
    night = _Night(seed, mode, (laser_off - 1,))
    for shot in schedule(seed, size):
        yield night.frame(shot)
    yield from night.tables()


class _Night:
    """What stays the same all night, and what is known of it so far."""

    def __init__(self, seed: int, mode: str, off: tuple[int, ...]) -> None:
        self.seed, self.mode, self.off = seed, MODES[mode], off
        self.optics = optics.draw_optics(self.mode, self.draw("optics"))
        self.array: InfraredArray = make_array(
            detector(), self.draw("array"), gain=GAIN, read_noise=READ_NOISE, loss=LOSS
        )
        self.wave, self.band = optics.sampling(self.mode)
        self.speckles = speckle_field(self.draw("speckles"))
        self.target = headers.target_of(night_start(seed))
        self.flexure = tuple(float(v) for v in self.draw("flexure").normal(0.0, FLEXURE, 2))
        self.planes: list[dict[str, Any]] = []

    def draw(self, what: str) -> np.random.Generator:
        """Random numbers of one thing, independent of the order in which things are made."""
        return np.random.default_rng([self.seed, *what.encode()])

    def frame(self, shot: Shot) -> RawFrame:
        """Expose one file."""
        rng = self.draw(shot.name)
        cards = headers.header(shot, self.mode.name, self.target)
        if shot.kind in {"FLUX", "CENTER", "OBJECT", "SKY"}:
            planes = [self._plane(shot, number, rng) for number in range(shot.ndit)]
            return raw_image(shot.name, shot.kind, cards, np.stack(planes))
        return raw_image(shot.name, shot.kind, cards, integrate(self.array, self._day(shot), shot.dit, shot.ndit, rng))

    def _day(self, shot: Shot) -> FloatArray | None:
        """Electrons of one integration on a lamp (y, x); None with the shutter closed."""
        if shot.kind == "DARK":
            return None
        if shot.kind == "DETFLAT":
            return self._flat(shot)
        count = self.optics.q.size
        spectrum = light.lamp_light(self.wave, self.mode)
        if shot.kind == "BACKGROUND":
            electrons = np.broadcast_to(light.thermal_light(self.wave, self.mode) * shot.dit, (count, self.wave.size))
        elif shot.kind == "WAVE":
            lasers = light.laser_light(self.wave, self.band, self.mode, self.off)
            electrons = np.broadcast_to(lasers * shot.dit, (count, self.wave.size))
        elif shot.kind == "DISTORT":
            electrons = self._pinholes() * spectrum * shot.dit
        else:
            share = _WHITE_LIGHT[shot.kind] * shot.dit
            electrons = np.broadcast_to(spectrum * share, (count, self.wave.size))
        glow = light.GLOW * shot.dit if shot.kind == "BACKGROUND" else 0.0
        return optics.paint(self.optics, self.wave, electrons * self.band) + np.float32(glow)

    def _flat(self, shot: Shot) -> FloatArray:
        """Lamp without lenslets: smooth over the array, a little differently in each colour."""
        wave = lamp_wave({"ESO INS2 COMB IFS": f"CAL_{shot.lamp}_1"}, shot.name)
        y, x = np.mgrid[-1.0:1.0:2048j, -1.0:1.0:2048j]
        tint = (wave - 12500.0) / 2500.0
        smooth = 1.0 - 0.04 * (x * x + y * y) + 0.01 * tint * x + 0.008 * tint * y
        return np.asarray(shot.level * GAIN * smooth, np.float32)

    def _pinholes(self) -> FloatArray:
        """Light of a grid of pinholes on every lenslet, (n, k)."""
        turn = np.radians(GRID[1])
        i, j = (a.ravel() for a in np.mgrid[-7:8, -7:8])
        x = GRID[0] * (i * np.cos(turn) - j * np.sin(turn)) + 0.031
        y = GRID[0] * (i * np.sin(turn) + j * np.cos(turn)) - 0.022
        unit = 1e-10 / DIAMETER * np.degrees(1.0) * 3600.0 * self.wave
        total = np.zeros((self.optics.q.size, self.wave.size))
        for px, py in zip(x, y, strict=True):
            away = np.hypot(self.optics.sky_x - px, self.optics.sky_y - py)
            near = np.flatnonzero(away < 0.12)
            total[near] += airy_density(away[near, None] / unit, OBSTRUCTION)[0]
        area = np.sqrt(0.75) * (optics.PITCH / unit) ** 2
        return np.asarray(_PINHOLE * total * area)

    def _plane(self, shot: Shot, number: int, rng: np.random.Generator) -> NDArray[np.int16]:
        """Expose one integration on the sky, and note what was there."""
        step = (shot.end - shot.start) / shot.ndit
        middle = shot.start + number * step + timedelta(seconds=0.2 + 0.5 * shot.dit)
        hours = (middle - night_start(self.seed)) / timedelta(hours=1)
        moved = self.optics.moved(self.flexure[0] + DRIFT * hours, self.flexure[1] - DRIFT * hours, 1e-5)
        sky = Sky(moved, self.wave, self.band, self.speckles)
        home = BESIDE if shot.kind == "FLUX" else (0.0085, -0.0065)
        air = Air(
            wavefront=float(_WAVEFRONT * np.exp(0.03 * rng.standard_normal())),
            transmission=float(1.0 + 0.015 * rng.standard_normal()),
            x=float(home[0] + 6e-4 * rng.standard_normal()),
            y=float(home[1] + 6e-4 * rng.standard_normal()),
            dispersion=1.2e-3,
        )
        fixed = astrometry(mjd_of(middle))
        parallactic = headers.parallactic(self.target, middle)
        angle = parallactic + fixed.pupil + fixed.instrument + fixed.true_north
        electrons = sky.background(shot.dit)
        if shot.kind != "SKY":
            electrons += sky.star(shot.kind, air, angle, shot.dit)
        self.planes.append(truth.plane_row(shot, number, hours, air, (parallactic, angle)))
        painted = optics.paint(moved, self.wave, electrons) + np.float32(light.GLOW * shot.dit)
        return integrate(self.array, painted, shot.dit, 1, rng)

    def tables(self) -> Iterator[RawFrame]:
        """The truth."""
        yield truth.lenslet_table(self.optics, self.flexure)
        if self.planes:
            yield truth.planes_table(self.planes)
        yield truth.star_table(self.wave, self.mode)
        yield truth.detector_table(self.array)
