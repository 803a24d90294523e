"""Normal equations of the stars of a field: how fibres answer to the field's and to a star's unknowns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.params import Params
from tracecube.kernels.fibre_disc import DiscShare, disc_share

__all__ = [
    "FieldFit",
    "FieldLight",
    "FieldPsfParams",
    "StarFit",
    "StarSystem",
    "catalogue_weight",
    "learn_errors",
    "move_star",
    "relight",
    "slopes",
    "star_chi2",
    "star_system",
    "trust_stars",
    "weights",
]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]


class FieldPsfParams(Params):
    """Fit of the field's stars.

    Parameters
    ----------
    radius : float, arcsec
        Of a fibre.
    reach : float, arcsec
        Fibres this near to a star are its own.
    beta : float
        Exponent of the Moffat profile, where it is not fitted.
    beta_stars : int
        Stars from which on the exponent is fitted.
    together : int
        Stars that share fibres are solved for together up to so many; of a larger crowd, star by star with those
        around it.
    seeing : float, arcsec
        Start.
    width_slope : float
        Expected growth of the width with wavelength, Kolmogorov's -0.2 (Fried 1966); with the error of the next.
    width_slope_error : float
    refraction_error : float
        Of the air's refraction as computed, relative: what a field of few stars falls back upon.
    catalogue_error : float, arcsec
        Start and floor of the scatter of the catalogue.
    rounds : int
    """

    radius: float = 0.75
    reach: float = 4.0
    beta: float = 3.5
    beta_stars: int = 8
    together: int = 4
    seeing: float = 1.8
    width_slope: float = -0.2
    width_slope_error: float = 0.1
    refraction_error: float = 0.5
    catalogue_error: float = 0.03
    rounds: int = 15


@dataclass(frozen=True)
class FieldLight:
    """Light of fibres in bands.

    Parameters
    ----------
    east, north : array (n,), arcsec
        Nominal places.
    exposure : int array (n,)
    wave : array (b,), Angstrom
    flux, variance : array (n, b)
        Variance infinite where nothing was measured.
    refraction : array (b, 2), arcsec
        East and north of the air's refraction as computed, against the reference wavelength.
    reference : float, Angstrom
    """

    east: F8
    north: F8
    exposure: I8
    wave: F8
    flux: F8
    variance: F8
    refraction: F8
    reference: float


@dataclass
class StarFit:
    """One star, or several that share fibres; its own unknowns are changed by the fit.

    Parameters
    ----------
    star : int array (k,)
        Rows of the catalogue.
    rows : int array (m,)
        Fibres.
    place : array (k, 2), arcsec
        Catalogue, east and north.
    move, move_error : array (k, 2), arcsec
        What the fit adds to the catalogue's place.
    light, light_error : array (k, b)
    seen, seen_error : array (k, 2), arcsec
        Moves by the fibres alone.
    chi2 : float
        Reduced.
    weight : float
        1 for a star that is trusted.
    own : int
        So many of the stars, the first ones, are the group's; the others only shine into its fibres.
    """

    star: I8
    rows: I8
    place: F8
    move: F8
    light: F8
    move_error: F8 = field(default_factory=lambda: np.zeros(0))
    light_error: F8 = field(default_factory=lambda: np.zeros(0))
    seen: F8 = field(default_factory=lambda: np.zeros(0))
    seen_error: F8 = field(default_factory=lambda: np.zeros(0))
    chi2: float = 1.0
    weight: float = 1.0
    own: int = 1


@dataclass
class FieldFit:
    """Unknowns common to the field; see `FieldSolution` for their meaning.

    Parameters
    ----------
    exposures : int array (k,)
    values : array (p,)
        east (k), north (k), rotation (radian), log width (k), log brightness (k), refraction along and across,
        width slope, exponent.
    covariance : array (p, p)
    stars : list of StarFit
    model_error : float
    catalogue_error : float, arcsec
    settled : bool
        The first rounds are over.
    """

    exposures: I8
    values: F8
    covariance: F8
    stars: list[StarFit]
    model_error: float
    catalogue_error: float
    settled: bool = False

    def part(self, name: str) -> slice:
        """Where unknowns lie in ``values``."""
        k = len(self.exposures)
        sizes = {"east": k, "north": k, "rotation": 1, "width": k, "norm": k, "refraction": 2, "slope": 1, "beta": 1}
        start = 0
        for key, size in sizes.items():
            if key == name:
                return slice(start, start + size)
            start += size
        raise KeyError(name)

    def __getitem__(self, name: str) -> F8:
        return self.values[self.part(name)]

    def error(self, name: str) -> F8:
        """Standard errors of unknowns."""
        return np.sqrt(np.maximum(np.diag(self.covariance)[self.part(name)], 0.0))

    def places(self, light: FieldLight, rows: I8) -> tuple[F8, F8, I8]:
        """True places of fibres, and which exposure each is of."""
        which = np.searchsorted(self.exposures, light.exposure[rows])
        angle = float(self["rotation"][0])
        e, n = light.east[rows], light.north[rows]
        east = e * np.cos(angle) - n * np.sin(angle) + self["east"][which]
        north = e * np.sin(angle) + n * np.cos(angle) + self["north"][which]
        return east, north, which


class StarSystem(NamedTuple):
    """Normal equations of a group: of the field's unknowns alone, and what gives the group's own back."""

    normal: F8
    common: F8
    inverse: F8
    right: F8
    mixed: F8


def slopes(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> tuple[F8, F8, F8]:
    """Model (m, b) of a group's fibres, its slopes with the field's unknowns (m, b, p) and the stars' (m, b, q).

    The stars' unknowns are the moves (k, 2), then the light (k, b).
    """
    east, north, which = fit.places(light, group.rows)
    share = _shares(light, fit, group, params)
    norm = np.exp(fit["norm"][which])[:, None]
    bright = norm[None] * group.light[:, None, :]
    each_x, each_y = bright * share.by_x, bright * share.by_y
    model, by_x, by_y = (bright * share.share).sum(0), each_x.sum(0), each_y.sum(0)
    by_log, by_beta = (bright * share.by_log_width).sum(0), (bright * share.by_beta).sum(0)
    far_e, far_n = east - fit["east"][which], north - fit["north"][which]
    air_e, air_n = light.refraction.T
    hot = np.eye(len(fit.exposures))[which][:, None, :]
    field_slopes = np.concatenate(
        [
            -by_x[..., None] * hot,
            -by_y[..., None] * hot,
            (by_x * far_n[:, None] - by_y * far_e[:, None])[..., None],
            by_log[..., None] * hot,
            model[..., None] * hot,
            (by_x * air_e + by_y * air_n)[..., None],
            (by_y * air_e - by_x * air_n)[..., None],
            (by_log * np.log(light.wave / light.reference))[..., None],
            by_beta[..., None],
        ],
        axis=-1,
    )
    moves = np.stack([each_x, each_y], axis=-1).transpose(1, 2, 0, 3).reshape(*model.shape, -1)
    band = np.eye(len(light.wave))
    lights = ((norm[None] * share.share)[..., None] * band).transpose(1, 2, 0, 3).reshape(*model.shape, -1)
    return model, field_slopes, np.concatenate([moves, lights], axis=-1)


def _shares(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> DiscShare:
    """Share of each star in each fibre and band, (k, m, b)."""
    east, north, which = fit.places(light, group.rows)
    along, across = fit["refraction"]
    air_e, air_n = light.refraction.T
    place = group.place + group.move
    dx = place[:, 0, None, None] + (along * air_e - across * air_n) - east[None, :, None]
    dy = place[:, 1, None, None] + (along * air_n + across * air_e) - north[None, :, None]
    width = np.exp(fit["width"][which][:, None] + fit["slope"][0] * np.log(light.wave / light.reference))
    return disc_share(dx, dy, width[None], float(fit["beta"][0]), params.radius)


def weights(light: FieldLight, fit: FieldFit, group: StarFit, model: F8) -> F8:
    """Inverse variance of a group's samples, the model's own error in it; far ones lose weight (Huber at 4 sigma)."""
    data, variance = light.flux[group.rows], light.variance[group.rows]
    weight = 1.0 / (variance + (fit.model_error * model) ** 2)
    far = np.abs(data - model) * np.sqrt(weight)
    return np.asarray(group.weight * weight * np.minimum(1.0, 4.0 / np.maximum(far, 1e-9)))


def catalogue_weight(fit: FieldFit, group: StarFit) -> F8:
    """Inverse variance of the catalogue's places (2 k,): Student's t with 6 degrees of freedom, so that wrong ones go.

    Not before the field's own unknowns have settled: a faint star beside a bright one would mend the image's errors.
    """
    if not fit.settled:
        return np.full(group.move.size, fit.catalogue_error**-2)
    far = np.sum(group.move**2, axis=1) / fit.catalogue_error**2
    return np.repeat(8.0 / (6.0 + far) / fit.catalogue_error**2, 2)


def star_system(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> StarSystem:
    """Normal equations of a group with its own unknowns eliminated."""
    model, common, own = slopes(light, fit, group, params)
    weight = weights(light, fit, group, model).ravel()
    residual = (light.flux[group.rows] - model).ravel()
    residual[weight <= 0] = 0.0
    common, own = common.reshape(len(weight), -1), own.reshape(len(weight), -1)
    weighted = weight[:, None] * own
    normal, right = own.T @ weighted, weighted.T @ residual
    count = group.move.size
    prior = catalogue_weight(fit, group)
    normal[np.arange(count), np.arange(count)] += prior
    right[:count] -= prior * group.move.ravel()
    # bands without light would leave the matrix singular
    normal[np.diag_indices(len(normal))] += 1e-10 * np.diag(normal) + 1e-300
    mixed = common.T @ weighted
    inverse = np.asarray(np.linalg.pinv(normal, hermitian=True), dtype=float)
    whole = common.T @ (weight[:, None] * common) - mixed @ inverse @ mixed.T
    return StarSystem(whole, common.T @ (weight * residual) - mixed @ (inverse @ right), inverse, right, mixed)


def move_star(group: StarFit, system: StarSystem, step: F8) -> None:
    """Change a group's own unknowns by what belongs to a step of the field's."""
    own = system.inverse @ (system.right - system.mixed.T @ step)
    count = group.move.size
    group.move = group.move + np.clip(own[:count], -0.5, 0.5).reshape(group.move.shape)
    group.light = group.light + own[count:].reshape(group.light.shape)


def relight(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> None:
    """Solve for the light of a group's stars in each band, all else fixed."""
    share = _shares(light, fit, group, params).share
    norm = np.exp(fit["norm"][np.searchsorted(fit.exposures, light.exposure[group.rows])])
    design = share * norm[None, :, None]
    weight = 1.0 / light.variance[group.rows]
    data = np.where(weight > 0, light.flux[group.rows], 0.0)
    normal = np.einsum("kmb,lmb,mb->bkl", design, design, weight)
    right = np.einsum("kmb,mb->bk", design, weight * data)
    inverse = np.linalg.pinv(normal, hermitian=True)
    group.light = np.einsum("bkl,bl->kb", inverse, right)


