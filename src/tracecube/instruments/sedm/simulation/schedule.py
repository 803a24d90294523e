"""What the robot does in a simulated night, and when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from tracecube.instruments.sedm.observing import PALOMAR
from tracecube.instruments.sedm.simulation.headers import Pointing, RobotCamera, Shot
from tracecube.instruments.sedm.simulation.targets import Host, Source

__all__ = ["CAMERAS", "GUIDER", "Visit", "calibrations", "visits"]

# Speeds and serial numbers as in headers; gains of the observatory's camera servers, the PIXIS one as later set
CAMERAS = {
    "pixis": RobotCamera("ifu", 0.1, 1.78, "05313416"),
    "andor": RobotCamera("ifu", 1.0, 0.9, "CCD-24680", andor=True),
}
GUIDER = RobotCamera("rc", 2.0, 1.77, "05313415")

STANDARDS = {
    "STD-Feige34": Pointing(159.903083, 43.102583),
    "STD-HZ44": Pointing(200.896917, 36.133194),
    "STD-BD+28d4211": Pointing(327.795917, 28.863889),
}

# Counts of exposures: biases, domes, each lamp
_COUNTS = {"small": (3, 3, 2), "night": (10, 5, 5)}
_LAMPS = (("dome", 12.0), ("Hg", 15.0), ("Cd", 60.0), ("Xe", 45.0))


@dataclass(frozen=True)
class Visit:
    """One exposure on the sky: what, where, under which moon, and whether the guider kept it."""

    shot: Shot
    source: Source
    moon: float | None = None
    guided: bool = True


def _evening(seed: int) -> datetime:
    """Midnight UT at the start of the night: some day of May 2021."""
    return datetime(2021, 5, 5, tzinfo=UTC) + timedelta(days=seed % 10)


def _zenith(time: datetime) -> Pointing:
    """Where the telescope is parked."""
    days = (time - datetime(2000, 1, 1, 12, tzinfo=UTC)) / timedelta(days=1)
    return Pointing((280.46061837 + 360.98564736629 * days + PALOMAR.longitude - 10.0) % 360.0, PALOMAR.latitude)


def calibrations(seed: int, size: str, camera: RobotCamera) -> list[Shot]:
    """Biases, domes, arcs and a twilight, in order of time.

    Parameters
    ----------
    seed : int
    size : {"small", "night"}
    camera : RobotCamera
    """
    biases, domes, arcs = _COUNTS[size]
    time = _evening(seed) + timedelta(minutes=5, seconds=12)
    pointing, shots = _zenith(time), []
    orders = [("bias", 0.0, biases)] + [(lamp, t, domes if lamp == "dome" else arcs) for lamp, t in _LAMPS]
    for lamp, exptime, count in orders:
        for k in range(count):
            name = f"Calib: {lamp} {k + 1} of {count}"
            shots.append(Shot(time, exptime, name, "Calibration", pointing, camera))
            time += timedelta(seconds=round(exptime) + 42)
    dusk = _evening(seed) + timedelta(hours=3, minutes=12)
    return [*shots, Shot(dusk, 60.0, "Calib: twilight", "Calibration", _zenith(dusk), camera)]


def visits(seed: int, size: str, camera: RobotCamera, rng: np.random.Generator) -> list[Visit]:
    """Standards and targets: one plain, one outside the field, one without guider; more in a full night."""
    start = _evening(seed)
    plan = [
        _standard("STD-Feige34", start + timedelta(hours=4, minutes=4), 120.0, camera, rng),
        _target(
            start + timedelta(hours=4, minutes=20), 2250.0, ("II", 0.03, 17.6), camera, rng, guided=False, moon=20.6
        ),
        _target(start + timedelta(hours=7, minutes=10), 1350.0, ("Ia", 0.07, 17.5), camera, rng, at=(17.0, -8.0)),
        _target(start + timedelta(hours=8, minutes=40), 900.0, ("Ia", 0.033, 16.2), camera, rng),
        _standard("STD-HZ44", start + timedelta(hours=9, minutes=12), 180.0, camera, rng),
    ]
    if size == "night":
        host = Host(17.2, 3.0, 2.4, 1.5)
        plan[2:2] = [
            _target(start + timedelta(hours=5, minutes=5), 2250.0, ("Ia", 0.06, 18.2), camera, rng, host=host),
            _target(start + timedelta(hours=5, minutes=50), 2250.0, ("Ia", 0.09, 18.9), camera, rng),
            _target(start + timedelta(hours=6, minutes=32), 1800.0, ("II", 0.02, 18.4), camera, rng),
        ]
        plan.append(_target(start + timedelta(hours=9, minutes=25), 2250.0, ("II", 0.05, 18.8), camera, rng))
        plan.append(_standard("STD-BD+28d4211", start + timedelta(hours=11, minutes=10), 120.0, camera, rng))
    return plan


def _standard(name: str, time: datetime, exptime: float, camera: RobotCamera, rng: np.random.Generator) -> Visit:
    """A visit to a standard star."""
    shot = Shot(time, exptime, name, "Standard", STANDARDS[name], camera)
    return Visit(shot, Source(name, "star", 0.0, 0.0, *rng.normal(0.0, 0.8, 2)))


def _target(
    time: datetime,
    exptime: float,
    what: tuple[str, float, float],
    camera: RobotCamera,
    rng: np.random.Generator,
    *,
    at: tuple[float, float] | None = None,
    guided: bool = True,
    moon: float | None = None,
    host: Host | None = None,
) -> Visit:
    """A visit to an invented supernova, some hours from the meridian."""
    kind, redshift, magnitude = what
    name = f"ZTF{time:%y}zz" + "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), 5))
    meridian = _zenith(time).right_ascension
    pointing = Pointing(float((meridian + rng.uniform(-40.0, 30.0)) % 360.0), float(rng.uniform(10.0, 55.0)))
    east, north = at or tuple(rng.uniform(-3.0, 3.0, 2))
    quality = 3 if at else 0 if guided else 5
    if host is not None:
        host = Host(host.magnitude, host.radius, east + host.east, north + host.north)
    source = Source(name, kind, redshift, magnitude, float(east), float(north), quality, host)
    return Visit(Shot(time, exptime, f"{name} [A]", "Science", pointing, camera), source, moon, guided)
