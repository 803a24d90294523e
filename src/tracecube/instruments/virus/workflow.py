"""The cascade of a VIRUS night: what runs on what, and which calibrations go with it."""

from __future__ import annotations

from tracecube.core.workflow import Workflow

__all__ = ["workflow"]

workflow = Workflow(tasks=(), default_target="science")
