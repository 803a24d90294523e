"""A run is kept with the conditions that it was asked with."""

from __future__ import annotations

import sqlalchemy as sa

from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import last_run

ABOUT = {"raw_folder": "/r", "fingerprint": "f", "targets": ["a"], "settings": {}, "software": {}, "host": "here"}


def test_conditions_are_kept_in_order_with_their_run(ledger: Ledger) -> None:
    ledger.start_run(about={**ABOUT, "conditions": ["slot=47", "column=3..5"]}, jobs=[])
    kept = last_run(ledger)
    assert kept is not None
    assert kept.conditions == ("slot=47", "column=3..5")
    ledger.start_run(about=ABOUT, jobs=[])
    kept = last_run(ledger)
    assert kept is not None
    assert kept.conditions == ()


def test_a_ledger_that_could_not_be_migrated_tells_its_runs(ledger: Ledger) -> None:
    ledger.start_run(about=ABOUT, jobs=[])
    with ledger.engine.begin() as connection:
        connection.execute(sa.text("DROP TABLE run_condition"))
    kept = last_run(ledger)
    assert kept is not None
    assert kept.targets == ("a",)
