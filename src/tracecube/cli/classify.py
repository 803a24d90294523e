"""`classify`: type, redshift and age of single spectra."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import typer

from tracecube.cli.show import examples, print_json, say, table
from tracecube.core.spectral_type import SpectralType

__all__ = ["register", "told"]

SHOWN = 8
"""Best templates that are printed."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "classify",
        rich_help_panel="By hand",
        epilog=examples(
            "tracecube classify ZTF21abc.txt",
            "tracecube classify ZTF21abc.txt --redshift 0.034 --plot ZTF21abc.png",
            "tracecube classify *.txt --json",
        ),
    )(classify)


def classify(  # noqa: PLR0913 - options
    spectra: Annotated[list[Path], typer.Argument(metavar="SPECTRUM", help="FITS or text; several may be given.")],
    redshift: Annotated[float | None, typer.Option("--redshift", "-z", help="Redshift, if it is known.")] = None,
    *,
    redshift_error: Annotated[float, typer.Option(help="Error of a known redshift.")] = 0.001,
    zmax: Annotated[float, typer.Option(help="Highest redshift to try; at most 0.38.")] = 0.25,
    wmin: Annotated[float, typer.Option(help="Shortest wavelength used, Angstrom.")] = 3800.0,
    wmax: Annotated[float, typer.Option(help="Longest wavelength used, Angstrom.")] = 9200.0,
    resolution: Annotated[
        float, typer.Option(help="Resolving power of the spectra; those above 100 are smoothed.")
    ] = 100,
    survey: Annotated[
        bool,
        typer.Option(
            "--survey", help="Take types to be as frequent as in a magnitude-limited survey, instead of all alike."
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None, typer.Option(help="Leave this object out of templates and networks; may be repeated.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")] = False,
    plot: Annotated[Path | None, typer.Option(help="Draw the best match into this PNG file.")] = None,
) -> None:
    """Classify spectra: type and subtype, redshift, age, probabilities and errors, and the templates that fit best.

    Text has columns of wavelength (Angstrom), flux and error or variance.
    """
    from tracecube.io import read_spectrum  # noqa: PLC0415 - takes long to import
    from tracecube.recipes.classify.parameters import ClassifyParams  # noqa: PLC0415
    from tracecube.recipes.classify.spectrum_type import classified  # noqa: PLC0415

    params = ClassifyParams(
        low=wmin,
        high=wmax,
        redshift=redshift,
        redshift_error=redshift_error,
        most_redshift=zmax,
        resolution=resolution,
        prior="survey" if survey else "even",
        exclude=tuple(exclude or ()),
    )
    items = []
    for path in spectra:
        given = read_spectrum(path)
        found, numbers, caveats = classified(given.spectrum, params)
        quality = {number.name: number.value for number in numbers}
        items.append({"spectrum": str(path), **told(found), "quality": quality, "caveats": [*given.assumed, *caveats]})
        if not as_json:
            _show(path, found, [*given.assumed, *caveats])
        if plot is not None:
            _draw(plot if len(spectra) == 1 else plot.with_name(f"{plot.stem}_{path.stem}.png"), found)
    if as_json:
        print_json(items)


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def told(found: SpectralType) -> dict[str, Any]:
    """Return what a program learns of a classification."""
    columns = ("name", "type", "subtype", "age", "z", "rlap", "correlation", "amplitude", "host")
    rows = zip(*(getattr(found, f"match_{name}") for name in columns), strict=True)
    return {
        "type": found.type,
        "subtype": found.subtype,
        "probability": _number(found.probability),
        "z": _number(found.z),
        "z_err": _number(found.z_error),
        "age": _number(found.age),
        "age_err": _number(found.age_error),
        "rlap": _number(found.snid_rlap),
        "template": found.snid_template,
        "host": _number(found.host_share),
        "classes": {str(k): float(p) for k, p in zip(found.label, found.label_probability, strict=True)},
        "subtypes": {str(k): float(p) for k, p in zip(found.kind, found.kind_probability, strict=True)},
        "matches": [
            {
                key: str(value) if isinstance(value, str) else _number(value)
                for key, value in zip(columns, row, strict=True)
            }
            for row in rows
        ],
    }


def _show(path: Path, found: SpectralType, caveats: list[str]) -> None:
    age = f", age {found.age:+.1f} ± {found.age_error:.1f} d" if math.isfinite(found.age) else ""
    say(
        f"{path.name}: {found.type} ({found.subtype}), probability {found.probability:.3f}, "
        f"z = {found.z:.4f} ± {found.z_error:.4f}{age}",
        style="bold",
    )
    classes = zip(found.label, found.label_probability, strict=True)
    say("probabilities: " + ", ".join(f"{name} {share:.3f}" for name, share in classes))
    rows = [
        (
            name,
            subtype,
            "" if not math.isfinite(days) else f"{days:+.1f}",
            f"{z:.4f}",
            f"{r:.1f}",
            f"{c:.2f}",
            f"{h:.2f}",
        )
        for name, subtype, days, z, r, c, h in zip(
            found.match_name,
            found.match_subtype,
            found.match_age,
            found.match_z,
            found.match_rlap,
            found.match_correlation,
            found.match_host,
            strict=True,
        )
    ]
    table(["template", "subtype", "age", "z", "rlap", "correlation", "host"], rows[:SHOWN])
    for text in caveats:
        say(text, style="magenta")


def _draw(path: Path, found: SpectralType) -> None:
    from tracecube.report.figures.spectral_type import spectral_type  # noqa: PLC0415 - takes long to import
    from tracecube.report.figures.style import png  # noqa: PLC0415

    path.write_bytes(png(spectral_type(found)))
