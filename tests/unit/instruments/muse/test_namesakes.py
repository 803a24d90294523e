"""Every parameter of the observatory's recipes (muse 2.8.7) is known here, or the reason is told why it has none."""

from __future__ import annotations

import pytest

from tracecube.core.errors import BadData
from tracecube.instruments.muse import instrument
from tracecube.workflow.settings import params_of, resolve

DETECTOR = "nifu overscan ovscreject ovscsigma ovscignore"
STACK = f"{DETECTOR} combine nlow nhigh nkeep lsigma hsigma"
CUBE = "save resample dx dy dlambda crtype crsigma rc pixfrac ld format weight filter lambdamin lambdamax"
THEIRS = {
    "bias": f"{STACK} losigmabadpix hisigmabadpix merge",
    "dark": f"{STACK} hotsigma model merge",
    "lamp_flat": f"{STACK} trace nsum order edgefrac losigmabadpix hisigmabadpix samples merge",
    "arc": f"{DETECTOR} combine sigma dres tolerance xorder yorder linesigma residuals fitsigma fitweighting "
    "saveimages merge",
    "line_spread_function_arc": f"{DETECTOR} save_subtracted line_quality lsf_range lsf_size lambda_size "
    "lsf_regression_window merge combine method",
    "sky_flat": f"{STACK} scale resample crtype crsigma lambdamin lambdamax dlambda xorder yorder",
    "preprocess_science": f"{DETECTOR} crop cr xbox ybox passes thres saveimage skylines skyhalfwidth skybinsize "
    "skyreject resample dlambda merge",
    "response": "profile select smooth lambdamin lambdamax lambdaref darcheck filter",
    "sky": "fraction ignore lambdamin lambdamax lambdaref",
    "object": f"{CUBE} autocalib skymethod lambdaref darcheck skymodel_fraction skymodel_ignore rvcorr astrometry",
    "object_aligned": CUBE,
    "object_combination": CUBE,
    "alignment": "rsearch nbins weight fwhm threshold bkgignore bkgfraction step iterations srcmin srcmax roundmin "
    "roundmax sharpmin sharpmax bpixdistance",
    "throughput": "fbeam temp savemaster savetable",
    "geometry": "sigma centroid smooth",
    "astrometry": "centroid detsigma radius faccuracy niter rejsigma rotcenter lambdamin lambdamax lambdaref darcheck",
}
TASKS = {task.name: task for task in instrument.workflow.tasks}


@pytest.mark.parametrize(("task", "name"), [(task, name) for task, names in THEIRS.items() for name in names.split()])
def test_each_is_known_or_has_a_reason(task, name):
    if name in TASKS[task].parameter_names():
        return
    with pytest.raises(BadData, match="has no counterpart here") as refused:
        params_of(TASKS[task], {name: "1"})
    assert len(str(refused.value).partition("leave it out: ")[2]) > 8


def test_the_full_name_of_theirs_is_known_too():
    assert params_of(TASKS["object"], {"muse.muse_scipost.rvcorr": "none"}).frame == "none"
    with pytest.raises(BadData, match="refraction is taken off"):
        params_of(TASKS["object"], {"muse.muse_scipost.lambdaref": "6000"})


def test_parts_and_names_of_the_observatorys_workflow_are_targets():
    targets = instrument.workflow.targets()
    assert targets["twilight"] == ("sky_flat",)
    assert targets["preprocess_sky_sky"] == ("preprocess_sky",)
    assert "response" in targets["flux_calibration"]
    assert {"alignment", "object_combination"} <= set(targets["process_and_combine_object"])
    assert set(targets["line_spread_function"]) == {"line_spread_function_arc", "line_spread_function_lsf"}
    assert {"object_sky", "alignment_sky", "combine_sky"} <= set(targets["process_and_combine_sky"])


@pytest.mark.parametrize(
    ("combination", "cube"), [("object_combination", "object_aligned"), ("combine_sky", "object_sky_aligned")]
)
def test_what_a_combination_is_told_of_resampling_counts_for_the_cubes_that_it_averages(combination, cube):
    told = {"resample": "drizzle", "muse.muse_exp_combine.pixfrac": "0.7", "crtype": "median", "crsigma": "9"}
    found = resolve({combination: told, cube: {"resample": "nearest"}}, [instrument])
    made = found["muse", cube]
    assert (made.resample, made.pixfrac, made.crtype) == ("drizzle", (0.7,), "median")
    assert made.hit is None
    assert found["muse", combination].clip == 9.0
    assert found["muse", "object"].resample == "decorrelated"
