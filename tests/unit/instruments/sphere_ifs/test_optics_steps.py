"""White light that is none, and what stands in for it; wavelengths near a laser that was off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.core.optics import WavelengthSolution
from tracecube.instruments.sphere_ifs import exposure, optics_steps, other_prism
from tracecube.instruments.sphere_ifs.exposure import _steps
from tracecube.instruments.sphere_ifs.guess import MODES, Mode
from tracecube.recipes.extract.joint import Extraction
from tracecube.recipes.optics.lenslet_flat import check_white


def extraction(on: float, beside: float) -> Extraction:
    """So much light on each of 50 x 40 samples, so much beside them on 100 x 100 pixels."""
    spectra, image = np.full((50, 40), on), np.full((100, 100), beside)
    return Extraction(spectra, np.ones_like(spectra), spectra * 0, image, image, np.zeros(image.shape, bool), 1.0)


def lamp(name: str, tag: str) -> RawFrame:
    return RawFrame(name, tag, {"ESO INS2 COMB IFS": "OBS_H"}, {}, {})


GOOD, BARE = extraction(100.0, 0.5), extraction(1.0, 100.0)


@pytest.fixture
def white(monkeypatch):
    """`_extract_white` of frames whose extraction their names tell."""

    def call(*frames: RawFrame):
        def extract(raw, *_: object):
            return (BARE if any("bare" in frame.name for frame in raw) else GOOD), ("a caveat of the frame",)

        def check_ends(_flux: object, _solution: object, mode: Mode, name: str) -> None:
            assert mode.name == "YJH"
            if "strange" in name:
                raise BadData(f"{name}: white light as through YJ", hint="")

        monkeypatch.setattr(optics_steps, "extract_lamp", extract)
        monkeypatch.setattr(exposure, "mode_of_frame", lambda _: MODES["YJH"])
        monkeypatch.setattr(other_prism, "check_white_ends", check_ends)
        return optics_steps._extract_white(frames, None, (None, None, None), None)

    return call


def test_light_beside_the_spectra_is_refused_by_name_and_rule():
    check_white(GOOD, "good")
    with pytest.raises(BadData, match=r"bare: 0 per cent of its light lies on the lenslets' spectra.* more than 50"):
        check_white(BARE, "bare")
    with pytest.raises(BadData, match="0 per cent"):
        check_white(replace(GOOD, flux=-GOOD.flux), "negative")


def test_the_ifu_flat_is_taken_where_it_shows_spectra(white):
    found, frame, caveats = white(lamp("p", "SPECPOS"), lamp("f", "IFUFLAT"))
    assert found is GOOD
    assert frame.name == "f"
    assert caveats == ("a caveat of the frame",)


@pytest.mark.parametrize("flats", [(), (lamp("bare", "IFUFLAT"),), (lamp("strange", "IFUFLAT"),)])
def test_the_lamp_for_positions_stands_in_with_a_caveat(white, flats):
    _, frame, caveats = white(lamp("p", "SPECPOS"), *flats)
    assert frame.name == "p"
    assert "no usable FLAT,LAMP / IFU of this mode: white light of p (SPECPOS) taken" in caveats
    assert any(text.startswith("left out: ") and flat.name in text for text in caveats for flat in flats) == bool(flats)


def test_without_any_white_light_the_flat_is_named(white):
    with pytest.raises(BadData, match="bare: 0 per cent"):
        white(lamp("bare", "IFUFLAT"))
    with pytest.raises(BadData, match="strange: white light as through YJ"):
        white(lamp("strange", "IFUFLAT"))
    with pytest.raises(BadData, match="no frame of the white lamp"):
        white()


def test_a_laser_that_was_off_is_told_with_the_error_there():
    wave = np.array([[15000.0, 15400.0, 15500.0, 16000.0]])
    solution = WavelengthSolution(
        aperture=np.arange(1), start=np.zeros(1, int), dq=np.zeros(1, np.int32), wave=wave,
        error=np.array([[1.0, 6.0, 8.0, 20.0]]), lsf_sigma=np.ones(wave.shape),
        line_aperture=np.zeros(0, int), line_wave=np.zeros(0), line_pixel=np.zeros(0), line_residual=np.zeros(0),
        line_error=np.zeros(0), line_used=np.zeros(0, np.int32), medium="WAVE",
    )  # fmt: skip
    assert optics_steps._without_laser(15451.0, solution) == (
        "laser 1545.1 nm off: wavelengths near it rest on the prism's law, known to 0.70 nm"
    )


def test_the_samples_at_both_ends_of_a_spectrum_have_a_width() -> None:
    wave = np.array([[np.nan, 9500.0, 9600.0, 9710.0, np.nan], [9000.0, 9090.0, 9190.0, 9300.0, 9420.0]])
    steps = _steps(wave)
    assert np.array_equal(np.isfinite(steps), np.isfinite(wave))
    assert steps[0, 1:4] == pytest.approx([100.0, 105.0, 110.0])
    assert steps[1, [0, 4]] == pytest.approx([90.0, 120.0])
