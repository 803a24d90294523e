"""The forward model d = A f + b + n: the matrix A.

A has one row a detector pixel and one column an unknown of f. An *unknown* is the light of one
aperture at one place along its trace; its *footprint* is what a unit of that light writes on the
detector, the line-spread function along dispersion times the profile across it::

    A[pixel (c, s), unknown j] = L(s - along_j; lsf_j) * P((c - across_j(s)) / sigma_j)

``s`` is the pixel along dispersion, ``c`` the pixel across, L and P are integrated over the pixel,
and ``across_j(s) = across_j + slope_j (s - along_j)``. Two choices of unknowns serve everything:

* ``lsf = 0``: f lives on detector columns; L is one on its own, and AᵀN⁻¹A couples only neighbours;
* ``lsf > 0``: f lives on wavelengths; the same footprints simulate frames, and invert them.

The derivative of A with a shift comes from the same loop: shift, image and spectrum must agree.

Images are (across, along): transposed where dispersion runs along y. Integer pixel centres, 0-based.
"""

from __future__ import annotations

from math import erf
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from tracecube.kernels.compiled import compiled
from tracecube.kernels.footprints import painted, summed

__all__ = ["DesignMatrix", "Footprints", "Profile", "adjoint", "cumulative_profile", "design_matrix", "project"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]
I4 = NDArray[np.int32]

# Nodes of the cumulative profile, in core widths; linear between them errs by p' du^2 / 8 < 1e-6.
PROFILE_STEP = 0.005


class Profile(NamedTuple):
    """A profile ready to be integrated over pixels.

    ``cumulative[i]`` (k,) is the integral of the density up to ``u = low + i * step`` in core widths.
    """

    low: float
    step: float
    cumulative: F8


class Footprints(NamedTuple):
    """Where the unknowns fall: arrays (n,), in pixels; ``slope`` in pixels a pixel."""

    along: F8
    across: F8
    slope: F8
    sigma: F8
    lsf: F8


class DesignMatrix(NamedTuple):
    """A, kept as one small stamp an unknown.

    ``weight`` (n, k_across, k_along) lies with its first pixel at ``origin`` (n, 2) = (c, s) of an
    image of ``shape`` (across, along). Stamps may hang over the edge; their weights there are 0.
    """

    origin: I4
    weight: F4
    shape: tuple[int, int]

    def sparse(self) -> csr_array:
        """Return A as (pixel, unknown), for oracles and for solvers that want it whole."""
        n, k_c, k_s = self.weight.shape
        c = self.origin[:, 0, None, None] + np.arange(k_c)[:, None] + np.zeros((1, 1, k_s), int)
        s = self.origin[:, 1, None, None] + np.arange(k_s) + np.zeros((1, k_c, 1), int)
        inside = (c >= 0) & (c < self.shape[0]) & (s >= 0) & (s < self.shape[1])
        unknown = np.broadcast_to(np.arange(n)[:, None, None], inside.shape)
        pixel = (c * self.shape[1] + s)[inside]
        size = (self.shape[0] * self.shape[1], n)
        return csr_array((self.weight[inside].astype(np.float64), (pixel, unknown[inside])), shape=size)


def cumulative_profile(u: F8, density: F8) -> Profile:
    """Tabulate the integral of a profile density (k,) given at rising ``u`` (k,); its total becomes 1."""
    fine = np.arange(u[0], u[-1] + PROFILE_STEP, PROFILE_STEP)
    p = np.interp(fine, u, density, left=0.0, right=0.0)
    cumulative = np.concatenate([[0.0], np.cumsum(0.5 * (p[1:] + p[:-1]) * PROFILE_STEP)])
    return Profile(float(u[0]), PROFILE_STEP, cumulative / cumulative[-1])


def design_matrix(
    foot: Footprints, profile: Profile, shape: tuple[int, int], *, half_width: int, shift_across: bool = False
) -> DesignMatrix:
    """Build A, or its derivative with a shift of the light across dispersion.

    Parameters
    ----------
    foot : Footprints
    profile : Profile
    shape : (int, int)
        Image size (across, along).
    half_width : int
        Pixels on either side of the centre that a footprint covers, across dispersion.
    shift_across : bool
        Give dA / d(across), per pixel, instead of A.

    Notes
    -----
    Along dispersion a footprint reaches 4 widths of the line-spread function (6e-5 is left out).
    """
    foot = Footprints(*(np.ascontiguousarray(values, np.float64) for values in foot))
    widest = float(foot.lsf.max(initial=0.0))
    k_s = 2 * int(np.ceil(4.0 * widest)) + 1
    origin = np.empty((foot.along.size, 2), np.int32)
    weight = np.zeros((foot.along.size, 2 * half_width + 1, k_s), np.float32)
    origin[:, 0] = np.floor(foot.across + 0.5) - half_width
    origin[:, 1] = np.floor(foot.along + 0.5) - k_s // 2
    _fill(foot, profile, shape, shift_across, origin, weight)
    return DesignMatrix(origin, weight, shape)


def project(a: DesignMatrix, flux: F8) -> F4:
    """Return the image A f (across, along) of the spectra ``flux`` (n,)."""
    return painted(a.origin, a.weight, np.asarray(flux, np.float64), a.shape)


def adjoint(a: DesignMatrix, image: F4) -> F8:
    """Return Aᵀ image (n,): each unknown's sum of the image under its footprint."""
    return summed(a.origin, a.weight, np.ascontiguousarray(image, np.float32))


@compiled(inline="always")
def _integral(profile: Profile, u: float) -> float:
    """Cumulative profile at ``u``."""
    t = (u - profile.low) / profile.step
    last = profile.cumulative.size - 1
    if t <= 0.0:
        return 0.0
    if t >= last:
        return float(profile.cumulative[last])
    i = int(t)
    return float(profile.cumulative[i] + (t - i) * (profile.cumulative[i + 1] - profile.cumulative[i]))


@compiled(inline="always")
def _density(profile: Profile, u: float) -> float:
    """Profile density at ``u``, over eight nodes."""
    h = 4.0 * profile.step
    return float((_integral(profile, u + h) - _integral(profile, u - h)) / (2.0 * h))


@compiled()
def _fill(foot: Footprints, profile: Profile, shape: tuple[int, int], shift: bool, origin: I4, weight: F4) -> None:
    """Integrate every footprint over the pixels of its stamp."""
    n, k_c, k_s = weight.shape
    for j in range(n):
        sigma, lsf = foot.sigma[j], foot.lsf[j]
        for i_s in range(k_s):
            s = origin[j, 1] + i_s
            t = s - foot.along[j]
            line = 1.0 if i_s == k_s // 2 else 0.0
            if lsf > 0.0:
                line = 0.5 * (erf((t + 0.5) / (lsf * 2.0**0.5)) - erf((t - 0.5) / (lsf * 2.0**0.5)))
            if line == 0.0 or s < 0 or s >= shape[1]:
                continue
            centre = foot.across[j] + (foot.slope[j] * t if lsf > 0.0 else 0.0)
            for i_c in range(k_c):
                c = origin[j, 0] + i_c
                if 0 <= c < shape[0]:
                    low, high = (c - 0.5 - centre) / sigma, (c + 0.5 - centre) / sigma
                    if shift:
                        weight[j, i_c, i_s] = line * (_density(profile, low) - _density(profile, high)) / sigma
                    else:
                        weight[j, i_c, i_s] = line * (_integral(profile, high) - _integral(profile, low))
