"""The association language: tasks, match rules with levels, workflows. Declarations only.

A workflow is data: which recipe runs on which tags, how raw frames group into one job, and which
calibrations go with them. Every association is an ordered ladder of rules; the level of the rung
that matched is kept and shown, so the quality of an association is a number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from tracecube.core.fields import Scalar
from tracecube.core.recipe import Recipe

__all__ = ["Association", "Fields", "Instead", "Main", "Match", "Namesake", "Option", "Task", "Window", "Workflow"]


@dataclass(frozen=True)
class Match:
    """One rung of the ladder.

    Parameters
    ----------
    level : int
        0 as the calibration plan wants it, 1 good for science, 2 probably fine, 3 a risk.
    same : tuple of str
        Setup keys that must be equal on both sides ("night" counts as one, and so does "raw": the
        name of the raw file that a product descends from).
    days : (float, float)
        Candidate time minus main-input time must lie in this closed interval, in days.
    during : bool
        The candidate's start must lie within the exposure of the main input.
    window : str
        Name of the `Window` of the workflow that takes the place of ``days``.
    tags : tuple of str
        Which tags of the association may stand here; all when empty.
    """

    level: int
    same: tuple[str, ...] = ()
    days: tuple[float, float] = (-1e9, 1e9)
    during: bool = False
    window: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Window:
    """How far in time, earlier or later, a calibration may lie from what it serves; users may set it.

    Parameters
    ----------
    name : str
    days : float
        Without a user's word.
    text : str
        What it is for, in one line.
    """

    name: str
    days: float
    text: str


@dataclass(frozen=True)
class Option:
    """A choice between ways through the workflow, which users may make.

    Parameters
    ----------
    name : str
    values : tuple of str
        The first is taken without a user's word.
    text : str
        What it decides, in one line.
    free : bool
        Other values will do as well.
    keys : mapping of str to str
        Value -> setup key that stands where groups and rungs name the option.
    sets : mapping of str to str
        Task -> its parameter that takes the value, unless that is empty.
    """

    name: str
    values: tuple[str, ...]
    text: str
    free: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    sets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Fields:
    """Which exposures see one field of the sky: each lies close to another of them.

    Raw files get the setup key ``field``, a number from 1 in order of time, by their setup keys ``ra`` and ``dec``
    (degree).

    Parameters
    ----------
    option : str
        Name of the `Option` that tells the largest distance of neighbours' centres, arcsec.
    where : mapping of str to tuple
        Setup values that a raw file must have.
    apart : float, arcsec
        Its value; the user's word when a plan is made.
    """

    option: str
    where: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    apart: float = 0.0


@dataclass(frozen=True)
class Main:
    """The input that triggers a task: one job a group.

    Parameters
    ----------
    argument : str
        Name of the recipe's argument.
    tags : tuple of str
        Raw or product tags.
    group_by : tuple of str or None
        Setup keys whose equal values make a group; None makes one job of each file.
    minimum : int
        Smallest group worth running.
    where : mapping of str to tuple
        Setup values that a file must have to count.
    require : tuple of str
        Tags of which the group needs at least one file each.
    pass_small : bool
        A group below the minimum is nothing to run on; otherwise it lacks files.
    alone_with : tuple of str
        Raw tags; where a file of one of them is there, a group of one is worth running.
    """

    argument: str
    tags: tuple[str, ...]
    group_by: tuple[str, ...] | None = None
    minimum: int = 1
    where: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    pass_small: bool = False
    alone_with: tuple[str, ...] = ()


@dataclass(frozen=True)
class Instead:
    """What takes the place of what a rule finds, by another way to the same thing.

    Parameters
    ----------
    tags : tuple of str
        Of these tags.
    match : Match
        What it must agree in, and the level of the choice.
    key : str
        Where a rule takes many: each takes the place of those with its value of this setup key.
    """

    tags: tuple[str, ...]
    match: Match
    key: str = ""


@dataclass(frozen=True)
class Association:
    """A calibration, catalogue or neighbour that goes with the main input.

    Parameters
    ----------
    argument : str
    tags : tuple of str
    ladder : tuple of Match
        Tried in order; the closest candidate in time on the first rung that has enough is taken.
        Ties end in the content hash, so the result never depends on the order of files.
    minimum : int
        0 makes it optional.
    maximum : int or None
        None takes all that match the rung.
    where : mapping of str to tuple
    hint : str
        What to look for when it is missing.
    when : mapping of str to tuple of str
        `Option` of the workflow -> values with which this rule counts.
    instead : Instead or None
        What goes before all that the ladder finds; its tags are among ``tags``.
    """

    argument: str
    tags: tuple[str, ...]
    ladder: tuple[Match, ...]
    minimum: int = 1
    maximum: int | None = 1
    where: Mapping[str, tuple[Scalar, ...]] = field(default_factory=dict)
    hint: str = ""
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    instead: Instead | None = None

    def excludes(self, other: Association) -> bool:
        """Whether no choice of options lets both rules count."""
        return any(not set(values) & set(other.when.get(name, values)) for name, values in self.when.items())


@dataclass(frozen=True)
class Namesake:
    """An observatory's recipe of the same purpose as a task: how its users call the parameters.

    Parameters
    ----------
    prefix : str
        Stands before its parameters' names; ``prefix.alias`` is then a parameter's name too.
    without : mapping of str to str
        Its parameters that have no counterpart (``*`` stands for any letters) -> why, and what to set instead.
    elsewhere : mapping of str to str
        Its parameters that are those of another task -> that task, which gets what is set here.
    quality : tuple of str
        Quality numbers that it has too (``*`` as above); products carry them under its header names besides.
    quality_prefix : str
        Stands before their names in headers.
    """

    prefix: str
    without: Mapping[str, str] = field(default_factory=dict)
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    quality: tuple[str, ...] = ()
    quality_prefix: str = ""


@dataclass(frozen=True)
class Task:
    """A recipe placed in a workflow.

    Parameters
    ----------
    name : str
    recipe : Recipe
    main : Main
    associations : tuple of Association
    targets : tuple of str
        Named groups of end tasks this one belongs to ("science", "calibration").
    subworkflow : str
        Part of the workflow it stands in, one of `Workflow.subworkflows`; empty for none.
    params : mapping
        The workflow's own settings for the recipe, over the recipe's defaults.
    tags : mapping of str to str
        Output name -> tag where the tag is not the output's name in upper case.
    text : str
        What it is for, in one line.
    namesake : Namesake or None
        What an observatory calls its parameters.
    """

    name: str
    recipe: Recipe
    main: Main
    associations: tuple[Association, ...] = ()
    targets: tuple[str, ...] = ()
    subworkflow: str = ""
    params: Mapping[str, Scalar] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    namesake: Namesake | None = None

    def parameter_names(self) -> dict[str, str]:
        """Return every name by which a parameter may be called -> its field."""
        fields = self.recipe.params.model_fields
        aliases = {info.alias: name for name, info in fields.items() if info.alias}
        theirs = {}
        if self.namesake is not None:
            start = f"{self.namesake.prefix}."
            theirs = {alias if alias.startswith(start) else start + alias: name for alias, name in aliases.items()}
        return {name: name for name in fields} | aliases | theirs

    def aliases(self) -> dict[str, tuple[str, ...]]:
        """Return field -> every other name by which its parameter may be called."""
        found: dict[str, tuple[str, ...]] = {}
        for name, field_name in self.parameter_names().items():
            if name != field_name:
                found[field_name] = (*found.get(field_name, ()), name)
        return found

    def output_tags(self) -> dict[str, str]:
        """Return output name -> product tag."""
        return {out.name: self.tags.get(out.name, out.name.upper()) for out in self.recipe.outputs}

    def output_suffixes(self) -> dict[str, str]:
        """Return output name -> how the name of its file ends."""
        return {out.name: out.suffix for out in self.recipe.outputs}


@dataclass(frozen=True)
class Workflow:
    """The tasks of an instrument; their order follows from the tags.

    Parameters
    ----------
    tasks : tuple of Task
    default_target : str
        What `reduce` makes when nothing is asked for.
    subworkflows : mapping of str to str
        Parts of the workflow -> what each is for, in one line. A part is a target: all of its tasks.
    windows : tuple of Window
        Which of its intervals of time users may set.
    options : tuple of Option
        Which of its ways users may choose.
    fields : tuple of Fields
        Which exposures see one field.
    """

    tasks: tuple[Task, ...]
    default_target: str = "science"
    subworkflows: Mapping[str, str] = field(default_factory=dict)
    windows: tuple[Window, ...] = ()
    options: tuple[Option, ...] = ()
    fields: tuple[Fields, ...] = ()

    def targets(self) -> dict[str, tuple[str, ...]]:
        """Return target -> names of its end tasks: every task, named group, sub-workflow and product tag is one."""
        found: dict[str, tuple[str, ...]] = {}
        for task in self.tasks:
            part = (task.subworkflow,) if task.subworkflow else ()
            for target in (task.name, *task.targets, *part, *task.output_tags().values()):
                found[target] = (*found.get(target, ()), task.name)
        return found

    def parts(self) -> dict[str, tuple[Task, ...]]:
        """Return sub-workflow -> its tasks, in order; those of none under the empty name, last."""
        names = (*self.subworkflows, "")
        found = {name: tuple(task for task in self.tasks if task.subworkflow == name) for name in names}
        return {name: tasks for name, tasks in found.items() if tasks}
