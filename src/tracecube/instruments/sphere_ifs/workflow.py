"""The cascade of a SPHERE-IFS night: what runs on what, and which calibrations go with it.

Ladders: level 0 is the calibration plan (same night), 1 within two weeks, 2 within two months.
"""

from __future__ import annotations

from dataclasses import replace

from tracecube.core.recipe import Recipe
from tracecube.core.workflow import Association, Main, Match, Task, Workflow
from tracecube.instruments.sphere_ifs.detector_steps import (
    broad_band_flat,
    detector_flat,
    gain,
    instrument_background,
    master_dark,
    narrow_band_flat,
    sky_background,
    static_bad_pixels,
)
from tracecube.instruments.sphere_ifs.laser_cube import wavecalib_cube
from tracecube.instruments.sphere_ifs.namesakes import NAMESAKES
from tracecube.instruments.sphere_ifs.optics_steps import (
    distortion_map,
    ifu_flat,
    spectra_positions,
    wavelength_calibration,
)
from tracecube.instruments.sphere_ifs.science_steps import ifs_companions, ifs_frame_photometry, ifs_stack
from tracecube.instruments.sphere_ifs.sky_steps import coronagraph_center, science, science_flux
from tracecube.instruments.sphere_ifs.standard_steps import standard_astrometry, standard_flux
from tracecube.instruments.sphere_ifs.wings_steps import line_wings

__all__ = ["DETECTOR_TASKS", "SAME_NIGHT_FIRST", "workflow"]

SAME_NIGHT_FIRST = (
    Match(level=0, same=("night",)),
    Match(level=1, days=(-14.0, 14.0)),
    Match(level=2, days=(-60.0, 60.0)),
)
"""Detector and optics: they change little from night to night."""

DARKS = Association(
    "master_dark",
    ("MASTER_DARK", "INSTRUMENT_BACKGROUND"),
    (
        *(replace(rung, tags=("MASTER_DARK",)) for rung in SAME_NIGHT_FIRST),
        *(replace(rung, level=3, tags=("INSTRUMENT_BACKGROUND",)) for rung in SAME_NIGHT_FIRST),
    ),
    maximum=None,
    hint="darks (ESO DPR TYPE DARK) of any DIT, or backgrounds (DARK,BACKGROUND)",
)
"""The archive does not deliver darks with the associations: without any, backgrounds with the shutter open stand in."""
DARKS_IF_ANY = Association("master_dark", ("MASTER_DARK",), SAME_NIGHT_FIRST, minimum=0, maximum=None)
SAME_DIT_FIRST = (
    Match(level=0, same=("night", "dit", "mode")),
    Match(level=1, same=("night", "mode")),
    Match(level=2, same=("mode",), days=(-14.0, 14.0)),
)
"""Backgrounds: best of the same integration time, and never of the other prism, to which another dichroic and another
filter belong: both send warm light of their own, and the sky's is dispersed."""
BACKGROUND_IF_ANY = Association("instrument_background", ("INSTRUMENT_BACKGROUND",), SAME_DIT_FIRST, minimum=0)
FLAT_IF_ANY = Association("detector_flat", ("DETECTOR_FLAT",), SAME_NIGHT_FIRST, minimum=0)

DARK = Task(
    name="ifs_dark",
    recipe=master_dark,
    main=Main("raw", ("DARK",), group_by=("night", "dit")),
    targets=("calibration",),
    text="dark, read noise and hot pixels of one DIT",
)

INSTRUMENT_BACKGROUND = Task(
    name="ifs_instrument_background",
    recipe=instrument_background,
    main=Main("raw", ("BACKGROUND",), group_by=("night", "dit", "mode")),
    associations=(DARKS_IF_ANY,),
    targets=("calibration",),
    text="thermal light of the instrument",
)

SKY_BACKGROUND = Task(
    name="ifs_sky_background",
    recipe=sky_background,
    main=Main("raw", ("SKY",), group_by=("night", "dit", "mode")),
    associations=(DARKS, BACKGROUND_IF_ANY),
    targets=("calibration",),
    text="background of instrument and sky",
)


def _narrow_band(number: int) -> Task:
    """Return the task of one narrow-band lamp."""
    return Task(
        name=f"ifs_det_flat_narrow_band{number}",
        recipe=narrow_band_flat,
        main=Main("raw", ("DETFLAT",), group_by=("night", "lamp"), where={"lamp": (f"NB{number}",)}),
        associations=(DARKS,),
        targets=("calibration",),
        tags={"lamp_flat": f"MASTER_DFF_LONG{number}"},
        text=f"response of the pixels to narrow-band lamp {number}",
    )


