"""Where a standard star is, and in which radius its light is summed and looked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from tracecube.core.errors import BadData
from tracecube.core.slices import SliceGeometry
from tracecube.instruments.muse import flux_steps
from tracecube.instruments.muse.flux_steps import ResponseParams, _aperture, _checked
from tracecube.instruments.muse.pointing import Pointing
from tracecube.instruments.muse.star_place import brightest, check_throughput, expected_place, star_place
from tracecube.recipes.slices.star_checks import Neighbour
from tracecube.recipes.slices.star_flux import StarShape


def pieces(flux: np.ndarray) -> SimpleNamespace:
    return SimpleNamespace(flux=flux, x=np.arange(len(flux)) * 2.0, y=np.arange(len(flux)) * 0.2)


def test_a_piece_that_the_star_leaves_few_samples_of_is_thebrightest() -> None:
    flux = np.full((5, 400), 0.001)
    flux[3] = np.nan
    flux[3, ::8] = 2.0
    flux[1] = np.nan
    flux[1, :3] = 900.0  # hits
    assert brightest([pieces(flux), pieces(0.5 * flux)]) == (6.0, pytest.approx(0.6))  # type: ignore[list-item]


def test_no_light_is_an_error() -> None:
    with pytest.raises(BadData, match="no piece of a slice holds light"):
        brightest([pieces(np.full((4, 400), np.nan))])  # type: ignore[list-item]


def test_an_aperture_that_leaves_no_sky_is_cut_with_a_word() -> None:
    assert _aperture(ResponseParams(), narrow=False) == (3.2, ())
    assert _aperture(ResponseParams(), narrow=True) == (pytest.approx(1.8), ())
    assert _aperture(ResponseParams(aperture=2.0), narrow=False) == (2.0, ())
    radius, [said] = _aperture(ResponseParams(aperture=5.0), narrow=False)
    assert radius == pytest.approx(3.6)
    assert "aperture=5 arcsec is cut to 3.6" in said


def test_a_star_near_the_edge_is_whole_within_a_small_aperture(monkeypatch) -> None:
    y = np.arange(-30, 31) * 0.2
    places = SliceGeometry(y, 0.0 * y, y, 0.0 * y, 0.0 * y + 15.0, np.zeros(y.size, np.int32), {})
    monkeypatch.setattr(flux_steps, "geometry_of", lambda *_: places)
    monkeypatch.setattr(flux_steps, "saturated_near", lambda *_, **__: 0)
    exposure = SimpleNamespace(meta={"DETECTOR": "CHAN01", "ESO INS MODE": "WFM-NOAO-N"})
    star, beside = StarShape(0.0, 5.0, 0.0, 0.0, 1.4, -0.2, 2.8), Neighbour(0.0, 0.001, 2.0)

    def said(aperture: float) -> list[str]:
        return _checked([exposure], [exposure], None, star, (beside, aperture))[1]  # type: ignore[list-item, arg-type]

    assert not said(1.0)
    assert "stands at the edge" in said(3.2)[0]


def stars(*bright: tuple[int, float]) -> list[SimpleNamespace]:
    flux = np.full((40, 400), 0.01)
    for row, value in bright:
        flux[row] = value
    return [SimpleNamespace(flux=flux, x=np.zeros(40), y=np.arange(40) * 1.0 - 20.0)]


def test_of_two_stars_the_one_near_its_coordinates_is_the_standard() -> None:
    two = stars((4, 9.0), (30, 3.0))
    place, [said] = star_place(two, (0.5, 8.0), "distance")  # type: ignore[arg-type]
    assert place == (0.0, 10.0)
    assert "a star 3.0 times as bright stands 24 arcsec away" in said
    assert star_place(two, (0.5, 8.0), "flux") == ((0.0, -16.0), ())  # type: ignore[arg-type]
    assert star_place(two, (0.5, -12.0), "distance") == ((0.0, -16.0), ())  # type: ignore[arg-type]
    assert star_place(two, None, "distance") == ((0.0, -16.0), ())  # type: ignore[arg-type]


def test_where_nothing_shines_the_brightest_star_is_taken_with_a_word() -> None:
    place, [said] = star_place(stars((4, 9.0), (30, 0.05)), (0.5, 8.0), "distance")  # type: ignore[arg-type]
    assert place == (0.0, -16.0)
    assert "nothing shines there" in said


def test_a_star_is_expected_where_the_field_is_turned_to() -> None:
    pointing = Pointing(53.0, -27.0, 90.0, (1.0, 1.0), (0.0, 0.0), 743.0, 12.0, 15.0, 60.0, 58500.0)
    north = expected_place(pointing, 53.0, -27.0 + 10.0 / 3600.0)
    assert north == pytest.approx((10.0, 0.0), abs=1e-3)
    assert expected_place(pointing, float("nan"), -27.0) is None


@pytest.mark.parametrize("share", [1e-4, float("nan"), 1.4])
def test_a_response_that_no_star_has_is_refused(share: float) -> None:
    check_throughput(0.3)
    with pytest.raises(BadData, match="per cent of the photons"):
        check_throughput(share)