def learn_errors(light: FieldLight, fit: FieldFit, systems: Sequence[StarSystem], params: FieldPsfParams) -> None:
    """Set the errors of model and catalogue, and the trust in each star, to what the residuals say."""
    models = [slopes(light, fit, group, params)[0] for group in fit.stars]
    parts = [
        _squares(light, group, model, len(one.inverse))
        for group, model, one in zip(fit.stars, models, systems, strict=True)
    ]
    square, noise, bright = (np.concatenate(part) for part in zip(*parts, strict=True))
    sure = bright > 400.0 * noise
    fit.model_error = _relative_error(square[sure], noise[sure], bright[sure])
    # the median of chi-square of one degree of freedom is 0.455
    for group, (own, dark, light2) in zip(fit.stars, parts, strict=True):
        ratio = own / (dark + fit.model_error**2 * light2)
        group.chi2 = float(np.median(ratio) / 0.455) if ratio.size else np.inf
    trust_stars(fit.stars, max(1.0, float(np.median([group.chi2 for group in fit.stars]))))
    if fit.settled:
        fit.catalogue_error = _catalogue_error(fit, systems, params)


def trust_stars(groups: Sequence[StarFit], typical: float) -> None:
    """Trust a group less, the more its chi-square exceeds the typical one."""
    for group in groups:
        group.weight = min(1.0, (2.5 * typical / max(group.chi2, 1e-9)) ** 2)


