"""The parts of the cascade, and names of tasks, as the observatory's workflow has them."""

from __future__ import annotations

__all__ = ["ALSO_CALLED", "PARTS", "PART_OF"]

PARTS = {
    "line_spread_function": "how lines are spread, of arcs or of arcs taken for it",
    "flux_calibration": "response and bands of the atmosphere, from standard stars",
    "process_and_combine_sky": "the sky from exposures beside the target; skies as science of their own",
    "process_and_combine_object": "exposures of targets to cubes, aligned and combined",
}
"""Part -> what it is for. Each is a target: all of its tasks."""

_TASKS = {
    "line_spread_function": ("line_spread_function_arc", "line_spread_function_lsf"),
    "flux_calibration": ("preprocess_standard", "response"),
    "process_and_combine_sky": (
        "preprocess_sky",
        "sky",
        "autocalibration_from_object_sky",
        "object_sky",
        "alignment_sky",
        "object_sky_aligned",
        "combine_sky",
    ),
    "process_and_combine_object": (
        "preprocess_science",
        "science_sky",
        "autocalibration",
        "raman",
        "object",
        "alignment",
        "object_aligned",
        "object_combination",
    ),
}

PART_OF = {task: part for part, tasks in _TASKS.items() for task in tasks}
"""Task -> part."""

ALSO_CALLED = {
    "sky_flat": ("twilight",),
    "arc": ("wavelength",),
    "preprocess_sky": ("preprocess_sky_sky",),  # the same exposures over their flat, whatever becomes of them
    "combine_sky": ("sky_combination",),
}
"""Task -> other names by which the observatory's users may ask for it."""
