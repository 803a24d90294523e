"""`why`, `explain`, `rerun`: where a product comes from, what a recipe does, and whether it does it again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.tree import Tree

from tracecube.archive.ancestry import Ancestor, ancestry
from tracecube.archive.ledger import LEDGER_NAME, Ledger
from tracecube.archive.queries import find_product
from tracecube.archive.records import JobRecord, ProductRecord
from tracecube.cli.show import console, examples, say, table
from tracecube.core.errors import MissingInput
from tracecube.core.instrument import Instrument
from tracecube.core.recipe import Argument, Recipe
from tracecube.core.workflow import Match, Task
from tracecube.workflow.discover import discover
from tracecube.workflow.rerun import rerun as make_again
from tracecube.workflow.settings import near

__all__ = ["register"]

ProductFile = Annotated[Path, typer.Argument(metavar="PRODUCT", help="A product file in an output folder.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command(
        "why", rich_help_panel="Products", epilog=examples("tracecube why out/2021-04-21/flux/sci1_SPECTRUM.fits")
    )(why)
    app.command(
        "explain",
        rich_help_panel="Learn and try",
        epilog=examples("tracecube explain master_bias", "tracecube explain traces"),
    )(explain)
    app.command(
        "rerun", rich_help_panel="Products", epilog=examples("tracecube rerun out/2021-04-21/flux/sci1_SPECTRUM.fits")
    )(rerun)


@contextmanager
def recorded(path: Path) -> Iterator[tuple[Ledger, ProductRecord]]:
    """Find a product's record in the ledger of the folder it lies in.

    Raises
    ------
    MissingInput
        The file lies in no output folder, or the ledger does not know it.
    """
    path = path.expanduser().resolve()
    folder = next((parent for parent in path.parents if (parent / LEDGER_NAME).is_file()), None)
    if folder is None:
        raise MissingInput(f"{path}: no {LEDGER_NAME} in a folder above it", hint="name a product in an output folder")
    with Ledger.open(folder) as ledger:
        product = find_product(ledger, path=str(path))
        if product is None:
            hint = f"tracecube products {folder}"
            raise MissingInput(f"{path}: the ledger of {folder} knows no such product", hint=hint)
        yield ledger, product


def why(product: ProductFile) -> None:
    """Print the tree of inputs, levels and parameters behind a product."""
    with recorded(product) as (ledger, made):
        job, parents = ancestry(ledger, made)
    root = Tree(f"[bold]{made.tag}[/] {escape(Path(made.path).name)} [dim]{made.sha256[:12]}[/]")
    _describe(root, job)
    for parent in parents:
        _branch(root, parent)
    if not made.current:
        root.add("[red]a later run replaced this product[/]")
    console().print(root)


def _describe(tree: Tree, job: JobRecord) -> None:
    """Hang recipe, parameters and caveats of a job under its product."""
    made = f"by {job.task} = {job.recipe} version {job.version}, {job.seconds:.1f} s, {job.started[:19]}"
    tree.add(f"[dim]{escape(made)}[/]")
    if job.params:
        tree.add("[dim]params[/] " + escape(" ".join(f"{name}={value}" for name, value in job.params.items())))
    for caveat in job.caveats:
        tree.add(f"[yellow]caveat[/] {escape(caveat)}")


def _branch(tree: Tree, node: Ancestor) -> None:
    given = node.given
    line = f"{given.role}: {given.tag} [bold]{escape(given.name)}[/] level {given.level} [dim]{given.sha256[:12]}[/]"
    if node.again:
        tree.add(f"{line} [dim](see above)[/]")
        return
    branch = tree.add(line)
    if node.job is not None:
        _describe(branch, node.job)
    for parent in node.parents:
        _branch(branch, parent)


def explain(recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe or of a task.")]) -> None:
    """Say what a recipe does, with its parameters, inputs and outputs."""
    uses = [(one.instrument, task) for one in discover().values() for task in one.instrument.workflow.tasks]
    found = [(owner, task) for owner, task in uses if recipe in {task.name, task.recipe.name}]
    if not found:
        known = {name for _, task in uses for name in (task.name, task.recipe.name)}
        raise MissingInput(f"no recipe or task is called {recipe!r}", hint=near(recipe, known))
    for one in dict.fromkeys(id(task.recipe) for _, task in found):
        told = next(task.recipe for _, task in found if id(task.recipe) == one)
        _explain_recipe(told, [task for _, task in found if task.recipe is told])
        for owner, task in found:
            if task.recipe is told:
                _explain_use(owner, task)


def _explain_recipe(recipe: Recipe, tasks: Sequence[Task]) -> None:
    say(f"{recipe.name}, version {recipe.version}", style="bold")
    say(recipe.text)
    say(f"source: {recipe.source}")
    rows = [("input", given.name, _kind(given)) for given in recipe.inputs]
    rows += [("output", made.name, _kind(made)) for made in recipe.outputs]
    table(["", "name", "is"], rows)
    fields = recipe.params.model_fields.items()
    params = [(name, _default(info), _limits(info), _aliases(name, tasks), info.description) for name, info in fields]
    if params:
        table(["parameter", "default", "limits", "also called", "meaning"], params)


def _kind(argument: Argument) -> str:
    words = f"several {argument.noun.__name__}" if argument.many else argument.noun.__name__
    return f"{words}, optional" if argument.optional else words


def _aliases(name: str, tasks: Sequence[Task]) -> str:
    """Return by which other names these tasks call a parameter."""
    return ", ".join(dict.fromkeys(alias for task in tasks for alias in task.aliases().get(name, ())))


def _default(info: Any) -> str:
    return "must be given" if info.is_required() else repr(info.get_default(call_default_factory=True))


def _limits(info: Any) -> str:
    """Return the limits of a parameter as text."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    found = [
        f"{sign} {getattr(rule, name)}" for rule in info.metadata for name, sign in signs.items() if hasattr(rule, name)
    ]
    return ", ".join(found)


