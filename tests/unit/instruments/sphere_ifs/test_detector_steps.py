"""The detector's recipes on frames of the real size, without light but for what is put in."""

from __future__ import annotations

import numpy as np
import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.frame import RawFrame
from tracecube.core.optics import Layout, PixelMap
from tracecube.core.pixels import Master
from tracecube.instruments.sphere_ifs.clear_pixels import clear_pixels
from tracecube.instruments.sphere_ifs.detector_steps import (
    DetectorMasters,
    calibrated,
    instrument_background,
    master_dark,
    sky_background,
)

SIZE = 2048
INSIDE = np.s_[4:-4, 4:-4]


def frame(name: str, tag: str, level: float, *, dit: float = 16.0, ndit: int = 1, **cards: object) -> RawFrame:
    """Even light of so many electrons in one integration, read noise 5 electrons."""
    rng = np.random.default_rng(sum(name.encode()))
    image = rng.normal(0, 5.0 / np.sqrt(ndit), (SIZE, SIZE))
    image[INSIDE] += level + rng.normal(0, np.sqrt(level / ndit) + 1e-9, (SIZE - 8, SIZE - 8))
    image = np.round(image / 1.8 + np.repeat(rng.normal(0, 2, 32), 64))
    meta = {"ESO DET SEQ1 DIT": dit, "ESO DET NDIT": ndit, "ESO DET OUT1 GAIN": 1.8, "ESO INS2 COMB IFS": "OBS_H"}
    return RawFrame(name, tag, {**meta, **cards}, {"": image.astype(np.float32)}, {})


@pytest.fixture(scope="module")
def dark() -> Master:
    made = master_dark(raw=[frame("dark", "DARK", 0.0, ndit=20)])
    assert {q.name: q.good for q in made.quality}["READ NOISE"]
    assert made.master_dark.meta["ESO PRO CATG"] == "IFS_MASTER_DARK"
    return made.master_dark


@pytest.fixture(scope="module")
def background(dark) -> Master:
    made = instrument_background(raw=[frame("bg", "BACKGROUND", 20.0, ndit=20)], master_dark=[dark])
    assert made.background_fit is None
    assert made.instrument_background.meta["BUNIT"] == "electron/s"
    return made.instrument_background


def test_a_science_plane_loses_the_sky_and_a_lamp_the_dark(dark, background):
    sky = sky_background(
        raw=[frame("sky", "SKY", 24.0, PLANE=0)], master_dark=[dark], instrument_background=background
    ).sky_background
    masters = DetectorMasters([dark], background, sky)
    science, caveats = calibrated(frame("a", "OBJECT", 24.0, PLANE=0), masters)
    assert caveats == ("no detector flat: the response of pixels is left in",)
    good = science.flags & NOT_USABLE == 0
    assert good.mean() > 0.98
    assert np.mean(science.data[good]) == pytest.approx(0.0, abs=0.15)
    assert np.std((science.data / np.sqrt(science.variance))[good]) == pytest.approx(1.0, abs=0.05)
    lamp, _ = calibrated(frame("b", "WAVE", 24.0, ndit=10), masters)
    assert np.mean(lamp.data[good]) == pytest.approx(24.0, abs=0.3)
    assert (science.flags[0] & int(Flag.NOT_MEASURED) != 0).all()


def test_a_sky_that_changes_is_fitted_to_pixels_without_spectra(dark, background):
    skies = [frame(f"sky{i}", "SKY", level, PLANE=i) for i, level in enumerate((20.0, 28.0, 24.0))]
    made = sky_background(raw=skies, master_dark=[dark], instrument_background=background)
    assert {q.name: q.value for q in made.quality}["SKY COMPONENTS"] == 1.0
    masters = DetectorMasters([dark], background, made.sky_background)
    clear = np.ones((SIZE, SIZE), bool)
    clear[100:-100, 100:-100] = False
    plane = frame("a", "OBJECT", 33.0, PLANE=0)
    fitted, caveats = calibrated(plane, masters, clear=clear)
    mean, notes = calibrated(plane, masters)
    assert fitted.meta["BGNCOMP"] == 1
    assert fitted.meta["BGRMS"] < fitted.meta["BGRMSMN"]
    good = (fitted.flags & NOT_USABLE == 0) & ~clear
    assert np.mean(mean.data[good]) == pytest.approx(9.0, abs=0.3)
    assert np.mean(fitted.data[good]) == pytest.approx(0.0, abs=0.2)
    assert np.std((fitted.data / np.sqrt(fitted.variance))[good]) == pytest.approx(1.0, abs=0.05)
    assert not any("changed" in note for note in caveats)
    assert any("too few pixels without light tell how the background changed" in note for note in notes)


