"""VIRUS in Remedy's tables and in one HDF5 file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from astropy.io import fits

from tests.unit.recipes.fibre_bundle import CENTRE, REFRACTION, SLOT, Bundle, Source
from tracecube.core.errors import MissingInput
from tracecube.core.fibres import FibreSpectra
from tracecube.core.foreign import ForeignFile, ForeignStream
from tracecube.core.frame import Frame
from tracecube.core.lines import Lines
from tracecube.core.optics import TraceSet
from tracecube.core.several import TraceSets
from tracecube.core.sources import FieldSolution, Sources
from tracecube.core.spectra import Spectrum
from tracecube.instruments.virus.export import FORMS
from tracecube.instruments.virus.export_cals import CcdCalibration, cals_rows
from tracecube.instruments.virus.export_survey import matched_spectra
from tracecube.instruments.virus.export_tables import GRID, microjansky
from tracecube.instruments.virus.layout import field_rotation, nominal_places
from tracecube.instruments.virus.science_steps import join_spectra
from tracecube.io.foreign import write_foreign, write_stream
from tracecube.io.hdf5 import read_group, read_table
from tracecube.kernels.tangent_plane import plane_to_sky
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
                    meta={"RA_OBJ": 214.9, "DEC_OBJ": 52.5, "GMAG": 18.0, "OBJECT": "B"})  # fmt: skip


def made(layout: str, category: str, **parts: list[Any]) -> tuple[str, ForeignFile | ForeignStream]:
    form = next(one for one in FORMS[layout] if one.category == category)
    [(key, file)] = form.arranged(form.key(KEY), {name: parts.get(name, []) for name in form.parts})
    return form.name(key), file


def solution() -> FieldSolution:
    k, m = np.arange(1, 4), np.array([3500.0, 5500.0])
    return FieldSolution(
        k, 0.5 * k, -0.25 * k, 0.01 * k, 0.01 * k, 1.5 + 0.1 * k, 0.02 * k, 0.8 + 0.1 * k, 0.01 * k, m, 0 * m, 0 * m,
        ra0=214.8, dec0=52.6, rotation=0.03, rotation_error=0.002, scale=1.0, scale_error=1e-5, reference=4750.0,
        beta=3.5, width_slope=-0.2, refraction=1.0, refraction_error=0.01, refraction_across=0.0,
        refraction_across_error=0.01, model_error=0.0, catalogue_error=0.02, stars=12,
    )  # fmt: skip


def stars() -> Sources:
    """Two stars: one on its place, one seen 0.3 arcsec north of it."""
    two, dec = np.ones(2), np.array([52.6, 52.61])
    return Sources(
        np.array(["A", "B"]), 214.8 * two, dec, 0.01 * two, 0.01 * two, 214.8 * two,
        dec + np.array([0.0, 0.3 / 3600.0]), 0.02 * two, 18.0 * two, 0.01 * two, np.array([17.9, 18.0]), two, two,
        50.0 * two, two, np.zeros(2, int), 214.8 * two, dec,
    )  # fmt: skip


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spectra = BUNDLE.draw(1)
    cube = build_fibre_cube(spectra, REFRACTION, FibreCubeParams(wave_step=50.0), ifuslot=SLOT, centre=CENTRE)
    spectra = [replace(one, meta={**one.meta, "PARANGLE": 70.0, "OBJECT": "DEX", "EXPTIME": 360.0}) for one in spectra]
    parts = {"spectra": spectra, "lines": [lines()], "sources": [spectrum()], "cubes": [cube]}
    name, stream = made("remedy", "TABLES", **parts, field=[solution()], stars=[stars()])
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
    assert np.isnan(info["correlation"]).all()  # of spectra whose sky was not fitted it is not known
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
    assert survey["exp"].tolist() == [1, 2, 3]
    assert survey["ra"].dtype == survey["dec"].dtype == np.float64
    np.testing.assert_allclose(survey["dec"], 52.6 - np.arange(1, 4) * 0.25 / 3600.0, atol=1e-8)
    np.testing.assert_allclose(survey["fwhm"], [1.6, 1.7, 1.8])
    assert set(survey["nstarsastrom"]) == {12}
    assert survey["decstd"][0] == pytest.approx(0.15)
    assert survey["offset"][0] == pytest.approx(0.05)
    assert survey["pa"][0] == 70.0
    assert np.isnan(survey["millum"]).all()  # no guider told
    [matched] = read_table(tables, "MatSpectra")
    assert matched["gmag"] == 18.0
    assert np.hypot(matched["fx"] - matched["catfx"], matched["fy"] - matched["catfy"]) == pytest.approx(0.3, abs=1e-4)
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
    name, file = made("remedy", "FIBRES", spectra=[join_spectra(spectra, spectra[0].meta)])
    assert name == "20190204_0000017_053.fits"
    write_foreign(tmp_path / name, file)
    with fits.open(tmp_path / name) as hdus:
        assert hdus[0].data.shape == (len(hdus["INFO"].data), 1036)
        assert hdus[0].header["CRVAL1"] == 3470.0
        assert hdus["ERROR"].data.shape == hdus["COVAR"].data.shape == hdus[0].data.shape
    cube = build_fibre_cube(spectra, REFRACTION, FibreCubeParams(wave_step=50.0), ifuslot=SLOT)
    cube = replace(cube, meta={**cube.meta, "IFUSLOT": SLOT})
    name, file = made("remedy", "CUBE", cubes=[cube])
    assert name == "20190204_0000017_053_cube.fits"
    write_foreign(tmp_path / name, file)
    with fits.open(tmp_path / name) as hdus:
        assert np.array_equal(hdus[0].data, cube.data, equal_nan=True)
        assert hdus[0].header["CTYPE1"] == "RA---TAN"
    with pytest.raises(MissingInput, match="IFUSLOT"):
        made("remedy", "CUBE", cubes=[replace(cube, meta={})])


def test_places_in_the_focal_plane_are_those_that_lie_there() -> None:
    """`matched_spectra` turns back what `nominal_places` turned."""
    x, y = np.array([3.0, -7.0]), np.array([11.0, 2.0])
    where = nominal_places(
        x, y, np.array([53, 53]), np.ones(2, int), plane={53: (-50.0, 150.0)}, rotation=field_rotation(70.0)
    )
    ra, dec = plane_to_sky(*where, 214.8, 52.6)
    seen = replace(stars(), ra_seen=ra, dec_seen=dec)
    spectra = [replace(spectrum(), meta={"OBJECT": name}) for name in "AB"]
    rows = list(matched_spectra(replace(solution(), rotation=0.0), seen, spectra, 70.0))
    column = [{one.name: one.values[0] for one in row.columns} for row in rows]
    np.testing.assert_allclose([one["fx"] for one in column], y - 50.0, atol=1e-6)
    np.testing.assert_allclose([one["fy"] for one in column], x + 150.0, atol=1e-6)


def test_every_bundle_has_its_files() -> None:
    one = BUNDLE.draw(1)[0]
    both = [one, replace(one, ifuslot=np.full(one.ifuslot.size, 54, np.int32))]
    form = next(form for form in FORMS["remedy"] if form.category == "FIBRES")
    files = {form.name(key): file for key, file in form.arranged(form.key(KEY), {"spectra": both})}
    assert list(files) == ["20190204_0000017_053.fits", "20190204_0000017_054.fits"]
    assert all(len(file.planes[0].values) == len(one.flux) for file in files.values())


def calibrations(night: str, controller: str, what: str) -> Any:
    """Calibrations of one CCD: what the reduction keeps of it."""
    head = {"DATE-OBS": night, "IFUSLOT": 53, "SPECID": 320, "IFUID": "020", "CONTID": controller, "CCDPOS": "L"}
    if what == "dark":
        data = np.repeat([1.0, 2.0], 1032)[:, None] * np.ones(1032, np.float32)
        numbers = {"RN LL": 2.5, "RN LU": 2.6, "LEVEL LL": 10.0, "LEVEL LU": 20.0, "DARK LL": 1e-3}
        return Frame(data, data, np.zeros(data.shape, np.int32), {**head, **numbers})
    centre = 20.0 + 8.76 * np.arange(112)[:, None] * np.ones(1032)
    none = np.zeros(112, int)
    one = TraceSet(
        np.arange(112), none, none, none, none, centre, centre, np.zeros((112, 1032), int), np.zeros(3), np.zeros(3)
    )
    return TraceSets(parts={"053LL": one, "053LU": one}, meta=head)


def test_calibrations_of_a_period_are_one_file(tmp_path: Path) -> None:
    taken = [("2019-02-04", "S/N 0093"), ("2019-02-04", "S/N 0199"), ("2019-02-06", "S/N 0093")]
    traces = [calibrations(night, controller, "traces") for night, controller in taken]
    darks = [calibrations(*taken[i], "dark") for i in (0, 2)]
    form = next(form for form in FORMS["hdf5"] if form.category == "CALS")
    assert form.by == ()  # of all nights
    [(key, stream)] = form.arranged({}, {**{part: [] for part in form.parts}, "traces": traces, "darks": darks})
    path = tmp_path / form.name(key)
    write_stream(path, stream)
    with h5py.File(path) as file:
        cals = file["Cals"][:]
    assert [(str(row["night"], "ascii"), str(row["contid"], "ascii"), str(row["amp"], "ascii")) for row in cals] == [
        (night, controller.removeprefix("S/N "), amp) for night, controller in taken for amp in ("LL", "LU")
    ]
    assert cals["trace"].shape == (6, 112, 1032)
    assert cals["trace"].dtype == np.float32
    assert cals["trace"][0, 3, 7] == np.float32(20.0 + 3 * 8.76)
    np.testing.assert_array_equal(cals["readnoise"], np.array([2.5, 2.6, np.nan, np.nan, 2.5, 2.6], np.float32))
    np.testing.assert_array_equal(cals["masterbias"][[0, 1, 4], 5, 5], [11.0, 22.0, 11.0])
    assert np.isnan(cals["masterbias"][2]).all()  # no darks of that controller: nobody else's
    assert (cals["pixelmask"][2] == -1).all()
    assert np.isnan(cals["wavelength"]).all()
    theirs = (
        "wavelength trace lampspec scispec maskspec masterdark masterflt mastertwi mastercmp mastersci masterbias"
        " pixelmask ifupos ifuslot ifuid specid contid amp readnoise"
    )
    assert set(theirs.split()) <= set(cals.dtype.names)


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
