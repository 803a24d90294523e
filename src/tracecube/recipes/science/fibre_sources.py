"""Spectra of point sources from the fibres around them: optimal weights, neighbours solved for together.

Every native sample counts once: its light is shared among the samples of the common grid that it overlaps. In
each of them the sources of a group are solved for by weighted least squares over all fibres and exposures.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from tracecube.core.fibres import FibreSpectra
from tracecube.core.fields import Scalar
from tracecube.core.flags import NOT_USABLE, Flag
from tracecube.core.params import Params
from tracecube.core.sources import FieldSolution
from tracecube.core.spectra import Spectrum
from tracecube.kernels.fibre_disc import disc_light

__all__ = ["FibreSourceParams", "GroupSpectra", "extract_group", "inject", "source_shares", "source_spectrum"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class FibreSourceParams(Params):
    """Extraction of sources.

    Parameters
    ----------
    reach : float, arcsec
        Fibres this near are used.
    radius : float, arcsec
        Of a fibre.
    first, step : float, Angstrom
    samples : int
        The common grid.
    minimum_share : float
        Share of a source's light in the fibres, all exposures together, below which a sample is flagged.
    outlier : float
        Samples this many sigma from a first solution are left out.
    """

    reach: float = 3.5
    radius: float = 0.75
    first: float = 3470.0
    step: float = 2.0
    samples: int = 1036
    minimum_share: float = 0.15
    outlier: float = 6.0

    @property
    def wave(self) -> F8:
        """The common grid."""
        return np.asarray(self.first + self.step * np.arange(self.samples), dtype=float)


@dataclass(frozen=True)
class GroupSpectra:
    """Spectra of sources solved for together.

    Parameters
    ----------
    wave : array (w,), Angstrom
    flux, variance : array (k, w)
    covariance : array (k, w)
        With the next sample.
    flags : int32 array (k, w)
    sky : array (k, w)
        Mean sky of a fibre under the source.
    lsf_sigma : array (k, w), Angstrom
    chi2 : float
        Reduced, of all samples.
    uneven : array (k,)
        Root of the sum of squares of the shares that single fibres have in a spectrum: 1 where one fibre tells all,
        0.2 where 25 tell the same. An error of its own in each fibre's light reaches the spectrum so much reduced.
    """

    wave: F8
    flux: F8
    variance: F8
    covariance: F8
    flags: NDArray[np.int32]
    sky: F8
    lsf_sigma: F8
    chi2: float
    uneven: F8 = field(default_factory=lambda: np.zeros(0))


def source_shares(
    spectra: FibreSpectra,
    rows: I8,
    places: tuple[F8, F8],
    source: tuple[F8, F8],
    solution: FieldSolution,
    radius: float = 0.75,
) -> F8:
    """Share of each source's light in each sample of fibres, (k, m, n_pix).

    Parameters
    ----------
    rows : int array (m,)
    places : (east, north) (n,), arcsec
        True places of all fibres.
    source : (east, north) (k,), arcsec
    """
    # the profile changes slowly with wavelength: a few places along the spectrum carry it
    nodes = np.linspace(0, spectra.wave.shape[1] - 1, 25).astype(int)
    wave = spectra.wave[np.ix_(rows, nodes)]
    shift_e = np.interp(wave, solution.wave, solution.refraction_east)
    shift_n = np.interp(wave, solution.wave, solution.refraction_north)
    dx = source[0][:, None, None] + shift_e - places[0][rows][:, None]
    dy = source[1][:, None, None] + shift_n - places[1][rows][:, None]
    which = np.searchsorted(solution.exposure, spectra.exp[rows])
    width = solution.fwhm[which][:, None] * (wave / solution.reference) ** solution.width_slope
    coarse = disc_light(dx, dy, width[None], solution.beta, radius)
    from scipy.interpolate import CubicSpline  # noqa: PLC0415 - slow to import

    return np.asarray(CubicSpline(nodes, coarse, axis=2)(np.arange(spectra.wave.shape[1])))


def extract_group(
    spectra: FibreSpectra,
    places: tuple[F8, F8],
    source: tuple[F8, F8],
    solution: FieldSolution,
    params: FibreSourceParams = FibreSourceParams(),
    own: int | None = None,
) -> GroupSpectra:
    """Spectra of sources that share fibres.

    Parameters
    ----------
    spectra : FibreSpectra
        Exposures scaled to one another.
    places : (east, north) (n,), arcsec
        True places of the fibres in the tangent plane of the solution.
    source : (east, north) (k,), arcsec
    own : int, optional
        So many of the sources, the first ones, are wanted: the fibres about them are used, the others only shine into
        these. All by default.
    """
    wanted = len(source[0]) if own is None else own
    near = np.zeros(len(places[0]), dtype=bool)
    for e, n in zip(source[0][:wanted], source[1][:wanted], strict=True):
        near |= np.hypot(places[0] - e, places[1] - n) < params.reach
    rows = np.flatnonzero(near & (spectra.dq == 0))
    if rows.size == 0:
        return _nothing(wanted, params)
    share = source_shares(spectra, rows, places, source, solution, params.radius)
    flux, variance = spectra.flux[rows], spectra.variance[rows]
    ok = (spectra.flags[rows] & NOT_USABLE) == 0
    ok &= np.isfinite(flux) & np.isfinite(variance) & (variance > 0)
    weight = np.where(ok, 1.0 / np.where(ok, variance, 1.0), 0.0)
    data = np.where(ok, flux, 0.0)
    grid = _Overlap(np.asarray(spectra.wave[rows], dtype=float), params)
    first, _ = _solve(grid, share, data, weight)
    model = grid.spread(share, first)
    # the image itself is known to a few per cent
    far = np.abs(data - model) / np.sqrt(np.where(ok, variance, 1.0) + (solution.model_error * 3.0 * model) ** 2)
    outlier = ok & (far > params.outlier) & np.isfinite(model)
    weight = np.where(outlier, 0.0, weight)
    value, inverse = _solve(grid, share, data, weight)
    return _finish(spectra, rows, (grid, share, weight), (value, inverse), (data, wanted))


class _Overlap:
    """How native samples fall into the common grid: each into at most ``spread`` neighbours, shares adding to one."""

    def __init__(self, wave: F8, params: FibreSourceParams) -> None:
        half = 0.5 * np.gradient(wave, axis=1)
        low = (wave - half - params.first) / params.step + 0.5
        high = (wave + half - params.first) / params.step + 0.5
        start = np.floor(low).astype(np.int64)
        cells = int(np.ceil(np.max(high - low))) + 1
        self.size, self.wave, self.minimum = params.samples, params.wave, params.minimum_share
        self.index = start[None] + np.arange(cells)[:, None, None]
        inside = np.minimum(high, self.index + 1) - np.maximum(low, self.index)
        self.part = np.maximum(inside, 0.0) / (high - low)
        off = (self.index < 0) | (self.index >= self.size)
        self.part[off] = 0.0
        self.index[off] = 0

    def gather(self, value: F8) -> F8:
        """Sum samples (m, n_pix) into the grid, each shared among what it overlaps."""
        total = np.bincount(self.index.ravel(), (self.part * value).ravel(), minlength=self.size)
        return np.asarray(total, dtype=float)

    def gather_products(self, value: F8, offset: int) -> F8:
        """Sum samples times their shares in a grid sample and in that ``offset`` further on."""
        total = np.zeros(self.size)
        cells = len(self.part)
        for i in range(cells - offset):
            product = self.part[i] * self.part[i + offset] * value
            total += np.bincount(self.index[i].ravel(), product.ravel(), minlength=self.size)
        return total

    def spread(self, share: F8, spectrum: F8) -> F8:
        """Model of samples from spectra (k, w) on the grid and shares (k, m, n_pix)."""
        known = np.nan_to_num(spectrum)
        mean = np.zeros_like(share)
        for part, index in zip(self.part, self.index, strict=True):
            mean += part * known[:, index]
        return np.asarray((share * mean).sum(0))


def _solve(grid: _Overlap, share: F8, data: F8, weight: F8) -> tuple[F8, F8]:
    """Weighted least squares in each sample of the grid: spectra (k, w) and inverse normal matrices (w, k, k)."""
    count = len(share)
    normal = np.empty((grid.size, count, count))
    right = np.empty((grid.size, count))
    for i in range(count):
        right[:, i] = grid.gather(weight * share[i] * data)
        for j in range(i + 1):
            normal[:, i, j] = normal[:, j, i] = grid.gather(weight * share[i] * share[j])
    inverse = np.asarray(np.linalg.pinv(normal, hermitian=True, rcond=1e-6), dtype=float)
    return np.asarray(np.einsum("wij,wj->iw", inverse, right)), inverse


def _finish(
    spectra: FibreSpectra, rows: I8, parts: tuple[_Overlap, F8, F8], solved: tuple[F8, F8], given: tuple[F8, int]
) -> GroupSpectra:
    """Variances with all that samples share, flags, sky and resolution, of the sources that are wanted."""
    grid, share, weight = parts
    value, inverse = solved
    data, own = given
    count = len(share)
    both = [np.empty((grid.size, count, count)) for _ in range(2)]
    blend = weight[:-1] * weight[1:] * _blends(spectra, rows)[:-1]
    for i in range(count):
        for j in range(i + 1):
            both_see = weight * share[i] * share[j]
            both_see[:-1] += blend * (share[i][:-1] * share[j][1:] + share[i][1:] * share[j][:-1])
            for offset, matrix in enumerate(both):
                matrix[:, i, j] = matrix[:, j, i] = grid.gather_products(both_see, offset)
    sigma2 = np.einsum("wij,wjk,wki->iw", inverse[:, :own], both[0], inverse[:, :, :own])
    shifted = np.roll(inverse, -1, axis=0)
    beside = np.einsum("wij,wjk,wki->iw", inverse[:, :own], both[1], shifted[:, :, :own])
    beside[:, -1] = 0.0
    model, value, share = grid.spread(share, value), value[:own], share[:own]
    total = np.stack([grid.gather(np.where(weight > 0, one, 0.0)) for one in share])
    flags = np.where(total < grid.minimum, int(Flag.NOT_MEASURED), 0).astype(np.int32)
    empty = (sigma2 <= 0) | ~np.isfinite(sigma2)
    flags[empty] |= int(Flag.NOT_MEASURED)
    value, sigma2 = np.where(empty, np.nan, value), np.where(empty, np.nan, sigma2)
    used = np.stack([grid.gather(weight * one * one) for one in share])
    with np.errstate(divide="ignore", invalid="ignore"):
        sky_rows = np.zeros_like(data) if spectra.sky is None else np.nan_to_num(spectra.sky[rows])
        sky = np.stack([grid.gather(weight * one * one * sky_rows) for one in share]) / used
        lsf = np.stack([grid.gather(weight * one * one * spectra.lsf_sigma[rows]) for one in share]) / used
    residual = (data - model) * np.sqrt(weight)
    chi2 = float(np.mean(residual[weight > 0] ** 2)) if (weight > 0).any() else np.nan
    told = (weight * share**2).sum(axis=2)
    uneven = np.sqrt(np.sum(told**2, axis=1)) / np.maximum(told.sum(axis=1), 1e-300)
    return GroupSpectra(grid.wave, value, sigma2, beside, flags, sky, lsf, chi2, uneven)


def _blends(spectra: FibreSpectra, rows: I8) -> F8:
    """Covariance of each row with the next one of ``rows``; 0 where that is no neighbour."""
    beside = np.append(np.diff(rows) == 1, False)
    return np.where(beside[:, None], np.nan_to_num(spectra.blend[rows]), 0.0)


def _nothing(count: int, params: FibreSourceParams) -> GroupSpectra:
    nan = np.full((count, params.samples), np.nan)
    flags = np.full(nan.shape, int(Flag.NOT_MEASURED), dtype=np.int32)
    return GroupSpectra(params.wave, nan, nan, nan, flags, nan, nan, np.nan, np.ones(count))


def source_spectrum(
    group: GroupSpectra, member: int, name: str, place: tuple[float, float], response: F8, meta: Mapping[str, Scalar]
) -> Spectrum:
    """Product of one source.

    Parameters
    ----------
    place : (ra, dec), degree
    response : array (w,)
        (electron / (s Angstrom)) / (erg / (s cm2 Angstrom)), by which the flux was calibrated.
    meta : mapping
        Cards of the observation.
    """
    cards: dict[str, Scalar] = {**meta, "OBJECT": name, "RA_OBJ": place[0], "DEC_OBJ": place[1], "EXTRCHI2": group.chi2}
    cards.pop("BUNIT", None)
    return Spectrum(
        wave=group.wave,
        flux=group.flux[member],
        variance=group.variance[member],
        flags=group.flags[member],
        sky=group.sky[member] * response,
        flux_uncal=group.flux[member] * response,
        variance_uncal=group.variance[member] * response**2,
        covariance_uncal=group.covariance[member] * response * np.append(response[1:], response[-1]),
        lsf_sigma=group.lsf_sigma[member],
        medium="AWAV",
        meta=cards,
    )


def inject(
    spectra: FibreSpectra,
    places: tuple[F8, F8],
    source: tuple[float, float],
    spectrum: tuple[F8, F8],
    solution: FieldSolution,
) -> F8:
    """Light (n, n_pix) that a source would leave in the fibres, noise-free: add it to the flux to simulate one.

    Parameters
    ----------
    source : (east, north), arcsec
    spectrum : (wave, flux)
        Angstrom and the unit of the spectra.
    """
    light = np.zeros(spectra.flux.shape)
    rows = np.flatnonzero(np.hypot(places[0] - source[0], places[1] - source[1]) < 15.0)
    if rows.size:
        at = (np.array([source[0]]), np.array([source[1]]))
        share = source_shares(spectra, rows, places, at, solution)[0]
        light[rows] = share * np.interp(spectra.wave[rows], *spectrum)
    return light
