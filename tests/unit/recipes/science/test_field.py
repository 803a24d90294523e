import numpy as np
import pytest

from tracecube.core.fibres import FibreSpectra
from tracecube.kernels.fibre_disc import disc_share
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.flux.fibre_flux import electrons_per_flux, nominal_flux, scale_flux
from tracecube.recipes.science.fibre_sources import extract_group, inject
from tracecube.recipes.science.field import Air, StarCatalogue, place_fibres, solve_field, true_places
from tracecube.recipes.science.field_bands import BandParams, FieldParams, fibre_bands
from tracecube.recipes.science.field_stars import (
    find_scale,
    fit_stars,
    measure_stars,
    source_at,
    star_spectra,
    star_table,
)
from tracecube.recipes.sky.field_finds import find_sources

CENTRE = (214.81, 52.60)
DITHERS = np.array([[0.0, 0.0], [1.27, -0.73], [1.27, 0.73]])
CURVE = (np.array([3400.0, 3800.0, 4500.0, 5000.0, 5600.0]), np.array([0.02, 0.095, 0.16, 0.156, 0.13]))
BAND = (np.linspace(3900.0, 5500.0, 17), np.r_[0.0, np.ones(15), 0.0])
AIR = Air(1.22, 71.0, 801.0, 8.0, 30.0)


def lattice():
    rows = [(2.54 * (i - 0.5 * (18 + r % 2)), 2.2 * (r - 11)) for r in range(23) for i in range(19 + r % 2)]
    return np.array(rows)


def place_error(rng, stars, bundles):
    """Stars well inside bundles."""
    which = np.arange(stars) % len(bundles)
    return bundles[which] + rng.uniform(-21.0, 21.0, (stars, 2))


def scene(seed, *, stars=14, exposures=(1, 2, 3), offset=(3.0, -2.0), turn=0.1, scatter=0.025, wrong=1, crowd=0):
    """Fibres of two bundles 430 arcsec apart, electrons; and what went in."""
    rng = np.random.default_rng(seed)
    bundles = np.array([[-150.0, -250.0], [-50.0, 150.0]])
    wave = np.arange(3470.0, 5540.0, 10.0)
    sky = place_error(rng, stars, bundles)
    if crowd:
        sky[-crowd:] = sky[:crowd] + rng.uniform(1.5, 2.5, (crowd, 2)) * rng.choice([-1, 1], (crowd, 2))
    g = rng.uniform(16.0, 19.5, stars)
    flux = 10 ** (-0.4 * (g[:, None] + 48.6)) * 2.998e18 / wave**2 * np.ones((stars, wave.size))
    norm = np.array([1.02, 0.93, 1.05])[: len(exposures)]
    seeing = np.array([1.55, 1.75, 1.9])
    nominal, true, exp, slot = [], [], [], []
    angle = np.radians(turn)
    for number in exposures:
        jitter = rng.normal(0.0, 0.1, 2)
        for bundle, centre in enumerate(bundles):
            e, n = (lattice() + centre + DITHERS[number - 1]).T
            nominal.append(np.column_stack([e, n]))
            te = e * np.cos(angle) - n * np.sin(angle) + offset[0] + jitter[0]
            tn = e * np.sin(angle) + n * np.cos(angle) + offset[1] + jitter[1]
            true.append(np.column_stack([te, tn]))
            exp.append(np.full(len(e), number))
            slot.append(np.full(len(e), 47 + bundle))
    nominal, true, exp, slot = (np.concatenate(part) for part in (nominal, true, exp, slot))
    turned = sky @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]]) + offset
    light = np.zeros((len(exp), wave.size))
    air = np.column_stack([0.7 * ((4703.0 / wave) ** 2 - 1.0), -0.2 * ((4703.0 / wave) ** 2 - 1.0)])
    for at, spectrum in zip(turned, flux, strict=True):
        near = np.flatnonzero(np.hypot(*(true - at).T) < 14.0)
        which = np.searchsorted(exposures, exp[near])
        width = seeing[which][:, None] * (wave / 4703.0) ** -0.2
        dx = at[0] + air[:, 0] - true[near, 0, None]
        dy = at[1] + air[:, 1] - true[near, 1, None]
        light[near] += disc_share(dx, dy, width, 3.5, 0.75).share * spectrum
    throughput = electrons_per_flux(wave, np.full(wave.size, 10.0), CURVE, 360.0)
    level = norm[np.searchsorted(exposures, exp)] * 0.9
    signal = light * throughput * level[:, None]
    variance = signal + 150.0 + 0.0 * signal
    count = len(exp)
    spectra = FibreSpectra(
        flux=signal + rng.normal(size=signal.shape) * np.sqrt(variance),
        variance=variance,
        flags=np.zeros(signal.shape, np.int32),
        wave=np.broadcast_to(wave, signal.shape).copy(),
        lsf_sigma=np.full(signal.shape, 2.4),
        blend=np.zeros(signal.shape),
        unit=np.full(count, "u"),
        ifuslot=slot,
        amp=np.full(count, "LL"),
        fibre=np.arange(count),
        exp=exp,
        x=nominal[:, 0],
        y=nominal[:, 1],
        ra=np.full(count, np.nan),
        dec=np.full(count, np.nan),
        throughput=np.ones(count),
        dq=np.zeros(count, np.int32),
        meta={"BUNIT": "electron"},
    )
    known = turned + rng.normal(0.0, scatter, turned.shape)
    if wrong:
        known[:wrong] += [1.0, 0.7]
    ra, dec = plane_to_sky(*known.T, *CENTRE)
    catalogue = StarCatalogue(np.array([f"S{i:02d}" for i in range(stars)]), ra, dec, g + rng.normal(0.0, 0.015, stars))
    return spectra, nominal, true, turned, catalogue, {"norm": norm, "seeing": seeing, "flux": flux, "wave": wave}