def star_chi2(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> float:
    """Reduced chi-square of a group's fibres, by the median."""
    model = slopes(light, fit, group, params)[0]
    square, noise, bright = _squares(light, group, model, group.move.size + group.light.size)
    ratio = square / (noise + fit.model_error**2 * bright)
    # the median of chi-square of one degree of freedom is 0.455
    return float(np.median(ratio) / 0.455) if ratio.size else np.inf


def _catalogue_error(fit: FieldFit, systems: Sequence[StarSystem], params: FieldPsfParams) -> float:
    """Scatter of the catalogue's places: of the stars within 3.5 sigma, with four stars as expected beforehand."""
    far = []
    for group, system in zip(fit.stars, systems, strict=True):
        own = np.minimum(np.diag(system.inverse)[: group.move.size], fit.catalogue_error**2)
        far.append(np.sum(group.move**2 + own.reshape(group.move.shape), axis=1)[: group.own])
    square = np.concatenate(far)
    # two coordinates: d^2 has its 0.4 quantile at 1.0217 sigma^2; half of the stars may be wrong
    sigma2 = float(np.quantile(square, 0.4)) / 1.0217
    inside = square[square < 12.0 * sigma2]
    mean = (inside.sum() + 8.0 * params.catalogue_error**2) / (2.0 * inside.size + 8.0)
    return float(np.clip(np.sqrt(mean), 0.005, 0.5))


def _squares(light: FieldLight, group: StarFit, model: F8, unknowns: int) -> tuple[F8, F8, F8]:
    """Squared residuals of a group's samples (freed of what its own unknowns absorb), variances, squared models."""
    variance = light.variance[group.rows]
    ok = np.isfinite(variance)
    freedom = ok.sum() / max(ok.sum() - unknowns, 1.0)
    return freedom * ((light.flux[group.rows] - model) ** 2)[ok], variance[ok], model[ok] ** 2


def _relative_error(square: F8, noise: F8, bright: F8) -> float:
    """Relative error that brings the median of squared residuals over their variance to its expectation."""
    if square.size < 30:
        return 0.02
    low, high = 0.0, 0.2
    for _ in range(30):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if np.median(square / (noise + middle**2 * bright)) > 0.455 else (low, middle)
    return high
