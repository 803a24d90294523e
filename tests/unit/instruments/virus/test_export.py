"""VIRUS in Remedy's tables and in one HDF5 file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits

from tests.unit.recipes.fibre_bundle import CENTRE, REFRACTION, SLOT, Bundle, Source
from tracecube.core.errors import MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.foreign import ForeignFile, ForeignStream
from tracecube.core.lines import Lines
from tracecube.core.optics import TraceSet
from tracecube.core.spectra import Spectrum
from tracecube.instruments.virus.export import FORMS
from tracecube.instruments.virus.export_cals import CcdCalibration, cals_rows
from tracecube.instruments.virus.export_tables import GRID, microjansky
from tracecube.io.foreign import write_foreign, write_stream
from tracecube.io.hdf5 import read_group, read_table
from tracecube.recipes.cube.fibres import FibreCubeParams, build_fibre_cube

KEY = {"night": "2019-02-04", "obs": 17, "slot": SLOT}
BUNDLE = Bundle(rows=3, sources=[Source(0.0, 0.0, continuum=3e-16)])


def lines() -> Lines:
    one = np.array([1.0])
    return Lines(214.8 * one, 52.6 * one, 4500.0 * one, 2e-16 * one, 1e-17 * one, 9.0 * one, 1.5 * one, one,
                 np.array([SLOT]), np.array([0]), one, one, one, one, 0.0 * one)  # fmt: skip


def spectrum() -> Spectrum:
    wave = np.linspace(3465.0, 5545.0, 1032)
    flat = np.full(wave.size, 1e-16)
    return Spectrum(wave, flat, flat**2, np.zeros(wave.size, int), flat, flat, flat, flat, flat,
                    meta={"RA_OBJ": 214.9, "DEC_OBJ": 52.5, "GMAG": 18.0})  # fmt: skip


def made(layout: str, category: str, **parts: list[Any]) -> tuple[str, ForeignFile | ForeignStream]:
    form = next(one for one in FORMS[layout] if one.category == category)
    return form.name(form.key(KEY)), form.arranged(KEY, {name: parts.get(name, []) for name in form.parts})


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spectra = BUNDLE.draw(1)
    cube = build_fibre_cube(spectra, REFRACTION, FibreCubeParams(wave_step=50.0), ifuslot=SLOT, centre=CENTRE)
    name, stream = made("remedy", "TABLES", spectra=spectra, lines=[lines()], sources=[spectrum()], cubes=[cube])
    assert name == "20190204_0000017_remedy.h5"
    path = tmp_path_factory.mktemp("remedy") / name
    write_stream(path, stream)
    return path


def test_rows_of_fibres_and_their_places_go_together(tables: Path) -> None:
    fibers, info, raw = (read_table(tables, name) for name in ("Fibers", "Info", "Raw"))
    spectra = BUNDLE.draw(1)
    assert len(fibers) == len(info) == len(raw) == sum(len(one.flux) for one in spectra)
    assert info["ra"].dtype == np.float64
    assert np.array_equal(info["ra"], np.concatenate([one.ra for one in spectra]))
    assert set(info["specid"]) == {320}
    assert fibers["spectrum"].shape[1] == 1036
    assert raw["spectrum"].shape[1] == 1032


def test_rectified_spectra_hold_the_light_in_microjansky(tables: Path) -> None:
    fibers = read_table(tables, "Fibers")["spectrum"].astype(float)
    first = BUNDLE.draw(1)[0]
    band = (first.wave > 4300.0) & (first.wave < 4900.0)
    mean = np.sum(first.flux * band * np.gradient(first.wave, axis=1), axis=1) / 600.0
    inside = (GRID > 4300.0) & (GRID < 4900.0)
    theirs = np.mean(fibers[: len(mean), inside] / microjansky(GRID[inside]), axis=1)
    bright = np.argmax(mean)
    assert theirs[bright] == pytest.approx(mean[bright], rel=0.02)
    assert microjansky(np.array([5000.0]))[0] * 1e-17 == pytest.approx(8.339, rel=1e-3)  # f_nu = f_lambda lambda^2/c


def test_survey_detections_sources_and_images_are_there(tables: Path) -> None:
    survey, found, stars, shown = (read_table(tables, n) for n in ("Survey", "Detections", "CatSpectra", "Images"))
    assert len(survey) == 3
    assert found["flux"][0] == pytest.approx(20.0)
    assert found["model"].shape == (1, 1036)
    assert np.sum(found["model"][0] / microjansky(GRID)) * 2.0 == pytest.approx(2e-16, rel=1e-3)
    assert found["specid"][0] == 320
    assert np.nanmedian(stars["spectrum"][0] / microjansky(GRID)) == pytest.approx(1e-16, rel=1e-4)
    assert stars["gmag"][0] == 18.0
    assert shown["image"].shape == (1, 75, 75)
    middle = np.unravel_index(np.nanargmax(shown["image"][0]), (75, 75))
    assert np.hypot(middle[0] - 37, middle[1] - 37) < 2.0


def test_one_file_of_an_observation_gives_the_nouns_back(tmp_path: Path) -> None:
    spectra = BUNDLE.draw(1)
    name, stream = made("hdf5", "SHOT", spectra=spectra, lines=[lines()], sources=[spectrum()])
    assert name == "20190204_0000017.h5"
    write_stream(tmp_path / name, stream)
    back = read_group(tmp_path / name, "spectra/053L/exp02", FibreSpectra)
    assert np.array_equal(back.flux, spectra[1].flux)
    assert np.array_equal(back.ra, spectra[1].ra)
    assert read_group(tmp_path / name, "lines/053", Lines).sn[0] == 9.0


def test_two_fits_files_of_a_bundle(tmp_path: Path) -> None:
    spectra = BUNDLE.draw(1)
    name, file = made("remedy", "FIBRES", spectra=spectra)
    assert name == "20190204_0000017_053.fits"
    write_foreign(tmp_path / name, file)
    with fits.open(tmp_path / name) as hdus:
        assert hdus[0].data.shape == (len(hdus["INFO"].data), 1036)
        assert hdus[0].header["CRVAL1"] == 3470.0
        assert hdus["ERROR"].data.shape == hdus["COVAR"].data.shape == hdus[0].data.shape
    cube = build_fibre_cube(spectra, REFRACTION, FibreCubeParams(wave_step=50.0), ifuslot=SLOT)
    name, file = made("remedy", "CUBE", cubes=[cube])
    assert name == "20190204_0000017_053_cube.fits"
    write_foreign(tmp_path / name, file)
    with fits.open(tmp_path / name) as hdus:
        assert np.array_equal(hdus[0].data, cube.data, equal_nan=True)
        assert hdus[0].header["CTYPE1"] == "RA---TAN"
    with pytest.raises(MissingInput, match="no cube"):
        made("remedy", "CUBE")


def test_calibrations_are_one_row_an_amplifier() -> None:
    aperture = np.array([0, 2])
    centre = np.array([np.full(1032, 20.0), np.full(1032, 37.5)])
    none = np.zeros(2, int)
    traces = TraceSet(aperture, none, aperture, aperture, none, centre, centre, np.zeros((2, 1032), int),
                      np.zeros(3), np.zeros(3))  # fmt: skip
    dark = np.arange(2064)[:, None] * np.ones(1032)
    flat = replace(BUNDLE.draw(1)[0], amp=np.full(59, "LU"))
    ccd = CcdCalibration("053/320/020/0093", "L", {"LU": traces}, {}, {"masterdark": dark}, spectra={"lampspec": flat})
    [row] = cals_rows(ccd)
    column = {one.name: one.values for one in row.columns}
    assert column["amp"][0] == b"LU"
    assert column["trace"].shape == (1, 112, 1032)
    assert column["trace"][0, 2, 0] == 37.5
    assert np.isnan(column["trace"][0, 1]).all()
    assert column["masterdark"][0, 0, 0] == 1032.0  # LU lies above LL
    assert np.isnan(column["masterflt"]).all()
    assert np.allclose(column["ifupos"][0, :59, 0], flat.x)
