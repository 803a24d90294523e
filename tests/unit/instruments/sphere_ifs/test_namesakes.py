"""ESO's names of parameters are understood, with ESO's defaults; those without counterpart say why."""

from __future__ import annotations

import pytest

from tracecube.core.errors import BadData
from tracecube.core.fields import PER_PRODUCT
from tracecube.core.quality import QualityNumber
from tracecube.instruments.sphere_ifs import instrument
from tracecube.instruments.sphere_ifs.namesakes import NAMESAKES
from tracecube.workflow.provenance import quality_cards
from tracecube.workflow.settings import from_command_line, from_file, params_of, preset, resolve

TASKS = {task.name: task for task in instrument.workflow.tasks}

# name, ESO's default (SPHERE pipeline manual 1.53)
DEFAULTS = [
    ("ifs_dark", "ifs.master_dark.coll_alg", 2),
    ("ifs_dark", "ifs.master_dark.clean_mean.reject_high", 0),
    ("ifs_dark", "ifs.master_dark.clean_mean.reject_low", 0),
    ("ifs_dark", "ifs.master_dark.sigma_clip", 5.0),
    ("ifs_dark", "ifs.master_dark.smoothing", 5.0),
    ("ifs_dark", "ifs.master_dark.min_acceptable", -100.0),
    ("ifs_dark", "ifs.master_dark.max_acceptable", 1000.0),
    ("ifs_dark", "ifs.master_dark.nskip", 0),
    ("ifs_instrument_background", "ifs.cal_background.clean_mean.reject_high", 1),
    ("ifs_instrument_background", "ifs.cal_background.sigma_clip", 5.0),
    ("ifs_instrument_background", "ifs.cal_background.fit", False),
    ("ifs_sky_background", "ifs.cal_background.fitorder", 10),
    ("ifs_sky_background", "ifs.cal_background.smooth", 0.0),
    ("ifs_sky_background", "ifs.cal_background.nsamples", 1000),
    ("ifs_det_flat_narrow_band3", "ifs.master_detector_flat.save_addprod", False),
    ("ifs_detector_flat", "ifs.master_detector_flat.robust_fit", False),
    ("ifs_detector_flat", "ifs.master_detector_flat.badpix_lowtolerance", 0.1),
    ("ifs_detector_flat", "ifs.master_detector_flat.badpix_uptolerance", 10.0),
    ("ifs_detector_flat", "ifs.master_detector_flat.badpix_chisqtolerance", 50.0),
    ("ifs_distortion_map", "ifs.distortion_map.threshold", 3.0),
    ("ifs_distortion_map", "ifs.distortion_map.fitting_order", 3),
    ("ifs_distortion_map", "ifs.distortion_map.max_distortion", 4.0),
    ("ifs_gain", "ifs.gain.order", 2),
    ("ifs_coronagraph_center", "ifs.star_center.sigma", 10.0),
    ("ifs_coronagraph_center", "ifs.star_center.use_waffle", True),
    ("ifs_science", "ifs.science_dr.user_cent", False),
    ("ifs_science", "ifs.science_dr.cx", 146.0),
    ("ifs_standard_flux", "ifs.science_dr.cy", 146.0),
    ("ifs_companions", "ifs.science_dr.use_adi", 2),
    ("ifs_companions", "ifs.science_dr.min_adi_angle", 4.0),
    ("ifs_companions", "ifs.science_dr.spec_deconv", True),
    ("ifs_companions", "ifs.science_dr.order", 2),
]


@pytest.mark.parametrize(("task", "name", "default"), DEFAULTS)
def test_a_name_of_eso_is_a_parameter_with_its_default(task, name, default):
    field = TASKS[task].parameter_names()[name]
    assert TASKS[task].recipe.params.model_fields[field].default == default


def test_values_come_by_the_command_line_and_by_file(tmp_path):
    dark = TASKS["ifs_dark"]
    line = from_command_line(["ifs_dark.ifs.master_dark.sigma_clip=3", "ifs_dark.ifs.master_dark.coll_alg=1"])
    chosen = params_of(dark, line["ifs_dark"])
    assert (chosen.hot_clip, chosen.algorithm) == (3.0, 1)
    (tmp_path / "p.toml").write_text('[ifs_dark]\n"ifs.master_dark.max_acceptable" = 2000\nsigma_clip = 4\n')
    chosen = params_of(dark, from_file(tmp_path / "p.toml")["ifs_dark"])
    assert (chosen.most, chosen.hot_clip) == (2000.0, 4.0)


def test_a_name_without_counterpart_says_why():
    with pytest.raises(BadData, match=r"ifs.science_dr.xtalkco.apply has no counterpart here") as error:
        params_of(TASKS["ifs_science"], {"ifs.science_dr.xtalkco.apply": "1"})
    assert "neighbours are solved for together" in error.value.hint
    with pytest.raises(BadData, match="use_adi has no counterpart here") as error:
        params_of(TASKS["ifs_science"], {"ifs.science_dr.use_adi": "0"})
    assert "ifs_companions" in error.value.hint
    with pytest.raises(BadData, match=r"has no parameter 'ifs.master_dark.sigmaclip' \(try: did you mean"):
        params_of(TASKS["ifs_dark"], {"ifs.master_dark.sigmaclip": 3})


def test_all_names_of_a_parameter_are_listed():
    assert TASKS["ifs_dark"].aliases()["algorithm"] == ("coll_alg", "ifs.master_dark.coll_alg")
    assert "scale" not in TASKS["ifs_detector_flat"].aliases()


