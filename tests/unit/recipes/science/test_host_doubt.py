"""Errors of a source's flux from the galaxy beneath: what is found elsewhere, and what no other place tells."""

from __future__ import annotations

from dataclasses import replace
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

from tracecube.kernels.psf import full_width
from tracecube.recipes.science import extended, host_doubt, point_source, source_fit
from tracecube.recipes.science.chromatic_fit import HALO, NAMES, Prior, Setting, shape_of
from tracecube.recipes.science.extended import ExtendedLight
from tracecube.recipes.science.galaxy_system import linearise, patterns_of, solve
from tracecube.recipes.science.host_doubt import Doubt, Seen, doubt_of
from tracecube.recipes.science.point_lattice import points_with_patterns
from tracecube.recipes.science.point_source import PointSource, extract_point_source
from tracecube.recipes.science.scene import make_scene
from tracecube.recipes.science.source_fit import Field, stands_out
from tracecube.recipes.science.source_fit import setting_of as _setting

WAVE = np.arange(3800.0, 9250.0, 25.57)
PLACE = (0.4, -0.7)
MIDDLE = (WAVE > 4000) & (WAVE < 9000)


def disc(sim: ModuleType, x0: float, y0: float, level: float) -> np.ndarray:
    """Smooth light that falls off from a place."""
    x, y = sim.field()
    path = sim.track()
    radius2 = (x - x0 - path.east[:, None]) ** 2 + (y - y0 - path.north[:, None]) ** 2
    profile = sum(np.exp(-0.5 * radius2 / width**2) / width**2 for width in (1.8, 3.0, 5.0))
    return np.asarray(level * profile * (WAVE / 6500.0)[:, None])


def told(sim: ModuleType) -> Prior:
    """What guider and standards tell."""
    prior = sim.prior(0.5, -0.65, 0.15, width=0.15)
    halo = np.isin(NAMES, HALO)
    prior.mean[halo] = np.log(1.6 / 0.77), np.log(1.5), 0.0
    prior.sd[halo] *= 0.2
    return Prior(prior.mean, prior.sd)


def extracted(sim: ModuleType, light: np.ndarray, seed: int) -> tuple[PointSource, Doubt]:
    found = extract_point_source(
        make_scene(sim.observe(light, seed)), sim.track(), told(sim), sim.choices(extended=True)
    )
    assert found.extended is not None
    assert found.extended.doubt is not None
    return found, found.extended.doubt


def setting_of(sim: ModuleType, light: np.ndarray) -> Setting:
    scene = make_scene(sim.observe(light, 3))
    return _setting(Field(scene, scene), sim.track(), told(sim), sim.choices(), 9.0, 1)


def test_a_place_left_out_is_a_fit_with_a_source_there(sim: ModuleType) -> None:
    """Flux and error at another place, from the factored normal equations, are those of the equations written out."""
    light = sim.light_of_star(np.full(WAVE.size, 2e3), *PLACE) + disc(sim, 3.0, 0.5, 40.0)
    setting, prior = setting_of(sim, light), told(sim)
    values, weight = prior.mean.copy(), setting.slices.weight
    values[:2] = PLACE
    points = points_with_patterns(setting, weight, values, 50.0, 1.0, most=30)
    spectrum = np.array([np.ones(setting.slices.wave.size), np.linspace(-1.0, 1.0, setting.slices.wave.size)])
    galaxy = ExtendedLight(points, np.zeros((2, len(points.pattern))), spectrum, np.ones(2))
    patterns = patterns_of(points, setting, weight, values, None)
    system = linearise(setting, weight, prior, values, galaxy.light(patterns.plain), patterns, before=None)
    joint = solve(system, spectrum, np.ones(2), (values - prior.mean) / prior.sd, errors=True)
    tangent = system.gaps * system.flux[:, None]
    seen = Seen(points, patterns.rows, joint.amplitude, spectrum, joint.root, tangent, joint.step)

    kept: list[tuple[np.ndarray, ...]] = []
    plain = host_doubt._elsewhere
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host_doubt, "_elsewhere", lambda *given: kept.append((*plain(*given), given[-1])) or kept[-1][:3])
        doubt_of(setting, weight, values, seen)
    found, covariance, _, places = kept[0]

    root = np.sqrt(weight)
    at = int(places[0])
    there = values.copy()
    there[:2] = setting.scene.x[at], setting.scene.y[at]
    slices, size = root.shape[0], joint.amplitude.size + values.size
    design, right = np.zeros((size + slices, size + slices)), np.zeros(size + slices)
    for k in range(slices):
        free = np.linalg.qr((setting.columns(values)[k] * root[k]).T)[0]
        rows = np.vstack([*(bright[k] * patterns.rows[k] for bright in spectrum), tangent[:, k] * root[k]])
        rows = np.vstack([rows, np.zeros((slices, root.shape[1]))])
        rows[size + k] = setting.share(there)[k] * root[k]
        rows -= rows @ free @ free.T
        design += rows @ rows.T
        right += rows @ (setting.slices.flux[k] * root[k])
    design[:size, :size] += np.eye(size)
    right[size - values.size : size] -= (values - prior.mean) / prior.sd
    inverse = np.linalg.inv(design)
    error = np.sqrt(covariance[0].sum())
    assert (inverse @ right)[size:].sum() == pytest.approx(found[0].sum(), rel=0.02, abs=0.02 * error)
    np.testing.assert_allclose(inverse[size:, size:], covariance[0], atol=0.02 * covariance[0].max())


