"""A simulated VIRUS night with something wrong: a caveat or an error names it, and the rest is delivered."""

from __future__ import annotations

import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.archive.summary import RunSummary
from tracecube.cli.nights import simulator
from tracecube.core.fibres import FibreSpectra
from tracecube.core.several import WavelengthSolutions
from tracecube.io.products import read_product
from tracecube.io.raw import write_raw
from tracecube.workflow.discover import Found, discover
from tracecube.workflow.executor import InProcess, LocalPool
from tracecube.workflow.reduce import reduce_folder

SEED, SPECTRA, SKY, BUNDLE, FIELD, STARS = 7, "virus_spectra", "virus_sky", "virus_bundle", "virus_field", "virus_stars"
FIRST, SECOND = 45, 98  # the slots of this seed


def simulated(folder: Path, keep: Callable[[str], bool], **choices: str) -> Path:
    """Write the left CCDs of two units, and the tables."""
    for frame in simulator("virus").simulate(seed=SEED, ifus=2, **choices):  # type: ignore[misc]
        left = not frame.images or frame.meta["CCDPOS"] == "L"
        if left and not frame.name.startswith("truth/") and keep(frame.name):
            write_raw(folder, frame)
    return folder


def installed() -> dict[str, Found]:
    """The instrument alone: the toy of these tests would claim its catalogue too."""
    return {"virus": discover()["virus"]}


def run(raw: Path, out: Path, *targets: str) -> RunSummary:
    pool = LocalPool(2)
    try:
        return reduce_folder(raw, out, pool, targets=targets, instruments=installed)
    finally:
        pool.close()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, RunSummary]:
    """A night as it should be but for the third exposure, reduced."""
    folder = tmp_path_factory.mktemp("good")
    raw = simulated(folder / "raw", lambda _: True, exposures=2)  # type: ignore[arg-type]
    summary = run(raw, folder / "out", FIELD)
    assert summary.good, [(result.label, result.reason) for result in summary.results if result.reason]
    return raw, folder / "out", summary


@pytest.fixture
def night(tmp_path: Path, good: tuple[Path, Path, RunSummary]) -> Iterator[tuple[Path, Path]]:
    """Raw frames to spoil, beside the products of the good night: what a fault does not touch is taken from there."""
    raw, out, _ = good
    for path in (path for path in raw.rglob("*") if path.is_file()):
        link = tmp_path / "raw" / path.relative_to(raw)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    shutil.copytree(out, tmp_path / "out", ignore=shutil.ignore_patterns(".tracecube*"))
    yield tmp_path / "raw", tmp_path / "out"
    shutil.rmtree(tmp_path)


def frames(raw: Path, kind: str, slot: int, amp: str = "") -> list[Path]:
    return sorted(raw.rglob(f"*_{slot:03d}{amp or '??'}_{kind}.fits"))


def spoil(path: Path, pixels: np.ndarray | None = None, **cards: str) -> None:
    """Put a changed copy in place of a linked frame."""
    with fits.open(path) as file:
        data, header = np.array(file[0].data), file[0].header.copy()
    header.update(cards)
    path.unlink()
    fits.writeto(path, data if pixels is None else pixels, header)


def exchange(one: Path, other: Path) -> None:
    """Let each of two files hold the counts that belong to the other."""
    here, there = fits.getdata(one), fits.getdata(other)
    spoil(one, there)
    spoil(other, here)


def caveats(summary: RunSummary, task: str) -> str:
    return "\n".join(text for result in summary.results if result.task == task for text in result.caveats)


def errors(summary: RunSummary, task: str) -> str:
    return "\n".join(result.reason for result in summary.results if result.task == task and result.reason)


