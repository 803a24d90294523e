"""Build hook: reference pages made from the declarations themselves, so that they cannot lag behind."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from types import ModuleType

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from typer.testing import CliRunner

import tracecube
import tracecube.core
import tracecube.instruments
from tracecube.cli.main import app
from tracecube.core import flags
from tracecube.core.fields import place
from tracecube.core.instrument import Instrument
from tracecube.core.recipe import Argument, Recipe
from tracecube.core.workflow import Task
from tracecube.workflow.discover import discover


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Add the pages of instruments and of decision records to the navigation."""
    decisions = sorted(path.name for path in Path(config.docs_dir, "adr").glob("*.md"))
    config.nav = [
        *(config.nav or []),
        {"Instruments": sorted(instrument_pages())},
        {"Decisions": [f"adr/{name}" for name in decisions]},
    ]
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of the folder."""
    pages = {
        "reference/flags.md": flags_page(),
        "reference/data-model.md": data_model_page(),
        "reference/recipes.md": recipes_page(),
        "reference/commands.md": commands_page(),
        **instrument_pages(),
        **{f"reference/{name}.md": api_page(name) for name in ("kernels", "core", "io")},
    }
    for path, text in pages.items():
        files.append(File.generated(config, path, content=text))
    return files


def modules(package: ModuleType) -> Iterator[ModuleType]:
    """Import all modules of a package, private ones left out."""
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        if not found.name.rpartition(".")[2].startswith("_"):
            yield importlib.import_module(found.name)


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Write a Markdown table."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in lines
    )


def instruments() -> list[Instrument]:
    """Return every installed instrument, by name."""
    return sorted((found.instrument for found in discover().values()), key=lambda one: one.name)


def instrument_pages() -> dict[str, str]:
    """Return the README of every instrument folder as a page."""
    folders = sorted(Path(tracecube.instruments.__path__[0]).glob("*/README.md"))
    return {f"instruments/{readme.parent.name}.md": readme.read_text(encoding="utf-8") for readme in folders}


def flags_page() -> str:
    """Write the table of flags."""
    rows = [
        [str(int(flag)), f"`{flag.name}`", text, "yes" if flag & flags.NOT_USABLE else ""]
        for flag, text in flags.MEANING.items()
    ]
    return "\n\n".join(
        [
            "# Flags",
            (
                "Bits of every `DQ` plane and column (int32), one table for all instruments and products. "
                "0 is good. A flagged sample keeps its value; the marked bits give a pixel zero weight in fits."
            ),
            table(["bit", "name", "meaning", "zero weight"], rows),
        ]
    )


def nouns() -> list[type]:
    """Return the dataclasses of core that are stored in files, in the order of the modules."""
    found = [
        c
        for m in modules(tracecube.core)
        for c in vars(m).values()
        if inspect.isclass(c)
        and c.__module__ == m.__name__
        and hasattr(c, "__dataclass_fields__")
        and any(place(f) for f in fields(c))
    ]
    return sorted(found, key=lambda c: c.__name__)


def data_model_page() -> str:
    """Write one section a noun: its extensions, columns and cards."""
    tags: dict[str, list[str]] = {}
    for task in (task for instrument in instruments() for task in instrument.workflow.tasks):
        for output in task.recipe.outputs:
            tags.setdefault(output.noun.__name__, []).append(task.output_tags()[output.name])
    parts = [
        "# Data model",
        inspect.cleandoc("""
        Every product is a FITS file that plain `astropy.io.fits` opens. Axes are in numpy order, slowest first.
        The primary header holds the cards of the raw frame that the product descends from, the cards listed
        here, `PRODTAG`, `RECIPE`, `RECIVER`, `PROVKEY`, the inputs, the quality numbers (`QC ...`, unit in the comment)
        and `PRODSHA`: the sha256 of the noun's own cards, where it has any, and of all data units. Every
        unit carries `DATASUM` and `CHECKSUM`. Large planes of integers are Rice-compressed without loss. A noun
        is the same class in memory: `read_product(path, Frame)`."""),
    ]
    for noun in nouns():
        meaning = described(noun)
        rows = [
            [
                f"`{p.hdu or 'primary'}`",
                p.kind,
                f"`{p.name}`" if p.name else "",
                p.unit,
                f"`{f.name}`",
                meaning.get(f.name, p.text),
            ]
            for f in fields(noun)
            if (p := place(f)) is not None
        ]
        made = ", ".join(f"`{tag}`" for tag in dict.fromkeys(tags.get(noun.__name__, [])))
        parts += [f"## {noun.__name__}", (inspect.getdoc(noun) or "").split("\n\n")[0]]
        parts += [f"Products: {made}."] if made else []
        parts.append(table(["extension", "kind", "column or card", "unit", "field", ""], rows))
    return "\n\n".join(parts)


def described(noun: type) -> dict[str, str]:
    """Return field -> shape and meaning, from the Parameters of a noun's docstring."""
    section = (inspect.getdoc(noun) or "").partition("Parameters\n----------\n")[2].split("\n\n")[0]
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line.startswith(" "):
            found |= {name: f"{found[name]}. {line.strip()}" for name in names}
        else:
            heads, _, text = line.partition(" : ")
            names = [name.strip() for name in heads.split(",")]
            found |= dict.fromkeys(names, text.strip())
    return found


