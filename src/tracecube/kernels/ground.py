"""What lies beneath spectra, smooth light and the levels of outputs, from every pixel of an image.

With f eliminated, the coefficients c of d = A f + B c + n obey

    (BᵀWRB + P) c = BᵀWR d ,    R = I - A (AᵀWA)⁻¹ AᵀW ,

P the inverse covariance that is known beforehand. W R (d - B c) is what a solution for the spectra leaves, weighted:
every solution gives one step of steepest descent, preconditioned by BᵀDB, D = W R 1 being the weight that spectra
leave a constant, and of the length that lowers chi-square most. Functions far wider than a trace are nearly constants,
and a few steps meet. `scatter.fit_scattered` solves the same equations on some columns; a level of 64 columns in a
faint frame needs all of them.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve

from tracecube.kernels.forward import DesignMatrix, adjoint, project
from tracecube.kernels.scatter import RIDGE, Surface, spline_basis, surface
from tracecube.kernels.solve import Factor, solve

__all__ = ["Curvature", "Ground", "Strips", "ground_of"]

F4 = NDArray[np.float32]
F8 = NDArray[np.float64]

_STEP = 8
"""Columns of which one tells BᵀDB: the weight is even on the scale of the functions."""


class Strips(NamedTuple):
    """Strips of columns, all as wide, each read by an output of its own whose level may be off.

    Parameters
    ----------
    number : int
    pieces : int
        Spline pieces along the strip.
    error : float
        Expected error of the level, and of the coefficients of its drift.
    """

    number: int
    pieces: int
    error: float

    def surface(self, shape: tuple[int, int]) -> Surface:
        """One level of each strip, changing along it: on an image of ``shape`` (across, along)."""
        which = np.arange(shape[0]) * self.number // shape[0]
        return Surface((which[:, None] == np.arange(self.number)).astype(float), spline_basis(shape[1], self.pieces))

    def prior(self) -> F8:
        """Inverse covariance of one strip's coefficients: mean level, and as much of a drift about it."""
        n = self.pieces + 3
        mean = np.full((n, n), 1.0 / n)
        return np.asarray((mean / n + np.eye(n) - mean) / self.error**2)


class Curvature(NamedTuple):
    """BᵀDB + P, factorised (as `scipy.linalg.cho_factor` does)."""

    factor: tuple[F8, bool]


class Ground(NamedTuple):
    """The columns of B: surfaces, one after the other.

    Parameters
    ----------
    parts : tuple of Surface
    prior : array (n, n)
        Inverse covariance of the coefficients.
    """

    parts: tuple[Surface, ...]
    prior: F8

    @property
    def empty(self) -> F8:
        """Coefficients (n,) of nothing."""
        return np.zeros(len(self.prior))

    def image(self, coefficients: F8) -> F4:
        """Evaluate on the grid (across, along)."""
        ends = np.cumsum([0, *(part.across.shape[1] * part.along.shape[1] for part in self.parts)])
        pieces = [coefficients[a:b] for a, b in pairwise(ends)]
        images = [
            part.image(c.reshape(part.across.shape[1], part.along.shape[1]))
            for part, c in zip(self.parts, pieces, strict=True)
        ]
        return np.asarray(sum(images[1:], images[0]), np.float32)

    def curvature(self, ivar: F4, a: DesignMatrix, factor: Factor) -> Curvature:
        """Curvature of chi-square with the spectra eliminated.

        Parameters
        ----------
        ivar : array (across, along)
        a : DesignMatrix
        factor : Factor
            Of the normal equations of both.
        """
        bare = ivar * (1.0 - project(a, solve(factor, adjoint(a, ivar))))
        thin = np.ascontiguousarray(bare[:, ::_STEP]) * np.float32(_STEP)
        few = [Surface(part.across, part.along[::_STEP]) for part in self.parts]
        gram = np.block([[one.gram(two, thin) for two in few] for one in few]) + self.prior
        gram += RIDGE * max(float(gram.diagonal().max()), 1e-30) * np.eye(len(gram))
        return Curvature(cho_factor(gram))

    def step(
        self, curvature: Curvature, left: F4, coefficients: F8, *, ivar: F4, a: DesignMatrix, factor: Factor
    ) -> tuple[F8, F8]:
        """One step towards the solution from ``coefficients``: of them (n,), and of the spectra with it.

        Parameters
        ----------
        left : array (across, along)
            What spectra and this ground leave of the image.
        ivar, a, factor
            As in `curvature`.
        """
        gradient = np.concatenate([part.adjoint(ivar * left).ravel() for part in self.parts])
        gradient -= self.prior @ coefficients
        step = np.asarray(cho_solve(curvature.factor, gradient))
        image = self.image(step)
        flux = solve(factor, adjoint(a, ivar * image))
        bend = float(np.vdot(ivar * image, image - project(a, flux)) + step @ self.prior @ step)
        length = float(gradient @ step) / bend if bend > 0.0 else 0.0
        return length * step, -length * flux


def ground_of(shape: tuple[int, int], *, pieces: int, strips: Strips) -> Ground:
    """Smooth light of ``pieces`` spline pieces a side, and the levels of strips, of an image (across, along)."""
    smooth, levels = surface(shape, pieces), strips.surface(shape)
    count = smooth.across.shape[1] * smooth.along.shape[1]
    prior = np.zeros((count + strips.number * levels.along.shape[1],) * 2)
    prior[count:, count:] = np.kron(np.eye(strips.number), strips.prior())
    return Ground((smooth, levels), prior)
