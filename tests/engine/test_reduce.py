"""A night from raw frames to products: made once, reused, and made again where it must be."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.core.errors import BadData
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.settings import from_command_line


def states(summary) -> dict[str, str]:
    return {result.label: result.state for result in summary.results}


def made(summary) -> set[str]:
    return {result.task for result in summary.of("done")}


def test_everything_is_made_and_written_down(raw, tmp_path, reduced, toy):
    out = tmp_path / "out"
    summary = reduced(raw, out)
    assert summary.good
    assert len(summary.of("done")) == 13
    assert set(toy.hashes(out)) >= {
        "2021-04-21/bias/20210421_0.1_MASTER_BIAS.fits",
        "2021-04-21/star/sci0_TARGET.fits",
        "2021-04-21/flux/sci0_SPECTRUM.fits",
    }
    with Ledger.open(out) as ledger:
        products = queries.products(ledger)
        assert {p.path: p.sha256 for p in products} == {str(out / k): v for k, v in toy.hashes(out).items()}
        [spectrum] = queries.products(ledger, tag="SPECTRUM", object_="SN1")
        job = queries.job_of(ledger, spectrum.job_id)
    assert (spectrum.raw, spectrum.night, spectrum.setup["raw_tag"]) == ("sci1", "2021-04-21", "SCIENCE")
    assert spectrum.header["PRODTAG"] == "SPECTRUM"
    assert spectrum.header["RAW1"] == "sci1_SPECTRUM_UNCAL"
    assert spectrum.header["CAL1TAG"] == "RESPONSE"
    assert spectrum.header["PROVKEY"] == job.provenance_key
    assert spectrum.header["OBJECT"] == "SN1"  # the raw header it descends from
    assert [given.role for given in job.inputs] == ["star", "response"]


def test_quality_numbers_and_optional_inputs(raw, tmp_path, reduced):
    reduced(raw, tmp_path / "out")
    with Ledger.open(tmp_path / "out") as ledger:
        with_guide, without = (queries.products(ledger, tag="TARGET", object_=name)[0] for name in ("SN0", "SN1"))
        assert queries.job_of(ledger, without.job_id).caveats == ("no guide frame",)
        assert queries.job_of(ledger, with_guide.job_id).caveats == ()
    assert with_guide.qc["FLEXURE DX"] == {"value": 0.25, "unit": "pix", "good": True}
    assert with_guide.qc["NSTAR"]["value"] == 2
    assert with_guide.header["QC FLEXURE DX"] == 0.25


def test_one_worker_or_two_give_the_same_bytes(raw, tmp_path, reduced, toy, pool):
    reduced(raw, tmp_path / "one")
    summary = reduced(raw, tmp_path / "two", executor=pool)
    assert summary.good
    assert toy.hashes(tmp_path / "one") == toy.hashes(tmp_path / "two")


def test_a_second_run_makes_nothing(raw, tmp_path, reduced):
    out = tmp_path / "out"
    reduced(raw, out)
    before = {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")}
    again = reduced(raw, out)
    assert set(states(again).values()) == {"reused"}
    assert {path: path.stat().st_mtime_ns for path in out.rglob("*.fits")} == before


def test_a_second_run_imports_no_instrument(raw, tmp_path, reduced):
    reduced(raw, tmp_path / "out")

    def not_asked():
        raise AssertionError("the instruments were loaded")

    from tracecube.workflow.executor import InProcess
    from tracecube.workflow.reduce import reduce_folder

    assert reduce_folder(raw, tmp_path / "out", InProcess(), instruments=not_asked).of("reused")


def test_a_raw_folder_that_moved_is_reused_job_by_job(raw, tmp_path, reduced):
    reduced(raw, tmp_path / "out")
    moved = raw.rename(tmp_path / "elsewhere")
    assert set(states(reduced(moved, tmp_path / "out")).values()) == {"reused"}


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("bias.clip=4", {"bias", "lamp", "star", "response", "flux"}),
        ("lamp.order=1", {"lamp", "star", "response", "flux"}),
        ("star.radius=4", {"star", "response", "flux"}),
        ("star.weights=[3,4]", {"star", "response", "flux"}),
        ("bias.clip=5.0", set()),  # its default
    ],
)
def test_a_changed_parameter_makes_its_dependants_alone(raw, tmp_path, reduced, option, expected):
    reduced(raw, tmp_path / "out")
    summary = reduced(raw, tmp_path / "out", settings=from_command_line([option]))
    assert summary.good
    assert made(summary) == expected


def test_going_back_to_old_parameters_gives_the_old_bytes(raw, tmp_path, reduced, toy):
    out = tmp_path / "out"
    reduced(raw, out)
    before = toy.hashes(out)
    reduced(raw, out, settings={"star": {"radius": 4}})
    assert toy.hashes(out) != before
    reduced(raw, out)
    assert toy.hashes(out) == before


def damage_delete(path: Path) -> None:
    path.unlink()


def damage_flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


def damage_flip_in_secret(path: Path) -> None:
    import os

    state = path.stat()
    damage_flip(path)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def damage_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


@pytest.mark.parametrize("damage", [damage_delete, damage_flip, damage_flip_in_secret, damage_cut])
@pytest.mark.parametrize("product", ["bias/20210421_0.1_MASTER_BIAS", "star/sci1_TARGET", "flux/sci2_SPECTRUM"])
def test_a_damaged_product_is_noticed_and_made_again(raw, tmp_path, reduced, toy, damage, product):
    out = tmp_path / "out"
    reduced(raw, out)
    before = toy.hashes(out)
    damage(out / "2021-04-21" / f"{product}.fits")
    summary = reduced(raw, out)
    assert toy.hashes(out) == before
    assert [result.task for result in summary.of("done")] == [product.partition("/")[0]]


def test_a_target_runs_only_what_it_needs(raw, tmp_path, reduced):
    summary = reduced(raw, tmp_path / "out", targets=["lamp"])
    assert states(summary) == {"bias 20210421_0.1": "done", "lamp 20210421_0.1": "done"}
    by_tag = reduced(raw, tmp_path / "out", targets=["TRACE"])
    assert set(states(by_tag).values()) == {"reused"}
    named = reduced(raw, tmp_path / "out", targets=["calibration"])
    assert {result.task for result in named.results} == {"bias", "lamp"}


def test_an_unknown_target_is_refused_before_anything_runs(raw, tmp_path, reduced):
    with pytest.raises(BadData, match=r"no target is called 'lmp' \(try: did you mean lamp"):
        reduced(raw, tmp_path / "out", targets=["lmp"])
    assert not list(tmp_path.glob("out/*/"))


def test_new_raw_frames_make_only_what_they_change(raw, tmp_path, reduced, toy):
    reduced(raw, tmp_path / "out")
    toy.write_frame(raw, "sci9", "SCIENCE", minutes=50, seed=50, OBJECT="SN9")
    assert {label for label, state in states(reduced(raw, tmp_path / "out")).items() if state == "done"} == {
        "star sci9",
        "flux sci9",
    }
    toy.write_frame(raw, "b9", "BIAS", minutes=5, seed=9)
    assert made(reduced(raw, tmp_path / "out")) == {"bias", "lamp", "star", "response", "flux"}


def test_a_renamed_or_copied_frame_does_not_change_the_association(raw, tmp_path, reduced, toy):
    reduced(raw, tmp_path / "out")
    before = toy.hashes(tmp_path / "out")
    (raw / "again").mkdir()
    shutil.copy(raw / "b0.fits", raw / "again" / "b0.fits")
    shutil.copy(raw / "sci0.fits", raw / "zz_copy_of_sci0.fits")
    summary = reduced(raw, tmp_path / "out")
    assert set(states(summary).values()) == {"reused"}
    assert {Path(file.path).name: Path(file.copy_of).name for file in summary.copies} == {
        "b0.fits": "b0.fits",
        "zz_copy_of_sci0.fits": "sci0.fits",
    }
    assert toy.hashes(tmp_path / "out") == before


def test_two_files_of_one_name_in_two_folders_both_get_products(raw, tmp_path, reduced, toy):
    toy.write_frame(raw / "other", "sci0", "SCIENCE", minutes=70, seed=70, OBJECT="SN7")
    summary = reduced(raw, tmp_path / "out")
    assert summary.good
    names = {result.name for result in summary.results if result.task == "flux" and result.name.startswith("sci0")}
    assert len(names) == 2
    assert all(name.startswith("sci0_") for name in names)


def test_products_that_are_not_made_any_more_disappear(raw, tmp_path, reduced, toy):
    out = tmp_path / "out"
    reduced(raw, out)
    (raw / "sci1.fits").unlink()
    toy.write_frame(raw, "sci1", "SCIENCE", minutes=32, seed=31, OBJECT="EMPTY")
    summary = reduced(raw, out)
    assert states(summary)["flux sci1"] == "skipped"
    assert not (out / "2021-04-21/star/sci1_SPECTRUM_UNCAL.fits").exists()
    with Ledger.open(out) as ledger:
        assert not [made for made in queries.products(ledger) if made.raw == "sci1" and made.tag != "TARGET"]
    assert not (out / "2021-04-21/flux/sci1_SPECTRUM.fits").exists()


def test_products_of_a_job_that_fails_now_are_not_listed_but_come_back(raw, tmp_path, reduced, toy):
    out = tmp_path / "out"
    reduced(raw, out)
    before = toy.hashes(out)
    lamps = [path.rename(path.with_suffix(".hidden")) for path in raw.glob("l*.fits")]
    summary = reduced(raw, out)
    assert {result.state for result in summary.results} == {"reused", "incomplete"}
    with Ledger.open(out) as ledger:
        assert {made.task for made in queries.products(ledger)} == {"bias"}
    for path in lamps:
        path.rename(path.with_suffix(".fits"))
    assert set(states(reduced(raw, out)).values()) == {"reused"}
    with Ledger.open(out) as ledger:
        assert {p.path: p.sha256 for p in queries.products(ledger)} == {str(out / k): v for k, v in before.items()}


def test_two_runs_do_not_write_into_one_folder(raw, tmp_path, reduced):
    import fcntl

    out = tmp_path / "out"
    reduced(raw, out)
    with (out / ".tracecube.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(BadData, match="another run is writing"):
            reduced(raw, out)


def test_the_ledger_knows_software_settings_and_cost(raw, tmp_path, reduced):
    reduced(raw, tmp_path / "out", settings={"star": {"radius": 4}})
    with Ledger.open(tmp_path / "out") as ledger:
        run = queries.last_run(ledger)
        [star] = [p for p in queries.products(ledger, tag="TARGET") if p.raw == "sci0"]
        job = queries.job_of(ledger, star.job_id)
    assert run.settings == {"star": {"radius": 4}}
    assert {"python", "numpy", "tracecube", "system"} <= set(run.software)
    assert run.finished > run.started
    assert job.params == {"radius": 4.0, "weights": [1.0, 2.0], "pause": 0.0}
    assert job.seconds > 0
    assert job.peak_memory > 2**20
    json.dumps(job.params)


def test_a_worker_that_is_killed_costs_one_job(raw, tmp_path, reduced, toy):
    toy.write_frame(raw, "sci8", "SCIENCE", minutes=80, seed=80, OBJECT="KILLER")
    pool = LocalPool(2)
    try:
        summary = reduced(raw, tmp_path / "out", executor=pool)
    finally:
        pool.close()
    bad = {label: state for label, state in states(summary).items() if state != "done"}
    assert bad == {"star sci8": "failed", "flux sci8": "blocked"}
    [failed] = summary.of("failed")
    assert "its worker was killed" in failed.reason


def test_a_part_of_the_raw_files_can_be_reduced_and_the_rest_stays(raw, tmp_path, reduced):
    out = tmp_path / "out"
    reduced(raw, out)
    with Ledger.open(out) as ledger:
        before = {p.path for p in queries.products(ledger)}
        exposure = next(p for p in queries.products(ledger, tag="TARGET"))
    key, value = next((k, v) for k, v in sorted(exposure.setup.items()) if k not in {"night", "raw_tag"} and v)
    summary = reduced(raw, out, only=(f"{key}={value}",))
    assert summary.good
    assert not summary.of("done")
    with Ledger.open(out) as ledger:
        assert {p.path for p in queries.products(ledger)} == before
    with pytest.raises(BadData, match="no raw file"):
        reduced(raw, out, only=("night=1999-01-01",))
