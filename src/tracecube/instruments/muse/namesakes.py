"""What the observatory's recipes call the parameters of tasks, and why some of theirs have no counterpart."""

from __future__ import annotations

from collections.abc import Mapping

from tracecube.core.workflow import Namesake

__all__ = ["NAMESAKES"]

_CHANNELS = {"nifu": "reduce ... --only detector=CHAN12", "merge": "each channel is a file of its own"}
_DETECTOR = {
    **_CHANNELS,
    "overscan": "the level is a smooth curve along the overscan, as smooth as its noise has it",
    "ovsc*": "hits in the overscan are told by its noise",
}
_STACK = {
    **_DETECTOR,
    "combine": "frames are averaged, what is hit is left out by its expected noise",
    "nlow": "hits are told by their noise",
    "nhigh": "hits are told by their noise",
    "nkeep": "hits are told by their noise",
    "lsigma": "hsigma is for both sides",
}
_LIGHT = {
    "lambdaref": "refraction is taken off for 7000 A",
    "darcheck": "refraction is taken off by theory, with weather and airmass of the header",
}
_SLICES = "the brightness of slices follows from the lines of the sky"
_RESAMPLED = {
    "save": "all products are kept",
    "format": "a cube is a cube; `tracecube export` writes DATACUBE_FINAL",
}
_LSF = Namesake(
    "muse.muse_lsf",
    {
        **_STACK,
        "save_subtracted": "what the profile leaves is the quality number LSF RMS",
        "line_quality": "lines that stand alone count",
        "lsf_regression_window": "the profile changes along wavelength as a polynomial: degree",
        "method": "splines through all lines that stand alone",
    },
)
_TWILIGHT = "light along each slice is kept as it is, means of slices are a smooth function of place"
_BASIC = Namesake(
    "muse.muse_scibasic",
    {
        **_DETECTOR,
        "crop": "cubes end where the mode does: lambdamin, lambdamax of object",
        "cr": "hits are told when the sky is off: object.crsigma",
        "xbox": "hits are told when the sky is off: object.crsigma",
        "ybox": "hits are told when the sky is off: object.crsigma",
        "passes": "hits are told when the sky is off: object.crsigma",
        "thres": "hits are told when the sky is off: object.crsigma",
        "saveimage": "the exposure on its pixels is kept",
        "sky*": "each slice's shift follows from all lines of the sky: science_sky",
        "resample": "nothing is resampled before the cube: object.resample",
        "dlambda": "nothing is resampled before the cube: object.dlambda",
    },
)
_SKY = Namesake(
    "muse.muse_create_sky",
    {
        "lambdamin": "the whole range of the mode is fitted",
        "lambdamax": "the whole range of the mode is fitted",
        **_LIGHT,
    },
)
_POST = Namesake(
    "muse.muse_scipost",
    {
        **_RESAMPLED,
        **_LIGHT,
        "weight": "of several exposures: object_combination.weight",
        "autocalib": f"-p muse.autocalibration=deepfield; without, {_SLICES}",
        "skymethod": "-p muse.skysubtraction=model",
        "skymodel_*": "science_sky.skymodel_fraction and skymodel_ignore",
        "astrometry": "an ASTROMETRY_WCS of the exposure's field counts where it is there",
    },
)
_OF_COMBINATION = ("weight", "filter")
_OF_ALIGNED = ("resample", "dx", "dy", "dlambda", "rc", "pixfrac", "ld", "crtype", "lambdamin", "lambdamax")
_ALIGNED = Namesake(
    "muse.muse_exp_combine",
    {
        **_RESAMPLED,
        **dict.fromkeys(_OF_COMBINATION, "set it for object_combination"),
    },
)


def _combined(aligned: str) -> Namesake:
    """Return what a combination is called, which averages cubes that another task resampled."""
    without = {
        "save": "all products are kept",
        "format": "a cube is a cube; `tracecube export` writes DATACUBE_FINAL",
    }
    return Namesake("muse.muse_exp_combine", without, elsewhere=dict.fromkeys(_OF_ALIGNED, aligned))


NAMESAKES: Mapping[str, Namesake] = {
    "bias": Namesake(
        "muse.muse_bias",
        {**_STACK, "losigmabadpix": "columns keep their structure; hot pixels are told by hisigmabadpix"},
    ),
    "dark": Namesake("muse.muse_dark", {**_STACK, "model": "the smooth current is always modelled: order"}),
    "lamp_flat": Namesake(
        "muse.muse_flat",
        {
            **_STACK,
            "trace": "slices are always traced",
            "samples": "the cuts are always kept: TRACE_SAMPLES",
            "losigmabadpix": "a pixel's response is divided out, however low",
            "hisigmabadpix": "a pixel's response is divided out, however high",
        },
    ),
    "arc": Namesake(
        "muse.muse_wavecal",
        {
            **_STACK,
            "sigma": "set least",
            "dres": "the pattern of each lamp tells lines apart",
            "tolerance": "the pattern of each lamp tells lines apart",
            "linesigma": "set fitsigma",
            "residuals": "the residuals of all lines are always kept",
            "fitweighting": "lines count by their errors, those of the line list included: list_error",
            "saveimages": "images of lamps are not kept",
        },
    ),
    "line_spread_function_arc": _LSF,
    "line_spread_function_lsf": _LSF,
    "sky_flat": Namesake(
        "muse.muse_twilight",
        {
            **_STACK,
            "hsigma": "hits are told by their noise",
            **dict.fromkeys(("scale", "resample", "crtype", "crsigma", "xorder", "yorder"), _TWILIGHT),
        },
    ),
    **dict.fromkeys(("preprocess_standard", "preprocess_sky", "preprocess_science", "preprocess_astrometry"), _BASIC),
    "response": Namesake(
        "muse.muse_standard",
        {
            **_LIGHT,
            "smooth": "the curve follows its star as closely as the star's light is told",
            "lambdamin": "the whole range of the mode is measured",
            "lambdamax": "the whole range of the mode is measured",
            "filter": "no image of the star is kept",
        },
    ),
    **dict.fromkeys(("sky", "science_sky"), _SKY),
    **dict.fromkeys(("object", "object_sky"), _POST),
    **dict.fromkeys(("object_aligned", "object_sky_aligned"), _ALIGNED),
    "object_combination": _combined("object_aligned"),
    "combine_sky": _combined("object_sky_aligned"),
}
"""Task -> the observatory's recipe of the same purpose."""
