"""Every command on a reduced night."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

Call = Callable[..., Result]


@pytest.fixture(scope="session")
def call(toy) -> Call:
    from tracecube.cli.main import app

    def run(*arguments: str | Path) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments])

    return run


@pytest.fixture(scope="session")
def night(tmp_path_factory, toy, call) -> Path:
    """A folder with ``raw`` and ``out``, reduced once; tests only look."""
    folder = tmp_path_factory.mktemp("night")
    toy.write_night(folder / "raw")
    toy.write_frame(folder / "raw", "empty", "SCIENCE", minutes=70, seed=70, OBJECT="EMPTY")
    toy.write_frame(folder / "raw", "lame", "SCIENCE", minutes=71, seed=71, EXPTIME=None)
    done = call("reduce", folder / "raw", "-o", folder / "out", "-j", "0")
    assert done.exit_code == 1, done.output  # because of the lame frame
    return folder


def test_reduce_tells_what_was_done_and_why_not_all(night, call):
    done = call("reduce", night / "raw", "-o", night / "out", "-j", "0")
    assert done.exit_code == 1
    assert "skipped: flux empty: star empty made no SPECTRUM_UNCAL" in done.output
    assert re.search(r"unclassified: .*lame.fits: lame: no card EXPTIME", done.output)
    assert "14 reused, 1 skipped in" in done.output


def test_products_as_programs_see_them(night, call):
    items = json.loads(call("products", night / "out", "--json").output)
    assert len(items) == 6 * 2 + 5 + 3 - 1
    wanted = {"tag", "path", "sha256", "instrument", "task", "object", "raw", "detector", "night", "mjd", "qc"}
    assert all(wanted <= set(item) for item in items)
    [one] = [item for item in items if item["tag"] == "TARGET" and item["raw"] == "sci0"]
    assert (one["instrument"], one["task"], one["object"], one["night"]) == ("toy", "star", "SN0", "2021-04-21")
    assert one["qc"]["FLEXURE DX"] == {"value": 0.25, "unit": "pix", "good": True}
    assert Path(one["path"]).is_absolute()
    [bias] = [item for item in items if item["tag"] == "MASTER_BIAS"]
    assert bias["raw"] is None
    chosen = json.loads(call("products", night / "out", "--tag", "SPECTRUM", "--object", "SN2", "--json").output)
    assert [item["raw"] for item in chosen] == ["sci2"]


def test_products_for_people(night, call):
    text = call("products", night / "out", "--tag", "TARGET").output
    assert "FLEXURE DX=0.25pix" in text
    assert str(night / "out/2021-04-21/star/sci0_TARGET.fits") in text


def test_targets_are_the_science_frames(night, call):
    items = json.loads(call("targets", night / "out", "--json").output)
    assert {item["object"]: item["quality"] for item in items} == {"SN0": 0, "SN1": 0, "SN2": 0, "EMPTY": 3}
    by_name = {item["object"]: item for item in items}
    assert by_name["SN1"]["spectrum"] == str(night / "out/2021-04-21/flux/sci1_SPECTRUM.fits")
    assert by_name["EMPTY"]["spectrum"] is None
    assert by_name["EMPTY"]["reason"] == "target outside the field"
    for key in ("type", "z", "z_err", "probability"):
        assert by_name["SN0"][key] is None
    assert "target outside the field" in call("targets", night / "out").output


def test_ls_shows_tags_and_reasons(night, call):
    text = call("ls", night / "raw").output
    assert re.search(r"sci0 +SCIENCE +2021-04-21 +59325.02083 +60.0 +SN0 +speed=0.1", text)
    assert "lame: no card EXPTIME" in text
    items = json.loads(call("ls", night / "raw", "--json").output)
    assert {item["name"]: item["tag"] for item in items}["stars"] == "CATALOGUE"


def test_datasets_counts_and_draws_trees(night, call):
    text = call("datasets", night / "raw").output
    assert "6 of 6 datasets complete for science" in text
    tree = call("datasets", night / "raw", "--tree", "--target", "lamp").output
    assert "lamp 20210421_0.1 level 0" in tree
    assert "biases: BIAS b0 level 0" in tree


def test_plan_foresees_what_reduce_does(night, call):
    text = call("plan", night / "raw", "-o", night / "out").output
    assert "reused" in text
    assert " run " not in text.replace("would run", "")
    changed = call("plan", night / "raw", "-o", night / "out", "-p", "star.radius=9").output
    assert re.search(r"bias +20210421_0.1 +reused", changed)
    assert re.search(r"star +sci0 +run +no intact products of these inputs and parameters", changed)
    assert re.search(r"flux +sci0 +run +after star sci0", changed)
    assert "15 run" in call("plan", night / "raw", "-o", night / "nowhere").output
    assert not (night / "nowhere").exists()


def test_status(night, call):
    text = call("status", night / "out").output
    assert f"reduce {night / 'raw'} --target science" in text
    assert "finished 20" in text
    assert "caveat: star sci1: no guide frame" in text


def test_why_draws_the_tree_of_inputs_levels_and_parameters(night, call):
    text = call("why", night / "out/2021-04-21/flux/sci0_SPECTRUM.fits").output
    for part in (
        "SPECTRUM sci0_SPECTRUM.fits",
        "by flux = toy_flux version 1",
        "star: SPECTRUM_UNCAL sci0_SPECTRUM_UNCAL level 0",
        "params radius=3.0 weights=[1.0, 2.0]",
        "guide: GUIDE g0 level 0",
        "(see above)",
    ):
        assert part in text


def test_workflow_lists_tasks_and_refuses_a_name_it_does_not_know(night, call):
    text = call("workflow", "toy").output
    assert "toy: a spectrograph that exists only in tests" in text
    assert re.search(r"lamp +LAMP +TRACE +calibration", text)
    assert text.index("bias ") < text.index("flux ")  # in the order in which they run
    wrong = call("workflow", "tyo")
    assert wrong.exit_code == 2
    assert "did you mean toy" in wrong.output


def test_explain_a_recipe_and_a_task(night, call):
    for name in ("toy_lamp", "lamp"):
        text = call("explain", name).output
        assert "Find the traces." in text
        assert re.search(r"order +2 +>= 0 +order of the polynomial", text)
        assert "level 0: same night and speed; level 1: same speed, -7 to 7 days" in text
        assert "here order = 3" in text
    assert "did you mean toy_lamp" in call("explain", "toy_lampe").output


def test_every_product_can_be_made_again_byte_by_byte(night, call):
    for path in sorted((night / "out").rglob("*.fits")):
        done = call("rerun", path)
        assert done.exit_code == 0, done.output
        assert "the same, byte by byte" in done.output


def test_rerun_notices_other_bytes_and_lost_inputs(tmp_path, toy, call):
    raw = toy.write_night(tmp_path / "raw")
    call("reduce", raw, "-o", tmp_path / "out", "-t", "lamp", "-j", "0")
    product = tmp_path / "out/2021-04-21/lamp/20210421_0.1_TRACE.fits"
    (raw / "l0.fits").rename(raw / "moved.fits")
    lost = call("rerun", product)
    assert lost.exit_code == 2
    assert "l0.fits: the LAMP that was used is not there any more, or has changed" in lost.output


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["-p", "star.radus=3"], "task star has no parameter 'radus' (try: did you mean radius"),
        (["-p", "sta.radius=3"], "no task is called 'sta' (try: did you mean star?"),
        (["-p", "star.radius"], "is not of the form task.parameter=value"),
        (["-p", "star.radius=-1"], "star.radius=-1: Input should be greater than 0"),
        (["--target", "scince"], "no target is called 'scince' (try: did you mean science?"),
        (["--params", "nowhere.toml"], "nowhere.toml: no such parameter file"),
    ],
)
def test_usage_errors_end_with_status_2(night, call, arguments, sentence):
    done = call("reduce", night / "raw", "-o", night / "out", *arguments)
    assert done.exit_code == 2
    assert sentence in done.output


def test_commands_on_the_wrong_folder(tmp_path, call):
    for command in ("status", "products", "targets"):
        done = call(command, tmp_path)
        assert done.exit_code == 2
        assert "no tracecube.db here" in done.output
    assert "no tracecube.db in a folder above it" in call("why", tmp_path / "x.fits").output


def test_a_file_of_parameters_lies_under_the_command_line(tmp_path, toy, call):
    raw = toy.write_night(tmp_path / "raw")
    (tmp_path / "mine.toml").write_text("[star]\nradius = 5\nweights = [7]\n")
    options = ("--params", tmp_path / "mine.toml", "-p", "star.radius=6", "-j", "0")
    assert call("reduce", raw, "-o", tmp_path / "out", *options).exit_code == 0
    text = call("why", tmp_path / "out/2021-04-21/star/sci0_TARGET.fits").output
    assert "radius=6.0 weights=[7.0]" in text


def test_help_teaches_by_example(call):
    for command in (
        "reduce",
        "plan",
        "ls",
        "datasets",
        "status",
        "products",
        "targets",
        "why",
        "explain",
        "rerun",
        "workflow",
        "export",
    ):
        text = call(command, "--help").output
        assert f"tracecube {command}" in text


def test_a_whole_process_with_workers_ends_well(tmp_path, toy, tracecube):
    raw = toy.write_night(tmp_path / "raw")
    done = tracecube("reduce", raw, "-o", tmp_path / "out", "-j", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert "13 done in" in done.stdout


def test_a_run_with_nothing_to_do_imports_no_array_code(tmp_path, toy, tracecube):
    """Numba, SciPy and Astropy take seconds to import: the reason why a second run is quick."""
    raw = toy.write_night(tmp_path / "raw")
    assert tracecube("reduce", raw, "-o", tmp_path / "out", "-j", "0").returncode == 0
    line = toy.command("reduce", raw, "-o", tmp_path / "out")
    line[2] = line[2].replace("app()", "app(standalone_mode=False); print(*sys.modules)")
    done = subprocess.run(line, capture_output=True, text=True, check=False, timeout=300)
    loaded = set(done.stdout.split())
    assert "13 reused" in done.stdout
    assert not loaded & {"numba", "scipy", "astropy", "matplotlib", "alembic", "toyspec"}
