"""A given SPHERE-IFS night from raw frames to spectra, star centre and cube; numbers that need no truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.workflow.executor import LocalPool
from tracecube.workflow.reduce import reduce_folder

NIGHT = Path(__file__).parents[3] / "shared" / "nights" / "sphere_ifs" / "A" / "raw"
pytestmark = [
    pytest.mark.night,
    pytest.mark.skipif(not NIGHT.is_dir(), reason="no given night of this instrument beside the checkout"),
]
CALIBRATIONS = ("12", "13")  # hours of the day frames
FRAMES = ("T03:37:32.740", "T03:38:50.598", "T04:04:37.800")  # satellite spots, one science exposure, sky


@pytest.fixture(scope="module")
def night(tmp_path_factory):
    """Reduce the day's calibrations, the frame with satellite spots and one science exposure."""
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("out")
    for path in NIGHT.iterdir():
        if path.name.split("T")[1][:2] in CALIBRATIONS or any(part in path.name for part in FRAMES):
            (raw / path.name).symlink_to(path)
    pool = LocalPool(2)
    summary = reduce_folder(raw, out, pool, targets=("spectra",))
    pool.close()
    return summary, out


def qc(out, tag: str, name: str) -> list[float]:
    with Ledger.open(out) as ledger:
        return [made.qc[name]["value"] for made in queries.products(ledger, tag=tag) if name in made.qc]


def test_every_job_of_the_night_is_done(night) -> None:
    summary, _ = night
    assert summary.good
    assert not summary.of("failed")
    assert {result.label.split()[0] for result in summary.of("done")} >= {
        "ifs_spectra_positions", "ifs_wavelength_calibration", "ifs_ifu_flat", "ifs_distortion_map",
        "ifs_coronagraph_center", "ifs_science",
    }  # fmt: skip


def test_the_optics_meet_their_goals(night) -> None:
    _, out = night
    assert qc(out, "LENSLETS", "NUMBER SPECTRA")[0] > 18000
    assert qc(out, "LENSLETS", "LASER Y RMS")[0] < 0.02  # px
    assert qc(out, "WAVELENGTH", "WAVE ERROR")[0] < 5.0  # Angstrom
    assert qc(out, "LAYOUT", "DISTMAP RESIDUAL")[0] < 0.1  # mas


def test_the_frames_of_the_night_are_understood(night) -> None:
    _, out = night
    for value in qc(out, "SPECTRA", "EXTRACTION CHI2"):
        assert 0.9 < value < 2.5
    shifts = [v for tag in ("CENTER_CHANNELS", "CHANNELS") for v in qc(out, tag, "FLEXURE DX")]
    assert len(shifts) >= 2
    assert max(shifts) - min(shifts) < 0.05  # px, within minutes
    assert qc(out, "STAR_CENTRE", "STAR CENTRE ERROR")[0] < 0.3  # mas
