"""Errors of a field and its stars: noise, the image's own error, and what stars say of one another.

What the model of a star's image lacks in a fibre it lacks in all bands alike. The fit weighs samples as if each had an
error of its own, which keeps it steady; here the errors are those of fibres (a sandwich: White 1980, Econometrica 48,
817).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tracecube.recipes.science.fibre_psf_system import (
    FieldFit,
    FieldLight,
    FieldPsfParams,
    StarFit,
    StarSystem,
    catalogue_weight,
    slopes,
    star_system,
    weights,
)

__all__ = ["field_covariance", "star_errors"]

F8 = NDArray[np.float64]
_ENOUGH = 8  # stars: fewer do not tell their own scatter


def field_covariance(light: FieldLight, fit: FieldFit, params: FieldPsfParams) -> F8:
    """Covariance of a field's unknowns, of a fit that has come to rest."""
    pieces = [star_system(light, fit, group, params) for group in fit.stars]
    alike = np.zeros_like(fit.covariance)
    for group, piece in zip(fit.stars, pieces, strict=True):
        common, own = _images(light, fit, group, params)
        alike += _beyond(common - own @ piece.inverse @ piece.mixed.T)
    whole = fit.covariance + fit.covariance @ alike @ fit.covariance
    return np.asarray(whole * _disagreement(fit, pieces, alike))


def _images(light: FieldLight, fit: FieldFit, group: StarFit, params: FieldPsfParams) -> tuple[F8, F8]:
    """What an error of the image of one sigma in each sample does to the gradients, (m, b, p) and (m, b, q)."""
    model, common, own = slopes(light, fit, group, params)
    push = (weights(light, fit, group, model) * fit.model_error * model)[..., None]
    return push * common, push * own


def _beyond(push: F8) -> F8:
    """Covariance of gradients whose samples err alike in all bands, less that of samples that err each for itself."""
    fibres, samples = push.sum(axis=1), push.reshape(-1, push.shape[-1])
    return np.asarray(fibres.T @ fibres - samples.T @ samples)


def _disagreement(fit: FieldFit, pieces: Sequence[StarSystem], alike: F8) -> float:
    """Return by how much stars disagree on the field's offset, over what their errors say (Birge 1932); at least 1.

    A star's part of the gradient has the variance that its part of the normal matrix says, if the errors are right.
    """
    if sum(group.own for group in fit.stars) < _ENOUGH:
        return 1.0
    pulls, expected = 0.0, 0.0
    for part in (fit.part("east"), fit.part("north")):
        pulls += sum(float(piece.common[part].sum()) ** 2 for piece in pieces)
        expected += sum(float(piece.normal[part, part].sum()) for piece in pieces) + float(alike[part, part].sum())
    return max(1.0, pulls / expected * len(pieces) / (len(pieces) - 1.0)) if expected > 0 else 1.0


def star_errors(light: FieldLight, fit: FieldFit, groups: Sequence[StarFit], params: FieldPsfParams) -> None:
    """Set the errors of stars' places and light, the field's own errors in them."""
    for group in groups:
        system = star_system(light, fit, group, params)
        back = system.inverse @ system.mixed.T
        own = system.inverse + system.inverse @ _beyond(_images(light, fit, group, params)[1]) @ system.inverse
        sigma = np.sqrt(np.maximum(np.diag(own + back @ fit.covariance @ back.T), 0.0))
        count = group.move.size
        group.move_error = sigma[:count].reshape(group.move.shape)
        group.light_error = sigma[count:].reshape(group.light.shape)
        group.seen, group.seen_error = _seen(own[:count, :count], catalogue_weight(fit, group), group.move)


def _seen(covariance: F8, prior: F8, move: F8) -> tuple[F8, F8]:
    """Moves and their errors by the fibres alone: the catalogue taken out again; NaN where they do not tell."""
    precision = np.linalg.pinv(covariance, hermitian=True)
    alone = precision - np.diag(prior)
    value, error = np.full(move.size, np.nan), np.full(move.size, np.nan)
    if np.linalg.eigvalsh(alone).min() > 1.0:  # better than an arcsecond
        inverse = np.linalg.inv(alone)
        value, error = inverse @ (precision @ move.ravel()), np.sqrt(np.diag(inverse))
    return value.reshape(move.shape), error.reshape(move.shape)
