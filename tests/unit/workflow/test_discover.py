"""Instruments are found by themselves: our own sub-packages, and those that announce themselves."""

from __future__ import annotations

import sys

import pytest

from tracecube.core.errors import BadData
from tracecube.workflow.discover import discover, load, references


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that announces an instrument."""

    def install(name: str, code: str, reference: str | None = None):
        (tmp_path / f"{name}.py").write_text(code)
        info = tmp_path / f"{name}-1.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n")
        (info / "entry_points.txt").write_text(f"[tracecube.instruments]\nx = {reference or f'{name}:instrument'}\n")
        monkeypatch.syspath_prepend(str(tmp_path))
        monkeypatch.delitem(sys.modules, name, raising=False)

    yield install
    load.cache_clear()


CODE = """
from tracecube.core.instrument import Instrument
from tracecube.core.workflow import Workflow
instrument = Instrument("{name}", "t", lambda n, h: False, lambda n, h: None, {{}}, Workflow(()))
number = 3
"""


def test_our_own_are_found():
    found = discover()
    assert found
    for name, one in found.items():
        assert one.instrument.name == name
        assert load(one.reference) is one.instrument


def test_another_package_announces_its_own(package):
    package("spectro_one", CODE.format(name="one"))
    assert discover()["one"].reference == "spectro_one:instrument"


def test_references_import_nothing(package):
    package("spectro_two", CODE.format(name="two"))
    assert "spectro_two:instrument" in references()
    assert "spectro_two" not in sys.modules


def test_what_cannot_be_loaded_is_named(package):
    package("spectro_three", "import no_such_module_at_all")
    with pytest.raises(BadData, match=r"instrument spectro_three:instrument cannot be loaded \(No module named"):
        discover()


def test_what_is_no_instrument_is_named(package):
    package("spectro_four", CODE.format(name="four"), "spectro_four:number")
    with pytest.raises(BadData, match="spectro_four:number is a int, not an Instrument"):
        discover()


def test_two_of_one_name_are_refused(package):
    package("spectro_five", CODE.format(name="same"))
    package("spectro_six", CODE.format(name="same"))
    with pytest.raises(BadData, match="two instruments are called same"):
        discover()