def solved(made):
    spectra, nominal, _, _, catalogue, _ = made
    return Solved(spectra, nominal, catalogue)


class Solved:
    """A field as solved: what it gave, the places of its fibres, and its stars as measured."""

    def __init__(self, spectra, nominal, catalogue) -> None:
        self.nominal, self.catalogue, plain = tuple(nominal.T), catalogue, nominal_flux(spectra, CURVE, 360.0)
        self.bands = fibre_bands(plain, BandParams())
        found = solve_field(self.bands, self.nominal, CENTRE, catalogue, AIR, FieldParams(reference=4703.0))
        self.solution, self.fit, self.caveats = found.solution, found.fit, found.caveats
        self.places = self.east, self.north = true_places(self.nominal, spectra.exp, self.solution)
        self.spectra = place_fibres(plain, self.places, self.solution)

    def groups(self):
        return fit_stars(self.bands, self.nominal, self.places, self.solution, self.catalogue)

    def stars(self):
        return measure_stars(self.spectra, self.places, self.groups(), self.solution, (self.catalogue, BAND))


def misplaced(result, true):
    """Zero point (arcsec) and rotation (degree) by which all fibres are off."""
    d = np.column_stack([result.east, result.north]) - true
    c = true - true.mean(0)
    return d.mean(0), np.degrees(np.sum(d[:, 1] * c[:, 0] - d[:, 0] * c[:, 1]) / np.sum(c**2))


def test_field_is_found_to_hundredths_of_an_arcsecond_with_one_wrong_star():
    made = scene(1)
    result = solved(made)
    shift, turn = misplaced(result, made[2])
    assert np.hypot(*shift) < 0.03
    assert abs(turn) < 0.006
    solution = result.solution
    np.testing.assert_allclose(solution.fwhm, made[5]["seeing"], rtol=0.03)
    np.testing.assert_allclose(solution.norm, made[5]["norm"] / made[5]["norm"].mean(), rtol=0.005)
    assert np.interp(3500.0, solution.wave, solution.refraction_east) == pytest.approx(0.7 * 0.8056, abs=0.03)
    assert result.caveats == ()