BROAD_BAND = Task(
    name="ifs_det_flat_broad_band",
    recipe=broad_band_flat,
    main=Main("raw", ("DETFLAT",), group_by=("night", "lamp"), where={"lamp": ("BB",)}),
    associations=(DARKS,),
    targets=("calibration",),
    tags={"lamp_flat": "MASTER_DFF_LONGBB"},
    text="response of the pixels to the white lamp",
)

DETECTOR_FLAT = Task(
    name="ifs_detector_flat",
    recipe=detector_flat,
    main=Main("raw", ("DETFLAT",), group_by=("night",)),
    associations=(DARKS,),
    targets=("calibration",),
    text="response of the pixels against wavelength, from all lamps",
)

BAD_PIXELS = Task(
    name="ifs_static_bad_pixel_map",
    recipe=static_bad_pixels,
    main=Main("master_dark", ("MASTER_DARK",), group_by=("night",)),
    associations=(FLAT_IF_ANY,),
    targets=("calibration",),
    text="hot, dead and noisy pixels",
)

GAIN = Task(
    name="ifs_gain",
    recipe=gain,
    main=Main("raw", ("GAIN",), group_by=("night",), minimum=4),
    associations=(DARKS,),
    targets=("calibration",),
    text="linearity and gain, where a lamp was taken at many integration times",
)

DETECTOR_TASKS = (
    DARK,
    INSTRUMENT_BACKGROUND,
    SKY_BACKGROUND,
    *(_narrow_band(number) for number in (1, 2, 3, 4)),
    BROAD_BAND,
    DETECTOR_FLAT,
    BAD_PIXELS,
    GAIN,
)
"""What the detector needs, by the observatory's names; its science step makes what ``ifs_detector_flat`` does."""

SAME_MODE_FIRST = (
    Match(level=0, same=("night", "mode")),
    Match(level=1, same=("mode",), days=(-14.0, 14.0)),
    Match(level=2, same=("mode",), days=(-60.0, 60.0)),
)
"""Optics: never of the other prism."""

ALL_DARKS = replace(DARKS, argument="darks")
BADPIX_IF_ANY = Association("static_badpix", ("STATIC_BADPIX",), SAME_NIGHT_FIRST, minimum=0)
LINEARITY_IF_ANY = Association(
    "linearity", ("LINEARITY",), (*SAME_NIGHT_FIRST, Match(level=3, days=(-400.0, 400.0))), minimum=0
)
"""Of `ifs_gain`; without it stands what is known of the detector. Darks, backgrounds and detector flats do without:
their levels of a few hundred counts are linear to 1e-4."""
PIXELS = (ALL_DARKS, FLAT_IF_ANY, BADPIX_IF_ANY, LINEARITY_IF_ANY)
LAMPS_OF_MODE = "SPECPOS,LAMP and WAVE,LAMP frames of this mode"
TRACES = Association("traces", ("TRACES",), SAME_MODE_FIRST, hint=LAMPS_OF_MODE)
WAVELENGTH = Association("wavelength", ("WAVELENGTH",), SAME_MODE_FIRST, hint=LAMPS_OF_MODE)
PIXEL_MAP = Association("pixel_map", ("PIXEL_MAP",), SAME_MODE_FIRST, hint=LAMPS_OF_MODE)
PINHOLES_FIRST = (
    *(replace(rung, tags=("LAYOUT",)) for rung in SAME_MODE_FIRST),
    *(replace(rung, level=3, tags=("NOMINAL_LAYOUT",)) for rung in SAME_MODE_FIRST),
)
"""Frames of pinholes are rare; without one lenslets stand where the known constants put them."""
LAYOUT = Association("layout", ("LAYOUT", "NOMINAL_LAYOUT"), PINHOLES_FIRST, hint=LAMPS_OF_MODE)
LAYOUT_IF_ANY = replace(LAYOUT, minimum=0)
IFU_FLAT_OF = Association(
    "lenslet_flat", ("LENSLET_FLAT",), SAME_MODE_FIRST, hint="FLAT,LAMP / IFU or SPECPOS,LAMP of this mode"
)

SPECTRA_POSITIONS = Task(
    name="ifs_spectra_positions",
    recipe=spectra_positions,
    main=Main("raw", ("SPECPOS", "IFUFLAT"), group_by=("night", "mode")),
    associations=(
        *PIXELS,
        Association("lasers", ("WAVE",), SAME_MODE_FIRST, hint="a WAVE,LAMP frame of this mode", maximum=None),
        Association("pinholes", ("DISTORT",), SAME_MODE_FIRST, minimum=0, maximum=None),
    ),
    targets=("calibration",),
    text="which lenslets there are, and where the light of each falls",
)

