"""Run the migrations on the connection that `tracecube.archive.migrate` hands over."""

from __future__ import annotations

from alembic import context

from tracecube.archive.tables import metadata

settings = getattr(context, "config", None)  # None when this file is only imported

if settings is not None:
    context.configure(connection=settings.attributes["connection"], target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
