"""How well a supernova's flux is told from its galaxy: bias, scatter, colour and honesty over many drawn scenes.

    python bench/bench_hosts.py run [--nights N] [--seed S]

Each night draws a halo of the point-spread function (distributions of 5000 fits, Lezmy et al. 2022) and has two
standards, from which the halo is learnt as on any night; then isolated targets and targets on galaxies. A galaxy is a
bulge (Sersic n 2 to 4, old stars) and an exponential disc with arms of young clumps and emission lines, inclined at
random; the supernova lies 0.6 to 9 units (0.55 arcsec) from its centre, with a contrast (its flux over what the
galaxy's light would pass for besides) of 0.06 to 0.94. The galaxy is made on a fine grid and convolved there, with
nothing of the model that is fitted. Goals: median of abs(flux error) on galaxies <= 5 per cent; isolated bias <= 1,
colour 4000-9000 A <= 1 per cent; <= 3 s a cube. psfcube: 12 to 17 and 4.5 per cent, 53 to 90 s.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

from tracecube.core.spectra import Spectra
from tracecube.core.target import Target
from tracecube.instruments.sedm.psf_prior import place_and_shape
from tracecube.instruments.sedm.star_light import Field, Light, by_psf
from tracecube.instruments.sedm.star_parameters import ExtractStarParams
from tracecube.instruments.sedm.star_place import Start
from tracecube.kernels.atmosphere import refraction_shift
from tracecube.kernels.psf import Shape, hexagon_area, hexagon_nodes, lenslet_fractions, rounded
from tracecube.recipes.science.scene import Scene, Track, make_scene

F8 = NDArray[np.float64]
WAVE = np.linspace(3700.0, 9300.0, 220)
REFERENCE = 6200.0
UNIT = 0.55  # arcsec
PITCH = 0.64  # arcsec
GRID, HALF = 0.16, 20.0  # arcsec: step and half width of the grid that galaxies are made on
NODES = np.linspace(3700.0, 9300.0, 15)  # Angstrom: where a galaxy is convolved
SKY = 30.0  # electrons per Angstrom and lenslet
BAND = (WAVE > 4000.0) & (WAVE < 9000.0)


@dataclass(frozen=True)
class Night:
    """What the exposures of a night share: the halo, as ratio and exponent of the Moffat part and the core's share."""

    eta: float
    alpha_over_sigma: float
    beta: float
    rho: float

    def shape(self, rng: np.random.Generator) -> Shape:
        """Point-spread function of one exposure: its own seeing, the night's halo to some per cent."""
        sigma = UNIT * math.exp(rng.normal(math.log(1.36), 0.15))
        alpha = sigma * self.alpha_over_sigma * math.exp(rng.normal(0.0, 0.02))
        gauss, moffat = 2.0 * self.eta * sigma**2, alpha**2 / (self.beta - 1.0)
        core = gauss / (gauss + moffat)
        return Shape(sigma, alpha, self.beta, core, self.rho, *rng.normal(0.0, 0.03, 2))


def night(rng: np.random.Generator) -> Night:
    """Draw a halo: eta 0.26/1.04/2.6, alpha 1.55/2.42/3.99 units, rho -0.32/-0.17/-0.04 at 5/50/95 per cent."""
    alpha = math.exp(rng.normal(math.log(2.42), 0.28))
    eta = math.exp(np.clip(rng.normal(math.log(1.04), 0.6), -1.5, 1.2))
    return Night(
        eta, alpha / (0.39 * alpha + 0.42), 0.22 * alpha + 1.53, float(np.clip(rng.normal(-0.17, 0.08), -0.35, 0.0))
    )


def lattice() -> tuple[F8, F8]:
    """The 1900 lenslets of the field."""
    q, r = (index.ravel() for index in np.mgrid[-26:27, -26:27])
    x, y = PITCH * (q + r / 2), PITCH * r * np.sqrt(0.75)
    keep = np.argsort(np.hypot(x, y), kind="stable")[:1900]
    return x[keep], y[keep]


X, Y = lattice()


def track(rng: np.random.Generator) -> Track:
    """Refraction of an exposure at airmass 1 to 2."""
    airmass = 1.0 + rng.gamma(2.0, 0.15)
    turn = rng.uniform(0.0, 360.0)
    air = {"pressure": 630.0, "temperature": 9.0, "humidity": 30.0}
    east, north = refraction_shift(WAVE, REFERENCE, (airmass, airmass + 0.03), (turn, turn + 3.0), **air)
    return Track(east, north, np.log(WAVE / REFERENCE))


