"""`simulate` and `demo`: nights that nobody observed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError, validate_call

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import products
from tracecube.cli.reduce import conclude, run
from tracecube.cli.show import console, examples, say
from tracecube.core.errors import BadData, MissingInput
from tracecube.core.frame import RawFrame
from tracecube.core.instrument import Instrument
from tracecube.workflow.discover import discover
from tracecube.workflow.settings import near

__all__ = ["register"]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "simulate",
        rich_help_panel="Learn and try",
        epilog=examples(
            "tracecube simulate INSTRUMENT --out night/ --seed 1",
            "tracecube simulate INSTRUMENT --out night/ --seed 1 --size night   # a choice of its own",
        ),
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    )(simulate)
    app.command(
        "demo", rich_help_panel="Learn and try", epilog=examples("tracecube demo", "tracecube demo first-night/")
    )(demo)


def simulator(name: str | None) -> Instrument:
    """Return the instrument of this name, or the one whose night is for who tries the system, or any that can simulate.

    Raises
    ------
    MissingInput
        There is none.
    """
    able = {one.instrument.name: one.instrument for one in discover().values() if one.instrument.simulate is not None}
    if not able:
        raise MissingInput("no installed instrument has a simulator", hint="install one that has")
    if name is not None and name not in able:
        raise MissingInput(f"no simulator of an instrument called {name!r}", hint=near(name, able))
    return able[name] if name is not None else max(able.values(), key=lambda one: one.first_night)


def write_night(instrument: Instrument, out: Path, seed: int, choices: Mapping[str, str] | None = None) -> int:
    """Simulate a night into a folder; return the number of files.

    Raises
    ------
    BadData
        The simulator knows no such choice, or no such value of it.
    """
    from tracecube.io.raw import write_raw  # noqa: PLC0415 - takes long to import

    count = 0
    try:
        with console().status(f"simulating {instrument.name}") as status:
            for count, frame in enumerate(_night(instrument, seed, choices or {}), 1):
                status.update(f"{count}: {write_raw(out, frame).name}")
    except ValueError as error:
        if count or not choices:
            raise
        said = ", ".join(f"{name}={value}" for name, value in choices.items())
        hint = f"its choices are {', '.join(_choices_of(instrument).values())}"
        raise BadData(f"simulator of {instrument.name}: {said} ({error})", hint=hint) from error
    return count


def _night(instrument: Instrument, seed: int, choices: Mapping[str, str]) -> Iterator[RawFrame]:
    """Begin to simulate a night; the annotations of the simulator say what the words of the choices are.

    Raises
    ------
    BadData
        There is no such choice, or it has no such value.
    """
    if instrument.simulate is None:
        return iter(())
    known = _choices_of(instrument)
    for name in choices:
        if name not in known:
            raise BadData(f"the simulator of {instrument.name} has no choice {name!r}", hint=near(name, known))
    try:
        return validate_call(instrument.simulate)(seed=seed, **choices)
    except ValidationError as error:
        faults = [f"{fault['loc'][0]}={fault['input']}: {fault['msg']}" for fault in error.errors()]
        hint = f"its choices are {', '.join(known.values())}"
        raise BadData(f"simulator of {instrument.name}: {'; '.join(faults)}", hint=hint) from error


def _choices_of(instrument: Instrument) -> dict[str, str]:
    """Return the choices that a simulator has -> each with its default, as on the command line."""
    named = signature(instrument.simulate).parameters if instrument.simulate is not None else {}
    return {name: f"{name}={one.default}" for name, one in named.items() if name != "seed"}


def simulate(
    context: typer.Context,
    instrument: Annotated[str, typer.Argument(metavar="INSTRUMENT", help="Which one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the raw files.")],
    seed: Annotated[int, typer.Option("--seed", help="Same seed, same night.")] = 1,
    choice: Annotated[
        list[str] | None, typer.Option("--choice", "-c", metavar="NAME=VALUE", help="A choice of this simulator.")
    ] = None,
) -> None:
    """Simulate a night of raw frames with the forward model that also reduces it.

    A choice may also be an option of its own: --size night is -c size=night.
    """
    choices = {name: value for name, _, value in (text.partition("=") for text in choice or ())}
    choices |= own_options(context.args)
    count = write_night(simulator(instrument), out, seed, choices)
    say(f"{count} files in {out}")
    say(f"next: tracecube ls {out}   tracecube reduce {out} -o {out}-reduced")


def own_options(words: Sequence[str]) -> dict[str, str]:
    """Return the choices among words of the command line that no option of `simulate` took.

    Raises
    ------
    BadData
        A word is no option, or an option has no value.

    Examples
    --------
    >>> own_options(["--ifus", "1,2", "--size=night"])
    {'ifus': '1,2', 'size': 'night'}
    """
    found: dict[str, str] = {}
    left = list(words)
    while left:
        name, equals, value = left.pop(0).partition("=")
        if not name.startswith("--") or not (equals or left):
            raise BadData(f"{name!r} is no choice with a value", hint="--NAME VALUE, or -c NAME=VALUE")
        found[name.removeprefix("--").replace("-", "_")] = value if equals else left.pop(0)
    return found


def demo(folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where.")] = Path("demo")) -> None:
    """Simulate a small night, reduce it, and show where to look."""
    raw, out = folder / "raw", folder / "out"
    if not raw.is_dir():
        instrument = simulator(None)
        say(f"simulating a night of {instrument.title} in {raw}", style="bold")
        unfinished = folder / ".raw"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_night(instrument, unfinished, seed=1)
        unfinished.rename(raw)
    say(f"reducing it into {out}", style="bold")
    summary, seconds = run(raw, out)
    conclude(summary, seconds, out)
    say("try:")
    for line in (
        f"tracecube ls {raw}",
        f"tracecube datasets {raw} --tree",
        f"tracecube targets {out}",
        f"tracecube why {_example(out)}",
    ):
        say(f"  {line}")
    raise typer.Exit(0 if summary.good else 1)


def _example(out: Path) -> str:
    """Return one product to be curious about: the last that was made of the last target."""
    with Ledger.open(out) as ledger:
        made = products(ledger)
    return max(made, key=lambda product: product.job_id).path if made else "PRODUCT"