WAVELENGTHS = Task(
    name="ifs_wavelength_calibration",
    recipe=wavelength_calibration,
    main=Main("lenslets", ("LENSLETS",)),
    associations=(TRACES,),
    targets=("calibration",),
    text="wavelength of every detector pixel",
)

LINE_WINGS = Task(
    name="ifs_line_wings",
    recipe=line_wings,
    main=Main("raw", ("WAVE",), group_by=("night", "mode")),
    associations=(*PIXELS, TRACES, WAVELENGTH, PIXEL_MAP),
    targets=("calibration",),
    text="light of a line that the extraction finds rows away from it",
)

IFU_FLAT = Task(
    name="ifs_ifu_flat",
    recipe=ifu_flat,
    main=Main("raw", ("IFUFLAT", "SPECPOS"), group_by=("night", "mode")),
    associations=(*PIXELS, TRACES, WAVELENGTH, PIXEL_MAP, LAYOUT_IF_ANY),
    targets=("calibration",),
    text="throughput of the lenslets",
)

DISTORTION = Task(
    name="ifs_distortion_map",
    recipe=distortion_map,
    main=Main("raw", ("DISTORT",), group_by=("night", "mode")),
    associations=(
        *PIXELS,
        TRACES,
        WAVELENGTH,
        PIXEL_MAP,
        Association(
            "white", ("IFUFLAT", "SPECPOS"), SAME_MODE_FIRST, hint="a SPECPOS,LAMP frame of this mode", maximum=None
        ),
    ),
    targets=("calibration",),
    text="places of the lenslets on the sky",
)

LASER_CUBE = Task(
    name="ifs_wavecalib_cube",
    recipe=wavecalib_cube,
    main=Main("raw", ("WAVE",), group_by=("night", "mode")),
    associations=(*PIXELS, TRACES, WAVELENGTH, PIXEL_MAP, LAYOUT, IFU_FLAT_OF),
    targets=("calibration",),
    tags={"cube": "LASER_CUBE"},
    text="the lasers as a cube: a check of the wavelengths",
)

OPTICS_TASKS = (SPECTRA_POSITIONS, WAVELENGTHS, LINE_WINGS, IFU_FLAT, DISTORTION, LASER_CUBE)

LAMP_SPECTRUM = Association("lamp", ("LAMP_SPECTRUM",), SAME_MODE_FIRST, minimum=0)
WINGS_IF_ANY = Association("wings", ("LINE_WINGS",), SAME_MODE_FIRST, minimum=0)
ON_SKY = (
    *PIXELS,
    TRACES,
    WAVELENGTH,
    PIXEL_MAP,
    LAYOUT,
    IFU_FLAT_OF,
    LAMP_SPECTRUM,
    WINGS_IF_ANY,
    Association("sky", ("SKY_BACKGROUND",), SAME_DIT_FIRST, minimum=0),
    Association("instrument", ("INSTRUMENT_BACKGROUND",), SAME_DIT_FIRST, minimum=0),
)
SAME_SEQUENCE = (Match(level=0, same=("night", "mode", "object")), Match(level=1, same=("night", "mode")))
STAR_CENTRE_IF_ANY = Association("star_centre", ("STAR_CENTRE",), SAME_SEQUENCE, minimum=0)
CENTER_CHANNELS = Association("centre_spectra", ("CENTER_CHANNELS",), SAME_SEQUENCE, minimum=0)

CENTER = Task(
    name="ifs_coronagraph_center",
    recipe=coronagraph_center,
    main=Main("raw", ("CENTER",)),
    associations=ON_SKY,
    targets=("spectra",),
    tags={"channels": "CENTER_CHANNELS", "cube": "CENTER_CUBE"},
    text="spectra of a frame with satellite spots, and where the star is",
)

FLUX = Task(
    name="ifs_science_flux",
    recipe=science_flux,
    main=Main("raw", ("FLUX",)),
    associations=(*ON_SKY, CENTER_CHANNELS, Association("target", ("OBJECT",), SAME_SEQUENCE, minimum=0)),
    targets=("spectra",),
    tags={"channels": "FLUX_CHANNELS", "cube": "FLUX_CUBE"},
    text="spectra of the star beside its mask, its image and flux",
)