def star(place: tuple[float, float], shape: Shape, path: Track) -> F8:
    """Share of a point source's light that each lenslet catches (m, n)."""
    growth = (WAVE / REFERENCE) ** shape.rho
    centre = place[0] + path.east, place[1] + path.north
    nodes, area = hexagon_nodes(PITCH, 0.0), hexagon_area(PITCH)
    return np.asarray(lenslet_fractions(X, Y, centre, growth, shape, nodes, area=area))


def density(radius2: F8, shape: Shape, growth: float) -> F8:
    """Point-spread function by elliptical radius."""
    sigma, alpha = shape.sigma * growth, shape.alpha * growth
    gauss = np.exp(-0.5 * radius2 / sigma**2) / (2.0 * np.pi * sigma**2)
    moffat = (shape.beta - 1.0) / (np.pi * alpha**2) * (1.0 + radius2 / alpha**2) ** -shape.beta
    return shape.core * gauss + (1.0 - shape.core) * moffat


def components(rng: np.random.Generator, centre: tuple[float, float], distance: float) -> list[tuple[F8, F8]]:
    """Images and spectra of bulge, disc and clumps; supernovae lie within three scale lengths of the disc."""
    y, x = np.mgrid[-HALF : HALF + GRID / 2 : GRID, -HALF : HALF + GRID / 2 : GRID]
    angle, axis = rng.uniform(0.0, np.pi), rng.uniform(0.4, 1.0)
    dx, dy = x - centre[0], y - centre[1]
    along, across = dx * np.cos(angle) + dy * np.sin(angle), (dy * np.cos(angle) - dx * np.sin(angle)) / axis
    radius, turn = np.hypot(along, across), np.arctan2(across, along)
    scale = rng.uniform(max(0.8, distance / 3.0), 3.5)
    n = rng.uniform(2.0, 4.0)
    bulge_radius = scale * rng.uniform(0.2, 0.6)
    bulge = np.exp(-(2.0 * n - 1 / 3) * (np.hypot(np.hypot(dx, dy), 0.05) / bulge_radius) ** (1.0 / n))
    disc = np.exp(-radius / scale)
    arms = disc * (1.0 + np.cos(2.0 * (turn - 1.5 * np.log(radius + 0.3)) + rng.uniform(0, 6))) ** 2
    clumps = np.zeros_like(x)
    for _ in range(rng.poisson(6)):
        at, way = rng.exponential(scale), rng.uniform(0.0, 2.0 * np.pi)
        clumps += rng.exponential() * np.exp(
            -0.5 * ((along - at * np.cos(way)) ** 2 + (across - at * np.sin(way)) ** 2) / 0.3**2
        )
    share = rng.dirichlet([2.0, 3.0, 1.0, 0.5])
    images = (bulge, disc, arms, clumps)
    z, lines = rng.uniform(0.01, 0.1), np.zeros_like(WAVE)
    for line, strength in ((3727.0, 2.0), (4861.0, 0.6), (5007.0, 1.0), (6563.0, 2.0), (6725.0, 0.7)):
        lines += strength * np.exp(-0.5 * ((WAVE - line * (1 + z)) / 27.0) ** 2)
    old = (WAVE / 6000.0) ** 1.2 / (1.0 + np.exp(-(WAVE - 4000.0 * (1 + z)) / 60.0))
    young = (WAVE / 6000.0) ** -0.8
    spectra = (old, 0.5 * old + 0.5 * young, young + rng.uniform(0.0, 1.0) * lines, young + 2.0 * lines)
    return [
        (w * image / image.sum(), spectrum)
        for w, image, spectrum in zip(share, images, spectra, strict=True)
        if image.any()
    ]


def lenslet(x: F8, y: F8) -> F8:
    """Share of each grid cell within a hexagon of the lattice, whose neighbours lie along x."""
    fine = (np.arange(9) - 4.0) / 9.0 * GRID
    share = np.zeros_like(x)
    for dy in fine:
        for dx in fine:
            distance = [np.abs((x + dx) * np.cos(a) + (y + dy) * np.sin(a)) for a in (0.0, np.pi / 3, 2 * np.pi / 3)]
            share += np.max(distance, axis=0) <= PITCH / 2
    return share / fine.size**2


