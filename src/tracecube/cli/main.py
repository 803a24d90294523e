"""The entry point: every command in its place."""

from __future__ import annotations

import typer

from tracecube.cli import (
    classify,
    export,
    lineage,
    look,
    nights,
    redex,
    reduce,
    results,
    sending,
    watch,
    workflow,
)
from tracecube.cli.show import Group, examples

__all__ = ["app"]

app = typer.Typer(
    cls=Group,
    name="tracecube",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Data reduction for integral-field spectrographs: d = A f + b + n. From raw frames to spectra and cubes.",
    epilog=examples(
        "tracecube demo   # a simulated night, reduced, to look around in",
        "tracecube reduce night/ -o out/   # all raw frames of a folder",
        "tracecube watch night/ -o out/   # while it is observed",
        "tracecube status out/   # done, incomplete, failed, and why",
        "tracecube why out/2021-04-21/flux/x_SPECTRUM.fits   # its origin",
    ),
)

reduce.register(app)
watch.register(app)
look.register(app)
results.register(app)
lineage.register(app)
redex.register(app)
workflow.register(app)
export.register(app)
nights.register(app)
sending.register(app)
classify.register(app)

if __name__ == "__main__":
    app()
