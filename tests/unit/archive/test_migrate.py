"""Migrations: they make the tables that the code expects, once, and refuse what is newer."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from tracecube.archive import migrate, tables
from tracecube.archive.ledger import Ledger
from tracecube.archive.queries import last_run
from tracecube.core.errors import BadData


@pytest.fixture
def connection():
    engine = sa.create_engine("sqlite://")
    with engine.begin() as opened:
        yield opened
    engine.dispose()


def test_migrations_make_the_tables_of_the_code(connection):
    migrate.upgrade(connection)
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    differences = [change for change in compare_metadata(context, tables.metadata) if "modify_type" not in str(change)]
    assert differences == []


def test_the_layout_is_that_of_the_newest_migration(connection):
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    assert ScriptDirectory.from_config(config).get_current_head() == migrate.LAYOUT
    assert migrate.layout_of(connection) is None
    migrate.upgrade(connection)
    assert migrate.layout_of(connection) == migrate.LAYOUT


def test_migrating_twice_does_nothing(connection):
    migrate.upgrade(connection)
    connection.execute(sa.text("INSERT INTO run VALUES (1, 'f', 'x', '[]', '{}', '{}', 'h', 's', NULL)"))
    migrate.upgrade(connection)
    assert connection.execute(sa.text("SELECT count(*) FROM run")).scalar() == 1


def test_a_migration_cut_short_leaves_nothing(tmp_path, monkeypatch):
    from alembic import op

    made = []

    def killed(name: str, *_args: object, **_more: object) -> None:
        made.append(name)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", killed)  # the first comes after a table was made
        with pytest.raises(KeyboardInterrupt):
            Ledger.open(tmp_path / "out", create=True)
    assert made
    with Ledger.open(tmp_path / "out") as ledger:
        assert last_run(ledger) is None


def test_migrations_can_be_taken_back(connection):
    from alembic import command

    migrate.upgrade(connection)
    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.attributes["connection"] = connection
    command.downgrade(config, "base")
    assert sa.inspect(connection).get_table_names() == ["alembic_version"]


def test_inputs_of_an_older_ledger_are_of_no_extension(connection):
    from alembic import command

    config = Config()
    config.set_main_option("script_location", str(migrate._FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "0002")
    columns = [column["name"] for column in sa.inspect(connection).get_columns("job_input")]
    assert "extension" not in columns
    connection.execute(sa.text("INSERT INTO run VALUES (1, 'f', 'x', '[]', '{}', '{}', 'h', 's', NULL)"))
    before = connection.execute(sa.text("SELECT * FROM run")).all()
    migrate.upgrade(connection)
    assert migrate.layout_of(connection) == migrate.LAYOUT
    (added,) = [one for one in sa.inspect(connection).get_columns("job_input") if one["name"] == "extension"]
    assert added["nullable"]
    assert connection.execute(sa.text("SELECT * FROM run")).all() == before
    command.downgrade(config, "0002")
    assert [column["name"] for column in sa.inspect(connection).get_columns("job_input")] == columns


def test_a_ledger_of_a_newer_version_is_refused(connection):
    migrate.upgrade(connection)
    connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadData, match="ledger of layout 9999"):
        migrate.upgrade(connection)