def galaxy(rng: np.random.Generator, centre: tuple[float, float], distance: float, shape: Shape, path: Track) -> F8:
    """Light of a galaxy in each lenslet (m, n), convolved on the fine grid."""
    y, x = np.mgrid[-HALF : HALF + GRID / 2 : GRID, -HALF : HALF + GRID / 2 : GRID]
    hexagon = lenslet(x, y)
    lens = np.fft.rfft2(np.fft.ifftshift(hexagon / hexagon.sum()))
    place = (np.array([Y, X]) + HALF) / GRID
    total = np.zeros((WAVE.size, X.size))
    for image, spectrum in components(rng, centre, distance):
        light = np.fft.rfft2(image)
        seen = []
        for wave in NODES:
            growth = (wave / REFERENCE) ** shape.rho
            east, north = np.interp(wave, WAVE, path.east), np.interp(wave, WAVE, path.north)
            round_x, round_y = rounded(x, y, shape)
            psf = np.fft.rfft2(np.fft.ifftshift(density(round_x**2 + round_y**2, shape, growth))) * GRID**2
            blurred = np.fft.irfft2(light * psf * lens, s=x.shape)
            seen.append(map_coordinates(blurred, place - np.array([[north], [east]]) / GRID, order=3, mode="nearest"))
        rows = np.array(seen)
        total += spectrum[:, None] * np.array([np.interp(WAVE, NODES, column) for column in rows.T]).T
    return total * hexagon_area(PITCH) / GRID**2


def supernova(rng: np.random.Generator) -> F8:
    """A spectrum with broad features."""
    colour = (WAVE / 6000.0) ** rng.uniform(-2.0, 1.0)
    features = sum(
        rng.uniform(-0.5, 0.3) * np.exp(-0.5 * ((WAVE - at) / rng.uniform(60.0, 160.0)) ** 2)
        for at in rng.uniform(3700.0, 9200.0, 6)
    )
    return np.asarray(colour * (1.0 + features))


def observed(rng: np.random.Generator, light: F8) -> Scene:
    """A scene with its noise: photons and read noise."""
    total = light + SKY * (1.0 + 0.01 * (X / 12.0) - 0.005 * (Y / 12.0)) * (1.0 + 0.2 * np.sin(WAVE / 300.0))[:, None]
    variance = total / 25.6 + 0.05
    flux = total + np.sqrt(variance) * rng.standard_normal(total.shape)
    none = np.zeros(total.T.shape, dtype=np.int32)
    spectra = Spectra(
        flux=flux.T,
        variance=variance.T,
        flags=none,
        covariance=0.0 * total.T,
        wave=WAVE,
        lsf_sigma=WAVE / 235.0,
        aperture=np.arange(X.size),
        x=X,
        y=Y,
        dq=none[:, 0],
    )
    return make_scene(spectra)


def standard(rng: np.random.Generator, of: Night) -> Target:
    """A bright star as the night's first exposures show it: the cards that teach the halo."""
    shape, path, place = of.shape(rng), track(rng), tuple(rng.uniform(-2.0, 2.0, 2))
    scene = observed(rng, 5e4 * supernova(rng)[:, None] * star(place, shape, path))
    prior = place_and_shape(*place, 0.5, fwhm=2.355 * shape.sigma, measured=False)
    field = Field(scene, None, path, Start(*place, 0.5, "brightest", math.nan), standard=True, known=[])
    return Target("STD", 0, "good", *place, 0.0, 0.0, "brightest", meta=by_psf(field, prior, ExtractStarParams()).cards)


def extracted(
    rng: np.random.Generator, scene: Scene, path: Track, place: tuple[float, float], shape: Shape, stars: list[Target]
) -> tuple[Light, float]:
    """Extract where the guider says the target is, to 0.15 arcsec; return it and the seconds it took."""
    guided = np.array(place) + rng.normal(0.0, 0.1, 2)
    width = 2.355 * shape.sigma * math.exp(rng.normal(0.0, 0.1))
    prior = place_and_shape(*guided, 0.15, fwhm=width, measured=True, standards=stars)
    field = Field(scene, None, path, Start(*guided, 0.15, "astrom", width), standard=False, known=stars)
    started = time.process_time()
    found = by_psf(field, prior, ExtractStarParams())
    return found, time.process_time() - started


@dataclass(frozen=True)
class Row:
    """What one scene gave: errors of flux and colour and the errors claimed, all over the truth; contrast, distance."""

    flux: float
    colour: float
    claimed: float
    claimed_colour: float
    contrast: float
    distance: float
    seconds: float
    host: bool
    pull: float


