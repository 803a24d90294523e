"""Figures of reading and writing: headers a second, and products of a night's size.

Run by ``make bench``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tracecube.core.frame import Frame
from tracecube.core.optics import TraceSet
from tracecube.io import read_header, read_product, read_raw, verify_product, write_product

Bench = Callable[..., Any]
FILES = 200
CARDS = 115  # as many as a raw frame of a lenslet spectrograph has


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """One raw frame under many names."""
    folder = tmp_path_factory.mktemp("raw")
    pixels = np.random.default_rng(1).poisson(900, (2048, 2048)).astype(np.uint16)
    hdu = fits.CompImageHDU(pixels)
    for i in range(CARDS):
        hdu.header[f"KEY{i}"] = (i * 1.1 if i % 3 else f"text {i}", "comment")
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(folder / "0.fits.fz")
    for i in range(1, FILES):
        os.link(folder / "0.fits.fz", folder / f"{i}.fits.fz")
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def frame() -> Frame:
    random = np.random.default_rng(2)
    data = random.normal(100, 10, (2048, 2048)).astype(np.float32)
    flags = np.where(random.random(data.shape) < 1e-3, 8, 0).astype(np.int32)
    return Frame(data, np.abs(data), flags, {f"KEY{i}": i * 1.1 for i in range(CARDS)})


@pytest.fixture(scope="module")
def traces() -> TraceSet:
    n, m = 2000, 290
    index, centre = np.arange(n), np.random.default_rng(3).normal(size=(n, m))
    zero = np.zeros(n, np.int32)
    u = np.linspace(-8, 8, 200)
    return TraceSet(index, index, zero, zero, zero, centre, np.abs(centre), np.zeros((n, m), np.int32), u, u)


def test_headers(benchmark: Bench, raw: list[Path]) -> None:
    benchmark(lambda: [read_header(path) for path in raw])
    benchmark.extra_info["headers a second"] = len(raw) / benchmark.stats["mean"]  # type: ignore[attr-defined]


def test_raw_frame(benchmark: Bench, raw: list[Path]) -> None:
    benchmark(read_raw, raw[0], "DOME")


@pytest.mark.parametrize("noun", ["frame", "traces"])
def test_write(benchmark: Bench, noun: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    benchmark(write_product, tmp_path / "x.fits", request.getfixturevalue(noun))


@pytest.mark.parametrize("noun", ["frame", "traces"])
def test_read(benchmark: Bench, noun: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    one = request.getfixturevalue(noun)
    write_product(tmp_path / "x.fits", one)
    benchmark(read_product, tmp_path / "x.fits", type(one))


@pytest.mark.parametrize("noun", ["frame", "traces"])
def test_verify(benchmark: Bench, noun: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    write_product(tmp_path / "x.fits", request.getfixturevalue(noun))
    benchmark(verify_product, tmp_path / "x.fits")
