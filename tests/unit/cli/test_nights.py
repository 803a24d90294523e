"""Which night who tries the system gets to see."""

from __future__ import annotations

from tracecube.cli.nights import simulator
from tracecube.workflow.discover import discover


def test_one_instrument_offers_its_night_to_who_tries_the_system():
    first = [found.instrument.name for found in discover().values() if found.instrument.first_night]
    assert [simulator(None).name] == first
