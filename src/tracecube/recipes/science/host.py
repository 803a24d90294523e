"""A point source in a galaxy: smooth light, and nuclei where that does not suffice, fitted with the source."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from tracecube.kernels.psf import lattice_pitch
from tracecube.recipes.science.chromatic_fit import (
    HALO,
    NAMES,
    ChromaticFit,
    Prior,
    Setting,
    nucleus_columns,
    slice_solution,
)
from tracecube.recipes.science.extended import ExtendedLight, fit_with_extended, smooth_light
from tracecube.recipes.science.nuclei import find_nuclei
from tracecube.recipes.science.scene import Track

__all__ = ["Host", "fit_host", "leaves_light"]

F8 = NDArray[np.float64]
PLACE_ERROR = 0.25  # of the lattice pitch, of a nucleus as found: half of the way from candidate to candidate


@dataclass(frozen=True)
class Host:
    """A fit of source and galaxy.

    Parameters
    ----------
    setting : Setting
        Its sky holds the columns of the nuclei.
    fit : ChromaticFit
    extended : ExtendedLight
    nuclei : array (p, 2), arcsec
    """

    setting: Setting
    fit: ChromaticFit
    extended: ExtendedLight
    nuclei: F8

    def columns(self, setting: Setting, track: Track) -> F8:
        """Light of the sources of nuclei in the lenslets of a setting, along a track (m, c, n)."""
        values = np.concatenate([self.fit.values, self.nuclei.ravel()])
        return nucleus_columns(values, track, setting.scene.x, setting.scene.y, setting.geometry)


def fit_host(setting: Setting, prior: Prior, *, width: float, pictures: int, clip: float) -> Host:
    """Fit place and shape of a source with the light of its galaxy.

    The start is the prior, not a fit without a host: that one may have gone to the galaxy.

    Parameters
    ----------
    setting, prior, clip
        As in `tracecube.recipes.science.chromatic_fit.fit_source`.
    width, pictures
        As in `tracecube.recipes.science.extended.fit_with_extended`.
    """
    # Wings of the source and light of the galaxy look alike: the prior of the halo rules here.
    tight = prior._replace(sd=np.where(np.isin(NAMES, HALO), prior.sd / 3.0, prior.sd))

    error = PLACE_ERROR * lattice_pitch(setting.scene.x, setting.scene.y)
    found = find_nuclei(setting, prior, smooth_light(setting, prior, width))
    together = Prior(np.append(tight.mean, found), np.append(tight.sd, np.full(found.size, error)))
    fit, extended = fit_with_extended(setting, together, width=width, pictures=pictures, clip=clip)
    host = Host(setting, _of_source(fit), extended, fit.values[len(NAMES) :].reshape(-1, 2))
    columns = host.columns(setting, setting.slices.track)
    return replace(host, setting=replace(setting, sky=np.concatenate([setting.sky, columns], axis=1)))


def _of_source(fit: ChromaticFit) -> ChromaticFit:
    """Return the numbers of the source alone."""
    count = len(NAMES)
    return replace(fit, values=fit.values[:count], covariance=fit.covariance[:count, :count])


def leaves_light(setting: Setting, fit: ChromaticFit) -> bool:
    """Whether neighbouring lenslets deviate together, as they do where light was left out of the model.

    Mean product of normalised residuals over pairs of neighbours (Moran 1950, Biometrika 37, 17), against five
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
    return bool(product.sum() > 5.0 * np.sqrt(np.count_nonzero(product)))
