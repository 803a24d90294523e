"""Calibrations of a channel that several tasks are given, with the rules by which they are chosen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tracecube.core.workflow import Association, Match

__all__ = [
    "ALL_LSF", "ALL_TRACES", "ALL_WAVELENGTHS", "ASTROMETRY", "BAD_PIXELS", "BIAS", "CHANNEL", "COLOURS", "DARK",
    "DARK_MODEL", "FLAT", "GEOMETRY", "ILLUM", "LINEARITY", "LINES", "OPTICS", "TRACES", "TWILIGHT", "WAVELENGTHS",
    "in_mode", "near", "of_all",
]  # fmt: skip

CHANNEL = ("readout", "detector")

OPTICS = ("fov", "range")
"""What tells how light falls on the detectors: arcs without adaptive optics serve with it (observatory's muse.oca)."""


def near(*same: str, days: float = 1.0) -> tuple[Match, ...]:
    """Return the ladder of a daily calibration: of the night, of a day around, of a month, of any time."""
    return (
        Match(level=0, same=("night", *same)),
        Match(level=0, same=same, days=(-days, days)),
        Match(level=1, same=same, days=(-30.0, 30.0)),
        Match(level=3, same=same),
    )


def in_mode(ladder: Callable[..., tuple[Match, ...]], *same: str) -> tuple[Match, ...]:
    """Return a ladder whose rungs ask for the mode, each followed by one that asks for the same optics alone."""
    pairs = zip(ladder("mode", *same), ladder(*OPTICS, *same), strict=True)
    return tuple(rung for pair in pairs for rung in pair)


BAD_PIXELS = Association("bad_pixels", ("BADPIX_TABLE",), (Match(level=0),), minimum=0)

LINEARITY = Association(
    "linearity",
    ("NONLINEARITY_GAIN",),
    (Match(level=0, same=CHANNEL),),
    minimum=0,
    when={"use_linearity": ("yes",)},
)

BIAS = Association("bias", ("MASTER_BIAS",), near(*CHANNEL), hint="biases of this channel")

DARK = Association("dark", ("MASTER_DARK",), near(*CHANNEL, days=60.0), minimum=0, when={"use_darks": ("hot", "yes")})

DARK_MODEL = replace(
    DARK, argument="dark_model", tags=("DARK_MODEL",), ladder=DARK.ladder[:-1], when={"use_darks": ("yes",)}
)
"""Of darks of any age hot pixels count, not the smooth current."""

TRACES = Association("traces", ("TRACES",), in_mode(near, *CHANNEL), hint="lamp flats of this channel")

LINES = Association("line_catalog", ("LINE_CATALOG",), (Match(level=0),), hint="LINE_CATALOG of the observatory")

FLAT = Association("flat", ("MASTER_FLAT",), near("mode", *CHANNEL), hint="lamp flats of this channel")

WAVELENGTHS = Association("wavelengths", ("WAVELENGTHS",), in_mode(near, *CHANNEL), hint="arcs of this channel")

_STATIC_GEOMETRY = Match(level=0, tags=("GEOMETRY_TABLE",))

GEOMETRY = (
    Association(
        "geometry",
        ("GEOMETRY_TABLE",),
        (_STATIC_GEOMETRY,),
        hint="GEOMETRY_TABLE of the observatory",
        when={"recompute_geometry": ("no",)},
    ),
    Association(
        "geometry",
        ("GEOMETRY", "GEOMETRY_TABLE"),
        (
            Match(level=0, same=("night",), tags=("GEOMETRY",)),
            Match(level=1, tags=("GEOMETRY",)),
            replace(_STATIC_GEOMETRY, level=2),
        ),
        hint="exposures of the mask, or GEOMETRY_TABLE of the observatory",
        when={"recompute_geometry": ("yes",)},
    ),
)
"""Where the slices lie: the observatory's table, or the one made of exposures of the mask."""

TWILIGHT = Association(
    "twilight",
    ("TWILIGHT",),
    in_mode(partial(near, days=7.0), *CHANNEL),
    minimum=0,
    when={"use_skyflats": ("yes",)},
)

COLOURS = replace(TWILIGHT, argument="colours", tags=("FIELD_COLOURS",), ladder=in_mode(partial(near, days=7.0)))
"""How light changes with wavelength over the field: of all channels together."""

ILLUM = Association(
    "illum",
    ("ILLUM",),
    (
        Match(level=0, same=("mode", *CHANNEL), days=(-0.1, 0.1)),
        Match(level=0, same=("fov", *CHANNEL), days=(-0.1, 0.1)),
        Match(level=1, same=("night", "mode", *CHANNEL)),
        Match(level=1, same=("night", "fov", *CHANNEL)),
    ),
    minimum=0,
)


def _all_near(*same: str) -> tuple[Match, ...]:
    return (Match(level=0, same=("night", *same)), Match(level=1, same=same, days=(-30.0, 30.0)))


def of_all(argument: str, tag: str, *, hint: str = "", flat: bool = False) -> Association:
    """Return the products of one kind of all channels: of the mode, or unless it is a flat of the same optics."""
    ladder = _all_near("mode") if flat else in_mode(_all_near)
    return Association(argument, (tag,), ladder, maximum=None, hint=hint)


ALL_TRACES = of_all("traces", "TRACES", hint="lamp flats of all channels")
ALL_WAVELENGTHS = of_all("wavelengths", "WAVELENGTHS", hint="arcs of all channels")

_LSF_DAYS = 30.0  # before and after, for which a line-spread function of another night serves

_STATIC_WCS = Match(level=0, same=("fov",), tags=("ASTROMETRY_WCS",))

ASTROMETRY = (
    Association("astrometry", ("ASTROMETRY_WCS",), (_STATIC_WCS,), minimum=0, when={"recompute_astrometry": ("no",)}),
    Association(
        "astrometry",
        ("FIELD_WCS", "ASTROMETRY_WCS"),
        (
            Match(level=0, same=("night", "mode"), tags=("FIELD_WCS",)),
            Match(level=1, same=("mode",), tags=("FIELD_WCS",)),
            replace(_STATIC_WCS, level=2),
        ),
        minimum=0,
        when={"recompute_astrometry": ("yes",)},
    ),
)
"""Scale and turn of the field: the observatory's, or those of an astrometric field; the nominal ones without."""


def _lsf(tags: tuple[str, ...], *modes: str) -> Association:
    """Return line-spread functions: of the night, those that come first before the others; then of a while around."""
    made = [tag for tag in tags if tag != "LSF_PROFILE"]
    ladder = [Match(0, same=("night", *same), tags=(tag,)) for tag in made for same in (("mode",), OPTICS)]
    ladder += [Match(1, same=OPTICS, days=(-_LSF_DAYS, _LSF_DAYS), tags=(tag,)) for tag in made]
    ladder += [Match(2 if made else 0, tags=("LSF_PROFILE",))] if "LSF_PROFILE" in tags else []
    return Association("lsf", tags, tuple(ladder), minimum=0, maximum=None, when={"lsfmode": modes})


ALL_LSF = (
    _lsf(("LSF_DEDICATED", "LSF", "LSF_PROFILE"), "any"),
    _lsf(("LSF_DEDICATED",), "lsf"),
    _lsf(("LSF",), "arc"),
    _lsf(("LSF_PROFILE",), "static"),
)
"""Line-spread functions of all channels: from arcs taken for them, from arcs, or the observatory's."""