def delivered(out: Path, summary: RunSummary) -> list[set[tuple[int, str]]]:
    """Slot and amplifier of what a run made or took over of each exposure, less sky; older products do not count."""
    jobs = {result.job_id for result in summary.of("done", "reused")}
    with Ledger.open(out) as ledger:
        made = sorted(
            one.path for one in queries.products(ledger) if one.tag == "SKY_SUBTRACTED" and one.job_id in jobs
        )
    found: dict[int, set[tuple[int, str]]] = {}
    for path in made:
        spectra = read_product(path, FibreSpectra)
        used = np.isfinite(spectra.flux).any(axis=1) & (spectra.dq == 0)
        for exp, slot, amp in zip(spectra.exp[used], spectra.ifuslot[used], spectra.amp[used], strict=True):
            found.setdefault(int(exp), set()).add((int(slot), str(amp)))
    return [found[exp] for exp in sorted(found)]


ALL = {(slot, amp) for slot in (FIRST, SECOND) for amp in ("LL", "LU")}


def test_two_exposures_of_three_are_said_and_all_is_delivered(good: tuple[Path, Path, RunSummary]) -> None:
    _, out, summary = good
    assert "2 of 3 exposures, without dither 3" in caveats(summary, FIELD)
    assert delivered(out, summary) == [ALL, ALL]
    assert "not that of its fibres" not in caveats(summary, SPECTRA)


def test_one_exposure_of_three_is_said(night: tuple[Path, Path]) -> None:
    raw, out = night
    shutil.rmtree(next(raw.rglob("virus0000017/exp02")))
    summary = run(raw, out, FIELD)
    assert summary.good
    assert "1 of 3 exposures, without dither 2 and 3" in caveats(summary, FIELD)


def test_a_dead_amplifier_is_named_and_the_others_go_on(night: tuple[Path, Path]) -> None:
    raw, out = night
    spoil(frames(raw, "sci", FIRST, "LU")[0], np.full((1032, 1064), 65535, np.uint16))
    summary = run(raw, out, SKY, BUNDLE)
    assert "dead read-out of amplifier LU: 100 per cent of the pixels read 65535" in caveats(summary, SPECTRA)
    assert delivered(out, summary) == [ALL - {(FIRST, "LU")}, ALL]


def test_exchanged_amplifiers_are_named_and_nothing_of_them_is_delivered(night: tuple[Path, Path]) -> None:
    raw, out = night
    exchange(*(frames(raw, "sci", FIRST, amp)[0] for amp in ("LL", "LU")))
    summary = run(raw, out, SKY, BUNDLE)
    told = errors(summary, SPECTRA)
    assert "amplifier LL: its light is not that of its fibres" in told
    assert "it is that of LU, turned by half a turn: amplifiers are exchanged" in told
    assert "amplifiers are exchanged" in caveats(summary, SKY)
    assert delivered(out, summary) == [{(SECOND, "LL"), (SECOND, "LU")}, ALL]


def test_units_in_each_other_s_slots_are_told_by_their_fibres(night: tuple[Path, Path]) -> None:
    """Headers say nothing; only the first unit's frames are spoilt, so that the sky is still taken off the second's."""
    raw, out = night
    for amp in ("LL", "LU"):
        spoil(frames(raw, "sci", FIRST, amp)[0], fits.getdata(frames(raw, "sci", SECOND, amp)[0]))
    summary = run(raw, out, SKY, BUNDLE)
    assert "nor that of the other amplifier of this CCD" in errors(summary, SPECTRA)
    assert "does another unit stand in this slot" in caveats(summary, SKY)
    assert delivered(out, summary) == [{(SECOND, "LL"), (SECOND, "LU")}, ALL]


def test_another_controller_is_named_and_has_no_calibrations(night: tuple[Path, Path]) -> None:
    raw, out = night
    for path in frames(raw, "sci", SECOND):
        spoil(path, CONTID="S/N 0199")
    summary = run(raw, out, SKY, BUNDLE)
    told = caveats(summary, SKY)
    assert f"fewer than 1 with unit {SECOND:03d}/375/085/0199" in told
    assert f"has unit {SECOND:03d}/375/085/0155" in told
    assert delivered(out, summary) == [{(FIRST, "LL"), (FIRST, "LU")}] * 2


