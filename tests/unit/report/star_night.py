"""Products of a small night of a star behind a coronagraph, and an output folder whose ledger knows them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.unit.report.conftest import done, hexagonal, product
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import InputRecord, JobRecord, PlannedRecord, ProductRecord
from tracecube.core.companions import Companions, CompanionSpectrum, ContrastCurve
from tracecube.core.optics import Layout, Lenslets, Throughput, WavelengthSolution
from tracecube.core.pixels import DetectorFlat
from tracecube.core.spectra import Cube, Image, Spectra
from tracecube.core.star import StarCentre, StarPsf

NIGHT, STAR = "2018-11-18", "HIP 1"
WAVE = np.linspace(9600.0, 16600.0, 6)
LASERS = np.array([9877.2, 11237.1, 13093.7, 15451.0])
PITCH, PIXEL = 0.05, 0.05
STAR_AT = (0.02, -0.01)
CONTRAST = 1e-4


def sketch() -> dict[str, Any]:
    """Return one noun a tag."""
    return {**calibrations(), **exposure(), **search()}


def field() -> tuple[Any, Any, Any]:
    x, y = hexagonal(9, PITCH)
    return np.arange(x.size), x, y


def calibrations() -> dict[str, Any]:
    random = np.random.default_rng(5)
    number, x, y = field()
    n = number.size
    dq = np.where(number == 3, 64, 0).astype(np.int32)
    ones, no, grid = np.ones((n, 4)), np.zeros(n, np.int64), np.ones((n, 20))
    spots = 1000 + 150 * x[:, None] + 0 * LASERS, 1000 + 150 * y[:, None] + 10 * np.arange(4.0)
    residual = random.normal(size=(n, 4))
    shape = (64, 48)
    flags = np.zeros(shape, np.int32)
    flags[:4, :4] = 1
    response = np.where(flags, 9.0, 1 + 0.01 * random.normal(size=shape))
    plane = np.full(shape, 1e-6)
    return {
        "DETECTOR_FLAT": DetectorFlat(
            response, flags, plane, plane, plane, plane, plane, plane, LASERS, LASERS, reference=12500.0
        ),
        "LENSLETS": Lenslets(
            number, no, no, dq, *spots, 0 * ones, 0 * ones, ones, ones, ones, LASERS,
            np.ones((4, 1, 1, 5, 5)), step=0.25
        ),
        "LAYOUT": Layout(number, x, y, dq * 0, PITCH, 0.0),
        "WAVELENGTH": WavelengthSolution(
            number, no, dq * 0, grid, grid, grid, np.repeat(number, 4), np.tile(LASERS, n), np.zeros(4 * n),
            residual.ravel(), np.ones(4 * n), np.ones(4 * n, np.int32),
        ),
        "LENSLET_FLAT": Throughput(number, dq, 1 + 0.1 * x, np.ones((n, 6)) + 0.1 * x[:, None], np.ones((n, 6)), WAVE),
    }  # fmt: skip


def exposure() -> dict[str, Any]:
    random = np.random.default_rng(6)
    number, x, y = field()
    light = 1e-4 * 1e5 * 0.05 * (1 + 0.1 * random.normal(size=(x.size, WAVE.size)))  # of the star's peak: CONTRAST
    none = np.zeros(light.shape, np.int32)
    channels = Spectra(light, light, none, 0 * light, WAVE, 0 * WAVE + 180, number, x, y, 0 * number.astype(np.int32))
    size = 31
    axes = {
        "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL3": float(WAVE[0]), "CRPIX3": 1.0, "CD3_3": 1400.0,
        "CD1_1": -PIXEL / 3600, "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": PIXEL / 3600,
    }  # fmt: skip
    data = random.normal(size=(WAVE.size, size, size))
    cube = Cube(data, data**2, np.zeros(data.shape, np.int32), np.array([[1, 0, 0]]), np.array([0.1]), meta=axes)
    near = np.hypot(x, y) < 0.3
    share = 0.05 * np.exp(-0.5 * (np.hypot(x[near], y[near]) / 0.05) ** 2) * np.ones((WAVE.size, 1))
    radius = np.linspace(0.1, 8, 20)
    profile = np.exp(-radius) * np.ones((WAVE.size, 1))
    psf = StarPsf(
        WAVE, np.full(6, 1e5), np.full(6, 1e4), np.zeros(6, np.int32), radius, profile, 1e-4 * profile**2, x[near],
        y[near], share, share**2 * 1e-4, dit=16.0, width=0.99,
    )  # fmt: skip
    return {
        "SPECTRA": channels, "CHANNELS": channels, "CENTER_CHANNELS": channels, "CUBE": cube, "STAR_PSF": psf,
        "STAR_CENTRE": star_centre(), "DIT_CENTRE": star_centre(method="halo"),
    }  # fmt: skip


def star_centre(method: str = "spots", plane: int = 0, out: float = 2e-3) -> StarCentre:
    """Return a star whose spots stand ``out`` arcsec farther out than the model says."""
    one, four = np.ones(WAVE.size), np.ones((WAVE.size, 4))
    angle = np.radians([45.0, 135.0, 225.0, 315.0])
    radius = 0.35 * WAVE[:, None] / 12500.0
    spots: dict[str, Any] = {}
    if method == "spots":
        spots = {
            "spot_x": STAR_AT[0] + radius * np.cos(angle), "spot_y": STAR_AT[1] + radius * np.sin(angle),
            "spot_dx": out * np.cos(angle) * four, "spot_dy": out * np.sin(angle) * four,
            "spot_dx_error": 1e-4 * four, "spot_dy_error": 1e-4 * four,
        }  # fmt: skip
    return StarCentre(
        np.array(["ifs1"] * WAVE.size), np.full(WAVE.size, plane), WAVE, STAR_AT[0] * one, STAR_AT[1] * one,
        1e-4 * one, 1e-4 * one, np.zeros(WAVE.size, np.int32), 200 * four, four, reference_wave=12500.0,
        centre_x=STAR_AT[0], centre_y=STAR_AT[1], centre_x_error=1e-4, centre_y_error=1e-4, refraction_x=0.0,
        refraction_y=0.0, method=method, **spots,
    )  # fmt: skip


def search() -> dict[str, Any]:
    random = np.random.default_rng(7)
    size = 41
    step = 0.05
    axes = {"CRPIX1": 21.0, "CRPIX2": 21.0, "CD1_1": -step / 3600, "CD2_2": step / 3600, "CRVAL1": 10.0, "CRVAL2": 0.0}
    noise = random.normal(size=(size, size))
    noise[18:23, 18:23] = np.nan
    image = Image(noise, noise**0, np.isnan(noise).astype(np.int32), meta=axes)
    two = np.ones(2)
    return {
        "SOURCES": Companions(
            np.array(["b", "c"]), 10 * two, 0 * two, np.array([400.0, 600.0]), two, np.array([90.0, 270.0]), 0.1 * two,
            np.array([1e-4, 2e-5]), np.array([1e-6, 1e-6]), np.array([80.0, 16.0]), np.zeros(2, np.int32),
        ),
        "SPECTRUM_b": companion("b"),
        "SPECTRUM_c": companion("c"),
        "DETECTION_MAP": image,
        "IMAGE": image,
        "CONTRAST_CURVE": ContrastCurve(
            np.linspace(0.1, 0.4, 5), np.full(5, 5e-6), np.full(5, 1e-6), np.ones(5), np.ones(5), np.full(5, 50.0)
        ),
    }  # fmt: skip


def companion(name: str) -> CompanionSpectrum:
    flags = np.where(np.arange(WAVE.size) == 2, 64, 0).astype(np.int32)
    contrast = 1e-4 * np.linspace(1, 2, WAVE.size)
    return CompanionSpectrum(name, WAVE, contrast, 1e-12 + 0 * WAVE, flags, 1e-12 * np.eye(WAVE.size), 0.03)


def fill(out: Path, nouns: Mapping[str, Any], dits: int, *, whole: bool = True) -> Path:
    """Make an output folder: one exposure with what was found in it, and if ``whole`` all that led there."""
    jobs: list[tuple[PlannedRecord, list[ProductRecord], list[InputRecord]]] = []

    def add(task: str, tags: list[str], inputs: list[ProductRecord], **about: Any) -> list[ProductRecord]:
        name = f"{task}-{about.get('setup', {}).get('plane', '')}"
        plan = PlannedRecord(instrument="toy", task=task, name=name, night=NIGHT, state="waiting")
        made = [product(out / f"{name}-{t}.fits", t.split("_b")[0].split("_c")[0] if "SPECTRUM" in t else t, nouns[t],
                        night=NIGHT, **about) for t in tags]  # fmt: skip
        given = [InputRecord(role="x", main=True, raw=False, tag=p.tag, name="n", path=p.path, sha256=p.sha256)
                 for p in inputs]  # fmt: skip
        jobs.append((plan, made, given))
        return made

    out.mkdir()
    used: list[ProductRecord] = []
    if whole:
        add("flats", list(calibrations()), [])
        add("lamp", ["SPECTRA"], [], raw="lamp1")
        add("centre", ["SPECTRA", "CENTER_CHANNELS", "STAR_CENTRE"], [], raw="ifs0", object=STAR, mjd=58440.0)
        used += add("flux", ["SPECTRA", "STAR_PSF"], [], raw="ifsf", object=STAR, mjd=58440.05)[1:]
    for plane in range(dits):
        about = {"raw": "ifs1", "object": STAR, "setup": {"plane": plane}, "mjd": 58440.1 + 1e-3 * plane}
        used += add("science", ["SPECTRA", "CHANNELS", "CUBE", "DIT_CENTRE"], [], **about)
    add("companions", list(search()), [p for p in used if p.tag in {"CHANNELS", "DIT_CENTRE", "STAR_PSF"}], object=STAR)
    with Ledger.open(out, create=True) as ledger:
        about = {"raw_folder": "/raw", "targets": [], "settings": {}, "software": {}, "host": "h", "fingerprint": ""}
        run = ledger.start_run(about=about, jobs=[plan for plan, _, _ in jobs])
        for position, (plan, made, given) in enumerate(jobs):
            record: JobRecord = done(plan, made, given)
            ledger.record(run, position, record)
    return out
