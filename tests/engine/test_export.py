"""Products of a reduced night in the layout of an observatory that exists only here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.foreign import ForeignFile, ForeignGroup, ForeignStream, ForeignTable, Form, GatheredForm, Plane
from tracecube.core.frame import Frame
from tracecube.core.spectra import Image
from tracecube.core.target import Target
from tracecube.core.workflow import Namesake
from tracecube.io import read_product
from tracecube.io.hdf5 import groups_of, read_table
from tracecube.workflow.discover import Found
from tracecube.workflow.export import _beside, export


def bias_file(bias: Frame) -> ForeignFile:
    return ForeignFile((Plane("IMAGE", bias.data, "electron"),), meta=bias.meta, cards={"OBS CATG": "BIAS"})


def star_file(star: Image, *, trace: Image, target: Target) -> ForeignFile:
    if target.object == "SN1":
        raise BadData("SN1 is not wanted", hint="leave it")
    return ForeignFile((Plane("STAR", star.data), Plane("TRACE", trace.data)), meta=star.meta)


BESIDE = {"trace": ("TRACE", Image), "target": ("TARGET", Target)}


def night_tables(key: dict, *, stars, biases) -> ForeignStream:
    def pieces():
        for star in stars:
            yield ForeignTable("Stars", (Plane("flux", np.array([star.data.sum()])),))
        for number, bias in enumerate(biases):
            yield ForeignGroup(f"bias/{number}", bias)

    return ForeignStream(pieces(), {"NIGHT": key["night"]})


FORMS = (
    GatheredForm("OBS_NIGHT", {"stars": ("SPECTRUM_UNCAL", Image), "biases": ("MASTER_BIAS", Frame)}, night_tables,
                 ("night",), lambda key: f"night_{key['night']}.h5"),
    Form("OBS_BIAS", "MASTER_BIAS", Frame, bias_file),
    Form("OBS_STAR", "SPECTRUM_UNCAL", Image, star_file, BESIDE, numbers_of="target"),
)  # fmt: skip


@pytest.fixture(scope="module")
def found(installed):
    """The toy with a layout, and with an observatory's names of some quality numbers."""
    toy = installed()["toy"]
    flow = toy.instrument.workflow
    namesake = Namesake("obs", quality=("READ *", "FLEXURE DX"), quality_prefix="OBS QC")
    flow = replace(flow, tasks=tuple(replace(task, namesake=namesake) for task in flow.tasks))
    return {"toy": Found(toy.reference, replace(toy.instrument, workflow=flow, exports={"obs": FORMS}))}


@pytest.fixture
def out(raw: Path, tmp_path: Path, reduced):
    reduced(raw, tmp_path / "out")
    return tmp_path / "out"


def written(out: Path, folder: Path, found, **choices: object):
    with Ledger.open(out) as ledger:
        return list(export(ledger, folder, "obs", found, **choices))


def test_every_product_of_the_layout_is_written_with_what_goes_with_it(out, found, tmp_path):
    made = written(out, tmp_path / "theirs", found)
    with Ledger.open(out) as ledger:
        wanted = {one.path for one in products(ledger) if one.tag in {"MASTER_BIAS", "SPECTRUM_UNCAL"}}
        trace = {one.path for one in products(ledger, tag="TRACE")}
    assert {one.source.path for one in made if one.category != "OBS_NIGHT"} == wanted
    star = next(one for one in made if one.category == "OBS_STAR" and one.source.object == "SN0")
    assert star.path == tmp_path / "theirs" / "2021-04-21" / "sci0_OBS_STAR.fits"
    with fits.open(star.path, checksum=True) as hdus:
        assert np.array_equal(hdus["STAR"].data, read_product(star.source.path, Image).data)
        assert any(np.array_equal(hdus["TRACE"].data, read_product(path, Image).data) for path in trace)


def test_heads_say_where_a_file_comes_from_and_how_good_it_is(out, found, tmp_path):
    made = written(out, tmp_path, found)
    bias = next(one for one in made if one.category == "OBS_BIAS")
    head = fits.getheader(bias.path)
    assert (head["OBS CATG"], head["PRODTAG"], head["PRODSHA"]) == ("BIAS", "MASTER_BIAS", bias.source.data_sha256)
    assert head["OBS QC READ NOISE"] == bias.source.qc["READ NOISE"]["value"]
    assert head.comments["OBS QC READ NOISE"] == "[electron]"
    assert "QC READ NOISE" not in head
    star = next(one for one in made if one.category == "OBS_STAR" and one.source.object == "SN0")
    assert fits.getheader(star.path)["OBS QC FLEXURE DX"] == 0.25  # the target's


