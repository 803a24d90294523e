"""Companions of a simulated star: flux without loss, honest errors, nothing found where there is nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tracecube.core.errors import BadData, NoConvergence
from tracecube.core.flags import Flag
from tracecube.recipes.science import high_contrast
from tracecube.recipes.science.companion_fit import FittedCompanion, cleaned, fit_companion
from tracecube.recipes.science.companion_products import companion_spectra, contrast_image, sources
from tracecube.recipes.science.companion_search import SearchParams, search_map
from tracecube.recipes.science.high_contrast import (
    HighContrastParams,
    Surroundings,
    contrast_curve,
    in_band,
    surroundings,
)
from tracecube.recipes.science.speckle_learning import LearntSpeckles, SpeckleParams, _degree, learn_speckles
from tracecube.recipes.science.star_sequence import StarSequence, star_sequence
from tracecube.simulate.coronagraph import CoronagraphScene, CoronagraphSequence, observe_star

WAVES, SEEDS = 13, 6
ANGLE = np.linspace(0.0, 40.0, 6)
PA, SEP = np.radians([130.0, 290.0]), np.array([0.3, 0.2])
MEAN = np.array([4e-5, 8e-5])
SCENE = CoronagraphScene(
    wave=np.linspace(9700.0, 16300.0, WAVES),
    star=np.full(WAVES, 6e4),
    east=SEP * np.sin(PA),
    north=SEP * np.cos(PA),
    contrast=MEAN[:, None] * np.linspace(0.5, 1.5, WAVES),
    angle=ANGLE,
    speckles=8e-5,
    memory=0.99,
)
EMPTY = replace(SCENE, east=np.zeros(0), north=np.zeros(0), contrast=np.zeros((0, WAVES)))
PARAMS = HighContrastParams(speckles=SpeckleParams(outer=0.45), search=SearchParams(inner=0.12), band=0.0)


def brought_together(observed: CoronagraphSequence) -> StarSequence:
    return star_sequence(observed.spectra, observed.centres, list(ANGLE), observed.psf)


@pytest.fixture(scope="module")
def sequences() -> list[StarSequence]:
    return [brought_together(observe_star(SCENE, seed)) for seed in range(SEEDS)]


@pytest.fixture(scope="module")
def found(sequences: list[StarSequence]) -> list[Surroundings]:
    return [surroundings(one, PARAMS) for one in sequences]


def pairs(found: list[Surroundings]) -> list[tuple[int, object]]:
    """Number of the true companion and what was found of it."""
    made = []
    for one in found:
        for companion in one.companions:
            far = np.hypot(companion.fitted.east - SCENE.east, companion.fitted.north - SCENE.north)
            made.append((int(np.argmin(far)), companion))
    return made


def test_both_companions_are_found_and_nothing_else(found: list[Surroundings]) -> None:
    for one in found:
        assert len(one.companions) == 2
        assert not one.caveats
        assert np.nanmax(one.clean.snr / one.clean.threshold(5.0)) < 1.0
        assert np.nanstd(one.clean.snr) == pytest.approx(1.0, abs=0.1)


def test_flux_has_no_loss_and_honest_errors(found: list[Surroundings]) -> None:
    ratio = [c.contrast / MEAN[j] for j, c in pairs(found)]
    error = [c.contrast_error / MEAN[j] for j, c in pairs(found)]
    assert np.mean(ratio) == pytest.approx(1.0, abs=3.0 * np.mean(error) / np.sqrt(len(ratio)))
    pulls = (np.array(ratio) - 1.0) / error
    assert np.sqrt(np.mean(pulls**2)) == pytest.approx(1.0, abs=3.0 / np.sqrt(2.0 * len(ratio)))


def test_the_band_of_a_mean_contrast_is_the_throughputs_and_not_the_stars_colour(sequences: list[StarSequence]) -> None:
    wave = sequences[0].wave
    throughput = np.where(wave > 16000.0, 0.25, np.where(wave > 15500.0, 0.5, 1.0))
    hot = replace(sequences[0], light=throughput * wave**-3)
    assert (hot.light[throughput == 0.5] < 0.3 * hot.light.max()).all()  # noqa: PLR2004 - by light they would be left out
    assert np.array_equal(in_band(hot, 0.3), throughput > 0.3)  # noqa: PLR2004


def test_light_in_the_halo_is_none_that_the_band_loses(sequences: list[StarSequence]) -> None:
    """A core that has less of the blue light makes no channel dark."""
    wave = sequences[0].wave
    throughput = np.where(wave < 10000.0, 0.35, 1.0)
    core = np.exp(-((2.0 * np.pi * 1000.0 / wave) ** 2))
    seen = replace(sequences[0], light=throughput * core * wave**-3)
    assert not in_band(seen, 0.3)[0]
    assert in_band(seen, 0.3, wavefront=1000.0).all()
    assert np.array_equal(in_band(seen, 0.4, wavefront=1000.0), throughput > 0.4)  # noqa: PLR2004


def test_a_candidate_that_dissolves_is_left_out_and_the_rest_is_kept(
    found: list[Surroundings], monkeypatch: pytest.MonkeyPatch
) -> None:
    true = found[0].companions[0].fitted
    nothing = replace(true, east=-0.1, north=0.05)

    def fit(learnt: LearntSpeckles, east: float, north: float, *, spectrum: np.ndarray) -> FittedCompanion:
        if east == nothing.east:
            raise NoConvergence("does not settle", hint="")
        return true

    monkeypatch.setattr(high_contrast, "fit_companion", fit)
    kept, caveats = high_contrast._refitted(PARAMS, found[0].learnt, [true, nothing])
    assert len(kept) == 1
    assert kept[0] is true
    assert "112 mas" in caveats[0]


def test_place_has_honest_errors(found: list[Surroundings]) -> None:
    pulls = []
    for j, companion in pairs(found):
        off = np.array([companion.fitted.east - SCENE.east[j], companion.fitted.north - SCENE.north[j]])
        assert np.hypot(*off) < 2e-3
        pulls.extend(np.linalg.solve(np.linalg.cholesky(companion.place_covariance), off))
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=3.0 / np.sqrt(2.0 * len(pulls)))


def test_spectra_have_honest_errors(found: list[Surroundings]) -> None:
    pulls = [(c.fitted.contrast - SCENE.contrast[j]) / np.sqrt(np.diag(c.covariance)) for j, c in pairs(found)]
    # Channels share speckles: fewer independent numbers than there are channels.
    assert np.sqrt(np.mean(np.square(pulls))) == pytest.approx(1.0, abs=0.2)
    whitened = [
        np.mean(np.linalg.solve(np.linalg.cholesky(c.covariance), c.fitted.contrast - SCENE.contrast[j]) ** 2)
        for j, c in pairs(found)
    ]
    assert np.sqrt(np.mean(whitened)) == pytest.approx(1.0, abs=0.25)


def test_nothing_is_found_around_a_single_star() -> None:
    for seed in range(20, 23):
        assert not surroundings(brought_together(observe_star(EMPTY, seed)), PARAMS).companions


def test_samples_may_be_overwritten_with_what_the_projection_leaves(sequences: list[StarSequence]) -> None:
    one = sequences[0]
    model = learn_speckles(one, PARAMS.speckles).model
    samples = np.random.default_rng(3).standard_normal(one.flux.shape)
    for make in (model.apply, model.transpose, lambda a, **k: model.transpose(a, one.weight, **k)):
        own = samples.copy()
        assert make(own, out=own) is own
        np.testing.assert_array_equal(own, make(samples))


def test_projection_and_its_transpose_belong_together(sequences: list[StarSequence]) -> None:
    model = learn_speckles(sequences[0], PARAMS.speckles).model
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal((2, *sequences[0].flux.shape))
    assert np.vdot(model.apply(a), b) == pytest.approx(np.vdot(a, model.transpose(b)))
    rows = np.flatnonzero(sequences[0].lattice.x > -0.1)
    alone = np.zeros(sequences[0].flux.shape)
    alone[:, 4] = a[:, 4] * (np.hypot(sequences[0].lattice.x - 0.15, sequences[0].lattice.y) < 0.05)
    whole = model.apply(alone)[..., rows]
    part = model.only(rows)
    given = part.response(4, alone[:, 4][:, rows])
    answer = np.stack([part.seen(given, k, back).toarray() for k, back in enumerate(part.turned())], axis=1)
    assert np.where(part.weight > 0, answer, 0.0) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("method", ["adi", "sdi", "pca-adi", "pca-sdi", "pca-asdi"])
def test_every_method_keeps_the_flux(method: str, sequences: list[StarSequence]) -> None:
    ratio = []
    for one in sequences[:3]:
        learnt = learn_speckles(one, SpeckleParams(outer=0.45, method=method))
        first = fit_companion(learnt, SCENE.east[0] + 1e-3, SCENE.north[0], spectrum=SCENE.contrast[0])
        share = SCENE.contrast[0] / SCENE.contrast[0].mean()
        weight = share @ first.normal @ share
        ratio.append(share @ first.normal @ first.contrast / weight / MEAN[0])
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.15)


def test_contrast_curve_is_kept_by_injected_companions(
    found: list[Surroundings], sequences: list[StarSequence]
) -> None:
    curve = contrast_curve(found[0], sequences[0], PARAMS)
    assert curve.throughput == pytest.approx(np.ones(curve.throughput.size), abs=0.05)
    assert np.all(curve.signal < 1.0)
    assert np.all(np.diff(curve.signal[:4]) > 0)
    sigma = np.interp(0.3, curve.separation, curve.sigma)
    errors = [np.sqrt(np.mean((c.contrast / c.snr) ** 2)) for j, c in pairs(found) if j == 0]
    assert sigma == pytest.approx(np.mean(errors), rel=0.3)


def test_smooth_surfaces_are_of_low_degree_where_lenslets_are_few() -> None:
    assert [_degree(6, count) for count in (100, 1800, 4200, 17000, 40000)] == [0, 1, 2, 6, 6]


def test_companion_above_the_curve_is_found_and_one_below_is_not(sequences: list[StarSequence]) -> None:
    curve = contrast_curve(surroundings(sequences[1], PARAMS), sequences[1], PARAMS)
    limit = float(np.interp(0.25, curve.separation, curve.contrast))
    hits = []
    for factor in (0.4, 2.0):
        scene = replace(SCENE, east=np.array([0.25]), north=np.zeros(1), contrast=np.full((1, WAVES), factor * limit))
        seen = [surroundings(brought_together(observe_star(scene, seed)), PARAMS) for seed in (31, 32)]
        hits.append(sum(len(one.companions) for one in seen))
    assert hits == [0, 2]


def test_bad_samples_weigh_nothing(sequences: list[StarSequence]) -> None:
    observed = observe_star(SCENE, 0)
    rng = np.random.default_rng(7)
    spoilt = []
    for one in observed.spectra:
        bad = rng.random(one.flux.shape) < 0.02
        flags = np.where(bad, int(Flag.COSMIC_RAY), 0).astype(np.int32)
        spoilt.append(replace(one, flux=np.where(bad, 1e4, one.flux), flags=flags))
    made = surroundings(brought_together(replace(observed, spectra=spoilt)), PARAMS)
    assert len(made.companions) == 2
    for j, companion in pairs([made]):
        assert companion.contrast == pytest.approx(MEAN[j], abs=4.0 * companion.contrast_error)


def test_letters_go_to_the_most_significant_and_then_inwards(found: list[Surroundings]) -> None:
    from tracecube.recipes.science.high_contrast import _in_order

    one = found[0].companions[0]
    told = ((9.0, 0.3), (50.0, 0.4), (12.0, 0.6))
    several = [replace(one, snr=snr, fitted=replace(one.fitted, east=east)) for snr, east in told]
    assert [c.snr for c in _in_order(several)] == [50.0, 12.0, 9.0]


def test_products_name_companions(found: list[Surroundings], sequences: list[StarSequence]) -> None:
    listed = sources(found[0], star_error=0.03, centre_error=1e-4, target=(44.5, -32.1))
    assert listed.object.tolist() == ["b", "c"]
    assert listed.snr[0] >= listed.snr[1]
    assert np.all(listed.contrast_err > 0.03 * listed.contrast)
    far = np.argsort(listed.sep_mas)
    assert listed.pa_deg[far] == pytest.approx([290.0, 130.0], abs=1.0)
    assert listed.dec[far] == pytest.approx(-32.1 + SCENE.north[::-1] / 3600.0, abs=1e-6)
    spectra = companion_spectra(found[0], sequences[0], star_error=0.03)
    assert [one.object for one in spectra] == ["b", "c"]
    assert spectra[0].covariance.shape == (WAVES, WAVES)
    tilted = companion_spectra(found[0], replace(sequences[0], tilt=np.linspace(-0.02, 0.02, WAVES)), star_error=0.03)
    more = tilted[0].covariance - spectra[0].covariance
    assert more[0, -1] == pytest.approx(-4e-4 * spectra[0].contrast[0] * spectra[0].contrast[-1])
    image = contrast_image(found[0].raw, (44.5, -32.1), {})
    j, i = np.unravel_index(np.nanargmax(image.data), image.data.shape)
    middle = image.data.shape[0] // 2
    assert (i - middle) * (j - middle) != 0
    assert image.meta["CD1_1"] < 0.0


def test_errors_of_the_stars_flux_add_up_each_with_its_own_colour(sequences: list[StarSequence]) -> None:
    contrast = np.linspace(1e-4, 2e-4, WAVES)
    contrast[3] = np.nan
    known = np.nan_to_num(contrast)
    tilts = np.stack([np.linspace(-0.02, 0.02, WAVES), np.full(WAVES, 0.01)])
    one, other, both = (
        replace(sequences[0], tilt=tilt, light_error=np.zeros(WAVES)).light_covariance(contrast)
        for tilt in (tilts[0], tilts[1], tilts)
    )
    assert both == pytest.approx(one + other)
    assert one == pytest.approx(np.outer(known * tilts[0], known * tilts[0]))


def test_companions_taken_off_leave_nothing(found: list[Surroundings], sequences: list[StarSequence]) -> None:
    learnt = learn_speckles(sequences[0], PARAMS.speckles, plane=found[0].learnt.model.plane)
    left = cleaned(learnt, [c.fitted for c in found[0].companions])
    field = sequences[0].radius > 0.12
    before, after = (np.mean((one.sequence.weight * one.residual**2)[..., field]) for one in (learnt, left))
    assert after < before
    assert after == pytest.approx(5.0 / 6.0, abs=0.1)  # one course along time from six exposures


def test_exposures_that_do_not_belong_together_are_refused() -> None:
    observed = observe_star(SCENE, 0)
    with pytest.raises(BadData, match="one angle an exposure"):
        star_sequence(observed.spectra, observed.centres, [0.0], observed.psf)
    other = replace(observed.spectra[1], aperture=observed.spectra[1].aperture + 1)
    with pytest.raises(BadData, match="other lenslets"):
        star_sequence([observed.spectra[0], other], observed.centres[:2], [0.0, 1.0], observed.psf)
    dark = replace(observed.psf, flux=np.zeros(WAVES))
    with pytest.raises(BadData, match="star's flux"):
        star_sequence(observed.spectra, observed.centres, list(ANGLE), dark)


def test_the_map_has_the_core_of_a_bright_companion() -> None:
    bright = replace(SCENE, contrast=60.0 * SCENE.contrast)
    one = brought_together(observe_star(bright, 3))
    found = search_map(learn_speckles(one, PARAMS.speckles), PARAMS.search)
    for east, north in zip(SCENE.east, SCENE.north, strict=True):
        j, i = np.argmin(np.abs(found.line - north)), np.argmin(np.abs(found.line - east))
        assert np.isfinite(found.snr[j - 1 : j + 2, i]).all()
        assert np.isfinite(found.snr[j, i - 1 : i + 2]).all()
        assert found.snr[j, i] > 30.0


def test_samples_are_kept_as_exact_as_in_files_and_summed_in_double_precision(sequences: list[StarSequence]) -> None:
    one = sequences[0]
    assert one.flux.dtype == one.weight.dtype == np.float32
    model = learn_speckles(one, PARAMS.speckles).model
    single, double = model.apply(one.flux), model.apply(one.flux.astype(float))
    assert single.dtype == np.float32
    assert single == pytest.approx(double, abs=1e-5 * float(np.abs(one.flux).max()))
    back = model.transpose(one.weight * single)
    assert back.dtype == np.float32
    assert one.under(SCENE.east, SCENE.north, back) == pytest.approx(
        one.under(SCENE.east, SCENE.north, model.transpose(one.weight * double)), rel=1e-3
    )


def test_an_error_of_the_plate_scale_is_one_of_the_separation(found: list[Surroundings]) -> None:
    exact, rough = (sources(found[0], star_error=0.0, centre_error=1e-4, scale_error=e) for e in (0.0, 0.005))
    assert rough.sep_err == pytest.approx(np.hypot(exact.sep_err, 0.005 * exact.sep_mas))
    assert rough.pa_err == pytest.approx(exact.pa_err)
