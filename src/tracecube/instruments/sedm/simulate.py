"""A night of raw frames, made by the forward model that reduces it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import numpy as np
from scipy.ndimage import gaussian_filter, zoom

from tracecube.core.fields import FloatArray
from tracecube.core.frame import RawFrame
from tracecube.instruments.sedm.classify import classify
from tracecube.instruments.sedm.detectors import detector
from tracecube.instruments.sedm.simulation import guider, light, optics, schedule, targets, truth
from tracecube.instruments.sedm.simulation.headers import Pointing, Shot, header
from tracecube.simulate.detector import Camera, Hits, cosmic_rays, expose, make_camera
from tracecube.simulate.night import raw_image, text_table, truth_table

__all__ = ["simulate"]

READ_NOISE = {"pixis": 4.0, "andor": 4.5}  # electron, see detectors.toml
FLEXURE = 0.25  # px, standard deviation from exposure to exposure on the sky (76 reduced spectra: 0.31)
LAMP_FLEXURE = 0.005  # px, while the telescope stands still
SCATTERED = 0.03  # share of all light that a broad pedestal holds
ARCS = {"Hg": (900.0, 0.0), "Cd": (900.0, 0.0), "Xe": (800.0, 60.0)}  # electrons of unit strength and of continuum
DOME_PEAK = 5000.0  # electron a column


def simulate(
    *, seed: int = 1, size: Literal["small", "night"] = "small", camera: Literal["pixis", "andor"] = "pixis"
) -> Iterator[RawFrame]:
    """Simulate a night.

    Parameters
    ----------
    seed : int
        Same seed, same night, bit for bit.
    size : {"small", "night"}
        A night to look around in (16 spectrograph frames), or a full one (36).
    camera : {"pixis", "andor"}
        Generation of the detector.

    Yields
    ------
    RawFrame
        Raw files in order of time, the star catalogue, then the truth in ``truth/``.
    """
    night = _Night(seed, size, camera)
    for shot in schedule.calibrations(seed, size, schedule.CAMERAS[camera]):
        yield night.calibration(shot)
    for visit in schedule.visits(seed, size, schedule.CAMERAS[camera], night.draw("visits")):
        yield night.spectrum(visit)
        yield night.guide(visit)
    yield from night.tables()


class _Night:
    """What stays the same all night, and what is known of it so far."""

    def __init__(self, seed: int, size: str, camera: str) -> None:
        self.seed = seed
        self.optics = optics.draw_optics(self.draw("optics"))
        first = header(schedule.calibrations(seed, size, schedule.CAMERAS[camera])[0])
        gain = schedule.CAMERAS[camera].gain
        self.camera: Camera = make_camera(
            detector(first, "bias"), self.draw("camera"), gain=gain, read_noise=READ_NOISE[camera]
        )
        self.ghosts = _ghosts(self.camera.detector.shape, self.draw("ghosts"))
        self.angle = float(self.draw("guider").normal(0.0, 1.5))
        self.exposures: list[dict[str, Any]] = []
        self.sources: list[tuple[targets.Source, str, float, float]] = []
        self.hits: dict[str, dict[str, Any]] = {}
        self.spectra: list[RawFrame] = []
        self.fields: list[guider.StarField] = []
        self._home: tuple[float, float] | None = None

    def draw(self, what: str) -> np.random.Generator:
        """Random numbers of one thing, independent of the order in which things are made."""
        return np.random.default_rng([self.seed, *what.encode()])

    def _shift(self, shot: Shot, rng: np.random.Generator) -> tuple[float, float]:
        """Where flexure puts the light; zero in the first dome, to which all shifts refer."""
        if shot.bare == "dome" and self._home is None:
            self._home = (0.0, 0.0)
            return self._home
        still = shot.kind == "Calibration" and shot.bare != "twilight"
        dx, dy = rng.normal(0.0, LAMP_FLEXURE if still else FLEXURE, 2)
        return float(dx), float(dy)

    def calibration(self, shot: Shot) -> RawFrame:
        """Expose on a lamp, the twilight, or with the shutter closed."""
        rng = self.draw(shot.name)
        cards, row = header(shot), {"file": f"{shot.name}.fits", "object": shot.bare}
        painted = None
        if shot.bare != "bias":
            dx, dy = self._shift(shot, rng)
            row.update(dx=f"{dx:.4f}", dy=f"{dy:.4f}")
            grid = optics.SpectralGrid.of(self.optics.shifted(dx, dy))
            painted = self._paint(grid, _lamp(grid, shot.bare, rng))
        self.exposures.append(row)
        hits = cosmic_rays(self.camera, shot.exptime + 20.0, rng)  # some gather while the frame is read
        return raw_image(
            shot.name, classify(shot.name, cards).tag, cards, expose(self.camera, painted, shot.exptime, rng, hits=hits)
        )

    def spectrum(self, visit: schedule.Visit) -> RawFrame:
        """Expose on the sky, and note what was there."""
        shot, source = visit.shot, visit.source
        rng = self.draw(shot.name)
        cards = header(shot)
        dx, dy = self._shift(shot, rng)
        air = targets.air_of(cards, shot.name, rng, fwhm=1.75)
        sky = light.sky_light(rng, moon=visit.moon)
        grid = optics.SpectralGrid.of(self.optics.shifted(dx, dy))
        star = targets.source_light(grid, source, air, shot.exptime) + targets.galaxy_light(
            grid, source, air, shot.exptime
        )
        painted = self._paint(grid, sky.electrons(grid, shot.exptime) + star)
        hits = cosmic_rays(self.camera, shot.exptime, rng)
        self._note(visit, (dx, dy), air)
        self._note_hits(shot.name, hits, painted, shot.exptime)
        if source.inside:
            floor = self._floor(shot.exptime)
            self.spectra.append(
                truth.spectrum_table(self.optics, source, air, sky, exptime=shot.exptime, floor=floor, raw=shot.name)
            )
        return raw_image(
            shot.name, shot.kind.upper(), cards, expose(self.camera, painted, shot.exptime, rng, hits=hits)
        )

    def guide(self, visit: schedule.Visit) -> RawFrame:
        """Expose the guider half a minute into the spectrum."""
        exptime = min(120.0, visit.shot.exptime / 4.0)
        start = visit.shot.start + timedelta(seconds=35)
        shot = Shot(start, exptime, visit.shot.object, "GUIDER", visit.shot.pointing, schedule.GUIDER)
        rng = self.draw(shot.name)
        field = guider.draw_field(visit.source.object, self._centre(visit), 9000000 + 1000 * len(self.fields), rng)
        self.fields.append(field)
        image, cards = guider.guide_frame(
            field, exptime, rng, angle=self.angle, gain=shot.camera.gain, fwhm=1.9, trail=0.0 if visit.guided else 30.0
        )
        self.exposures.append({"file": f"{shot.name}.fits", "object": shot.object})
        return raw_image(shot.name, "GUIDER", {**header(shot), **cards}, image)

    def tables(self) -> Iterator[RawFrame]:
        """The star catalogue and the truth."""
        fields = self.fields
        yield text_table(
            "field_stars",
            "STAR_CATALOGUE",
            {
                "field": np.concatenate([np.full(f.identifier.size, f.name) for f in fields]),
                "source_id": np.concatenate([f.identifier for f in fields]),
                "ra": np.round(np.concatenate([f.right_ascension for f in fields]), 7),
                "dec": np.round(np.concatenate([f.declination for f in fields]), 7),
                "rmag": np.round(np.concatenate([f.magnitude for f in fields]), 3),
            },
        )
        yield truth.lenslet_table(self.optics)
        yield truth.efficiency_table()
        yield truth.exposures_table(self.exposures)
        yield truth.source_table(self.sources)
        yield truth_table("cosmics", {}, self.hits)
        yield from self.spectra

    def _paint(self, grid: optics.SpectralGrid, electrons: FloatArray) -> FloatArray:
        """Spectra on the detector, with ghosts and scattered light."""
        painted = optics.paint(grid, electrons, self.camera.detector.shape)
        coarse = painted.reshape(painted.shape[0] // 16, 16, painted.shape[1] // 16, 16).mean(axis=(1, 3))
        pedestal = zoom(gaussian_filter(coarse, 8.0), 16, order=1)
        return np.asarray(painted + SCATTERED * pedestal + self.ghosts * float(np.median(coarse)), np.float32)

    def _floor(self, exptime: float) -> float:
        """Variance (electron**2) of a pixel without light."""
        return float(self.camera.read_noise**2 + np.median(self.camera.dark) * exptime)

    def _centre(self, visit: schedule.Visit) -> Pointing:
        """Where the field centre really points: the source stands off it by its place in the field."""
        nominal, source = visit.shot.pointing, visit.source
        stretch = np.cos(np.radians(nominal.declination))
        return Pointing(
            nominal.right_ascension - source.east / 3600.0 / stretch, nominal.declination - source.north / 3600.0
        )

    def _note(self, visit: schedule.Visit, shift: tuple[float, float], air: targets.Air) -> None:
        """Remember what an exposure on the sky was like."""
        shot, source = visit.shot, visit.source
        self.sources.append((source, shot.name, shot.pointing.right_ascension, shot.pointing.declination))
        self.exposures.append(
            {
                "file": f"{shot.name}.fits",
                "object": shot.object,
                "dx": f"{shift[0]:.4f}",
                "dy": f"{shift[1]:.4f}",
                "airmass": f"{np.mean(air.airmass):.4f}",
                "fwhm6500": f"{air.seeing.fwhm:.3f}",
                "rho": f"{air.seeing.rho:.3f}",
                "transparency": f"{air.grey:.4f}",
                "moon": visit.moon or "",
            }
        )

    def _note_hits(self, name: str, hits: Hits, painted: FloatArray, exptime: float) -> None:
        """Remember the cosmic rays of an exposure, and the noise of their pixels without them."""
        sigma = np.sqrt(self._floor(exptime) + painted[hits.y, hits.x])
        self.hits[name.upper()] = {"X": hits.x, "Y": hits.y, "ELECTRONS": hits.electrons, "SIGMA": sigma}


def _lamp(grid: optics.SpectralGrid, lamp: str, rng: np.random.Generator) -> FloatArray:
    """Light of a lamp or the twilight, some per cent brighter or fainter each time."""
    drift = rng.lognormal(0.0, 0.02)
    if lamp == "dome":
        return light.dome_light(grid, DOME_PEAK * drift)
    if lamp == "twilight":
        return light.sky_light(rng, moon=16.3).electrons(grid, 60.0)
    strength, continuum = ARCS[lamp]
    return light.arc_light(grid, lamp, strength * drift, continuum=continuum)


def _ghosts(shape: tuple[int, int], rng: np.random.Generator) -> FloatArray:
    """Short streaks of reflected light, over the mean brightness of the frame."""
    image = np.zeros(shape, np.float32)
    for _ in range(6):
        y, x, length = rng.uniform(100, shape[0] - 100), rng.uniform(100, shape[1] - 100), rng.uniform(15, 30)
        rows, columns = np.arange(int(y) - 8, int(y) + 9), np.arange(int(x) - 30, int(x) + 31)
        across = np.exp(-0.5 * ((rows - y) / 1.3) ** 2)
        along = np.clip(0.5 * length - np.abs(columns - x), 0.0, 1.0)
        image[rows[:, None], columns] += (rng.uniform(0.5, 1.5) * across[:, None] * along).astype(np.float32)
    return image
