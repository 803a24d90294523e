"""The laws of style that a machine can check and no linter does (docs/contributing)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "tracecube"
FILES = sorted(SOURCE.rglob("*.py"))

LONGEST_FILE = 400
LONGEST_FUNCTION = 50

LONG_FILES: dict[str, str] = {}
"""Path under src/tracecube -> reason why it may be longer."""

LONG_FUNCTIONS: dict[str, str] = {}
"""path:function -> reason why it may be longer."""

INSTRUMENTS = re.compile(r"(?<![a-z])(sedm|muse|virus|sphere|sphere_?ifs)(?![a-z])", re.IGNORECASE)
"""Words that stand in their own folder only; 'atmosphere' is none of them."""

NO_HOMES = {"utils", "common", "helper", "helpers", "misc", "manager", "tools"}
"""Names that say nothing of what is inside."""


def lines_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Length of a function without its decorators and docstring."""
    length = (function.end_lineno or 0) - function.lineno + 1
    first = function.body[0]
    documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return length - ((first.end_lineno or 0) - first.lineno + 1 if documented else 0)


def functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def name(path: Path) -> str:
    return path.relative_to(SOURCE).as_posix()


@pytest.mark.parametrize("path", FILES, ids=name)
def test_files_are_short(path: Path) -> None:
    length = len(path.read_text(encoding="utf-8").splitlines())
    assert length <= LONGEST_FILE or name(path) in LONG_FILES, f"{length} lines: split it by what it says"


@pytest.mark.parametrize("path", FILES, ids=name)
def test_functions_are_short(path: Path) -> None:
    long = {f"{name(path)}:{f.name}": lines_of(f) for f in functions(path) if lines_of(f) > LONGEST_FUNCTION}
    assert not long.keys() - LONG_FUNCTIONS.keys(), f"{long}: at most {LONGEST_FUNCTION} lines each"


def test_exceptions_are_needed_and_have_reasons() -> None:
    long_files = {name(path) for path in FILES if len(path.read_text(encoding="utf-8").splitlines()) > LONGEST_FILE}
    long = {f"{name(path)}:{f.name}" for path in FILES for f in functions(path) if lines_of(f) > LONGEST_FUNCTION}
    assert long_files == LONG_FILES.keys()
    assert long == LONG_FUNCTIONS.keys()
    assert all(len(reason) > 20 for reason in [*LONG_FILES.values(), *LONG_FUNCTIONS.values()])


def test_no_instrument_name_outside_its_folder() -> None:
    text = [p for p in SOURCE.rglob("*") if p.suffix in {".py", ".html", ".css", ".toml", ".md", ".mako", ".ini"}]
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in text
        if "instruments" not in path.relative_to(SOURCE).parts[:-1]
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if INSTRUMENTS.search(line) or INSTRUMENTS.search(path.name)
    ]
    assert not found, "\n".join(found)


def test_settings_enter_at_the_top() -> None:
    """No code below the command line reads the environment, or has a name that functions set."""
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"os\.environ(?!\.update)|getenv|^ +global ", line) and path.relative_to(SOURCE).parts[0] != "cli"
    ]
    assert not found, "\n".join(found)


def test_what_the_type_checker_is_to_ignore_has_a_reason() -> None:
    found = [
        f"{name(path)}:{number}: {line.strip()}"
        for path in FILES
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
        if re.search(r"# type: ignore(?!\[[\w-]+\]  # \w)", line)
    ]
    assert not found, "\n".join(found)


def test_every_file_says_what_is_in_it() -> None:
    assert not [name(path) for path in SOURCE.rglob("*") if path.stem.lower() in NO_HOMES]


def test_kernel_of_the_house_stays_readable() -> None:
    forward = SOURCE / "kernels" / "forward.py"
    assert len(forward.read_text(encoding="utf-8").splitlines()) <= 200