def test_errors_of_the_field_are_its_scatter():
    pulls, stars = [], []
    for seed in range(20, 26):
        made = scene(seed, wrong=0)
        result = solved(made)
        shift, turn = misplaced(result, made[2])
        solution = result.solution
        pulls += [shift[0] / solution.east_error[0], shift[1] / solution.north_error[0], turn / solution.rotation_error]
        for group in result.groups():
            stars += list(((group.place + group.move - made[3][group.star]) / group.move_error).ravel())
    assert 0.6 < np.std(pulls) < 1.5
    assert 0.7 < np.std(stars) < 1.4


@pytest.mark.parametrize("start", [(9.0, 4.0), (-7.0, -7.0)])
def test_start_errors_of_ten_arcsec_and_a_third_of_a_degree_are_found(start):
    made = scene(3, offset=start, turn=0.3)
    shift, turn = misplaced(solved(made), made[2])
    assert np.hypot(*shift) < 0.03
    assert abs(turn) < 0.006


def test_three_stars_suffice_are_said_and_err_as_they_claim():
    pulls = []
    for seed in range(6):
        made = scene(seed, stars=3, wrong=0, turn=-0.08)
        result = solved(made)
        shift, turn = misplaced(result, made[2])
        solution = result.solution
        pulls += [*(shift / [solution.east_error[0], solution.north_error[0]]), turn / solution.rotation_error]
        assert np.hypot(*shift) < 0.08
        assert any("3 stars" in caveat for caveat in result.caveats)
    assert 0.6 < np.sqrt(np.mean(np.square(pulls))) < 1.5


def test_a_crowd_is_solved_star_by_star():
    made = scene(14, stars=60, wrong=0)
    result = solved(made)
    shift, turn = misplaced(result, made[2])
    assert np.hypot(*shift) < 0.02
    assert abs(turn) < 0.004
    stars = result.stars()
    scale, _ = find_scale([stars])
    table = star_table([stars], scale)
    assert len(table.ra) > 50
    good = table.dq == 0
    far = (table.mag - table.mag_cat)[good]
    assert np.median(np.abs(far)) < 0.03
    east, north = sky_to_plane(table.ra, table.dec, *CENTRE)
    row = [int(name[1:]) for name in table.object]
    pull = np.column_stack([east, north]) - made[3][row]
    pull /= np.column_stack([table.ra_err, table.dec_err])
    pull -= np.median(pull[good], axis=0)  # the field's own offset, which all stars share
    assert 0.6 < 1.4826 * np.median(np.abs(pull[good])) < 1.4


@pytest.mark.parametrize("brightness", [16.0, 18.0])
def test_sources_are_found_where_they_are(brightness):
    """In the units of fluxes, whose squares are far below one."""
    rng = np.random.default_rng(2)
    places = np.concatenate([lattice() + dither for dither in DITHERS])
    at, sky = np.array([3.3, -5.2]), 2e-18
    flux = 10 ** (-0.4 * (brightness + 48.6)) * 2.998e18 / 4700.0**2
    light = flux * disc_share(*(at - places).T, np.array(1.6), 3.5, 0.75).share
    noise = sky**2 + light * sky
    seen = light + rng.normal(size=light.size) * np.sqrt(noise)
    finds = find_sources(*places.T, seen, noise, np.zeros(light.size, int))
    assert np.hypot(finds.east[0] - at[0], finds.north[0] - at[1]) < 0.1
    assert finds.magnitude[0] == pytest.approx(-2.5 * np.log10(flux), abs=0.2)


def test_missing_exposure_is_said_and_the_rest_is_solved():
    made = scene(6, exposures=(1, 3))
    result = solved(made)
    assert np.hypot(*misplaced(result, made[2])[0]) < 0.03
    assert any("2 exposures" in caveat for caveat in result.caveats)