def test_every_task_that_eso_has_a_recipe_for_has_a_namesake_and_no_name_is_both():
    assert set(NAMESAKES) == set(TASKS) - {"ifs_frame_photometry", "ifs_line_wings", "ifs_stack"}  # nor does it
    for name, namesake in NAMESAKES.items():
        aliases = {alias.removeprefix(f"{namesake.prefix}.") for alias in TASKS[name].parameter_names()}
        assert not aliases & {f"{namesake.prefix}.{one}" for one in namesake.without}
        assert all(namesake.without.values())


def test_quality_numbers_that_eso_has_too_are_written_under_its_names_besides():
    numbers = (QualityNumber("RON", 4.2, "electron"), QualityNumber("NOISE RATIO", 1.0))
    cards = quality_cards(numbers, TASKS["ifs_dark"].namesake)
    assert cards["QC RON"] == cards["ESO QC RON"] == (4.2, "[electron]")
    assert "ESO QC NOISE RATIO" not in cards
    lasers = quality_cards((QualityNumber("FLUX LASER4", 2e3, "electron"),), TASKS["ifs_spectra_positions"].namesake)
    assert "ESO QC FLUX LASER4" in lasers
    assert all(PER_PRODUCT.fullmatch(key) for key in (*cards, *lasers))  # no later product inherits them


def test_the_preset_sets_what_esos_workflow_sets_otherwise():
    chosen = preset("edps", [instrument])
    assert chosen is not None
    made = resolve(chosen, [instrument])
    dark, search = (made["sphere_ifs", name] for name in ("ifs_dark", "ifs_companions"))
    assert (dark.hot_clip, dark.least) == (3.0, -100.0)  # 0 would take good pixels
    assert (search.use_adi, search.spec_deconv) == (0, False)
    assert search.method(30.0, 8) == "none"
    assert preset("no such", [instrument]) is None


ALL = {
    "ifs.cal_background": (
        "clean_mean.reject_high clean_mean.reject_low coll_alg fit fit_filename fitorder nsamples outfilename "
        "sigma_clip smooth"
    ),
    "ifs.distortion_map": (
        "add_rotation clean_mean.reject_high clean_mean.reject_low coll_alg dither fitting_order "
        "ldt_outfilename max_distortion outfilename point_table_filename self_check threshold"
    ),
    "ifs.gain": (
        "clean_mean.reject_high clean_mean.reject_low coll_alg lin_tolerance nonlin_bpixname nonlin_filename "
        "order outfilename preproc vacca"
    ),
    "ifs.instrument_flat": (
        "badpix_chisqtolerance badpix_lowtolerance badpix_uptolerance badpixfilename clean_mean.reject_high "
        "clean_mean.reject_low coll_alg iff_filename ifu_filename make_badpix nofit robust_fit "
        "use_illumination"
    ),
    "ifs.master_dark": (
        "badpixfilename clean_mean.reject_high clean_mean.reject_low coll_alg max_acceptable min_acceptable "
        "nskip outfilename sigma_clip smoothing"
    ),
    "ifs.master_detector_flat": (
        "badpix_chisqtolerance badpix_lowtolerance badpix_uptolerance badpixfilename clean_mean.reject_high "
        "clean_mean.reject_low coll_alg lambda lss_outfilename make_badpix outfilename preamp_outfilename "
        "robust_fit save_addprod smoothing_length smoothing_method"
    ),
    "ifs.science_dr": (
        "badpixco.apply badpixco.border badpixco.fac badpixco.threshold clean_mean.reject_high "
        "clean_mean.reject_low coll_alg cx cy fwhm min_adi_angle order outfilename reflambda spec_deconv "
        "spec_deconv_filename use_adi use_illumination user_cent xtalkco.apply xtalkco.bfac "
        "xtalkco.largescale.apply xtalkco.lgscalewin xtalkco.powfac xtalkco.sepmax xtalkco.smoothing "
        "xtalkco.stephist xtalkco.threshold"
    ),
    "ifs.spectra_positions": (
        "angle clean_mean.reject_high clean_mean.reject_low coll_alg correct_nonlin distortion header hmode "
        "minpix outfilename threshold"
    ),
    "ifs.star_center": (
        "clean_mean.reject_high clean_mean.reject_low coll_alg outfilename qc qc_window_x qc_window_y "
        "save_interprod sigma unsharp_window use_waffle"
    ),
    "ifs.wave_calib": (
        "clean_mean.reject_high clean_mean.reject_low coll_alg fit_window_size line_threshold "
        "no_spline_interpol number_lines outfilename polyfit_order save_addprod wavelength_line1 "
        "wavelength_line2 wavelength_line3 wavelength_line4 wavelength_line5"
    ),
}
"""Recipe -> all of its parameters (SPHERE pipeline manual 1.53)."""


def test_every_parameter_of_esos_recipes_is_understood_or_explained():
    assert set(ALL) == {namesake.prefix for namesake in NAMESAKES.values()}
    for name, namesake in NAMESAKES.items():
        known = TASKS[name].parameter_names()
        for one in ALL[namesake.prefix].split():
            if f"{namesake.prefix}.{one}" not in known:
                with pytest.raises(BadData, match="no counterpart"):
                    params_of(TASKS[name], {f"{namesake.prefix}.{one}": "1"})
