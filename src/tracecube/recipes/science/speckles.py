"""What light of a star lies where a companion might be, as a linear model of the whole sequence.

Speckles stand still in the lenslet plane while the field turns: along time, each lenslet and channel is
a combination of few courses that all lenslets share (the brightness of the halo, and its principal
components if asked for). And speckles are images of one wavefront, magnified with wavelength about
the star: along wavelength, each place of the magnified plane is a combination of few spectra
(polynomials, or principal components). Both are projections, P = S T; a companion's image goes through
the same P as the data, so that what the speckle model takes of its light is known and not lost.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from tracecube.core.fields import FloatArray
from tracecube.kernels.moving import cubic_weights, parabola_weights
from tracecube.recipes.science.star_sequence import StarSequence

__all__ = ["Magnified", "Response", "SpeckleModel", "magnified_plane"]

F8 = NDArray[np.float64]
I8 = NDArray[np.int64]

NEIGHBOURS = 13  # samples of a parabola: two rings of a hexagonal lattice, less where the field ends


@dataclass(frozen=True)
class Magnified:
    """The plane in which speckles of all wavelengths coincide, as a square grid of nodes.

    Parameters
    ----------
    x, y : array (n_node,), arcsec
        From the star, at the reference wavelength.
    onto : tuple of sparse array (n_node, n), one a channel
        Samples to nodes.
    back : tuple of sparse array (n, n_node), one a channel
        Nodes to samples.
    seen : bool array (n_wave, n_node)
    """

    x: F8
    y: F8
    onto: tuple[csr_array, ...]
    back: tuple[csr_array, ...]
    seen: NDArray[np.bool_]


@dataclass(frozen=True)
class Response:
    """What the projection makes of light in one channel, before it is brought back to lenslets.

    Parameters
    ----------
    channel : int
    still : sparse array (n_time, n)
        In the channel itself, courses taken out.
    nodes : sparse array (n_time, n_node) or None
        Nodes of the magnified plane that the light touches.
    parts : array (m, n_spectrum)
        Coefficients of the spectra at each of them.
    """

    channel: int
    still: csr_array
    nodes: csr_array | None
    parts: F8


@dataclass(frozen=True)
class SpeckleModel:
    """The projection P = S T that takes speckles away.

    Parameters
    ----------
    courses : array (n_course, n_time, n_wave)
        Of brightness along time that speckles follow; none (0) leaves T out.
    weight : array (n_time, n_wave, n)
    plane : Magnified or None
        None leaves S out.
    scale : array (n_wave,)
        Brightness of the halo, in which speckles are measured.
    spectra : array (n_wave, n_spectrum)
    fit : array (n_node, n_spectrum, n_wave)
        From the nodes' values to the coefficients of their spectra.
    """

    courses: F8
    weight: FloatArray
    plane: Magnified | None
    scale: F8
    spectra: F8
    fit: F8

    def apply(self, samples: FloatArray, *, out: FloatArray | None = None) -> FloatArray:
        """Take speckles out of samples (n_time, n_wave, n), channel by channel: copies of all would need gigabytes.

        ``out`` may be the samples themselves, which are then overwritten.
        """
        found = np.empty_like(samples) if out is None else out
        fitted = self._nothing(samples.shape[0])
        for k in range(samples.shape[1]):
            still = self._still(np.asarray(samples[:, k], float), k)
            found[:, k] = still
            if self.plane is not None:
                fitted += self.fit[:, :, [k]] * (self.plane.onto[k] @ still.T / self.scale[k])[:, None]
        for k, m in enumerate(() if self.plane is None else self.plane.back):
            found[:, k] -= self.scale[k] * (m @ np.einsum("p,npt->nt", self.spectra[k], fitted)).T
            found[:, k][self.weight[:, k] <= 0] = 0.0
        return found

    def turned(self) -> list[csr_array]:
        """Transposes of ``plane.back``: rows are nodes, so that few nodes cost little."""
        return [] if self.plane is None else [csr_array(m.T.tocsr()) for m in self.plane.back]

    def response(self, channel: int, samples: FloatArray) -> Response:
        """Apply the projection to samples (n_time, n) of one channel alone; samples that are zero cost nothing."""
        alone = replace(self, courses=self.courses[:, :, [channel]], weight=self.weight[:, [channel]], plane=None)
        still = csr_array(alone.apply(samples[:, None])[:, 0])
        if self.plane is None:
            return Response(channel, still, None, np.zeros((0, 0)))
        nodes = csr_array((self.plane.onto[channel] @ still.T / self.scale[channel]).T.tocsr())
        return Response(channel, still, nodes, self.fit[nodes.indices, :, channel] * nodes.data[:, None])

    def seen(self, response: Response, k: int, turned: csr_array | None) -> csr_array:
        """What a response is in channel ``k``, array (n_time, n); what is not measured is to be left out by its weight.

        Parameters
        ----------
        response : Response
        k : int
        turned : sparse array or None
            Channel ``k`` of `turned`.
        """
        own, nodes = k == response.channel, response.nodes
        if nodes is None or turned is None:
            return response.still if own else csr_array(response.still.shape)
        values = response.parts @ self.spectra[k] * self.scale[k]
        taken = csr_array((values, nodes.indices, nodes.indptr), nodes.shape) @ turned
        return csr_array((response.still - taken).tocsr() if own else -taken)

    def transpose(
        self, samples: FloatArray, weight: FloatArray | None = None, *, out: FloatArray | None = None
    ) -> FloatArray:
        """Transpose of `apply`, of samples times ``weight`` where that is given; ``out`` as there."""
        found = np.empty_like(samples) if out is None else out
        fitted = self._nothing(samples.shape[0])
        for k, m in enumerate(() if self.plane is None else self.plane.back):
            known = np.where(self.weight[:, k] > 0, _weighted(samples, weight, k), 0.0)
            fitted += self.spectra[k][:, None] * (self.scale[k] * (m.T @ known.T))[:, None]
        for k in range(samples.shape[1]):
            still = np.where(self.weight[:, k] > 0, np.asarray(_weighted(samples, weight, k), float), 0.0)
            if self.plane is not None:
                still -= (self.plane.onto[k].T @ np.einsum("np,npt->nt", self.fit[:, :, k], fitted)).T / self.scale[k]
            found[:, k] = self._still_transposed(still, k)
        return found

    def _nothing(self, times: int) -> F8:
        """Coefficients of the spectra (n_node, n_spectrum, n_time) before any channel has told of them."""
        return np.zeros((0 if self.plane is None else self.plane.x.size, self.spectra.shape[1], times))

    def only(self, rows: I8) -> SpeckleModel:
        """Return the model of some lenslets: right for images that lie well within them."""
        plane, fit = self.plane, self.fit
        if plane is not None:
            onto = [m[:, rows] for m in plane.onto]
            nodes = np.flatnonzero(np.sum([np.diff(m.tocsr().indptr) for m in onto], axis=0))
            plane = Magnified(
                plane.x[nodes],
                plane.y[nodes],
                tuple(csr_array(m.tocsr()[nodes]) for m in onto),
                tuple(csr_array(m[rows][:, nodes]) for m in plane.back),
                plane.seen[:, nodes],
            )
            fit = fit[nodes]
        return replace(self, weight=self.weight[..., rows], plane=plane, fit=fit)

    def _inverse(self, k: int) -> F8:
        """Inverse of the normal matrix of the courses in a channel, array (n, n_course, n_course)."""
        courses = self.courses[:, :, k]
        normal = np.einsum("at,bt,ti->iab", courses, courses, np.asarray(self.weight[:, k], float))
        # Lenslets measured less often than there are courses tell nothing: their samples are left as they are.
        number = len(courses)
        full = self._full(k)[:, None, None]
        normal = np.where(full, normal, np.eye(number))
        inverse = 1.0 / normal if number == 1 else np.linalg.inv(normal)
        return np.asarray(np.where(full, inverse, 0.0))

    def _full(self, k: int) -> NDArray[np.bool_]:
        """Lenslets (n,) that are measured more often in a channel than there are courses."""
        return np.asarray((self.weight[:, k] > 0).sum(axis=0) > len(self.courses))

    def _still(self, samples: F8, k: int) -> F8:
        """What does not follow the courses, of samples (n_time, n) in a channel."""
        samples = np.where(self.weight[:, k] > 0, samples, 0.0)
        if not len(self.courses):
            return samples
        courses = self.courses[:, :, k]
        seen = np.einsum("at,ti->ia", courses, self.weight[:, k] * samples)
        fitted = np.einsum("iab,ib->ia", self._inverse(k), seen)
        return self._kept(samples - np.einsum("at,ia->ti", courses, fitted), k)

    def _still_transposed(self, samples: F8, k: int) -> F8:
        if not len(self.courses):
            return samples
        courses, samples = self.courses[:, :, k], self._kept(samples, k)
        fitted = np.einsum("iab,ib->ia", self._inverse(k), np.einsum("at,ti->ia", courses, samples))
        return np.asarray(samples - self.weight[:, k] * np.einsum("at,ia->ti", courses, fitted))

    def _kept(self, samples: F8, k: int) -> F8:
        """Zero where not measured, or too seldom to be told from what stands still."""
        return np.where((self.weight[:, k] > 0) & self._full(k), samples, 0.0)


def _weighted(samples: FloatArray, weight: FloatArray | None, k: int) -> FloatArray:
    """Samples (n_time, n) of a channel, times their weight."""
    return samples[:, k] if weight is None else np.multiply(weight[:, k], samples[:, k], dtype=float)


def magnified_plane(sequence: StarSequence, *, inner: float, step: float) -> Magnified:
    """Build the plane of a sequence.

    Parameters
    ----------
    inner : float, arcsec
        Radius at the reference wavelength (the bluest) inside which there are no nodes.
    step : float, lambda / D
        Distance of the nodes at the reference wavelength.
    """
    lattice, ratio = sequence.lattice, sequence.wave / sequence.wave[0]
    sx, sy = sequence.star_x.mean(axis=0), sequence.star_y.mean(axis=0)
    points = np.column_stack([lattice.x, lattice.y])
    tree = cKDTree(points)
    pitch = float(np.median(tree.query(points, k=2)[0][:, 1]))
    outer = float(np.max(np.hypot(lattice.x - sx[0], lattice.y - sy[0])))
    width = step * float(sequence.unit[0])
    half = int(outer / width) + 1
    line = np.asarray(width * np.arange(-half, half + 1), float)
    grid_x, grid_y = (a.ravel() for a in np.meshgrid(line, line))
    views = [(float(x), float(y), float(r)) for x, y, r in zip(sx, sy, ratio, strict=True)]
    far = np.hypot(grid_x, grid_y) >= inner
    seen = np.stack([far & _reached(tree, (grid_x, grid_y), view, pitch) for view in views])
    used = np.flatnonzero(seen.any(axis=0))
    number = np.full(grid_x.size, -1)
    number[used] = np.arange(used.size)
    x, y = grid_x[used], grid_y[used]
    onto, back = [], []
    for view, mask in zip(views, seen, strict=True):
        inside = np.flatnonzero(mask[used])
        place = np.column_stack([view[0] + view[2] * x[inside], view[1] + view[2] * y[inside]])
        _, near = tree.query(place, k=NEIGHBOURS)
        weights = parabola_weights(points[near] - place[:, None], 0.8 * pitch)
        onto.append(_sparse(inside, near, weights, (used.size, points.shape[0])))
        back.append(_interpolation(points, view, (line, np.where(mask, number, -1), used.size)))
    return Magnified(x, y, tuple(onto), tuple(back), seen[:, used])


def _reached(tree: cKDTree, grid: tuple[F8, F8], view: tuple[float, float, float], pitch: float) -> NDArray[np.bool_]:
    """Nodes (n,) that have a lenslet near enough in a channel with a view: star's x and y, magnification."""
    place = np.column_stack([view[0] + view[2] * grid[0], view[1] + view[2] * grid[1]])
    return np.asarray(tree.query(place, distance_upper_bound=pitch)[0] <= pitch)