SCIENCE = Task(
    name="ifs_science",
    recipe=science,
    main=Main("raw", ("OBJECT",)),
    associations=(
        *ON_SKY,
        STAR_CENTRE_IF_ANY,
        CENTER_CHANNELS,
    ),
    targets=("spectra", "science"),
    text="spectra and cube of a science DIT",
)

COMPANIONS = Task(
    name="ifs_companions",
    recipe=ifs_companions,
    main=Main("channels", ("CHANNELS",), group_by=("night", "mode", "object"), minimum=2),
    associations=(
        Association("dit_centre", ("DIT_CENTRE",), (Match(level=0, same=("night", "mode", "object")),), maximum=None),
        Association("star_psf", ("STAR_PSF",), SAME_SEQUENCE, maximum=None, hint="an OBJECT,FLUX frame of this star"),
        replace(STAR_CENTRE_IF_ANY, maximum=None),
        replace(CENTER_CHANNELS, maximum=None),
    ),
    targets=("science",),
    text="companions of a star: places, contrasts, spectra, and how faint one would be seen",
)

STACK = Task(
    name="ifs_stack",
    recipe=ifs_stack,
    main=Main("channels", ("CHANNELS",), group_by=("night", "mode", "object"), minimum=2),
    associations=(
        Association("dit_centre", ("DIT_CENTRE",), (Match(level=0, same=("night", "mode", "object")),), maximum=None),
    ),
    targets=("science",),
    tags={"cube": "STACKED_CUBE"},
    text="all DITs of a star in one cube, north up",
)

FRAME_PHOTOMETRY = Task(
    name="ifs_frame_photometry",
    recipe=ifs_frame_photometry,
    main=Main("centres", ("DIT_CENTRE", "STAR_CENTRE"), group_by=("night", "mode", "object"), minimum=2),
    targets=("science",),
    text="brightness of the star from DIT to DIT, by its satellite spots",
)

STANDARD_TAGS = {
    "channels": "STANDARD_CHANNELS",
    "cube": "STANDARD_CUBE",
    "dit_centre": "STANDARD_CENTRE",
    "star_psf": "STANDARD_PSF",
}
"""Never taken for a target's."""


def _standard(name: str, make: Recipe, tag: str, text: str) -> Task:
    """Return the task of one kind of standard."""
    made = {out.name for out in make.outputs}
    return Task(
        name=name,
        recipe=make,
        main=Main("raw", (tag,)),
        associations=ON_SKY,
        targets=("spectra", "standards"),
        tags={output: tag for output, tag in STANDARD_TAGS.items() if output in made},
        text=text,
    )


STANDARD_ASTROMETRY = _standard(
    "ifs_standard_astrometry", standard_astrometry, "STD_ASTROMETRY", "spectra and cube of an astrometric field"
)
STANDARD_FLUX = _standard(
    "ifs_standard_flux", standard_flux, "STD_FLUX", "spectra, cube, image and flux of a spectrophotometric standard"
)

NIGHT_TASKS = (CENTER, FLUX, SCIENCE, COMPANIONS, STACK, FRAME_PHOTOMETRY, STANDARD_ASTROMETRY, STANDARD_FLUX)

SUBWORKFLOWS = {
    "dark_background": "dark current, thermal background and bad pixels",
    "detector_flat": "response of the pixels, lamp by lamp and of all lamps",
    "science_data_reduction": "a star behind its mask: flux, centre, science, companions",
    "standard_data_reduction": "astrometric and spectrophotometric standards",
}
"""As in the observatory's workflow (EDPS); tasks of none stand by themselves there too."""

_PARTS = {
    "dark_background": (DARK, INSTRUMENT_BACKGROUND, SKY_BACKGROUND, BAD_PIXELS),
    "detector_flat": (*(_narrow_band(number) for number in (1, 2, 3, 4)), BROAD_BAND, DETECTOR_FLAT),
    "science_data_reduction": (CENTER, FLUX, SCIENCE, COMPANIONS, STACK, FRAME_PHOTOMETRY),
    "standard_data_reduction": (STANDARD_ASTROMETRY, STANDARD_FLUX),
}
_PART_OF = {task.name: part for part, tasks in _PARTS.items() for task in tasks}

workflow = Workflow(
    tasks=tuple(
        replace(task, namesake=NAMESAKES.get(task.name), subworkflow=_PART_OF.get(task.name, ""))
        for task in (*DETECTOR_TASKS, *OPTICS_TASKS, *NIGHT_TASKS)
    ),
    default_target="science",
    subworkflows=SUBWORKFLOWS,
)
