"""All DITs of a star in one file for programs that take speckles off: frames about the star, angles, the star's image.

Programs for high contrast (VIP, pyKLIP, TRAP, SpeCal) start from frames (wavelength, time, y, x) with the star on the
middle pixel, the angles that put north up, and an image of the star without its mask. Frames are resampled once, from
the lenslets; none is turned.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tracecube.core.errors import MissingInput
from tracecube.core.fields import FloatArray, Meta, Scalar
from tracecube.core.foreign import Cards, ForeignFile, ForeignTable, GatheredForm, Plane
from tracecube.core.spectra import Spectra
from tracecube.core.star import StarCentre, StarPsf

if TYPE_CHECKING:
    from tracecube.recipes.cube.star_cube import StarCubeParams

__all__ = ["FORMS", "master_cube"]

F8 = NDArray[np.float64]

_ALIKE = 5e-4  # arcsec: channels whose star stands so near to each other are resampled together
_IMAGE = 61  # pixels a side of the star's image
_FLUX, _NOISE = "electron/Angstrom", "(electron/Angstrom)**2"
_TURN = "counter-clockwise, first pixel at the lower left: north is then up, east left"


class _Dit(NamedTuple):
    """When and how one DIT was taken."""

    file: str
    plane: int
    mjd: float
    parallactic: float
    angle: float


def master_cube(
    channels: Iterable[Spectra],
    centres: Iterable[StarCentre],
    psf: StarPsf | None,
    params: StarCubeParams,
    *,
    images: Sequence[StarPsf] = (),
) -> ForeignFile:
    """Lay out the DITs of a star.

    Parameters
    ----------
    channels : iterable of Spectra
        In order of time, gone through once.
    centres : iterable of StarCentre
    psf : StarPsf or None
        The star beside its mask; the DITs are brought to the integration time that its flux is for.
    params : StarCubeParams
    images : sequence of StarPsf
        Frames whose mean the star's image is; ``psf`` alone where none is given.

    Raises
    ------
    MissingInput
        No DIT, or one without star centre or angle.
    """
    from tracecube.instruments.sphere_ifs.dits import on_one_dit  # noqa: PLC0415 - these bring scipy
    from tracecube.instruments.sphere_ifs.headers import integration_time  # noqa: PLC0415
    from tracecube.instruments.sphere_ifs.star_place import frame_name  # noqa: PLC0415

    placed = {(str(c.file[0]), int(c.plane[0])): c for c in centres}
    made: list[_Dit] = []
    wave, meta, dit, frames = np.zeros(0), {}, 0.0, np.zeros((2, 0, 0, 0, 0), np.float32)
    for k, one in enumerate(channels):
        if not made:
            wave, meta = np.asarray(one.wave, float), dict(one.meta)
            dit = integration_time(meta, frame_name(meta)) if psf is None else psf.dit
            frames = np.empty((2, wave.size, len(placed), params.size, params.size), np.float32)
        told, place = _dit_of(one, placed)
        made.append(told)
        [scaled], _ = on_one_dit([one], dit)
        frames[:, :, k] = _about(scaled, place, params)
    if not made:
        raise MissingInput("no DIT of a star", hint="reduce the OBJECT frames")
    cards: Cards = {
        "PIXSCALE": (params.pixel, "[arcsec]"),
        "STARPIX": (params.size // 2 + 1, "star along x and y, counted from 1"),
        "CUBEDIT": (dit, "[s] light and noise are those of such a DIT"),
    }
    own = {key: value for key, value in meta.items() if key not in {"PLANE", "ARCFILE"}}
    return ForeignFile(
        (*_planes(frames[:, :, : len(made)], made, wave), *_star(psf, images, params)), (_table(made),), own, cards
    )


def _dit_of(one: Spectra, placed: Mapping[tuple[str, int], StarCentre]) -> tuple[_Dit, F8]:
    """Return when and how a DIT was taken, and the places of its star (n_wave, 2), arcsec."""
    from tracecube.instruments.sphere_ifs.observing import moment, orientation  # noqa: PLC0415 - these bring scipy
    from tracecube.instruments.sphere_ifs.star_place import frame_name  # noqa: PLC0415
    from tracecube.instruments.sphere_ifs.star_surroundings import centre_of  # noqa: PLC0415

    name, centre = frame_name(one.meta), centre_of(one.meta, dict(placed))
    place = np.stack([np.asarray(centre.x, float), np.asarray(centre.y, float)], axis=1)
    turned = orientation(one.meta, name)
    middle = moment(one.meta, name).middle
    return _Dit(name, int(centre.plane[0]), middle, turned.parallactic, turned.angle), place


def _about(one: Spectra, place: F8, params: StarCubeParams) -> tuple[FloatArray, FloatArray]:
    """Return light and variance (n_wave, y, x) with the places (n_wave, 2), arcsec, on the middle pixel."""
    from tracecube.recipes.cube.star_cube import grid_of, operator_at, resampled, usable_samples  # noqa: PLC0415

    step = np.rint((place - place.mean(axis=0)) / _ALIKE).astype(int)
    data, variance = np.full((2, len(place), params.size**2), np.nan, np.float32)
    grid, usable = grid_of(params), usable_samples(one)
    for kind in np.unique(step, axis=0):
        some = np.flatnonzero((step == kind).all(axis=1))
        operator, share = operator_at(grid + place[some].mean(axis=0), one, params)
        for k in some:
            light, noise, _ = resampled(one, int(k), usable[:, k], operator, params.least_share)
            data[k, operator.rows], variance[k, operator.rows] = light * share, noise * share**2
    shape = (len(place), params.size, params.size)
    return data.reshape(shape), variance.reshape(shape)


def _planes(frames: FloatArray, made: list[_Dit], wave: F8) -> tuple[Plane, ...]:
    """Light and variance (2, n_wave, n_time, y, x), angles (n_time,) and wavelengths (n_wave,)."""
    angle = np.array([one.angle for one in made])
    return (
        Plane("SCIENCE", frames[0], _FLUX, "a pixel; wavelength, time, y, x"),
        Plane("STAT", frames[1], _NOISE, "variance of the samples"),
        Plane("ROTATION", (angle + 180.0) % 360.0 - 180.0, "deg", _TURN),
        Plane("WAVE", wave * 1e-4, "um", "of the channels, vacuum"),
    )


def _table(made: list[_Dit]) -> ForeignTable:
    """What was taken when."""
    units = {"FILE": "", "PLANE": "", "MJD": "d", "PARANG": "deg", "POSANG": "deg"}
    columns = zip(*made, strict=True)
    return ForeignTable(
        "DITS",
        tuple(Plane(name, np.array(values), unit) for (name, unit), values in zip(units.items(), columns, strict=True)),
    )


def _star(psf: StarPsf | None, images: Sequence[StarPsf], params: StarCubeParams) -> tuple[Plane, ...]:
    """Image of the star without mask (n_wave, y, x) in the same DIT, without neutral density filter."""
    if psf is None:
        return ()
    small = params.model_copy(update={"size": min(_IMAGE, params.size)})
    flux = np.asarray(psf.flux, float)
    seen = np.stack([_image(one, flux, small) for one in images or (psf,)])  # (n, 2, n_wave, y, x)
    known = np.isfinite(seen).all(axis=1, keepdims=True)
    number = known.sum(axis=0)
    light, noise = np.where(known, seen, 0.0).sum(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        image = np.asarray(light / number[0], np.float32)
        variance = np.asarray(noise / number[0] ** 2, np.float32)
    return Plane("PSF", image, _FLUX, "star without mask, in the same DIT"), Plane("PSF_STAT", variance, _NOISE)


def _image(frame: StarPsf, flux: F8, params: StarCubeParams) -> FloatArray:
    """Return light and variance (2, n_wave, y, x) of the star as a frame has its image, of so much light (n_wave,)."""
    light, variance = (
        np.asarray(share * flux[:, None] ** power, np.float32).T
        for share, power in ((frame.share, 1), (frame.share_variance, 2))
    )
    none, lenslets = np.zeros(light.shape, np.int32), np.arange(len(light))
    blend = np.zeros(light.shape)
    seen = Spectra(light, variance, none, blend, frame.wave, frame.wave, lenslets, frame.x, frame.y, none[:, 0])
    return np.stack(_about(seen, np.zeros((flux.size, 2)), params))


def _file(
    key: Mapping[str, Scalar], *, channels: Iterable[Spectra], centres: Iterable[StarCentre], psfs: Iterable[StarPsf]
) -> ForeignFile:
    from tracecube.instruments.sphere_ifs.flux_frames import of_one_star  # noqa: PLC0415 - these bring scipy
    from tracecube.recipes.cube.star_cube import StarCubeParams  # noqa: PLC0415

    del key
    frames = list(psfs)
    if not frames:
        return master_cube(channels, centres, None, StarCubeParams())
    own, made = of_one_star(frames, frames[0].meta)  # of one star: the key says so
    counting = [one for one, used in zip(own, made.used, strict=True) if used]
    return master_cube(channels, centres, made.psf, StarCubeParams(), images=counting)


def _name(key: Meta) -> str:
    """Return the name of the file: star, mode and night."""
    words = (str(key.get(part) or "").replace(" ", "-").replace("/", "-") for part in ("object", "mode", "night"))
    return "_".join((*(word for word in words if word), "master_cube.fits"))


FORMS: tuple[GatheredForm, ...] = (
    GatheredForm(
        "MASTER_CUBE",
        {"channels": ("CHANNELS", Spectra), "centres": ("DIT_CENTRE", StarCentre), "psfs": ("STAR_PSF", StarPsf)},
        _file,
        ("night", "mode", "object"),
        _name,
    ),
)
"""One file a star, mode and night."""
