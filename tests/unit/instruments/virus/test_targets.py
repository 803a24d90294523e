"""Spectra at places and simulated sources: what an observer asks of a calibrated field."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.unit.recipes.fibre_bundle import CENTRE, REFRACTION, SEEING, SLOT, Bundle, Source, to_plane
from tracecube.core.errors import BadData
from tracecube.core.frame import RawFrame
from tracecube.core.sources import FieldSolution, Sources
from tracecube.instruments.virus import instrument
from tracecube.instruments.virus.field_steps import bundle_cube, bundle_lines
from tracecube.instruments.virus.science_steps import join_spectra
from tracecube.instruments.virus.target_steps import InjectParams, TargetParams, injected_source, target_spectra
from tracecube.recipes.cube.fibres import FibreCubeParams
from tracecube.recipes.science.fibre_lines import FibreLinesParams

SMALL = Bundle(rows=9, wave=(4000.0, 4700.0, 350))
EAST_NORTH = to_plane(np.column_stack([REFRACTION.x, REFRACTION.y])).T
LINE = Source(2.0, 3.0, 4350.0, 4e-16, 1.3)


def solution() -> FieldSolution:
    """Seeing of the bundle's exposures, and its refraction."""
    none = np.zeros(3)
    return FieldSolution(
        exposure=np.array([1, 2, 3]), east=none, north=none, east_error=none, north_error=none,
        fwhm=np.asarray(SEEING.fwhm), fwhm_error=none, norm=np.ones(3), norm_error=none,
        wave=REFRACTION.wave, refraction_east=EAST_NORTH[0], refraction_north=EAST_NORTH[1], ra0=CENTRE[0],
        dec0=CENTRE[1], rotation=0.0, rotation_error=0.0, scale=1.0, scale_error=0.0, beta=SEEING.beta,
        refraction=1.0, refraction_error=0.0, refraction_across=0.0, refraction_across_error=0.0,
        width_slope=0.0, reference=4700.0, model_error=0.02, catalogue_error=0.03, stars=3, meta={},
    )  # fmt: skip


def no_sources() -> Sources:
    none = np.zeros(0)
    return Sources(
        object=np.array([], dtype=str), ra=none, dec=none, ra_err=none, dec_err=none, ra_seen=none, dec_seen=none,
        seen_err=none, mag=none, mag_err=none, mag_cat=none, flux=none, flux_err=none, snr=none, chi2=none,
        dq=none.astype(np.int32), meta={},
    )  # fmt: skip


def spectra(bundle: Bundle, seed: int = 1):
    drawn = bundle.draw(seed)
    joined = join_spectra(drawn, {"BUNIT": "erg/s/cm2/Angstrom"})
    return replace(joined, sky=np.zeros(joined.flux.shape))


def model(line: float = 4350.0, flux: float = 4e-16) -> RawFrame:
    wave = np.arange(3400.0, 5600.0, 1.0)
    light = flux / np.sqrt(2.0 * np.pi) / 3.0 * np.exp(-0.5 * ((wave - line) / 3.0) ** 2)
    return RawFrame("galaxy", "SOURCE_MODEL", {}, {}, {"": {"wave": wave, "flux": light}})


def test_the_spectrum_of_a_place_is_extracted():
    star = Source(1.0, -2.0, continuum=2e-16)
    ra, dec = star.sky
    made = target_spectra(
        spectra=[spectra(replace(SMALL, sources=[star]))], field=solution(), sources=no_sources(),
        params=TargetParams(places=f"{ra} {dec}"),
    )  # fmt: skip
    [one] = made.target_spectrum
    ok = (one.flags == 0) & (one.wave > 4050.0) & (one.wave < 4650.0)
    assert one.object.startswith("J214.8")
    assert np.median(one.flux[ok]) == pytest.approx(2e-16, rel=0.01)
    with pytest.raises(BadData, match="no place"):
        target_spectra(spectra=[spectra(SMALL)], field=solution(), sources=no_sources(), params=TargetParams())


def test_a_simulated_source_is_found_as_a_line_and_stands_in_the_cube():
    made = injected_source(
        spectra=[spectra(SMALL)], field=solution(), model=model(),
        params=InjectParams(ifuslot=SLOT, x=2.0, y=3.0, scale=1.5),
    )  # fmt: skip
    assert made.injected.meta["SIMULATE"] is True
    assert "IFU 053" in made.caveats[0]
    params = FibreLinesParams(wave_range=(4020.0, 4680.0))
    lines = bundle_lines(spectra=made.injected, field=solution(), sources=no_sources(), params=params).bundle_lines
    ra, dec = LINE.sky
    assert np.hypot((lines.ra[0] - ra) * np.cos(np.radians(dec)), lines.dec[0] - dec) * 3600.0 < 0.3
    assert lines.wave[0] == pytest.approx(4350.0, abs=1.0)
    assert lines.flux[0] == pytest.approx(6e-16, rel=0.15)
    cube = bundle_cube(spectra=made.injected, field=solution(), params=FibreCubeParams()).cube
    top = np.nan_to_num(cube.data).reshape(len(cube.data), -1).max(axis=1)
    assert top.max() > 4.0 * np.median(top[top > 0])
    assert cube.meta["IFUSLOT"] == SLOT


@pytest.mark.parametrize("params", [InjectParams(), InjectParams(ifuslot=53, place="214.81 52.60")])
def test_a_simulated_source_has_one_place(params):
    with pytest.raises(BadData, match="not clear"):
        injected_source(spectra=[spectra(SMALL)], field=solution(), model=model(), params=params)


def test_seeing_by_hand_makes_it_wider():
    def light(seeing):
        params = InjectParams(ifuslot=SLOT, x=2.0, y=3.0, seeing=seeing)
        empty = replace(spectra(SMALL), flux=np.zeros((len(spectra(SMALL).fibre), 350)))
        made = injected_source(spectra=[empty], field=solution(), model=model(), params=params)
        return made.injected.flux

    assert light(3.0).max() < 0.6 * light(1.2).max()
    assert light(3.0).sum() == pytest.approx(light(1.2).sum(), rel=0.1)


def test_the_table_of_a_source_is_recognised():
    header = {"FILETYPE": "table", "COLUMNS": "wave,flux"}
    assert instrument.recognises("galaxy.csv", header)
    assert instrument.classify("galaxy.csv", header).tag == "SOURCE_MODEL"
