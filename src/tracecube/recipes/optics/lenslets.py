"""From laser spots to the place of every wavelength of every lenslet.

The spots of one laser lie on a polynomial over the lattice's indices; lenslets that sit a little off
(their own place in the mask) move all their lasers alike. So a lenslet's place is the smooth model
plus one offset, drawn towards 0 by its error (empirical Bayes): a spot lost to a bad pixel costs
nothing, and no lenslet can run away.

Between and beyond the lasers the place follows the prism: the instrument's own law plus the
polynomial in ln(wavelength) that takes it through the lasers (docs: physics/wavelengths).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tracecube.core.errors import BadData
from tracecube.core.fields import BoolArray, FloatArray, IntArray, Meta
from tracecube.core.flags import Flag
from tracecube.core.optics import Lenslets
from tracecube.core.quality import QualityNumber
from tracecube.kernels.lattice import NEIGHBOURS
from tracecube.kernels.polynomials import fit_field
from tracecube.kernels.spots import SpotFit, SpotTemplate, core_centre
from tracecube.recipes.optics.lasers import Columns

__all__ = ["PrismLaw", "foot_shift", "lattice_scale", "lenslets_of_lasers", "place_at", "place_error", "rows_of"]

# Of the polynomial through the lasers: that of CHARIS for this prism is a cubic in ln wavelength (Samland et al. 2022,
# A&A 668, A84; Brandt et al. 2017, JATIS 3, 048002).
_MAX_DEGREE = 3
_CLIP = 5.0
_COMPANY = 4  # of six neighbours: beyond a straight edge of the field a node has two, in a notch three
_FILLS = 3
_FAR = 0.3  # px: a spot this far from the model and from the lenslet's other spots is not this laser's light
_BESIDE = (2.6, 3.2)  # px from a spot's centre: outside its core, where the feet of its neighbours show
_UNDER = 0.6
"""Slope of the feet under a core over that beside it, for wings bend: 0.56 to 0.67 in simulated lattices."""


@dataclass(frozen=True)
class PrismLaw:
    """Nominal place along dispersion: a polynomial in t = ln(wave / reference).

    Parameters
    ----------
    reference : float, Angstrom
    coefficients : tuple of float, px
        Of t, t², ...; the place at the reference is 0.
    varies : tuple of float, px
        What the terms of order 1, 2, ... in t of a lenslet's own dispersion differ by from the law, r.m.s. over
        the field; lasers measure the terms below their number, the next stays unknown.
    """

    reference: float
    coefficients: tuple[float, ...]
    varies: tuple[float, ...] = ()

    @classmethod
    def through(
        cls,
        waves: Sequence[float],
        offsets: Sequence[float],
        dispersion: Sequence[float],
        *,
        degree: int = 4,
        varies: tuple[float, ...] = (),
    ) -> PrismLaw:
        """Fit the law to places (px) and dispersions (Angstrom a px) at some wavelengths (Angstrom)."""
        wave = np.asarray(waves, float)
        t = np.log(wave / wave[0])
        powers = np.arange(1, degree + 1)
        place = t[:, None] ** powers
        slope = powers * t[:, None] ** (powers - 1) / wave[:, None]
        rows, right = (
            np.vstack([place, slope * wave[:, None]]),
            np.concatenate([offsets, wave / np.asarray(dispersion)]),
        )
        weight = np.concatenate([np.full(wave.size, 30.0), np.ones(wave.size)])  # places are better known than slopes
        found = np.linalg.lstsq(rows * weight[:, None], right * weight, rcond=None)[0]
        return cls(float(wave[0]), tuple(float(c) for c in found), varies)

    def __call__(self, wave: FloatArray) -> FloatArray:
        """Return the nominal place (k,) of wavelengths, px from the reference."""
        t = np.log(np.asarray(wave, float) / self.reference)
        return np.asarray(sum(c * t**k for k, c in enumerate(self.coefficients, start=1)))


def lenslets_of_lasers(
    columns: Columns, lasers: Sequence[float], *, distortion: int, meta: Meta
) -> tuple[Lenslets, tuple[QualityNumber, ...], tuple[str, ...]]:
    """Fit the smooth model of the lattice and one offset a lenslet.

    Parameters
    ----------
    columns : Columns
    lasers : sequence of float, Angstrom
        Of the instrument; those that are off are left out, with a caveat.
    distortion : int
        Degree of the polynomial over the lattice's indices.
    meta : mapping

    Raises
    ------
    BadData
        Too few spots for the polynomial.
    """
    lit = np.flatnonzero(columns.lattice.lit)
    there = _there(columns, lit)
    if there.sum() < (distortion + 1) * (distortion + 2):
        raise BadData(f"{int(there.sum())} lenslets show lasers", hint="is this a frame of lasers, well exposed?")
    index = columns.lattice.index[there]
    order = np.lexsort((index[:, 0], index[:, 1]))
    rows = np.flatnonzero(there)[order]
    spots = [one._replace(**{name: values[rows] for name, values in one._asdict().items()}) for one in columns.spots]
    index = columns.lattice.index[rows]
    model, offset, miss, used = _fit_offsets(index, spots, distortion)
    place = model + offset[:, None, :]
    error = np.stack([np.stack([one.x_error, one.y_error], axis=1) for one in spots], axis=1)
    few = used.sum(axis=1) < min(2, lit.size)
    lenslets = Lenslets(
        aperture=np.arange(rows.size),
        q=index[:, 0],
        r=index[:, 1],
        dq=np.where(few, int(Flag.EXTRAPOLATED), 0).astype(np.int32),
        x=place[:, :, 0],
        y=place[:, :, 1],
        x_residual=np.where(used, miss[:, :, 0] - offset[:, None, 0], np.nan),
        y_residual=np.where(used, miss[:, :, 1] - offset[:, None, 1], np.nan),
        x_error=np.where(used, error[:, :, 0], np.nan),
        y_error=np.where(used, error[:, :, 1], np.nan),
        flux=np.stack([np.where(one.good, one.flux, np.nan) for one in spots], axis=1),
        laser=np.asarray(lasers, float)[lit],
        template=columns.templates.astype(np.float32),
        step=columns.step,
        meta=meta,
    )
    off = [f"{lasers[i] / 10:.1f} nm" for i in map(int, np.flatnonzero(~columns.lattice.lit))]
    caveats = (f"laser off: {', '.join(off)}; wavelengths near it rest on the prism's law",) if off else ()
    return lenslets, _numbers(lenslets, offset, lit), caveats


def _there(columns: Columns, lit: IntArray) -> BoolArray:
    """Which nodes (n,) are lenslets: their lasers are seen (two, or all that fall on the detector).

    A node most of whose neighbours are lenslets is one too: its own spots are lost to a bad column.
    """
    seen = np.sum([spots.good for spots in columns.spots], axis=0)
    place = columns.lattice.place[:, lit]
    y, x = columns.lattice.shape
    on = ((place > 0.0) & (place < np.array([x, y]) - 1.0)).all(axis=2).sum(axis=1)
    there = (seen > 0) & (seen >= np.minimum(on, 2))
    index = columns.lattice.index - columns.lattice.index.min(axis=0) + 1
    number = np.full(index.max(axis=0) + 2, -1)
    number[tuple(index.T)] = np.arange(len(index))
    beside = np.stack([number[tuple((index + step).T)] for step in NEIGHBOURS], axis=1)
    for _ in range(_FILLS):
        company = (there[beside] & (beside >= 0)).sum(axis=1)
        there |= (company >= _COMPANY) & (on > 0)
    return np.asarray(there)


def _fit_offsets(
    index: IntArray, spots: Sequence[SpotFit], degree: int
) -> tuple[FloatArray, FloatArray, FloatArray, BoolArray]:
    """Return smooth places (n, L, 2), offsets (n, 2), measured less smooth (n, L, 2), and which spots count (n, L)."""
    points = index.astype(float)
    measured = np.stack([np.stack([one.x, one.y], axis=1) for one in spots], axis=1)
    error = np.stack([np.stack([one.x_error, one.y_error], axis=1) for one in spots], axis=1)
    good = np.stack([one.good for one in spots], axis=1)
    used = good.copy()
    for _ in range(4):
        model = np.stack(
            [
                fit_field(points, measured[:, k], degree=degree, weight=used[:, k].astype(float))(points)
                for k in range(len(spots))
            ],
            axis=1,
        )
        miss = measured - model
        scatter = np.array([[_spread(miss[used[:, k], k, a]) for a in range(2)] for k in range(len(spots))])
        weight = np.where(used[:, :, None], 1.0 / np.maximum(scatter, 1e-4) ** 2, 0.0)
        total = weight.sum(axis=1)
        mean = np.where(total > 0, (weight * miss).sum(axis=1) / np.where(total > 0, total, 1.0), 0.0)
        own = _own_variance(miss, used)
        offset = mean * own / (own + _noise_of_mean(miss - mean[:, None, :], used))
        left = miss - offset[:, None, :]
        limit = np.array([[_CLIP * _spread(left[used[:, k], k, a]) for a in range(2)] for k in range(len(spots))])
        used = good & (np.abs(left) < np.maximum(limit, 0.02)).all(axis=2) & (error < _FAR).all(axis=2)
    return model, offset, miss, used


def _spread(values: FloatArray) -> float:
    return 1.4826 * float(np.median(np.abs(values - np.median(values)))) if values.size else 1.0


def _own_variance(miss: FloatArray, used: BoolArray) -> FloatArray:
    """Variance (2,) of what the lasers of a lenslet have in common: their mean product, two by two."""
    both = used[:, :-1] & used[:, 1:]
    if not both.any():
        return np.full(2, 1e-8)
    product = np.clip(miss[:, :-1] * miss[:, 1:], -1e-2, 1e-2)  # a spot 0.1 px off is an outlier, not an offset
    return np.asarray(np.maximum(product[both].mean(axis=0), 1e-8))


def _noise_of_mean(left: FloatArray, used: BoolArray) -> FloatArray:
    """Variance (n, 2) of the mean of a lenslet's spots, from their scatter about it."""
    count = used.sum(axis=1)
    spread = np.array([_spread(left[:, :, a][used]) for a in range(2)])
    lasers = used.shape[1]
    single = spread**2 * (lasers / max(lasers - 1, 1))
    return np.asarray(single / np.maximum(count, 1)[:, None])