def _explain_use(owner: Instrument, task: Task) -> None:
    """Say where a workflow uses the recipe."""
    say(f"in {owner.name} as task {task.name}{': ' + task.text if task.text else ''}", style="bold")
    group = (
        "one job a file" if task.main.group_by is None else f"one job a {' and '.join(task.main.group_by) or 'folder'}"
    )
    rows = [(task.main.argument, "/".join(task.main.tags), group)]
    rows += [
        (
            rule.argument,
            "/".join(rule.tags),
            "; ".join(map(_rung, rule.ladder)) + ("" if rule.minimum else "; optional"),
        )
        for rule in task.associations
    ]
    table(["input", "tags", "which"], rows)
    for name, value in task.params.items():
        say(f"here {name} = {value}")
    for name, tables in owner.presets.items():
        if task.name in tables:
            chosen = ", ".join(f"{parameter} = {value}" for parameter, value in tables[task.name].items())
            say(f"with --params {name}: {chosen}")
    if task.namesake is not None:
        start = f"{task.namesake.prefix}."
        theirs = [(name, field) for name, field in task.parameter_names().items() if name.startswith(start)]
        theirs += [(start + name, f"that of {where}") for name, where in task.namesake.elsewhere.items()]
        theirs += [(start + name, f"none: {why}") for name, why in task.namesake.without.items()]
        table(["the observatory's name", "parameter here"], theirs)


def _rung(rung: Match) -> str:
    """Return a rung of a ladder in words."""
    words = [f"same {' and '.join(rung.same)}"] if rung.same else []
    if rung.days != Match(level=0).days:
        words.append(f"{rung.days[0]:g} to {rung.days[1]:g} days")
    words += ["during the exposure"] * rung.during
    return f"level {rung.level}: {', '.join(words) or 'any'}"


def rerun(product: ProductFile) -> None:
    """Make a product again from its record, and say whether the bytes agree."""
    with recorded(product) as (ledger, made):
        compared = make_again(ledger, made, discover())
    if compared.version != compared.job.version:
        say(
            f"note: {compared.job.recipe} was version {compared.job.version}, it is {compared.version} now",
            style="yellow",
        )
    if compared.result.error is not None:
        say(f"failed: {compared.result.error}", style="red")
        raise typer.Exit(1)
    if compared.same:
        say(f"the same, byte by byte: {made.sha256} ({compared.result.seconds:.1f} s)", style="green")
        return
    data = "the data are the same, the header differs" if compared.same_data else "the data differ"
    say(f"not the same: {data}; was {made.sha256}, is {compared.sha256}", style="red")
    raise typer.Exit(1)
