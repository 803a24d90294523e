"""Whether a point source stands in a galaxy, and the fit of both."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import NoConvergence
from tracecube.kernels.psf import lattice_pitch
from tracecube.recipes.science.chromatic_fit import HALO, NAMES, ChromaticFit, Prior, Setting, slice_solution
from tracecube.recipes.science.extended import ExtendedLight, fit_with_extended

__all__ = ["Host", "fit_host", "leaves_light"]

F8 = NDArray[np.float64]
TOGETHER = 3.0  # by chance once in a thousand fields; whether it is a galaxy is then asked of its fit
BELIEF, HALO_BELIEF = 0.3, 1.0 / 3.0
"""Of the widths of the priors of place and width, and of the halo. No galaxy is quite as its model has it, and a source
that is free would walk to where it mends that: the likelihood is tempered to a tenth, and so are the errors that it
states. The halo was told by other stars, and as well as its prior says, no better."""


@dataclass(frozen=True)
class Host:
    """A fit of source and galaxy."""

    setting: Setting
    fit: ChromaticFit
    extended: ExtendedLight


def fit_host(setting: Setting, prior: Prior, *, detail: float, pictures: int, clip: float) -> Host:
    """Fit place and shape of a source with the light of its galaxy.

    The start is the prior, not a fit without a host: that one may have gone to the galaxy.

    Parameters
    ----------
    setting, prior, clip
        As in `tracecube.recipes.science.chromatic_fit.fit_source`.
    detail, pictures
        As in `tracecube.recipes.science.extended.fit_with_extended`.

    Raises
    ------
    NoConvergence
        The fit ends nowhere.
    NoLight
        Nothing stands out of the noise.
    """
    # Wings of the source and light of the galaxy look alike: the prior of the halo rules here.
    held = np.where(np.isin(NAMES, HALO), HALO_BELIEF, BELIEF)
    tight = prior._replace(sd=held * prior.sd)
    lost = NoConvergence("the light of a galaxy could not be told", hint="give a --region about the target")
    try:
        fit, extended = fit_with_extended(setting, tight, detail=detail, pictures=pictures, clip=clip)
    except np.linalg.LinAlgError as error:
        raise lost from error
    if not (np.isfinite(fit.values).all() and np.isfinite(extended.amplitude).all()):
        raise lost
    return Host(setting, replace(fit, covariance=fit.covariance / np.outer(held, held)), extended)


def leaves_light(setting: Setting, fit: ChromaticFit) -> bool:
    """Whether neighbouring lenslets deviate together, as they do where light was left out of the model.

    Mean product of normalised residuals over pairs of neighbours (Moran 1950, Biometrika 37, 17), against `TOGETHER`
    times its error for white noise.
    """
    from scipy.spatial import cKDTree  # noqa: PLC0415 - slow to import

    slices, scene = setting.slices, setting.scene
    columns = setting.columns(fit.values)
    model = np.einsum("kc,kcn->kn", slice_solution(slices, fit.weight, columns), columns)
    residual = np.clip((slices.flux - model) * np.sqrt(slices.weight), -5.0, 5.0)
    points = np.column_stack([scene.x, scene.y])
    first, second = cKDTree(points).query_pairs(1.2 * lattice_pitch(scene.x, scene.y), output_type="ndarray").T
    product = residual[:, first] * residual[:, second]
    return bool(product.sum() > TOGETHER * np.sqrt(np.count_nonzero(product)))