def test_pixels_away_from_spectra_and_star_are_clear():
    aperture = np.full((60, 60), -1, np.int32)
    aperture[10:50, 10:30], aperture[10:50, 30:50] = 3, 8
    pixels = PixelMap(np.zeros((60, 60)), aperture, np.zeros((60, 60)))
    ones = np.zeros(2, np.int32)
    layout = Layout(np.array([8, 3]), np.array([0.1, 0.7]), np.zeros(2), ones, 0.01, 0.0)
    clear = clear_pixels(pixels, layout, distance=4.0, star_radius=0.6)
    assert clear[30, :6].all()
    assert not clear[30, 6:].any()
    everywhere = clear_pixels(pixels, layout, distance=4.0, star_radius=0.0)
    assert everywhere[30].sum() == 12


def test_what_is_missing_is_said(dark):
    _, caveats = calibrated(frame("a", "OBJECT", 5.0, dit=1.65, PLANE=0), DetectorMasters([dark]))
    text = " ".join(caveats)
    for words in ("no dark of DIT 1.65 s", "the dark alone", "no detector flat"):
        assert words in text
    with pytest.raises(MissingInput, match="no dark"):
        calibrated(frame("a", "OBJECT", 5.0, PLANE=0), DetectorMasters([]))


def test_a_broken_frame_is_left_out_and_the_last_one_is_an_error(dark):
    broken = RawFrame("broken", "DARK", frame("x", "DARK", 0.0).meta, {"": np.zeros((10, 10), np.float32)}, {})
    made = master_dark(raw=[frame("dark", "DARK", 0.0, ndit=20), broken])
    assert "broken" in made.caveats[0]
    with pytest.raises(BadData, match="broken"):
        master_dark(raw=[broken])


def test_a_frame_whose_counts_below_zero_were_cut_off_is_refused_by_name(dark):
    spoilt = frame("a", "OBJECT", 5.0, PLANE=0)
    image = spoilt.data.copy()
    border = np.ones(image.shape, bool)
    border[INSIDE] = False
    image[border] = np.round(np.maximum(np.random.default_rng(1).normal(-5.0, 12.0, border.sum()), 0.0))
    spoilt = RawFrame("cut.fits", "OBJECT", spoilt.meta, {"": image}, {})
    with pytest.raises(BadData, match=r"cut\.fits: the reference pixels show no noise") as error:
        calibrated(spoilt, DetectorMasters([dark]))
    assert "counts below 0 cut off" in error.value.hint


def test_a_surface_through_the_sky_is_made_where_it_is_asked_for(dark, background):
    row, column = (np.mgrid[:SIZE, :SIZE] / SIZE - 0.5).astype(np.float32)
    bowl = 30.0 + 12.0 * row - 20.0 * column**2
    plane = frame("sky", "SKY", 0.0, PLANE=0)
    plane.data[INSIDE] += np.round(bowl[INSIDE] / 1.8)

    def surface(**chosen: object) -> Master | None:
        params = sky_background.params(fit=True, **chosen)
        given = {"master_dark": [dark], "instrument_background": background, "params": params}
        return sky_background(raw=[plane], **given).background_fit

    fine, plain = surface(fit_order=4, samples=400), surface(fit_order=0)
    assert fine is not None
    assert plain is not None
    assert fine.meta["ESO PRO CATG"] == "IFS_CAL_BACKGROUND_FIT"
    assert fine.meta["BUNIT"] == "electron/s"
    off = (fine.data - bowl / 16.0)[INSIDE] * 16.0
    assert np.std(off) < 0.15  # electron, of pixels with a noise of 7
    assert np.std(off) < 1.5 * 16.0 * np.sqrt(fine.variance[INSIDE].mean())
    assert np.ptp(plain.data) < 1e-3  # of degree 0: the asked degree is the one that is fitted
    few = surface(fit_order=4, samples=100)
    assert few is not None
    assert not np.array_equal(few.data, fine.data)
    usual = sky_background(raw=[plane], master_dark=[dark], instrument_background=background)
    assert usual.background_fit is None


def test_a_background_whose_cards_tell_no_prism_says_why_it_is_not_used(dark):
    blind, told = (frame(name, "BACKGROUND", 20.0, ndit=20) for name in ("bg1", "bg2"))
    blind.meta.pop("ESO INS2 COMB IFS")
    [caveat] = instrument_background(raw=[blind], master_dark=[dark]).caveats
    assert caveat.startswith(
        "bg1: no card (ESO INS2 COMB IFS, INS2 OPTI2 NAME or INS4 OPTI13 NAME) tells for which prism"
    )
    assert "subtracted from no frame of the sky" in caveat
    assert instrument_background(raw=[told], master_dark=[dark]).caveats == ()