def _numbers(lenslets: Lenslets, offset: FloatArray, lit: IntArray) -> tuple[QualityNumber, ...]:
    """Quality numbers of a lattice; a laser keeps its number where another is off."""
    x, y = lenslets.x_residual, lenslets.y_residual
    return (
        QualityNumber("NUMBER SPECTRA", float(lenslets.aperture.size), ""),
        QualityNumber("LASER X RMS", _spread(x[np.isfinite(x)]), "pix", high=0.05),
        QualityNumber("LASER Y RMS", _spread(y[np.isfinite(y)]), "pix", high=0.05),
        QualityNumber("LENSLET OFFSET RMS", float(np.std(offset)), "pix", high=0.1),
        *(
            QualityNumber(f"FLUX LASER{number + 1}", float(np.nanmedian(lenslets.flux[:, k])), "electron")
            for k, number in enumerate(map(int, lit))
        ),
    )


def lattice_scale(lenslets: Lenslets, basis: FloatArray) -> float:
    """Return how much larger the lattice is on the detector than it was guessed: mean over the field and both axes.

    Parameters
    ----------
    lenslets : Lenslets
    basis : array (2, 2), px
        The guessed lattice vectors, one a row.
    """
    index = np.stack([lenslets.q, lenslets.r], axis=1).astype(float)
    place = np.stack([lenslets.x.mean(axis=1), lenslets.y.mean(axis=1)], axis=1)
    measured = np.linalg.lstsq(index - index.mean(axis=0), place - place.mean(axis=0), rcond=None)[0]
    return float(np.sqrt(np.abs(np.linalg.det(measured) / np.linalg.det(basis))))


