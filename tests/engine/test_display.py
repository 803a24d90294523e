"""The page to mark target, region and spaxels on, used with mouse and keys in a real browser."""

from __future__ import annotations

import importlib
import os
import threading
from pathlib import Path

import pytest

from tests.engine.browser import Browser, chromium
from tracecube.cli.display import Choice, FieldView, ask_on_page
from tracecube.core.frame import RawFrame
from tracecube.core.spectra import Spectra
from tracecube.core.target import Target

pytestmark = pytest.mark.skipif(chromium() is None, reason="no Chromium on this machine")


@pytest.fixture(scope="module")
def spectra(_toy_on_path) -> Spectra:
    import numpy as np

    toyhand = importlib.import_module("toyhand")
    frame = RawFrame("toy_10_47_05", "SCIENCE", {"OBJECT": "SN1"}, {"": np.full((16, 24), 150.0)}, {})
    return toyhand.toy_spaxels(exposure=frame).spectra


class Session:
    """The page, and a browser that shows it."""

    def __init__(self, spectra: Spectra, folder: Path) -> None:
        target = Target("SN1", 5, "found by brightness", 1.0, 0.0, 0.1, 0.1, "auto")
        self.view = FieldView("toy_10_47_05 SN1", spectra, target, None, recoverable=True)
        self.found: Choice | None = None
        self.address = ""
        self.ready = threading.Event()
        self.thread = threading.Thread(target=self._ask)
        self.thread.start()
        assert self.ready.wait(20)
        self.browser = Browser(folder, self.address)
        self.browser.until("document.querySelectorAll('polygon.cell').length === 169")

    def _ask(self) -> None:
        def announce(address: str) -> None:
            self.address = address
            self.ready.set()

        self.found = ask_on_page(self.view, announce, wait=lambda over: over.wait(120))

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where on the screen a place (arcsec east and north) is drawn."""
        script = f"""(() => {{ const p = new DOMPoint({-x}, {-y}).matrixTransform(map.getScreenCTM());
                     return [p.x, p.y]; }})()"""
        found = self.browser.value(script)
        return found[0], found[1]

    def draw(self, *corners: tuple[float, float]) -> None:
        """Drag with the shift key held."""
        places = [self.at(*corner) for corner in corners]
        shift = {"modifiers": 8, "button": "left", "buttons": 1}
        self.browser.mouse("Pressed", *places[0], clickCount=1, **shift)
        for place in places[1:]:
            self.browser.mouse("Moved", *place, **shift)
        self.browser.mouse("Released", *places[-1], clickCount=1, **shift)

    def end(self, button: str) -> Choice | None:
        self.browser.value(f"document.getElementById('{button}').click()")
        self.browser.until("document.getElementById('ended') !== null")
        self.thread.join(30)
        return self.found


@pytest.fixture
def session(spectra, tmp_path):
    opened = Session(spectra, tmp_path / "profile")
    yield opened
    opened.browser.close()
    opened.thread.join(1)


def test_everything_is_marked_with_the_mouse(session, tmp_path):
    browser = session.browser
    assert "quality 5" in browser.value("document.getElementById('quality').textContent")
    assert "double-click on the target" in browser.value("document.getElementById('note').textContent")
    spaxel = session.view.spectra
    number = int(((spaxel.x - 1.28) ** 2 + spaxel.y**2).argmin())
    browser.click(*session.at(float(spaxel.x[number]), float(spaxel.y[number])))
    browser.until(f"document.querySelector('#graph path[data-number=\"{number}\"]') !== null")
    browser.key("x")
    session.draw((-2.0, -2.0), (3.0, -2.0), (3.0, 2.0), (-2.0, 2.0))
    assert browser.value("chosen.region.length") == 4
    browser.key("Escape")
    assert browser.value("chosen.region") is None
    session.draw((-1.5, -1.5), (2.5, -1.5), (2.5, 1.5))
    browser.click(*session.at(1.1, 0.2), times=2)
    assert browser.value("document.getElementById('note').textContent") == ""
    if os.environ.get("TRACECUBE_TEST_PICTURES"):
        browser.screenshot(Path(os.environ["TRACECUBE_TEST_PICTURES"]) / "display.png")
    found = session.end("accept")
    assert found.exclude == (number,)
    assert found.centroid == pytest.approx((1.1, 0.2), abs=0.05)
    assert [pytest.approx(corner, abs=0.05) for corner in found.region] == [(-1.5, -1.5), (2.5, -1.5), (2.5, 1.5)]


def test_a_second_press_takes_a_spaxel_back_and_reset_takes_all(session):
    browser = session.browser
    browser.click(*session.at(0.0, 0.0))
    browser.until("selected !== null")
    browser.key("x")
    browser.key("x")
    assert browser.value("chosen.exclude.length") == 0
    browser.click(*session.at(1.0, 0.0), times=2)
    browser.value("document.getElementById('reset').click()")
    assert session.end("accept") == Choice(None, None, ())


def test_aborting_gives_nothing(session):
    assert session.end("abort") is None