def recipes_page() -> str:
    """Write one section a recipe: what it does, takes, makes, and its parameters."""
    used: dict[str, tuple[Recipe, list[tuple[str, Task]]]] = {}
    for instrument in instruments():
        for task in instrument.workflow.tasks:
            used.setdefault(task.recipe.name, (task.recipe, []))[1].append((instrument.name, task))
    parts = [
        "# Recipes",
        (
            "Every recipe is a pure function; these are its inputs, products and parameters. "
            "Set a parameter with `-p task.parameter=value`, or in a settings file (see "
            "[Change parameters](../howto/change-parameters.md))."
        ),
    ]
    for name, (recipe, tasks) in sorted(used.items()):
        where = "; ".join(f"{instrument}: task `{task.name}`" for instrument, task in tasks)
        parts += [f"## {name}", f"Version {recipe.version}. {where}.", prose(recipe.text)]
        parts.append(
            table(
                ["", "name", "kind"],
                [
                    *[["input", f"`{a.name}`", kind(a)] for a in recipe.inputs],
                    *[["product", f"`{a.name.upper()}`", kind(a)] for a in recipe.outputs],
                ],
            )
        )
        if recipe.params.model_fields:
            parts.append(parameter_table(recipe, [task for _, task in tasks]))
    return "\n\n".join(parts)


def prose(text: str) -> str:
    """Return a docstring up to its first section."""
    lines = text.splitlines()
    cut = next((i - 1 for i, line in enumerate(lines) if i and set(line.strip()) == {"-"}), len(lines))
    return "\n".join(lines[:cut]).strip()


def kind(argument: Argument) -> str:
    """Say what an argument is."""
    noun = argument.noun.__name__
    return f"{'several ' if argument.many else ''}{noun}{', optional' if argument.optional else ''}"


def parameter_table(recipe: Recipe, tasks: list[Task]) -> str:
    """Write all names, default, limits and meaning of all parameters."""
    rows = []
    others = [task.aliases() for task in tasks]
    for name, info in recipe.params.model_fields.items():
        limits = ", ".join(
            f"{sign} {getattr(m, key)}"
            for m in info.metadata
            for key, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
            if hasattr(m, key)
        )
        aliases = dict.fromkeys(alias for found in others for alias in found.get(name, ()))
        also = ", ".join(f"`{alias}`" for alias in aliases)
        rows.append([f"`{name}`", also, f"`{info.get_default()!r}`", limits, info.description or ""])
    return table(["parameter", "also called", "default", "limits", "meaning"], rows)


def commands_page() -> str:
    """Write the help texts of the command line."""
    names = [""] + [command.name or "" for command in app.registered_commands]
    parts = ["# Commands"]
    for name in names:
        shown = CliRunner().invoke(app, [*name.split(), "--help"], env={"COLUMNS": "100", "NO_COLOR": "1"})
        text = "\n".join(line.rstrip() for line in shown.output.splitlines() if line.strip())
        parts += [f"## tracecube {name}".rstrip(), f"```text\n{text}\n```"]
    return "\n\n".join(parts)


def api_page(name: str) -> str:
    """List the public functions of a package."""
    package = importlib.import_module(f"tracecube.{name}")
    found = [module.__name__ for module in modules(package)]
    return "\n\n".join([f"# {name}", package.__doc__ or "", *(f"::: {module}" for module in found)])
