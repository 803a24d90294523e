from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import Flag
from tracecube.io import read_spectrum, write_product

WAVE = 3700.0 + 25.57 * np.arange(220)
FLUX = 1e-16 * (2.0 + np.sin(WAVE / 300.0))
SIGMA = 0.05 * FLUX
RNG = np.random.default_rng(3)
SEEN = FLUX + SIGMA * RNG.normal(size=WAVE.size)


def text(path: Path, *columns: np.ndarray, head: str = "# OBJECT: ZTF1\n# MJD_OBS: 59000.5\n") -> Path:
    rows = "\n".join(" ".join(f"{value:.6e}" for value in row) for row in zip(*columns, strict=True))
    path.write_text(head + rows + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(("third", "word"), [(SIGMA, "error"), (SIGMA**2, "variance")])
def test_the_third_column_is_told_by_the_scatter(tmp_path: Path, third: np.ndarray, word: str) -> None:
    given = read_spectrum(text(tmp_path / "a.txt", WAVE, SEEN, third))
    np.testing.assert_allclose(given.spectrum.variance, SIGMA**2, rtol=1e-4)
    assert any(word in sentence for sentence in given.assumed)
    assert given.spectrum.meta["OBJECT"] == "ZTF1"


def test_without_errors_the_scatter_is_the_error_and_it_is_said(tmp_path: Path) -> None:
    given = read_spectrum(text(tmp_path / "a.dat", WAVE, SEEN, head=""))
    assert np.median(np.sqrt(given.spectrum.variance) / SIGMA) == pytest.approx(1.0, abs=0.25)
    assert "no errors given" in given.assumed[0]


@pytest.mark.parametrize(("factor", "unit"), [(0.1, "nm"), (1e-4, "micron")])
def test_units_that_cannot_be_angstrom(tmp_path: Path, factor: float, unit: str) -> None:
    given = read_spectrum(text(tmp_path / "a.txt", WAVE * factor, SEEN, SIGMA))
    np.testing.assert_allclose(given.spectrum.wave, WAVE, rtol=1e-5)
    assert any(unit in sentence for sentence in given.assumed)


def test_order_and_doubles_are_put_right(tmp_path: Path) -> None:
    rows = np.r_[np.arange(220)[::-1], 5]
    given = read_spectrum(text(tmp_path / "a.txt", WAVE[rows], SEEN[rows], SIGMA[rows]))
    np.testing.assert_allclose(given.spectrum.wave, WAVE, rtol=1e-6)


def test_our_own_product(tmp_path: Path) -> None:
    spectrum = read_spectrum(text(tmp_path / "a.txt", WAVE, SEEN, SIGMA)).spectrum
    spectrum.flags[7] = int(Flag.COSMIC_RAY)
    write_product(tmp_path / "x_SPECTRUM.fits", spectrum, cards={"PRODTAG": "SPECTRUM"})
    again = read_spectrum(tmp_path / "x_SPECTRUM.fits")
    np.testing.assert_allclose(again.spectrum.flux, spectrum.flux)
    np.testing.assert_allclose(again.spectrum.variance, spectrum.variance)
    np.testing.assert_array_equal(again.spectrum.flags, spectrum.flags)
    assert not again.assumed


@pytest.mark.parametrize(("name", "value"), [("ivar", 1.0 / SIGMA**2), ("ERR", SIGMA), ("variance", SIGMA**2)])
def test_tables_of_others(tmp_path: Path, name: str, value: np.ndarray) -> None:
    Table({"LAMBDA": WAVE, "Flux": SEEN, name: value}).write(tmp_path / "t.fits")
    given = read_spectrum(tmp_path / "t.fits")
    np.testing.assert_allclose(given.spectrum.variance, SIGMA**2, rtol=1e-6)


def test_images_with_a_linear_or_a_logarithmic_axis(tmp_path: Path) -> None:
    unit = fits.PrimaryHDU(np.stack([SEEN, SIGMA])[:, None])
    unit.header.update({"CRVAL1": 3700.0, "CDELT1": 25.57, "CRPIX1": 1.0})
    unit.writeto(tmp_path / "line.fits")
    given = read_spectrum(tmp_path / "line.fits")
    np.testing.assert_allclose(given.spectrum.wave, WAVE)
    np.testing.assert_allclose(given.spectrum.variance, SIGMA**2, rtol=1e-6)
    unit = fits.PrimaryHDU(SEEN)
    unit.header.update({"CRVAL1": 3.57, "CDELT1": 0.001, "DC-FLAG": 1})
    unit.writeto(tmp_path / "log.fits")
    np.testing.assert_allclose(
        read_spectrum(tmp_path / "log.fits").spectrum.wave, 10.0 ** (3.57 + 0.001 * np.arange(220))
    )


def test_what_is_no_spectrum_is_said(tmp_path: Path) -> None:
    with pytest.raises(MissingInput, match="no such file"):
        read_spectrum(tmp_path / "none.txt")
    (tmp_path / "words.txt").write_text("nothing in it\n")
    with pytest.raises(BadData, match="no columns"):
        read_spectrum(tmp_path / "words.txt")
    fits.PrimaryHDU(np.ones((3, 40))).writeto(tmp_path / "image.fits")
    with pytest.raises(BadData, match="no wavelengths"):
        read_spectrum(tmp_path / "image.fits")
    (tmp_path / "broken.fits").write_bytes(b"SIMPLE  = nothing")
    with pytest.raises(BadData):
        read_spectrum(tmp_path / "broken.fits")