@pytest.mark.parametrize(("lamp", "other"), [("Cd", "Hg"), ("Hg", "Cd")])
def test_a_missing_lamp_is_named(night: tuple[Path, Path], lamp: str, other: str) -> None:
    raw, out = night
    for path in frames(raw, "cmp", FIRST):
        if fits.getheader(path)["OBJECT"].startswith(lamp):
            path.unlink()
    for path in frames(raw, "cmp", SECOND):
        path.unlink()  # one CCD is enough
    summary = run(raw, out, "virus_wavelength")
    told = caveats(summary, "virus_wavelength") + errors(summary, "virus_wavelength")
    assert f"no {lamp}" in told
    with Ledger.open(out) as ledger:
        made = [one.path for one in queries.products(ledger) if one.tag == "WAVELENGTH"]
    for path in made:  # refused, or good on the other lamp alone
        for part in read_product(path, WavelengthSolutions).parts.values():
            assert np.nanmedian(np.abs(np.diff(part.wave, axis=1) - 2.0)) < 0.1


def test_members_in_another_order_give_the_same_bytes(tmp_path: Path, good: tuple[Path, Path, RunSummary]) -> None:
    raw, out, _ = good
    night = next(raw.glob("20*"))
    for observation, backwards in (("virus0000001", True), ("virus0000002", False)):
        members = sorted(
            path for path in (night / "virus" / observation).rglob("*.fits") if f"_{FIRST:03d}" in path.name
        )
        archive = tmp_path / "raw" / night.name / "virus" / f"{observation}.tar"
        archive.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(archive, "w") as file:
            for path in members[::-1] if backwards else members[1:] + members[:1]:
                file.add(path, arcname=str(path.relative_to(night / "virus")))
    summary = reduce_folder(
        tmp_path / "raw", tmp_path / "out", InProcess(), targets=["virus_dark"], instruments=installed
    )
    assert summary.good
    [made] = (tmp_path / "out").rglob("*_MASTER_DARK.fits")
    [before] = [path for path in out.rglob("*_MASTER_DARK.fits") if path.name == made.name]
    assert made.read_bytes() == before.read_bytes()


def test_a_crowded_field_is_said_and_delivered(night: tuple[Path, Path], tmp_path: Path) -> None:
    raw, out = night
    crowded = simulated(
        tmp_path / "crowded", lambda name: "_sci" in name or "panstarrs" in name, exposures=1, field="crowded"
    )
    for path in (path for path in raw.rglob("*") if path.name.endswith("_sci.fits") or "panstarrs" in path.name):
        path.unlink()
    shutil.copytree(crowded, raw, dirs_exist_ok=True)
    summary = run(raw, out, STARS)
    assert summary.good
    assert "crowded" in caveats(summary, STARS)
    assert delivered(out, summary)[0] == ALL


def test_a_bundle_that_is_not_plugged_in_is_named_and_nothing_of_it_is_delivered(night: tuple[Path, Path]) -> None:
    raw, out = night
    for amp in ("LL", "LU"):
        spoil(frames(raw, "sci", FIRST, amp)[0], fits.getdata(frames(raw, "drk", FIRST, amp)[0]))
    summary = run(raw, out, SKY, BUNDLE)
    told = errors(summary, SPECTRA)
    assert "amplifier LL: no light on its fibres" in told
    assert "amplifier LU: no light on its fibres" in told
    assert "no light on its fibres" in caveats(summary, SKY)
    assert delivered(out, summary) == [{(SECOND, "LL"), (SECOND, "LU")}, ALL]


def test_without_twilights_the_lamp_tells_the_throughputs_and_it_is_said(night: tuple[Path, Path]) -> None:
    raw, out = night
    for slot in (FIRST, SECOND):
        for path in frames(raw, "twi", slot):
            path.unlink()
    summary = run(raw, out, SKY, BUNDLE)
    assert summary.good
    assert "no twilight: throughputs of fibres are those under the lamp" in caveats(summary, "virus_lamp_flat")
    assert delivered(out, summary) == [ALL, ALL]