def test_products_of_a_night_go_into_one_file(out, found, tmp_path):
    [night] = written(out, tmp_path, found, names=["OBS_NIGHT"])
    assert night.path == tmp_path / "2021-04-21" / "night_2021-04-21.h5"
    with Ledger.open(out) as ledger:
        stars = [read_product(one.path, Image) for one in products(ledger, tag="SPECTRUM_UNCAL")]
        biases = list(products(ledger, tag="MASTER_BIAS"))
    assert sorted(read_table(night.path, "Stars")["flux"]) == pytest.approx(sorted(s.data.sum() for s in stars))
    assert len(groups_of(night.path)) == len(biases)
    before = night.path.read_bytes()
    [again] = written(out, tmp_path, found, names=["OBS_NIGHT"])
    assert again.path.read_bytes() == before


def test_what_can_not_be_written_is_named_and_stops_nothing(out, found, tmp_path):
    lost = [one for one in written(out, tmp_path, found) if one.path is None]
    assert [(one.source.object, one.reason) for one in lost] == [("SN1", "SN1 is not wanted (try: leave it)")]


def test_a_damaged_product_is_named(out, found, tmp_path):
    with Ledger.open(out) as ledger:
        [first, *_] = products(ledger, tag="MASTER_BIAS")
    Path(first.path).unlink()
    lost = [one for one in written(out, tmp_path / "x", found, names=["MASTER_BIAS"]) if one.path is None]
    assert [one.source.path for one in lost] == [first.path]
    assert "no such product" in lost[0].reason


def test_of_several_tags_that_of_the_same_job_goes_before_what_went_into_it(out):
    with Ledger.open(out) as ledger:
        [star, *_] = products(ledger, tag="SPECTRUM_UNCAL")
        assert _beside(ledger, star, ("TRACE", "TARGET")).job_id == star.job_id
        assert _beside(ledger, star, ("TRACE", "NOTHING")).tag == "TRACE"
        with pytest.raises(MissingInput, match="no NOTHING or NOUGHT went into it"):
            _beside(ledger, star, ("NOTHING", "NOUGHT"))


def test_a_product_whose_calibration_was_replaced_is_named(raw, out, reduced, found, tmp_path):
    reduced(raw, out, targets=["lamp"], settings={"lamp": {"order": 1}})
    lost = {one.category: one.reason for one in written(out, tmp_path / "x", found) if one.path is None}
    assert lost == {"OBS_STAR": "the TRACE it was made with was replaced (try: run `tracecube reduce` again)"}


def test_only_what_is_named(out, found, tmp_path):
    for name in ("OBS_BIAS", "MASTER_BIAS"):
        assert {one.category for one in written(out, tmp_path, found, names=[name])} == {"OBS_BIAS"}
    with pytest.raises(MissingInput, match=r"no file of the kind 'OBS_BIS'.*did you mean OBS_BIAS"):
        written(out, tmp_path, found, names=["OBS_BIS"])


def test_a_layout_that_nobody_has(out, found, tmp_path):
    with Ledger.open(out) as ledger, pytest.raises(MissingInput, match=r"layout 'obz' .*did you mean obs"):
        export(ledger, tmp_path, "obz", found)


def test_a_second_call_gives_the_same_bytes_and_leaves_no_scraps(out, found, tmp_path):
    one, two = ({p.path: p.path.read_bytes() for p in written(out, tmp_path, found) if p.path} for _ in range(2))
    assert one == two
    assert not list(tmp_path.rglob("*.part"))


def test_the_command_says_what_was_written(out, toy, found, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from tracecube.cli import export as command
    from tracecube.cli.main import app

    monkeypatch.setattr(command, "discover", lambda: found)
    done = CliRunner().invoke(app, ["export", str(out), str(tmp_path / "theirs"), "--format", "obs"])
    assert done.exit_code == 1
    assert str(tmp_path / "theirs" / "2021-04-21" / "sci0_OBS_STAR.fits") in done.output
    assert "not written: OBS_STAR of sci1_SPECTRUM_UNCAL.fits: SN1 is not wanted" in done.output
    done = CliRunner().invoke(app, ["export", str(out), str(tmp_path), "--format", "obs", "--only", "OBS_BIAS"])
    assert done.exit_code == 0
