"""`status`, `products`, `targets`: what an output folder holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from tracecube.archive import queries
from tracecube.archive.ledger import Ledger
from tracecube.archive.records import ProductRecord
from tracecube.archive.summary import last_summary
from tracecube.cli.options import OutFolder
from tracecube.cli.show import examples, print_json, say, table
from tracecube.cli.summary import show_summary

__all__ = ["product_item", "register", "target_items"]

Json = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "status", rich_help_panel="Products", epilog=examples("tracecube status out/", "tracecube status out/ --log")
    )(status)
    app.command(
        "products",
        rich_help_panel="Products",
        epilog=examples(
            "tracecube products out/",
            "tracecube products out/ --tag SPECTRUM --object ZTF21abc",
            "tracecube products out/ --json",
        ),
    )(products)
    app.command(
        "targets",
        rich_help_panel="Products",
        epilog=examples("tracecube targets out/", "tracecube targets out/ --json"),
    )(targets)


def status(
    out: OutFolder,
    log: Annotated[bool, typer.Option("--log", help="Show the log of every job that failed.")] = False,
) -> None:
    """Say what the last run did, what is incomplete or failed, and why."""
    with Ledger.open(out) as ledger:
        summary = last_summary(ledger)
        failed = summary.of("failed") if summary and log else []
        logs = [(one.label, queries.job_of(ledger, one.job_id).log) for one in failed if one.job_id is not None]
    if summary is None:
        say("nothing was run here yet")
        return
    run = summary.run
    end = (
        f"finished {run.finished}" if run.finished else "not finished: under way or cut short; the same command goes on"
    )
    say(f"reduce {run.raw_folder} --target {' '.join(run.targets)}: started {run.started}, {end}", style="bold")
    show_summary(summary)
    for label, text in logs:
        say(f"log of {label}", style="bold")
        say(text)


def products(
    out: OutFolder,
    tag: Annotated[str | None, typer.Option("--tag", help="Only products of this tag.")] = None,
    object_: Annotated[str | None, typer.Option("--object", help="Only products of this target.")] = None,
    as_json: Json = False,
) -> None:
    """List products with their quality numbers."""
    with Ledger.open(out) as ledger:
        found = queries.products(ledger, tag=tag, object_=object_)
    if as_json:
        print_json([product_item(made) for made in found])
        return
    rows = [(made.tag, made.object, made.raw, made.night, _quality(made), made.path) for made in found]
    table(["tag", "object", "raw", "night", "quality", "path"], rows)


def _quality(made: ProductRecord) -> str:
    """Return the quality numbers in short, one out of its limits with an exclamation mark."""
    found = made.qc.items()
    return " ".join(f"{name}={_short(n['value'])}{n['unit']}{'' if n['good'] else '!'}" for name, n in found)


def _short(value: float | None) -> str:
    return "?" if value is None else f"{value:.4g}"


def product_item(made: ProductRecord) -> dict[str, Any]:
    """Return what a program learns of a product."""
    keys = ("tag", "path", "sha256", "instrument", "task", "object", "raw", "detector", "night", "mjd")
    return {**{key: getattr(made, key) for key in keys}, "setup": dict(made.setup), "qc": dict(made.qc)}


def targets(out: OutFolder, as_json: Json = False) -> None:
    """List the observed targets with quality code, classification and spectrum."""
    with Ledger.open(out) as ledger:
        found = target_items(ledger)
    if as_json:
        print_json(found)
        return
    columns = ["object", "quality", "reason", "type", "z", "z_err", "probability", "spectrum"]
    table(columns, [[item[column] for column in columns] for item in found])


def target_items(ledger: Ledger) -> list[dict[str, Any]]:
    """Return what a program learns of the science targets, by time."""
    spectra = {(made.instrument, made.raw): made.path for made in queries.products(ledger, tag="SPECTRUM")}
    types = {(made.instrument, made.raw): made.header for made in queries.products(ledger, tag="CLASSIFICATION")}
    verdicts = [made for made in queries.products(ledger, tag="TARGET") if made.setup.get("raw_tag") == "SCIENCE"]
    keys = [(made.instrument, made.raw) for made in verdicts]
    return [_target_item(made, spectra.get(key), types.get(key, {})) for made, key in zip(verdicts, keys, strict=True)]


def _target_item(made: ProductRecord, spectrum: str | None, typed: Mapping[str, Any]) -> dict[str, Any]:
    cards = {
        "quality": "QUALITY",
        "reason": "REASON",
        "type": "CLSTYPE",
        "z": "CLSZ",
        "z_err": "CLSZERR",
        "probability": "CLSPROB",
    }
    known = {**made.header, **{card: value for card, value in typed.items() if card.startswith("CLS")}}
    found = {name: known.get(card) for name, card in cards.items()}
    return {"object": made.header.get("TARGET", made.object), **found, "spectrum": spectrum, "raw": made.raw}
