"""From exposures over their flat to the cube of a field: cube, alignment, cubes on one grid, combination.

The same tasks for exposures of targets and, as science of their own, of the sky.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tracecube.core.workflow import Association, Fields, Main, Match, Namesake, Option, Task
from tracecube.instruments.muse.align_steps import align_exposures
from tracecube.instruments.muse.autocal_steps import slice_factors
from tracecube.instruments.muse.combine_steps import combine_exposures
from tracecube.instruments.muse.object_steps import aligned_cube, object_cube
from tracecube.kernels.weighted_voxels import METHODS

__all__ = ["FACTORS", "FIELDS", "FIELD_GROUP", "FILTERS", "OPTIONS", "factor_rules", "field_tasks"]

FIELD_GROUP = ("combine_science", "mode", "field")
_ANY = (Match(level=0),)
_ASKED = ("OUTPUT_WCS", "OFFSET_LIST")  # with which a single exposure is put on a grid, or moved, too
_CUBES = ("object", "object_aligned", "object_sky", "object_sky_aligned", "given_reduced", "given_reduced_aligned")

OPTIONS = (
    Option(
        "combine_science",
        ("obs.targ.name", "obs.id", "tpl.start", "exptime", "night", "instrume"),
        "what exposures that are combined have in common, besides mode and field",
        keys={
            "obs.targ.name": "target",
            "obs.id": "block",
            "tpl.start": "template",
            "exptime": "seconds",
            "night": "night",
            "instrume": "mode",
        },
    ),
    Option("max_separation_WFM", ("90",), "arcsec between neighbours of one wide field", free=True),
    Option("max_separation_NFM", ("12",), "arcsec between neighbours of one narrow field", free=True),
    Option("wavelength_min", ("",), "Angstrom, of cubes", free=True, sets=dict.fromkeys(_CUBES, "lowest")),
    Option("wavelength_max", ("",), "Angstrom, of cubes", free=True, sets=dict.fromkeys(_CUBES, "highest")),
    Option(
        "resample",
        ("", "decorrelated", *METHODS),
        "how pixels become voxels of all cubes: with uncorrelated noise, or as one of the weighted means",
        sets=dict.fromkeys(_CUBES, "resample"),
    ),
    Option(
        "autocalibration",
        ("none", "deepfield", "closest_sky", "user"),
        "brightness of slices beyond what lines tell: of no one, the sky around them, that in the closest SKY, a table",
    ),
    Option("telluric_correction", ("yes", "no"), "whether bands of the atmosphere are divided out"),
)

_WIDE = ("WFM-NOAO-N", "WFM-NOAO-E", "WFM-AO-N", "WFM-AO-E")
FIELDS = (
    Fields("max_separation_WFM", {"mode": _WIDE}),
    Fields("max_separation_NFM", {"mode": ("NFM-AO-N",)}),
)


def _factors(kind: str) -> Task:
    """Return the task that measures the brightness of slices in exposures of one kind."""
    same = Match(level=0, same=("night", "exposure"))
    return Task(
        name={"OBJECT": "autocalibration", "SKY": "autocalibration_from_object_sky"}[kind],
        recipe=slice_factors,
        main=Main("segments", (f"SEGMENTS_{kind}",), group_by=("night", "exposure")),
        associations=(Association("sky", (f"SKY_{kind}",), (same,)),),
        tags={"factors": f"AUTOCAL_{kind}"},
        text="brightness of slices beyond what lines of the sky tell, by ranges of wavelength",
    )


FACTORS = (_factors("OBJECT"), _factors("SKY"))


FILTERS = Association("filter_list", ("FILTER_LIST",), _ANY, minimum=0)


def factor_rules(kind: str) -> tuple[Association, ...]:
    """Return where the factors of slices come from."""
    near = (Match(level=0, same=("night", "mode")), Match(level=1, same=("mode",), days=(-3.0, 3.0)))
    own = (Match(level=0, same=("night", "exposure")),)
    return (
        Association("factors", (f"AUTOCAL_{kind}",), own, minimum=0, when={"autocalibration": ("deepfield",)}),
        Association(
            "factors", ("AUTOCAL_SKY",), near, when={"autocalibration": ("closest_sky",)}, hint="SKY exposures"
        ),
        Association(
            "user_factors", ("AUTOCAL_FACTORS",), _ANY, when={"autocalibration": ("user",)}, hint="AUTOCAL_FACTORS"
        ),
    )


_ALIGN = Namesake(
    "muse.muse_exp_align",
    {
        "bkgignore": "the background is the median about each place",
        "bkgfraction": "the background is the median about each place",
    },
)


@dataclass(frozen=True)
class _Names:
    """What the tasks of one kind of exposure are called, and how their tags end."""

    kind: str
    cube: str
    align: str
    grid: str
    combine: str
    target: str
    end: str


_OBJECT = _Names("OBJECT", "object", "alignment", "object_aligned", "object_combination", "science", "")
_SKY = _Names("SKY", "object_sky", "alignment_sky", "object_sky_aligned", "combine_sky", "sky_science", "_SKY")


def field_tasks(rules: Callable[[str], tuple[Association, ...]]) -> tuple[Task, ...]:
    """Return the tasks from calibrated exposures to combined cubes.

    Parameters
    ----------
    rules : callable
        ``rules(kind)`` -> what the cube of an exposure of this kind (OBJECT, SKY) is made with.
    """
    return tuple(task for names in (_OBJECT, _SKY) for task in _tasks(names, rules(names.kind)))


def _tasks(names: _Names, rules: tuple[Association, ...]) -> tuple[Task, ...]:
    main = Main("exposures", (f"CALIBRATED_{names.kind}",), group_by=("night", "exposure"))
    offsets = Association("offsets", (f"OFFSETS{names.end}",), (Match(level=0, same=FIELD_GROUP),))
    cube = Task(
        name=names.cube,
        recipe=object_cube,
        main=main,
        associations=(*rules, FILTERS),
        targets=(names.target,),
        tags={
            "cube": f"CUBE{names.end}",
            "image_fov": f"IMAGE_FOV{names.end}",
            "filter_images": f"IMAGE_FOV_FILTER{names.end}",
        },
        text="cube of an exposure: sky off, flux, one resampling",
    )
    grid = Task(
        name=names.grid,
        recipe=aligned_cube,
        main=main,
        associations=(*rules, offsets),
        tags={"cube": f"CUBE_ALIGNED{names.end}"},
        text="cube of an exposure on the grid of its field, from its pixels",
    )
    return cube, _alignment(names), grid, _combination(names, offsets)


def _alignment(names: _Names) -> Task:
    return Task(
        name=names.align,
        recipe=align_exposures,
        main=Main(
            "images", (f"IMAGE_FOV{names.end}",), group_by=FIELD_GROUP, minimum=2, pass_small=True, alone_with=_ASKED
        ),
        associations=(
            Association("source_list", ("USER_SOURCES",), _ANY, minimum=0, maximum=None),
            Association("offset_list", ("OFFSET_LIST",), _ANY, minimum=0),
            Association("output_wcs", ("OUTPUT_WCS",), _ANY, minimum=0),
        ),
        targets=(names.target,),
        tags={one: f"{one.upper()}{names.end}" for one in ("offsets", "source_list", "preview_fov", "exposure_map")},
        text="offsets, flux scales and backgrounds of the exposures of a field",
        namesake=_ALIGN,
    )


def _combination(names: _Names, offsets: Association) -> Task:
    return Task(
        name=names.combine,
        recipe=combine_exposures,
        main=Main(
            "cubes", (f"CUBE_ALIGNED{names.end}",), group_by=FIELD_GROUP, minimum=2, pass_small=True, alone_with=_ASKED
        ),
        associations=(offsets, FILTERS),
        targets=(names.target,),
        tags={
            "datacube_final": f"CUBE{names.end}",
            "image_fov": f"IMAGE{names.end}",
            "filter_images": f"IMAGE_FILTER{names.end}",
        },
        text="cube of a field: exposures combined, outliers between them left out",
    )