def test_knots_elsewhere_widen_the_error(sim: ModuleType) -> None:
    """A galaxy of knots that the model follows badly tells of it where the target is not."""
    target = sim.light_of_star(np.full(WAVE.size, 1e3), *PLACE)
    smooth = disc(sim, 2.4, 0.4, 60.0)
    rng = np.random.default_rng(5)
    knots = np.zeros_like(smooth)
    for _ in range(14):
        away, turn = rng.uniform(2.2, 6.5), rng.uniform(0.0, 2.0 * np.pi)
        place = PLACE[0] + away * np.cos(turn), PLACE[1] + away * np.sin(turn)
        knots += sim.light_of_star(rng.uniform(500.0, 2500.0) * (WAVE / 6000.0) ** rng.uniform(-2.0, 2.0), *place)
    plain, rough = extracted(sim, target + smooth, 4)[1], extracted(sim, target + smooth + knots, 4)[1]
    assert rough.detail > 2.0 * plain.detail
    assert plain.nucleus < 0.02


def test_a_nucleus_beneath_the_target_is_in_its_error(sim: ModuleType) -> None:
    """It can not be told from the target: the error is as large as what it adds, and not where the nucleus is away."""
    truth = np.full(WAVE.size, 2e3)
    ratio = []
    for distance in (0.4, 3.0):
        centre = PLACE[0] + distance, PLACE[1]
        light = sim.light_of_star(truth, *PLACE) + disc(sim, *centre, 60.0)
        light += sim.light_of_star(1.5e3 * (WAVE / 6000.0) ** 1.2, *centre)
        found, doubt = extracted(sim, light, 7)
        flux = float((found.flux / truth)[MIDDLE].mean())
        assert abs(flux - 1.0) < 2.5 * found.level_error.total * flux
        assert (doubt.nucleus > max(doubt.fit, doubt.detail)) == (distance < 1.0)
        assert doubt.distance * full_width(shape_of(found.fit.values)) == pytest.approx(distance, abs=0.7)
        ratio.append(found.level_error.total)
    assert ratio[0] > 0.15
    assert ratio[1] < 0.08


