"""Cubes and images of ESO's pipeline among the raw files: they are aligned and combined like our own."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tracecube.core.alignment import Offsets
from tracecube.core.errors import BadData
from tracecube.core.fields import FloatArray, Meta, Scalar
from tracecube.core.flags import Flag
from tracecube.core.frame import RawFrame
from tracecube.core.quality import QualityNumber
from tracecube.core.recipe import Outputs, recipe
from tracecube.core.spectra import Cube, Image
from tracecube.instruments.muse.eso_planes import flags_of
from tracecube.instruments.muse.field_image import fov_image
from tracecube.instruments.muse.given_steps import GivenParams
from tracecube.instruments.muse.headers import needed, text
from tracecube.instruments.muse.object_steps import AlignedParams, flux_scale_of, offset_row
from tracecube.instruments.muse.same_exposure import ESTIMATED, MAKER
from tracecube.instruments.muse.sky_axes import SkyAxes
from tracecube.kernels.tangent_plane import plane_to_sky, sky_to_plane
from tracecube.recipes.cube.regrid import Axis, regrid
from tracecube.recipes.slices.cube import Grid

__all__ = ["given_cube", "given_cube_aligned", "given_image"]

_UNIT = "10**(-20)*erg/s/cm**2/Angstrom"
_DEG = 3600.0
_TURNED = 0.1  # spaxels by which corners may lie beside where a plain shift leads
_LAG = 2  # spaxels: neighbours share noise


@dataclass(frozen=True, kw_only=True)
class GivenImage(Outputs):
    """Image of an exposure."""

    image_fov: Image


@dataclass(frozen=True, kw_only=True)
class GivenCube(Outputs):
    """Cube of an exposure, and its image in white light."""

    cube: Cube
    image_fov: Image


@dataclass(frozen=True, kw_only=True)
class GivenAligned(Outputs):
    """Cube of an exposure on the grid of its field."""

    cube: Cube


@recipe(version="1")
def given_image(*, raw: RawFrame, params: GivenParams) -> GivenImage:  # noqa: ARG001
    """Take an IMAGE_FOV; where it has no variance, that of all spaxels is what spaxels two apart differ by.

    Raises
    ------
    BadData
        Its axes are turned, or not understood.
    """
    axes, meta = SkyAxes.of(raw, 2), _meta(raw)
    _upright(axes, raw)
    data = np.asarray(axes.image, np.float32)
    flags = np.where(np.isfinite(data), 0, int(Flag.NOT_MEASURED)).astype(np.int32)
    if "DQ" in raw.images:
        flags |= flags_of(np.asarray(raw.images["DQ"]).astype(np.int64))
    said: tuple[str, ...] = (_by(raw, "image"),)
    if "STAT" in raw.images:
        variance = np.asarray(raw.images["STAT"], np.float32)
    else:
        variance, meta = np.full(data.shape, _scatter(data) ** 2, np.float32), {**meta, ESTIMATED: True}
        said += (
            f"{raw.name} tells no errors: they are those of faint spaxels, by what spaxels near each other differ",
        )
    meta = {**meta, "ESO PRO CATG": "IMAGE_FOV"}
    return GivenImage(image_fov=Image(data, variance, flags, meta), caveats=said)


def _scatter(data: FloatArray) -> float:
    """Return the noise of an image: of each spaxel less the mean of those two before and after it."""
    bend = data[:, _LAG:-_LAG] - 0.5 * (data[:, : -2 * _LAG] + data[:, 2 * _LAG :])
    return 1.4826 * float(np.nanmedian(np.abs(bend))) / float(np.sqrt(1.5))


@recipe(version="1")
def given_cube(*, raw: RawFrame, params: GivenParams) -> GivenCube:  # noqa: ARG001
    """Take a DATACUBE_FINAL.

    Raises
    ------
    BadData
        No images DATA and STAT, another unit, wavelengths that are not even in air, or axes that are turned.
    """
    if not {"DATA", "STAT"} <= set(raw.images):
        raise BadData(f"{raw.name}: no images DATA and STAT", hint="is it a cube of ESO's pipeline?")
    unit = "".join(str(raw.meta.get("BUNIT") or "").split())
    if unit != _UNIT or text(raw.meta, "CTYPE3") != "AWAV" or text(raw.meta, "CUNIT3") != "ANGSTROM":
        raise BadData(
            f"{raw.name}: unit {unit!r}, third axis {raw.meta.get('CTYPE3')!r} in {raw.meta.get('CUNIT3')!r}",
            hint=f"a cube in {_UNIT} is needed, with even steps in air, Angstrom",
        )
    _upright(SkyAxes.of(raw, 3), raw)
    data, variance = (np.array(raw.images[name], np.float32) for name in ("DATA", "STAT"))
    bad = ~(np.isfinite(data) & np.isfinite(variance) & (variance > 0))
    if "DQ" in raw.images:
        bad |= np.asarray(raw.images["DQ"]) != 0
    flags = np.where(bad, np.int32(Flag.NOT_MEASURED), np.int32(0))
    meta = {**_meta(raw), "ESO PRO CATG": "DATACUBE_FINAL"}
    cube = Cube(data, variance, flags, np.zeros((0, 3), np.int32), np.zeros(0), meta)
    axis = _wave(meta, raw.name)
    said = (_by(raw, "cube"), "its noise is shared by neighbours, which its variance does not tell: sums scatter more")
    return GivenCube(
        cube=cube,
        image_fov=fov_image(cube, axis.first + axis.step * np.arange(len(data))),
        quality=(QualityNumber("VOXEL NOISE", float(np.nanmedian(np.sqrt(np.where(bad, np.nan, variance)[::97])))),),
        caveats=said,
    )


def _meta(raw: RawFrame) -> Meta:
    """Return the header of an exposure with its axes, and who made it."""
    cards: dict[str, Scalar] = {
        key: value for key, value in raw.meta.items() if not key.startswith(("ESO PRO ", "EXTENSIONS", "EXTNAME"))
    }
    cards[MAKER] = str(raw.meta.get("ESO PRO REC1 PIPE ID") or "unknown")
    return cards


def _by(raw: RawFrame, what: str) -> str:
    return f"{what} of the observatory's pipeline ({raw.name})"


def _upright(axes: SkyAxes, raw: RawFrame) -> float:
    """Return the side of a spaxel, arcsec.

    Raises
    ------
    BadData
        North is not up, east not left, or spaxels are no squares.
    """
    side = float(axes.matrix[1, 1]) * _DEG
    off = np.abs(axes.matrix * _DEG - np.diag([-side, side])).max()
    if not (side > 0 and off < 1e-4 * side):
        raise BadData(f"{raw.name}: axes that are turned, or spaxels that are not square", hint="north is to be up")
    return side


def _wave(meta: Meta, name: str) -> Axis:
    """Return first wavelength and step of a cube, Angstrom."""
    step = needed(meta, name, "CD3_3")
    return Axis(needed(meta, name, "CRVAL3") + (1.0 - needed(meta, name, "CRPIX3")) * step, step, 0)


@recipe(version="1")
def given_cube_aligned(*, cube: Cube, offsets: Offsets, params: AlignedParams) -> GivenAligned:
    """Bring the cube of an exposure to the grid of its field: it is resampled once more, its pixels being unknown.

    Raises
    ------
    BadData
        The grid lies turned against it.
    """
    row = offset_row(offsets, cube.meta)
    scale = flux_scale_of(offsets, row, params.flux_scale)
    wave = _wave(cube.meta, "cube")
    first, step = offsets.grid_wave or wave.first, offsets.grid_step or wave.step
    count = offsets.grid_planes or cube.data.shape[0]
    depth = Axis((first - wave.first) / wave.step, step / wave.step, count)
    rows, columns = _across(cube, offsets, row)
    found = regrid(cube.data, cube.variance, cube.flags == 0, (depth, rows, columns))
    shape = (count, offsets.grid_rows, offsets.grid_columns)
    grid = Grid(first, step, offsets.grid_x, offsets.grid_y, offsets.grid_side, shape)
    meta = {**cube.meta, **grid.cards(offsets.grid_ra, offsets.grid_dec), "FLUXSCAL": scale}
    flags = np.where(np.isfinite(found.data), np.int32(0), np.int32(Flag.NOT_MEASURED))
    made = Cube(
        found.data * np.float32(scale), found.variance * np.float32(scale**2), flags,
        found.covariance_offset, found.covariance_value, meta,
    )  # fmt: skip
    said = ["a cube of the observatory's pipeline is resampled once more: noise is shared by neighbours, as COVAR says"]
    if int(offsets.dq[row]) & Flag.ASTROMETRY:
        said.append("the offset of this exposure is not measured: it lies where its header says")
    numbers = (
        QualityNumber("FLUX SCALE", scale, low=0.5, high=2.0),
        QualityNumber("VOXEL NOISE", float(np.nanmedian(np.sqrt(made.variance[::97])))),
    )
    return GivenAligned(cube=made, quality=numbers, caveats=tuple(said))


def _across(cube: Cube, offsets: Offsets, row: int) -> tuple[Axis, Axis]:
    """Return how rows and columns of the grid lie on those of a cube."""
    ra, dec, x0, y0, side = (
        needed(cube.meta, "cube", key) for key in ("CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CD2_2")
    )
    side *= _DEG
    west = offsets.grid_x + offsets.grid_side * np.array([0, offsets.grid_columns - 1, 0, offsets.grid_columns - 1])
    north = offsets.grid_y + offsets.grid_side * np.array([0, 0, offsets.grid_rows - 1, offsets.grid_rows - 1])
    at = plane_to_sky(-west, north, offsets.grid_ra, offsets.grid_dec)
    east, up = sky_to_plane(at[0] + offsets.ra[row], at[1] + offsets.dec[row], ra, dec)
    column, line = -east / side + x0 - 1.0, up / side + y0 - 1.0
    _check_turn(column, line)
    step = offsets.grid_side / side
    return (
        Axis(float(line.mean() - 0.5 * step * (offsets.grid_rows - 1)), step, offsets.grid_rows),
        Axis(float(column.mean() - 0.5 * step * (offsets.grid_columns - 1)), step, offsets.grid_columns),
    )


def _check_turn(column: FloatArray, line: FloatArray) -> None:
    """See that corners (lower left, lower right, upper left, upper right) lie square.

    Raises
    ------
    BadData
        They do not.
    """
    off = max(abs(float(column[2] - column[0])), abs(float(line[1] - line[0])))
    if off > _TURNED:
        raise BadData(f"cube turned by {off:.2f} spaxels against the grid of its field", hint="give nearer pointings")
