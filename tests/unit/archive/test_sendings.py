"""What left the machine: noted before and after, once a content."""

from __future__ import annotations

from dataclasses import replace

import pytest
import sqlalchemy as sa

from tracecube.archive import tables
from tracecube.archive.sendings import (
    UploadRecord,
    begin_notice,
    begin_upload,
    end_notice,
    end_upload,
    notices,
    upload_of,
    uploads,
)

SPECTRUM = UploadRecord(
    server="https://s", kind="spectrum", content="c" * 64, product="p" * 64, object="ZTF1", raw="ifu1",
    night="2020-01-01", name="spec.txt",
)  # fmt: skip


def test_an_upload_that_was_begun_is_known_before_it_ends(ledger):
    number = begin_upload(ledger, SPECTRUM)
    found = upload_of(ledger, "https://s", "spectrum", "c" * 64)
    assert found is not None
    assert (found.id, found.state, found.finished, found.attempts) == (number, "sending", None, 1)
    end_upload(ledger, number, "sent", remote="7", url="https://s/source/ZTF1")
    [found] = uploads(ledger, night="2020-01-01")
    assert (found.state, found.remote, found.url) == ("sent", "7", "https://s/source/ZTF1")
    assert found.finished is not None
    assert uploads(ledger, night="2020-01-02") == []


def test_the_same_content_is_one_row_however_often_it_is_tried(ledger):
    first = begin_upload(ledger, SPECTRUM)
    end_upload(ledger, first, "failed", remark="no answer")
    assert begin_upload(ledger, replace(SPECTRUM, product="q" * 64)) == first
    [found] = uploads(ledger)
    assert (found.state, found.attempts, found.remark, found.product) == ("sending", 2, None, "q" * 64)


@pytest.mark.parametrize("other", [{"server": "https://t"}, {"kind": "annotation"}, {"content": "d" * 64}])
def test_another_server_kind_or_content_is_another_upload(ledger, other):
    assert begin_upload(ledger, SPECTRUM) != begin_upload(ledger, replace(SPECTRUM, **other))
    assert upload_of(ledger, "https://u", "spectrum", "c" * 64) is None


def test_the_database_itself_refuses_a_second_row(ledger):
    begin_upload(ledger, SPECTRUM)
    row = {**vars(SPECTRUM), "started": "now"}
    del row["id"]
    with pytest.raises(sa.exc.IntegrityError), ledger.engine.begin() as connection:
        connection.execute(sa.insert(tables.upload).values(**row))


def test_mails_of_a_night_are_kept_in_order(ledger):
    first = begin_notice(ledger, "2020-01-01", "<a@b>", ["x@y"])
    assert notices(ledger, "2020-01-01")[0].state == "sending"
    end_notice(ledger, first, "failed", "no connection")
    end_notice(ledger, begin_notice(ledger, "2020-01-01", "<c@b>", ["x@y", "z@y"]), "sent")
    begin_notice(ledger, "2020-01-02", "<d@b>", [])
    found = notices(ledger, "2020-01-01")
    assert [(one.state, one.message, one.recipients) for one in found] == [
        ("failed", "<a@b>", ("x@y",)),
        ("sent", "<c@b>", ("x@y", "z@y")),
    ]


def test_a_ledger_without_the_tables_has_sent_nothing(ledger):
    with ledger.engine.begin() as connection:
        tables.upload.drop(connection)
        tables.notice.drop(connection)
    assert uploads(ledger) == []
    assert notices(ledger, "2020-01-01") == []
