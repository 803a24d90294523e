"""Whether a workflow closes: every argument bound, every tag made by something, every target known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

from tracecube.core.errors import BadData
from tracecube.core.instrument import Instrument
from tracecube.core.workflow import Task, Workflow
from tracecube.workflow.plan import ordered_tasks
from tracecube.workflow.settings import params_of

__all__ = ["faults"]


def faults(instrument: Instrument) -> list[str]:
    """Return what is wrong with an instrument's workflow, in sentences; empty when all is well."""
    workflow = instrument.workflow
    made = {tag for task in workflow.tasks for tag in task.output_tags().values()}
    known = made | set(instrument.raw_tags)
    several = {task.output_tags()[out.name] for task in workflow.tasks for out in task.recipe.outputs if out.many}
    names = [task.name for task in workflow.tasks]
    found = [f"two tasks are called {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    found += [f"{tag} is a raw tag and a product tag" for tag in sorted(made & set(instrument.raw_tags))]
    targets = {target for task in workflow.tasks for target in (task.name, *task.targets)}
    found += _faults_of_parts(workflow, made | targets)
    if workflow.default_target not in targets:
        found.append(f"default target {workflow.default_target} is that of no task")
    for task in workflow.tasks:
        found += _faults_of_task(task, known, {window.name for window in workflow.windows})
        found += _faults_of_options(task, {option.name: option.values for option in workflow.options})
    for task in workflow.tasks:
        taken = several.intersection(task.main.tags, *(rule.tags for rule in task.associations))
        found += [f"{task.name}: {tag} is made several at a time, and cannot be an input" for tag in sorted(taken)]
    try:
        ordered_tasks(workflow)
    except BadData as error:
        found.append(error.what)
    return found


def _faults_of_parts(workflow: Workflow, others: set[str]) -> Iterator[str]:
    """Yield what is wrong with the sub-workflows; ``others`` are the targets that are none."""
    used = {task.subworkflow for task in workflow.tasks if task.subworkflow}
    for name in sorted(used - set(workflow.subworkflows)):
        yield f"sub-workflow {name} is not declared"
    for name in sorted(set(workflow.subworkflows) - used):
        yield f"sub-workflow {name} has no task"
    for name in sorted(set(workflow.subworkflows) & others):
        yield f"{name} is a sub-workflow and another target"


def _faults_of_task(task: Task, known: set[str], windows: set[str]) -> Iterator[str]:
    """Yield what is wrong with one task."""
    arguments = {argument.name: argument for argument in task.recipe.inputs}
    bound = [task.main.argument, *(rule.argument for rule in task.associations)]
    for name in dict.fromkeys(bound):
        if name not in arguments:
            yield f"{task.name}: recipe {task.recipe.name} has no argument {name}"
    pairs = combinations(task.associations, 2)
    twice = {one.argument for one, other in pairs if one.argument == other.argument and not one.excludes(other)}
    for name in sorted(twice | {rule.argument for rule in task.associations if rule.argument == task.main.argument}):
        yield f"{task.name}: argument {name} is bound twice"
    for name, argument in arguments.items():
        if name not in bound and not argument.optional:
            yield f"{task.name}: argument {name} is bound to nothing"
    for rule in task.associations:
        taken = arguments.get(rule.argument)
        if taken is None:
            continue
        if rule.minimum == 0 and not (taken.optional or taken.many):
            yield f"{task.name}: {rule.argument} may be missing, but the recipe does not take None"
        if rule.maximum != 1 and not taken.many:
            yield f"{task.name}: {rule.argument} may be several, but the recipe takes one"
        if not rule.ladder:
            yield f"{task.name}: {rule.argument} has no rung to match on"
        for rung in rule.ladder:
            if rung.window and rung.window not in windows:
                yield f"{task.name}: {rule.argument} names a window {rung.window} that is not declared"
            for tag in sorted(set(rung.tags) - set(rule.tags)):
                yield f"{task.name}: {rule.argument} has a rung for {tag}, which is none of its tags"
    for tag in (*task.main.tags, *task.main.require, *(tag for rule in task.associations for tag in rule.tags)):
        if tag not in known:
            yield f"{task.name}: nothing makes {tag}"
    if task.main.group_by is not None and task.main.argument in arguments and not arguments[task.main.argument].many:
        yield f"{task.name}: {task.main.argument} is a group, but the recipe takes one"
    for name in task.tags:
        if name not in {output.name for output in task.recipe.outputs}:
            yield f"{task.name}: recipe {task.recipe.name} has no output {name}"
    try:
        params_of(task, {})
    except BadData as error:
        yield error.what


def _faults_of_options(task: Task, options: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Yield what is wrong with the choices that a task's rules depend on."""
    needed = {argument.name for argument in task.recipe.inputs if not argument.optional}
    for rule in task.associations:
        for name, values in rule.when.items():
            for value in sorted(set(values) - set(options.get(name, ()))):
                yield f"{task.name}: {rule.argument} depends on {name}={value}, which is not declared"
    for argument in sorted(needed & {rule.argument for rule in task.associations}):
        rules = [rule for rule in task.associations if rule.argument == argument]
        for name, values in options.items():
            covered = set().union(*(rule.when.get(name, values) for rule in rules))
            for value in sorted(set(values) - covered):
                yield f"{task.name}: argument {argument} is bound to nothing with {name}={value}"
