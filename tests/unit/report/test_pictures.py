"""Pictures of a page: one that cannot be drawn is said, and the others are there."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from tracecube.report.pictures import PictureKind, draw_all


def fails() -> Figure:
    raise ZeroDivisionError("no fibre is blank")


def test_a_picture_that_fails_costs_no_other(tmp_path: Path) -> None:
    kinds = [
        PictureKind("bad", "Bad", "should be flat", (), fails),
        PictureKind("good", "Good", "is white", (), Figure),
    ]
    bad, good = draw_all(tmp_path, kinds, [])
    assert (bad.file, bad.problem) == ("", "not drawn: ZeroDivisionError: no fibre is blank")
    assert good.problem == ""
    assert (tmp_path / good.file).is_file()
