from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tracecube.core.errors import MissingInput
from tracecube.core.frame import RawFrame
from tracecube.core.target import Target
from tracecube.instruments.sedm.finder import finder_of
from tracecube.instruments.sedm.guider import FIELD_CENTRE, PIXEL_SCALE, Pointing, aligned, coordinates, locate
from tracecube.io.raw import read_raw

NIGHT = Path(__file__).parents[5] / "shared" / "nights" / "sedm" / "A"
META = {"OBJECT": "ZTF21abc [A]", "OBJRA": "14:04:04.3782", "OBJDEC": "+21:24:27.809"}
RA, DEC = 211.0182425, 21.4077247


def catalogue(seed: int = 0, number: int = 300) -> RawFrame:
    rng = np.random.default_rng(seed)
    ra = RA + rng.uniform(-400, 400, number) / 3600.0 / np.cos(np.radians(DEC))
    dec = DEC + rng.uniform(-400, 400, number) / 3600.0
    table = {"ra": ra, "dec": dec, "rmag": np.sort(rng.uniform(13, 20, number))}
    return RawFrame("field_stars", "STAR_CATALOGUE", {}, {}, {"": table})


def guide_frame(
    stars: RawFrame, *, target: tuple[float, float], rotation: float = 1.3, trail: float = 0.0, name: str = "rc1"
) -> RawFrame:
    """An r-band section; the target stands ``target`` arcsec east and north of the field centre."""
    rng = np.random.default_rng(5)
    table = stars.tables[""]
    east = (table["ra"] - RA) * 3600.0 * np.cos(np.radians(DEC)) + target[0]
    north = (table["dec"] - DEC) * 3600.0 + target[1]
    angle = np.radians(rotation)
    x = FIELD_CENTRE[0] - 1041 + (-np.cos(angle) * east + np.sin(angle) * north) / PIXEL_SCALE
    y = FIELD_CENTRE[1] - 1016 + (np.sin(angle) * east + np.cos(angle) * north) / PIXEL_SCALE
    image = 612.0 + 110.0 + rng.normal(0, 9, (440, 440))
    rows, columns = np.mgrid[:440, :440]
    for x0, y0, magnitude in zip(x, y, table["rmag"], strict=True):
        if -20 < x0 < 460 and -20 < y0 < 460:
            shifts = np.linspace(-trail / 2, trail / 2, 15) if trail else [0.0]
            for shift in shifts:
                radius2 = (columns - x0 - shift) ** 2 + (rows - y0) ** 2
                image += 2e4 * 10 ** (-0.4 * (magnitude - 13)) / len(shifts) * np.exp(-0.5 * radius2 / 2.2**2)
    meta = {"DETSEC": "[1042:1481,1017:1456]", "FILTER": "r", "GAIN": 1.8, "BIASLEV": 612}
    return RawFrame(name, "GUIDER", meta, {"": image}, {})


def test_target_is_located() -> None:
    stars = catalogue()
    pointing, reasons = locate([guide_frame(stars, target=(2.1, -3.4))], stars, META)
    assert not reasons
    assert (pointing.x, pointing.y) == pytest.approx((2.1, -3.4), abs=0.15)
    assert pointing.error == pytest.approx(2 * PIXEL_SCALE, rel=0.05)
    assert pointing.fwhm == pytest.approx(2.2 * 2.3548 * PIXEL_SCALE, rel=0.05)
    assert pointing.matched >= 8


def test_the_target_has_its_pixel_and_the_frame_its_turn() -> None:
    stars = catalogue()
    pointing, _ = locate([guide_frame(stars, target=(2.1, -3.4), rotation=1.3)], stars, META)
    angle = np.radians(1.3)
    x = FIELD_CENTRE[0] + (-np.cos(angle) * 2.1 + np.sin(angle) * -3.4) / PIXEL_SCALE
    y = FIELD_CENTRE[1] + (np.sin(angle) * 2.1 + np.cos(angle) * -3.4) / PIXEL_SCALE
    assert (pointing.pixel_x, pointing.pixel_y) == pytest.approx((x, y), abs=0.4)
    assert abs(pointing.rotation) == pytest.approx(1.3, abs=0.15)


def test_the_finder_shows_the_sky_around_the_target() -> None:
    stars = catalogue()
    frames = [guide_frame(stars, target=(2.1, -3.4), name=name) for name in ("rc2", "rc1")]
    pointing, _ = locate(frames, stars, META)
    found = finder_of(frames, pointing, META)
    assert found.frames == "rc1, rc2"
    assert (found.field_x - found.x) * PIXEL_SCALE == pytest.approx(2.1, abs=0.3)  # the target lies to the east
    assert (found.y - found.field_y) * PIXEL_SCALE == pytest.approx(-3.4, abs=0.3)
    rows, columns = found.data.shape
    assert 0 <= found.x < columns
    assert 0 <= found.y < rows
    corner = (1041 - round(FIELD_CENTRE[0] - found.field_x), 1016 - round(FIELD_CENTRE[1] - found.field_y))
    seen = frames[0].data[50:150, 50:150] - np.median(frames[0].data)
    piece = found.data[corner[1] + 50 : corner[1] + 150, corner[0] + 50 : corner[0] + 150]
    np.testing.assert_allclose(piece, seen, rtol=1e-5, atol=1e-3)
    assert np.isnan(found.data[0, 0]), "the window of the camera ends beside the pick-off"


def test_a_finder_without_astrometry_marks_no_target() -> None:
    frame = guide_frame(catalogue(), target=(0.0, 0.0), trail=30.0)
    found = finder_of([frame], None, META)
    assert np.isnan([found.x, found.y, found.rotation]).all()
    assert np.isfinite([found.field_x, found.field_y]).all()
    assert finder_of([], None, META) is None