def test_no_catalogue_star_leaves_the_headers_places_flagged():
    made = scene(7)
    far = StarCatalogue(made[4].name, made[4].ra + 0.5, made[4].dec, made[4].g)
    result = Solved(made[0], made[1], far)
    assert result.fit is None
    assert np.all(result.spectra.dq != 0)
    assert any("headers" in caveat for caveat in result.caveats)
    stars = result.stars()
    scale, caveats = find_scale([stars])
    assert (len(star_table([stars], scale).ra), scale.factor, scale.stars) == (0, 1.0, 0)
    assert "no zero point" in caveats[0]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_catalogue_of_another_field_is_refused(seed):
    made = scene(seed)
    rng = np.random.default_rng(1000 + seed)
    bundles = np.array([[-150.0, -250.0], [-50.0, 150.0]])
    ra, dec = plane_to_sky(*place_error(rng, 14, bundles).T, *CENTRE)
    other = StarCatalogue(made[4].name, ra, dec, made[4].g)
    result = Solved(made[0], made[1], other)
    assert result.fit is None
    assert result.caveats


def test_star_spectra_have_the_catalogue_s_flux_and_honest_noise():
    made = scene(8, crowd=2)
    result = solved(made)
    stars = result.stars()
    scale, _ = find_scale([stars])
    ratio, pull = [], []
    for spectrum in star_spectra(stars, scale, CURVE):
        truth = made[5]["flux"][int(spectrum.meta["OBJECT"][1:])]
        expected = np.interp(spectrum.wave, made[5]["wave"], truth)
        ok = (spectrum.flags == 0) & (spectrum.wave > 3700) & (spectrum.wave < 5400)
        level = spectrum.flux[ok].sum() / expected[ok].sum()
        ratio.append(level)
        if spectrum.meta["OBJECT"] != "S00":
            pull.append(np.std((spectrum.flux / level - expected)[ok] / np.sqrt(spectrum.variance[ok])))
    assert np.median(ratio) == pytest.approx(1.0, abs=0.02)
    assert scale.factor == pytest.approx(1.0 / (0.9 * made[5]["norm"].mean()), rel=0.02)
    assert np.median(pull) == pytest.approx(1.0, abs=0.1)


def test_injected_source_comes_back():
    made = scene(9)
    result = solved(made)
    calibrated = scale_flux(result.spectra, result.solution)
    ra, dec = plane_to_sky(*(made[3][1] + [6.0, 5.0]), *CENTRE)
    at = sky_to_plane(ra, dec, *CENTRE)
    light = inject(
        calibrated,
        result.places,
        tuple(at),
        (np.array([3000.0, 6000.0]), np.full(2, 2e-16)),
        result.solution,
    )
    with_source = type(calibrated)(**{**calibrated.__dict__, "flux": calibrated.flux + light})
    before = source_at(calibrated, result.places, result.solution, (np.array([ra]), np.array([dec])))
    after = source_at(with_source, result.places, result.solution, (np.array([ra]), np.array([dec])))
    ok = (before.flags[0] == 0) & (after.flags[0] == 0)
    np.testing.assert_allclose(np.mean((after.flux - before.flux)[0][ok]), 2e-16, rtol=0.01)


def test_neighbours_are_told_apart():
    made = scene(10)
    result = solved(made)
    empty = scale_flux(result.spectra, result.solution)
    at = made[3][2] + np.array([[12.0, 0.0], [13.8, 0.0]])
    curve = np.array([3000.0, 6000.0])
    places = result.places
    light = sum(
        inject(empty, places, tuple(one), (curve, np.full(2, level)), result.solution)
        for one, level in zip(at, (1e-15, 3e-16), strict=True)
    )
    spectra = type(empty)(**{**empty.__dict__, "flux": light})
    group = extract_group(spectra, places, tuple(at.T), result.solution)
    ok = (group.flags == 0).all(0)
    np.testing.assert_allclose(group.flux[0][ok], 1e-15, rtol=0.01)
    np.testing.assert_allclose(group.flux[1][ok], 3e-16, rtol=0.02)