def place_at(lenslets: Lenslets, wave: FloatArray, law: PrismLaw) -> tuple[FloatArray, FloatArray]:
    """Place (x, y) of wavelengths in every lenslet's column.

    Parameters
    ----------
    lenslets : Lenslets
    wave : array (k,), Angstrom
    law : PrismLaw

    Returns
    -------
    x, y : array (n, k), px
    """
    weights = _lagrange(np.log(lenslets.laser), np.log(np.asarray(wave, float)))
    bent = (lenslets.y - law(lenslets.laser)) @ weights.T + law(wave)
    return lenslets.x @ weights.T, bent


def place_error(lenslets: Lenslets, wave: FloatArray, law: PrismLaw) -> FloatArray:
    """Error (n, k) of `place_at` along dispersion at wavelengths (k,), px: of the lenslet's offset and of the lasers.

    Beyond the lasers the polynomial carries the error of the smooth model outwards; and the first term that so
    many lasers cannot tell is as large as `PrismLaw.varies` says (the remainder of Newton's interpolation). All
    lenslets share what the feet of neighbouring spots do to a laser's places (`foot_shift`).
    """
    weights = _lagrange(np.log(lenslets.laser), np.log(np.asarray(wave, float)))
    seen = np.isfinite(lenslets.y_residual)
    scatter = np.array([_spread(lenslets.y_residual[seen[:, k], k]) for k in range(lenslets.laser.size)])
    lasers = lenslets.laser.size
    single = float(np.median(scatter)) * np.sqrt(lasers / max(lasers - 1, 1))  # one offset of them all is taken off
    own = single / np.sqrt(np.maximum(seen.sum(axis=1), 1))
    terms = 21.0  # of the polynomial of fifth degree over the lattice
    common = scatter**2 * terms / np.maximum(seen.sum(axis=0), 1) + foot_shift(lenslets) ** 2
    smooth = np.sqrt(weights**2 @ common)
    unknown = np.zeros(weights.shape[0])
    if lenslets.laser.size <= len(law.varies):
        nodes = np.log(np.asarray(wave, float))[:, None] - np.log(lenslets.laser)
        unknown = law.varies[lenslets.laser.size - 1] * np.abs(nodes.prod(axis=1))
    return np.asarray(np.hypot(own[:, None], np.hypot(smooth, unknown)))


