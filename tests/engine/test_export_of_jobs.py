"""Files made of what a product was made of: inputs and parameters of its job as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import job_of, products
from tracecube.core.errors import BadData
from tracecube.core.foreign import ForeignFile, JobForm, Plane
from tracecube.core.frame import Frame
from tracecube.io import read_product
from tracecube.workflow.discover import Found
from tracecube.workflow.export import export


def made_of(params, *, exposure, master_bias, trace, **others: object) -> ForeignFile:
    if exposure.name == "sci1":
        raise BadData("sci1 is not wanted", hint="leave it")
    cards = {"NOPTIONS": len(type(params).model_fields), "LACKING": all(one is None for one in others.values())}
    return ForeignFile((Plane("BIAS", master_bias.data), Plane("TRACE", trace.data)), meta=exposure.meta, cards=cards)


FORMS = (
    JobForm("OBS_MADE", "SPECTRUM_UNCAL", ("star",), made_of),
    JobForm("OBS_OTHER", "SPECTRUM_UNCAL", ("another",), made_of),
)


@pytest.fixture
def found(installed):
    toy = installed()["toy"]
    return {"toy": Found(toy.reference, replace(toy.instrument, exports={"obs": FORMS}))}


@pytest.fixture
def out(raw: Path, tmp_path: Path, reduced):
    reduced(raw, tmp_path / "out")
    return tmp_path / "out"


def written(out: Path, folder: Path, found):
    with Ledger.open(out) as ledger:
        return list(export(ledger, folder, "obs", found))


def test_a_file_is_made_of_the_inputs_of_a_job_and_only_of_the_tasks_that_are_named(out, found, tmp_path):
    made = written(out, tmp_path / "theirs", found)
    assert {one.category for one in made} == {"OBS_MADE"}
    one = next(one for one in made if one.path and one.source.object == "SN0")
    assert one.path == tmp_path / "theirs" / "2021-04-21" / "sci0_OBS_MADE.fits"
    with Ledger.open(out) as ledger:
        job = job_of(ledger, one.source.job_id)
    bias = next(given.path for given in job.inputs if given.role == "master_bias")
    with fits.open(one.path, checksum=True) as hdus:
        assert np.array_equal(hdus["BIAS"].data, read_product(bias, Frame).data)
        assert hdus[0].header["NOPTIONS"] == len(job.params)
        assert hdus[0].header["PRODSHA"] == one.source.data_sha256
    assert not list(tmp_path.rglob("*.part"))
    lost = [one for one in made if one.path is None]
    assert [(one.source.object, one.reason) for one in lost] == [("SN1", "sci1 is not wanted (try: leave it)")]


def test_an_input_that_is_no_longer_there_is_named(out, found, tmp_path):
    with Ledger.open(out) as ledger:
        [first, *_] = products(ledger, tag="MASTER_BIAS")
    Path(first.path).unlink()
    lost = [one.reason for one in written(out, tmp_path / "x", found) if one.path is None]
    assert any("MASTER_BIAS that was used is not there any more" in reason for reason in lost)
