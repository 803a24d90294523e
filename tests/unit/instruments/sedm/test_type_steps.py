from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tracecube.core.spectra import Spectrum
from tracecube.core.spectral_type import SpectralType
from tracecube.core.target import Target
from tracecube.instruments.sedm.type_steps import TypeParams, classify
from tracecube.io import read_product, write_product
from tracecube.kernels.log_spectrum import STEP, grid
from tracecube.recipes.classify.library import templates

WAVE = 3700.0 + 25.57 * np.arange(220)
TARGET = {
    "OBJECT": "ZTF18abc [A]",
    "IMGTYPE": "Science",
    "EXPTIME": 300.0,
    "UTC": "2018-09-07T10:55:22",
    "PRODTAG": "SPECTRUM",
    "QC SNR": 5.0,
}
VERDICT = Target("ZTF18abc", 0, "good", 0.0, 0.0, 0.1, 0.1, "astrom")
SNID = "TYPE SUBT RLAP ZMAT AMAT TEMP ZMED ZERR AMED AERR FIA FIB FIC FII FNOT"


@pytest.fixture(scope="module")
def spectrum() -> Spectrum:
    held = templates()
    rows = np.flatnonzero(held.name == "sn2005cf")
    row = int(rows[np.nanargmin(np.abs(held.age[rows]))])
    bins = np.log(WAVE / 1.05 / grid()[0]) / STEP
    features = np.interp(bins, np.arange(grid().size), np.nan_to_num(held.flux[row].astype(float)))
    sigma = 0.04
    flux = 1.0 + features + sigma * np.random.default_rng(0).normal(size=WAVE.size)
    none = np.full(WAVE.size, np.nan)
    return Spectrum(
        wave=WAVE, flux=1e-16 * flux, variance=np.full(WAVE.size, (1e-16 * sigma) ** 2),
        flags=np.zeros(WAVE.size, np.int32), sky=none, flux_uncal=none, variance_uncal=none, covariance_uncal=none,
        lsf_sigma=none, meta=TARGET,
    )  # fmt: skip


def head_of(text: str) -> dict[str, str]:
    return dict(line[2:].split(": ", 1) for line in text.splitlines() if line.startswith("# "))


def test_a_target_is_typed_in_its_product_and_in_the_text_form(spectrum: Spectrum, tmp_path: Path) -> None:
    done = classify(spectrum=spectrum, target=VERDICT)
    found = done.classification
    assert isinstance(found, SpectralType)
    assert found.type == "Ia"
    assert done.spectrum_ascii.name == "spec_auto_robot_lstep1__crr_b_ifu20180907_10_55_22_ZTF18abc"
    head = head_of(done.spectrum_ascii.text)
    assert head.keys() >= {f"SNID{name}" for name in SNID.split()}
    assert head["SNIDTYPE"] == "Ia"
    assert float(head["SNIDZMED"]) == pytest.approx(0.05, abs=0.004)
    assert head["QUALITY"] == "0"
    assert not head.keys() & {"PRODTAG", "QC SNR"}  # of the file it was read from
    write_product(tmp_path / "c.fits", found, cards={"PRODTAG": "CLASSIFICATION"})
    again = read_product(tmp_path / "c.fits", SpectralType)
    assert again.snid_template == found.snid_template
    np.testing.assert_array_equal(again.kind_probability, found.kind_probability)
    np.testing.assert_array_equal(again.match_name, found.match_name)


@pytest.mark.parametrize("quality", [3, 4, 5])
def test_a_major_problem_forbids_it_and_is_told(spectrum: Spectrum, quality: int) -> None:
    done = classify(
        spectrum=spectrum,
        target=replace(VERDICT, quality=quality, reason="bad"),
        params=TypeParams(provisional=False),
    )
    assert done.classification is None
    assert f"quality code {quality}" in done.caveats[0]
    assert "SNIDTYPE" not in head_of(done.spectrum_ascii.text)


def test_a_source_found_by_brightness_has_a_provisional_type(spectrum: Spectrum) -> None:
    done = classify(spectrum=spectrum, target=replace(VERDICT, quality=5, reason="no astrometry"))
    assert done.classification is not None
    assert any("provisional" in text for text in done.caveats)
    for quality in (3, 4):
        assert classify(spectrum=spectrum, target=replace(VERDICT, quality=quality)).classification is None


def test_standards_are_not_classified(spectrum: Spectrum) -> None:
    star = replace(spectrum, meta={**TARGET, "OBJECT": "STD-HZ44", "IMGTYPE": "Standard"})
    done = classify(spectrum=star, target=replace(VERDICT, source_position="brightest"))
    assert done.classification is None
    assert not done.caveats
    assert done.spectrum_ascii is not None


def test_a_spectrum_of_few_samples_is_written_all_the_same(spectrum: Spectrum) -> None:
    flags = np.where((WAVE > 5000.0) & (WAVE < 5600.0), 0, 64).astype(np.int32)
    done = classify(spectrum=replace(spectrum, flags=flags), target=VERDICT)
    assert done.classification is None
    assert "too few" in done.caveats[0]
    assert done.spectrum_ascii is not None


def test_without_a_verdict_there_is_neither(spectrum: Spectrum) -> None:
    done = classify(spectrum=spectrum)
    assert done.classification is None
    assert done.spectrum_ascii is None