def test_the_level_error_is_over_the_flux_without_the_galaxy(sim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Place and shape change the source's flux, not the light of the galaxy that lies beneath it."""
    seen = []

    def look(setting: Setting, *_: object) -> np.ndarray:
        seen.append(setting.slices.flux)
        return np.zeros((setting.slices.wave.size, setting.slices.wave.size))

    monkeypatch.setattr("tracecube.recipes.science.point_source.shape_errors", look)
    light = sim.light_of_star(np.full(WAVE.size, 1e3), *PLACE) + disc(sim, 2.4, 0.4, 200.0)
    found, _ = extracted(sim, light, 3)
    galaxy = found.extended
    assert galaxy is not None
    assert galaxy.seen is not None
    np.testing.assert_allclose(
        seen[0] + np.einsum("ak,kan->kn", galaxy.spectrum, galaxy.seen), setting_of(sim, light).slices.flux, rtol=1e-9
    )
    scene = setting_of(sim, light).scene
    there = int(np.argmin(np.hypot(scene.x - 2.4, scene.y - 0.4)))
    sky = float(np.median(seen[0]))
    given = setting_of(sim, light).slices.flux[:, there] - sky
    assert np.abs(seen[0][:, there] - sky).mean() < 0.2 * given.mean()


def test_pictures_between_wavelengths_are_as_good_as_at_them(sim: ModuleType) -> None:
    setting = setting_of(sim, disc(sim, 2.4, 0.4, 60.0))
    values = told(sim).mean
    points = points_with_patterns(setting, setting.slices.weight, values, 50.0, 1.0, most=40)
    amplitude = np.random.default_rng(2).standard_normal((2, len(points.pattern)))
    galaxy = ExtendedLight(points, amplitude, np.ones((2, 14)), np.ones(2))
    place, track = (setting.scene.x[::7], setting.scene.y[::7]), sim.track()
    fast = galaxy.pictures(*place, values, track)
    parts = [
        galaxy.pictures(
            *place, values, replace(track, east=track.east[m], north=track.north[m], growth=track.growth[m])
        )
        for m in (slice(k, k + 1) for k in range(0, WAVE.size, 11))
    ]
    np.testing.assert_allclose(fast[::11], np.concatenate(parts), atol=1e-4 * np.abs(fast).max())


def test_steps_stop_where_nothing_moves(sim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fit of a galaxy takes a handful of steps, the dear part of it."""
    count = []
    plain = extended.solve

    def counted(*given: object, **how: object) -> object:
        count.append(1)
        return plain(*given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(extended, "solve", counted)
    extracted(sim, sim.light_of_star(np.full(WAVE.size, 1e3), *PLACE) + disc(sim, 2.4, 0.4, 60.0), 4)
    assert len(count) <= 13


def test_a_spread_that_few_places_do_not_show_is_not_taken_for_none() -> None:
    """The mean of what the places leave possible: near what many show, above the likeliest of few."""
    rng = np.random.default_rng(3)
    for count, width in ((4000, 0.05), (4000, 0.2)):
        noise = rng.uniform(0.02, 0.1, count)
        ratio = rng.normal(0.0, np.hypot(noise, width))
        assert np.sqrt(host_doubt._spread2(ratio**2, noise**2)) == pytest.approx(width, rel=0.1)
    few = [np.sqrt(host_doubt._spread2(np.full(n, 0.05**2), np.full(n, 0.05**2))) for n in (8, 40)]
    assert 0.01 < few[1] < few[0] < 0.05  # each as large as its noise: the likeliest spread is zero
    assert np.sqrt(host_doubt._spread2(np.array([]), np.array([]))) > 0.5


def test_stated_mean_squares_are_those_of_the_spreads_drawn() -> None:
    """Galaxies whose spread may be anything, eight places each: the target's own draw has the width that is stated."""
    rng = np.random.default_rng(4)
    pulls = []
    for _ in range(3000):
        width, noise = rng.uniform(0.0, 1.0), np.full(8, 0.3)
        ratio = rng.normal(0.0, np.hypot(noise, width))
        pulls.append(rng.normal(0.0, width) ** 2 - host_doubt._spread2(ratio**2, noise**2))
    assert np.mean(pulls) == pytest.approx(0.0, abs=0.03)


def test_knots_give_the_error_their_colours() -> None:
    """What is found at other places is blue: so is the error, in the units of the light beneath."""
    rng = np.random.default_rng(6)
    beneath, knot = np.array([1.0, 2.0, 3.0]), np.array([0.3, 0.1, 0.0])
    passed, noise = np.full(30, 6.0), np.tile(1e-6 * np.eye(3), (30, 1, 1))
    found = 6.0 * rng.normal(0.0, 1.0, (30, 1)) * knot
    covariance = host_doubt._detail(found, noise, passed, beneath)
    np.testing.assert_allclose(covariance / covariance[0, 0], np.outer(knot, knot) / 0.09, atol=0.15)
    assert np.sqrt(covariance.sum()) == pytest.approx(0.4 * 6.0, rel=0.3)
    dull = host_doubt._detail(0.0 * found, noise, passed, beneath)
    np.testing.assert_allclose(dull / dull.sum(), np.outer(beneath, beneath) / 36.0, rtol=1e-6)


def test_the_centre_of_a_galaxy_is_not_its_brightest_place(sim: ModuleType) -> None:
    """A source that took part of the nucleus leaves the other side brightest: the light around tells the centre."""
    setting, values = setting_of(sim, disc(sim, 0.0, 0.0, 60.0)), told(sim).mean.copy()
    x, y = setting.scene.x, setting.scene.y
    values[:2] = 0.6, 0.0
    light = np.exp(-np.hypot(x, y) / 2.0)
    left = light - 0.9 * np.exp(-((x - 0.6) ** 2 + y**2))
    brightest = int(np.argmax(left))
    assert np.hypot(x[brightest] - 0.6, y[brightest]) > 1.0
    assert host_doubt._off_centre(setting, values, left) == pytest.approx(0.6, abs=0.15)
    assert host_doubt._off_centre(setting, values, 0.0 * left) == np.inf


def test_a_small_galaxy_is_fitted_too(sim: ModuleType) -> None:
    """Its light scatters little over the field, yet adds a tenth to the target's."""
    truth = np.full(WAVE.size, 1e3)
    x, y = sim.field()
    path = sim.track()
    radius2 = (x - 1.3 - path.east[:, None]) ** 2 + (y - 0.4 - path.north[:, None]) ** 2
    small = 4.5 * np.exp(-0.5 * radius2 / 1.1**2) * (WAVE / 6500.0)[:, None]
    found, _ = extracted(sim, sim.light_of_star(truth, *PLACE) + small, 7)
    off = abs(float(np.mean(found.flux[MIDDLE] / truth[MIDDLE])) - 1.0)
    assert off < 3.0 * np.hypot(found.level_error.total, 0.005)


def test_a_bright_galaxy_does_not_lose_its_samples(sim: ModuleType) -> None:
    """Its noise lies far below what any model of its knots leaves: that is no fault of samples."""
    rng = np.random.default_rng(8)
    light = sim.light_of_star(np.full(WAVE.size, 2e4), *PLACE) + disc(sim, 3.0, 0.5, 8e4)
    for _ in range(12):
        away, turn = rng.uniform(0.5, 6.0), rng.uniform(0.0, 2.0 * np.pi)
        line = 1.0 + 3.0 * np.exp(-0.5 * ((WAVE - rng.uniform(5000.0, 7000.0)) / 27.0) ** 2)
        light += sim.light_of_star(rng.uniform(1e4, 6e4) * line, 3.0 + away * np.cos(turn), 0.5 + away * np.sin(turn))
    found, _ = extracted(sim, light, 9)
    assert not found.flags[MIDDLE].any()
    assert found.outliers < 0.02


def test_lenslets_that_the_fit_gave_up_are_given_up_at_every_wavelength() -> None:
    """Samples of a slice, and beyond the range of the fit those next to its first and last."""
    wave = np.arange(10.0)
    slices = SimpleNamespace(wave=np.array([3.0, 6.5]), weight=np.ones((2, 3)), members=(slice(2, 5), slice(5, 9)))
    slices.weight[0, 0] = 0.0  # never measured
    kept = np.array([[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    setting = SimpleNamespace(scene=SimpleNamespace(wave=wave, good=np.ones((10, 3), bool)), slices=slices)
    found = SimpleNamespace(setting=setting, fit=SimpleNamespace(weight=kept), extended=object())
    given = point_source._given_up(found)  # type: ignore[arg-type]
    np.testing.assert_array_equal(np.flatnonzero(given[:, 1]), [0, 1, 2, 3, 4])
    np.testing.assert_array_equal(np.flatnonzero(given[:, 2]), [5, 6, 7, 8, 9])
    assert not given[:, 0].any()
    found.extended = None
    assert not point_source._given_up(found).any()  # type: ignore[arg-type]


def test_what_flat_and_profile_leave_is_no_galaxy_and_a_small_galaxy_is_one(sim: ModuleType) -> None:
    x, y = sim.field()
    choices, sky = sim.choices(), 30.0
    small = np.exp(-0.5 * (x**2 + y**2) / 0.9**2)
    assert np.std(small) < 0.07
    assert stands_out(3.2 * small, 37.0, sky, choices)  # a tenth of the source's light in a few lenslets
    assert not stands_out(3.2 * small, 300.0, sky, choices)  # one per cent of it: an error of the profile
    assert not stands_out(1.5 * small, 20.0, sky, choices)  # of the sky's: an error of the flat
    assert stands_out(5.0 * np.exp(-np.hypot(x, y) / 4.0), 300.0, sky, choices)


def test_a_galaxy_without_a_pattern_that_stands_out_is_none(sim: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor does it stop the extraction."""
    monkeypatch.setattr(source_fit, "leaves_light", lambda *_: True)
    monkeypatch.setattr(extended, "_brightness", lambda *_: 0.0)
    scene = make_scene(sim.observe(sim.light_of_star(np.full(WAVE.size, 4e3), *PLACE), 12))
    found = extract_point_source(scene, sim.track(), told(sim), sim.choices(extended=True))
    assert found.extended is None
    assert not found.untold


def test_a_region_with_no_place_elsewhere_leaves_detail_open(sim: ModuleType) -> None:
    """Drawn closely about the target: the error is what any galaxy may hide, and the extraction does not fail."""
    truth = np.full(WAVE.size, 2e3)
    scene = make_scene(sim.observe(sim.light_of_star(truth, *PLACE) + disc(sim, 2.4, 0.4, 200.0), 4))
    region = scene.only((np.abs(scene.x - PLACE[0]) < 2.5) & (np.abs(scene.y - PLACE[1]) < 2.5))
    found = extract_point_source(scene, sim.track(), told(sim), sim.choices(extended=True), region=region)
    assert not found.untold
    assert found.extended is not None
    doubt = found.extended.doubt
    assert doubt is not None
    flux = float((found.flux / truth)[MIDDLE].mean())
    assert flux == pytest.approx(1.0, abs=0.05)
    assert doubt.detail > max(doubt.fit, doubt.nucleus)