def _sparse(rows: I8, columns: I8, values: F8, shape: tuple[int, int]) -> csr_array:
    """Sparse array of rows that have the same number of entries; numbers of 32 bits, half of the memory."""
    at = np.repeat(rows, columns.shape[1]).astype(np.int32), columns.ravel().astype(np.int32)
    return csr_array((values.ravel().astype(np.float32), at), shape=shape)  # weights of order 1: 1e-7 is enough


def _interpolation(points: F8, view: tuple[float, float, float], grid: tuple[F8, I8, int]) -> csr_array:
    """From nodes to samples by cubic convolution; samples off the known nodes get nothing.

    Parameters
    ----------
    points : array (n, 2)
    view : (float, float, float)
        Star's place and magnification.
    grid : (array (m,), int array (m * m,), int)
        Coordinates of a square grid along either axis, number of each of its nodes (-1 where it is not known), and
        how many nodes there are.
    """
    (x, y, ratio), (line, number, nodes) = view, grid
    width, size = line[1] - line[0], line.size
    u = ((points[:, 0] - x) / ratio - line[0]) / width
    v = ((points[:, 1] - y) / ratio - line[0]) / width
    i, j = np.floor(u).astype(int), np.floor(v).astype(int)
    rows = np.flatnonzero((i >= 1) & (j >= 1) & (i < size - 2) & (j < size - 2))
    i, j = i[rows], j[rows]
    along, across = cubic_weights(u[rows] - i), cubic_weights(v[rows] - j)
    shift = np.arange(-1, 3)
    columns = ((j[:, None] + shift)[:, :, None] * size + (i[:, None] + shift)[:, None, :]).reshape(rows.size, -1)
    values = (across[:, :, None] * along[:, None, :]).reshape(rows.size, -1)
    columns = number[columns]
    known = (columns >= 0).all(axis=1)
    return _sparse(rows[known], columns[known], values[known], (points.shape[0], nodes))