def test_one_bad_frame_of_several_is_no_matter() -> None:
    stars = catalogue()
    frames = [guide_frame(stars, target=(2.1, -3.4), name="rc2"), guide_frame(stars, target=(2.1, -3.4), trail=30.0)]
    pointing, reasons = locate(frames, stars, META)
    assert (pointing.x, pointing.y) == pytest.approx((2.1, -3.4), abs=0.15)
    assert len(reasons) == 1
    assert "rc1" in reasons[0]


def test_nothing_to_go_by_says_so() -> None:
    stars = catalogue()
    assert locate([], stars, META) == (None, ["no guide frame was taken during this exposure"])
    frame = guide_frame(stars, target=(0.0, 0.0))
    assert locate([frame], None, META) == (None, ["no star catalogue for this field"])
    pointing, reasons = locate([guide_frame(stars, target=(0.0, 0.0), trail=30.0)], stars, META)
    assert pointing is None
    assert "trailed" in reasons[0] or "only" in reasons[0]
    pointing, reasons = locate([frame], RawFrame("empty", "STAR_CATALOGUE", {}, {}, {"": {}}), META)
    assert pointing is None
    assert "no table with columns" in reasons[0]


def test_lines_of_a_catalogue_that_hold_no_numbers_are_no_stars() -> None:
    stars = catalogue()
    table = {key: np.asarray(column) for key, column in stars.tables[""].items()}
    words = {key: np.array(["n/a", *column.astype(str)]) for key, column in table.items()}
    frame = guide_frame(stars, target=(2.1, -3.4), name="rc1")
    pointing, _ = locate([frame], RawFrame("stars", "STAR_CATALOGUE", {}, {}, {"": words}), META)
    assert (pointing.x, pointing.y) == pytest.approx((2.1, -3.4), abs=0.15)
    words["ra"][:] = "n/a"
    pointing, reasons = locate([frame], RawFrame("stars", "STAR_CATALOGUE", {}, {}, {"": words}), META)
    assert pointing is None
    assert reasons == ["rc1: stars: most of column ra are no numbers"]


def test_a_guide_frame_of_another_window_is_named_once() -> None:
    stars = catalogue()
    whole = guide_frame(stars, target=(2.1, -3.4), name="rc1")
    cut = RawFrame("rc1", "GUIDER", whole.meta, {"": whole.data[:40, :40]}, {})
    assert locate([cut], stars, META) == (None, ["rc1: no pixels of the r quadrant"])


def test_whole_frames_are_cut_to_the_red_quadrant() -> None:
    stars = catalogue()
    part = guide_frame(stars, target=(2.1, -3.4))
    whole = np.full((2048, 2048), 722.0) + np.random.default_rng(1).normal(0, 9, (2048, 2048))
    whole[1016:1456, 1041:1481] = part.data
    frame = RawFrame("rc", "GUIDER", {"FILTER": "r"}, {"": whole}, {})
    pointing, _ = locate([frame], stars, META)
    assert (pointing.x, pointing.y) == pytest.approx((2.1, -3.4), abs=0.15)


def test_standards_correct_the_alignment() -> None:
    pointing = Pointing(1.0, 2.0, 0.8, 1.9, 12)
    standards = [
        Target("STD-A", 0, "good", 0.5, -0.1, 0.01, 0.01, "brightest", meta={"GUIDEX": -0.2, "GUIDEY": -0.5}),
        Target("STD-B", 0, "good", 0.1, 0.2, 0.01, 0.01, "brightest", meta={}),
    ]
    found = aligned(pointing, standards)
    assert (found.x, found.y) == pytest.approx((1.7, 2.4))
    assert found.error < pointing.error
    assert aligned(pointing, standards[1:]) == pointing


def test_coordinates_need_their_cards() -> None:
    assert coordinates(META) == pytest.approx((RA, DEC), abs=1e-6)
    with pytest.raises(MissingInput, match="OBJDEC"):
        coordinates({"OBJRA": "14:04:04.4", "OBJDEC": ""})


@pytest.mark.skipif(not NIGHT.is_dir(), reason=f"the simulated night is not at {NIGHT}")
@pytest.mark.parametrize(
    ("guide", "field", "place"),
    [  # places of the truth table; the field centre is good to 2 px
        ("rc20210421_03_52_45", ("10:39:36.7400", "+43:06:09.300"), (0.449, -0.04)),
        ("rc20210421_08_58_55", ("16:23:28.1766", "+38:49:58.274"), (17.5, -9.0)),
        ("rc20210421_10_03_15", ("18:48:44.6115", "+47:43:19.473"), (-2.385, -0.256)),
        ("rc20210421_10_47_40", ("14:04:04.3782", "+21:24:27.809"), (-0.12, 1.407)),
        ("rc20210421_11_21_05", ("13:23:35.2600", "+36:07:59.500"), (-0.046, -1.15)),
        ("rc20210421_04_12_35", ("09:28:40.1626", "+12:10:43.554"), None),
    ],
)
def test_guide_frames_of_the_given_night(guide: str, field: tuple[str, str], place: tuple[float, float] | None) -> None:
    frame = read_raw(NIGHT / f"{guide}.fits.fz", "GUIDER")
    stars = read_raw(NIGHT / "field_stars.csv", "STAR_CATALOGUE")
    pointing, reasons = locate([frame], stars, {"OBJRA": field[0], "OBJDEC": field[1]})
    if place is None:
        assert pointing is None
        assert reasons
    else:
        assert np.hypot(pointing.x - place[0], pointing.y - place[1]) < 3 * PIXEL_SCALE