def foot_shift(lenslets: Lenslets) -> float:
    """How far (px, r.m.s. of the lasers) feet of neighbouring spots move the cores of a laser along dispersion.

    Feet are a slope under a core, and a slope moves its centre. A spot that is itself lopsided has such a slope, too:
    no frame of lasers tells which it is, so it is an error, and nothing is corrected by it.
    """
    size = lenslets.template.shape[-1]
    t = (np.arange(size) - size // 2) * lenslets.step
    x, y = np.meshgrid(t, t)
    beside = (np.hypot(x, y) > _BESIDE[0]) & (np.hypot(x, y) < _BESIDE[1])
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)[beside]
    moved = []
    for laser in lenslets.template:
        zones = laser.reshape(-1, size, size)
        seen = zones[np.isfinite(zones).all(axis=(1, 2))]
        if len(seen) and len(terms) > terms.shape[1]:
            spot = seen.mean(axis=0, dtype=float)
            slope = _UNDER * np.linalg.lstsq(terms, spot[beside], rcond=None)[0][2]
            both = (core_centre(SpotTemplate(one, lenslets.step))[1] for one in (spot, spot - slope * y))
            moved.append(float(np.subtract(*both)))
    return float(np.sqrt(np.mean(np.square(moved)))) if moved else 0.0


def _lagrange(nodes: FloatArray, at: FloatArray) -> FloatArray:
    """Weights (k, n) of the polynomial through ``nodes``, of `_MAX_DEGREE` at most, at places (k,)."""
    degree = min(nodes.size - 1, _MAX_DEGREE)
    centre = nodes.mean()
    fit = np.vander(nodes - centre, degree + 1)
    return np.asarray(np.vander(at - centre, degree + 1) @ np.linalg.pinv(fit))


def rows_of(
    lenslets: Lenslets, law: PrismLaw, band: tuple[float, float], *, margin: float
) -> tuple[IntArray, FloatArray, FloatArray]:
    """Detector rows on which each lenslet's spectrum falls, with wavelength and place.

    Parameters
    ----------
    lenslets : Lenslets
    law : PrismLaw
    band : (float, float), Angstrom
        Ends of the light.
    margin : float, px
        Rows beyond either end, for what the line-spread function carries there.

    Returns
    -------
    start : int array (n,)
    wave, x : array (n, m)
        Wavelength and centre on rows ``start + j``; NaN beyond the margin.
    """
    step = 0.004  # in ln wavelength: the laws' third difference is then below 1e-5 px
    grid = np.exp(np.arange(np.log(band[0]) - 0.08, np.log(band[1]) + 0.08, step))
    x, y = place_at(lenslets, grid, law)
    low, high = (place_at(lenslets, np.array([end]), law)[1][:, 0] for end in band)
    start = np.ceil(low - margin).astype(int)
    length = int(np.ceil((high - low).max() + 2.0 * margin)) + 1
    rows = start[:, None] + np.arange(length)
    wave, centre = np.empty(rows.shape), np.empty(rows.shape)
    for i in range(rows.shape[0]):
        wave[i] = np.exp(np.interp(rows[i], y[i], np.log(grid)))
        centre[i] = np.interp(rows[i], y[i], x[i])
    outside = (rows > high[:, None] + margin) | (rows < low[:, None] - margin)
    wave[outside] = np.nan
    centre[outside] = np.nan
    return start, wave, centre
