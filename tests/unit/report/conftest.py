"""A small night of products that a ledger knows, made without reducing anything."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tracecube.archive.ledger import Ledger
from tracecube.archive.records import InputRecord, JobRecord, PlannedRecord, ProductRecord, RawRecord
from tracecube.core.frame import Frame
from tracecube.core.optics import Layout, Throughput, TraceSet, WavelengthSolution
from tracecube.core.spectra import Response, Spectra, Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import PointSourceFit, Target
from tracecube.io import read_cards, write_product
from tracecube.report.night import write_report

WAVE = np.linspace(3700.0, 9300.0, 60)
LINES = np.array([4047.7, 5462.3, 6440.2, 8250.0])


Sketch = Mapping[str, Any]


def hexagonal(rings: int, pitch: float) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    q, r = (index.ravel() for index in np.mgrid[-rings : rings + 1, -rings : rings + 1])
    inside = np.abs(q + r) <= rings
    x, y = pitch * (q + r / 2), pitch * r * np.sqrt(3) / 2
    return x[inside], y[inside]


def source(flux: np.ndarray[Any, Any], flags: np.ndarray[Any, Any]) -> Spectrum:
    error = np.full(WAVE.size, 0.05 * flux.max())
    counts = {"sky": flux * 0, "flux_uncal": flux * 1e17, "variance_uncal": (error * 1e17) ** 2}
    rest = {"covariance_uncal": flux * 0, "lsf_sigma": np.full(WAVE.size, 12.0), "meta": {"OBJECT": "ZTF21abc [A]"}}
    return Spectrum(wave=WAVE, flux=flux, variance=error**2, flags=flags, **counts, **rest)


@pytest.fixture(scope="session")
def sketch() -> Sketch:
    random = np.random.default_rng(7)
    x, y = hexagonal(6, 0.64)
    n, m = x.size, 40
    number, no = np.arange(n, dtype=np.int32), np.zeros(n, np.int32)
    start = random.integers(0, 150, n)
    centre = np.linspace(5, 190, n)[:, None] + 0.01 * np.arange(m)
    centre[:, -4:] = np.nan
    sigma = 1.1 + 0.05 * random.normal(size=(n, 1)) + 0 * centre
    flagged = np.where(number == 3, 256, 0).astype(np.int32)
    traces = TraceSet(number, start, no, no, flagged, centre, sigma, np.zeros((n, m), np.int32), WAVE, WAVE)
    dome = Frame(
        random.poisson(200, (200, 200)).astype(np.float32), np.ones((200, 200)), np.zeros((200, 200), np.int32)
    )
    ap, line = np.repeat(number, LINES.size), np.tile(LINES, n)
    residual = 0.2 * random.normal(size=ap.size)
    used = (np.abs(residual) < 0.5).astype(np.int32)
    grid = np.ones((n, m))
    solution = WavelengthSolution(
        number, start, no, centre, grid, grid, ap, line, line * 0, residual, residual * 0 + 0.2, used
    )
    light = np.exp(-0.5 * ((x - 1) ** 2 + y**2))[:, None] * np.ones(WAVE.size) * 500 + 20
    flags = np.where(random.random(light.shape) < 0.02, 8, 0).astype(np.int32)
    spectra = Spectra(light, light, flags, light * 0, WAVE, WAVE * 0 + 12, number, x, y, flagged)
    bands = np.linspace(4500, 8500, 5)
    fit = PointSourceFit(
        aperture=number, x=x, y=y, used=(np.hypot(x - 1, y) < 2).astype(np.int32), wave=bands,
        centre_x=bands * 0 + 1, centre_y=bands * 0, fwhm=bands * 0 + 1.8,
        data=light.T[:5] + random.normal(size=(5, n)), model=light.T[:5], variance=np.ones((5, n)),
    )  # fmt: skip
    flux = 1e-15 * (1 + 0.3 * np.sin(WAVE / 300))
    curve = 2e15 * np.exp(-(((WAVE - 6500) / 2200) ** 2))
    both = np.array([curve, 1.02 * curve])
    response = Response(
        WAVE, curve, (0.01 * curve) ** 2, np.zeros(WAVE.size, np.int32), np.array(["std1", "std2"]), both,
        both**2 * 1e-4, np.zeros(both.shape, np.int32), np.ones(2), np.array([1.1, 1.4]), np.ones((2, 2)),
        np.ones((2, 2)), np.array([1, 0]),
    )  # fmt: skip
    return {
        "TRACES": traces,
        "MASTER_DOME": dome,
        "LAYOUT": Layout(number, x, y, flagged, 0.64, 0.0),
        "WAVELENGTH": solution,
        "LENSLET_FLAT": Throughput(
            aperture=number[::-1],
            dq=flagged[::-1],
            mean=1 + 0.01 * number[::-1],
            value=(1 + 0.01 * number[::-1])[:, None] + 0 * WAVE,
            error=np.ones((n, WAVE.size)),
            wave=WAVE,
        ),
        "RESPONSE": response,
        "SPECTRA": spectra,
        "TARGET": Target("ZTF21abc", 3, "target outside the field", 1.0, 0.0, 0.1, 0.1, "auto"),
        "PSF_FIT": fit,
        "SPECTRUM": source(flux, np.where(WAVE < 3900, 4096, 0).astype(np.int32)),
    }


@pytest.fixture(scope="session")
def typed() -> SpectralType:
    """A target of type Ia."""
    wave = np.linspace(4000.0, 9000.0, 50)
    names, one = np.array(["sn1999aa"]), np.ones(1)
    return SpectralType(
        type="Ia", subtype="Ia-norm", probability=0.97, z=0.0333, z_error=0.002, age=float("nan"),
        age_error=float("nan"), redshift_given=float("nan"), host_share=0.1, snid_type="Ia", snid_subtype="norm",
        snid_rlap=12.3, snid_z_match=0.03, snid_age_match=1.0, snid_template="sn1999aa", snid_z_median=0.03,
        snid_z_error=0.002, snid_age_median=1.0, snid_age_error=1.0, snid_ia=0.97, snid_ib=0.0, snid_ic=0.0,
        snid_ii=0.03, snid_not=0.0, label=names, label_probability=one, kind=names, kind_type=names,
        kind_probability=one, match_name=names, match_type=names, match_subtype=names, match_age=one, match_z=one,
        match_rlap=one, match_correlation=one, match_amplitude=one, match_host=one, redshift=one,
        redshift_probability=one, wave=wave, value=np.sin(wave / 200), error=0 * wave + 0.1, model=np.sin(wave / 200),
    )  # fmt: skip


PER_NIGHT = {"TRACES", "MASTER_DOME", "LAYOUT", "WAVELENGTH", "LENSLET_FLAT", "RESPONSE"}


@pytest.fixture
def reduced(tmp_path: Path, sketch: Sketch) -> Callable[..., Path]:
    """Make an output folder whose ledger knows the products of some nights."""
    return functools.partial(fill, tmp_path / "out", sketch)


@pytest.fixture(scope="session")
def one_night(tmp_path_factory: pytest.TempPathFactory, sketch: Sketch) -> Path:
    """Return an output folder with its report, to be looked at only."""
    out = fill(tmp_path_factory.mktemp("night") / "out", sketch, "2021-04-21")
    write_report(out)
    return out


def fill(out: Path, sketch: Sketch, *nights: str, broken: str = "", only: Sequence[str] = ()) -> Path:
    with Ledger.open(out, create=True) as ledger:
        planned = [
            PlannedRecord(instrument="toy", task=tag.lower(), name=f"{tag}-{night}", night=night, state="waiting")
            for night in nights
            for tag in only or sketch
        ]
        lost = PlannedRecord(
            instrument="toy", task="extract", name="other", night=nights[0], state="incomplete", reason="no DOME"
        )
        about = {"raw_folder": "/raw", "targets": [], "settings": {}, "software": {"tracecube": "1"}, "host": "h"}
        run = ledger.start_run(about={**about, "fingerprint": ""}, jobs=[*planned, lost])
        for position, plan in enumerate(planned):
            ledger.record(run, position, job(out, plan, sketch, broken))
        ledger.save_raw([raw_file(night) for night in nights])
    return out


def raw_file(night: str) -> RawRecord:
    return RawRecord(
        path=f"/raw/{night}", name=f"raw{night}", size=1, mtime_ns=1, sha256=night, header={}, reason="no rule <x>",
        night=night,
    )  # fmt: skip


def job(out: Path, plan: PlannedRecord, sketch: Sketch, broken: str) -> JobRecord:
    tag = plan.task.upper()
    of_sky: Sketch = {} if tag in PER_NIGHT else {"object": "ZTF21abc", "raw": "ifu1"}
    one = product(out / f"{plan.name}.fits", tag, sketch[tag], night=plan.night, broken=tag == broken, **of_sky)
    return done(plan, [one])


def product(path: Path, tag: str, noun: Any, *, broken: bool = False, **about: Any) -> ProductRecord:
    data_sha = write_product(path, noun, cards={"PRODTAG": tag})
    header = read_cards(path)
    if broken:
        path.write_bytes(b"SIMPLE  =")
    usual = {"setup": {"raw_tag": "SCIENCE"}, "mjd": 59325.4, "exptime": 900.0, "object": None, "raw": None}
    return ProductRecord(
        output=tag.lower(), tag=tag, path=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        size=path.stat().st_size, data_sha256=data_sha, detector=None, header=header,
        qc={"WAVE RMS": {"value": 0.3123456, "unit": "Angstrom", "good": tag != "SPECTRA"}}, **{**usual, **about},
    )  # fmt: skip


def done(plan: PlannedRecord, made: Sequence[ProductRecord], inputs: Sequence[InputRecord] = ()) -> JobRecord:
    return JobRecord(
        instrument="toy", task=plan.task, name=plan.name, night=plan.night, recipe="r", version="1",
        provenance_key=plan.name, params={}, state="done", level=1, caveats=("lamp <Xe> was weak",), seconds=1.5,
        products=tuple(made), inputs=tuple(inputs),
    )  # fmt: skip