def row(found: Light, truth: F8, contrast: float, distance: float, seconds: float) -> Row:
    """Compare with the truth, 4000 to 9000 Angstrom."""
    ok = BAND & (found.flags == 0)
    ratio = lambda some: float(found.flux[some].sum() / truth[some].sum() - 1.0)  # noqa: E731
    flux = ratio(ok)
    ends = ok & (WAVE < 5000.0), ok & (WAVE > 8000.0)
    colour = ratio(ends[0]) - ratio(ends[1])

    def claimed(card: str, *parts: NDArray[np.bool_]) -> float:
        """Return the error of sums of samples and what they share; that is given relative to what was found."""
        noise2 = [
            float(found.variance[some].sum() + 2 * found.covariance[some].sum()) / truth[some].sum() ** 2
            for some in parts
        ]
        return math.hypot(math.sqrt(sum(noise2)), float(found.cards.get(card, 0.0)) * abs(1.0 + flux))

    single = (found.flux - truth * (1 + flux))[ok] / np.sqrt(found.variance[ok])
    said = claimed("LEVELERR", ok), claimed("COLERR", *ends)
    return Row(flux, colour, *said, contrast, distance, seconds, bool(found.cards["HOST"]), float(np.std(single)))


def scene_rows(rng: np.random.Generator, of: Night, stars: list[Target], *, host: bool) -> Row:
    """Draw a scene, extract it, compare."""
    shape, path = of.shape(rng), track(rng)
    place = tuple(rng.uniform(-3.0, 3.0, 2))
    share, truth = star(place, shape, path), supernova(rng)
    level = 10.0 ** rng.uniform(2.5, 4.0)
    contrast, distance, light = 1.0, math.nan, 0.0
    if host:
        distance, contrast = rng.uniform(0.6, 9.0) * UNIT, rng.uniform(0.06, 0.94)
        turn = rng.uniform(0.0, 2.0 * np.pi)
        centre = place[0] + distance * np.cos(turn), place[1] + distance * np.sin(turn)
        raw = galaxy(rng, centre, distance, shape, path)
        passes = np.sum(raw * share, axis=1) / np.sum(share**2, axis=1)  # for so much of a star the galaxy would pass
        light = raw * level * truth[BAND].mean() * (1.0 / contrast - 1.0) / passes[BAND].mean()
    scene = observed(rng, level * truth[:, None] * share + light)
    found, seconds = extracted(rng, scene, path, place, shape, stars)
    return row(found, level * truth, contrast, distance, seconds)


def tell(rows: list[Row], what: str) -> None:
    """Print a line of figures, in per cent."""
    if not rows:
        return
    flux, colour, level, hue = (
        100.0 * np.array([getattr(r, k) for r in rows]) for k in ("flux", "colour", "claimed", "claimed_colour")
    )
    pulls = [_widths(flux / level), _widths(colour / hue)]
    print(
        f"{what:34s} {len(rows):4d}  bias {np.median(flux):+6.2f}  median |error| {np.median(np.abs(flux)):5.2f}"
        f"  95 % within {np.percentile(np.abs(flux), 95):6.2f}"
        f"  colour {np.median(colour):+5.2f} ({np.median(np.abs(colour)):4.2f})"
        f"  pull of level {pulls[0]}  of colour {pulls[1]}  of samples {np.median([r.pull for r in rows]):4.2f}"
        f"  host fitted {np.mean([r.host for r in rows]):4.0%}  {np.median([r.seconds for r in rows]):4.1f} CPU s"
    )


def _widths(pull: F8) -> str:
    """Width about zero, in the middle (of the median), and within which 95 of 100 lie (1.96 of a Gaussian)."""
    size = np.abs(pull)
    return f"{math.sqrt(np.mean(size**2)):4.2f} ({1.4826 * np.median(size):4.2f}, {np.percentile(size, 95):4.2f})"


def main() -> None:
    """Read the command line."""
    if len(sys.argv) == 1:
        print(__doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", choices=["run"])
    parser.add_argument("--nights", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--each", action="store_true", help="print each scene")
    given = parser.parse_args()
    alone: list[Row] = []
    hosts: list[Row] = []
    for number in range(given.nights):
        rng = np.random.default_rng([given.seed, number])
        of = night(rng)
        stars = [standard(rng, of) for _ in range(2)]
        alone += [scene_rows(rng, of, stars, host=False) for _ in range(4)]
        hosts += [scene_rows(rng, of, stars, host=True) for _ in range(8)]
        tell(hosts, f"after night {number + 1}: on galaxies")
        if given.each:
            print("\n".join(map(str, [*alone[-4:], *hosts[-8:]])), flush=True)
    tell(alone, "isolated")
    tell(hosts, "on galaxies")
    for low, high in ((0.06, 0.25), (0.25, 0.5), (0.5, 0.94)):
        tell([r for r in hosts if low <= r.contrast < high], f"  contrast {low} to {high}")
    for low, high in ((0.3, 1.0), (1.0, 2.5), (2.5, 5.0)):
        tell([r for r in hosts if low <= r.distance < high], f"  {low} to {high} arcsec from the centre")


if __name__ == "__main__":
    main()
