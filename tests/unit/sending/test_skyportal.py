"""The survey's server: asked patiently, told everything once, and never told twice."""

from __future__ import annotations

from typing import Any

import pytest

from tracecube.core.errors import MissingInput
from tracecube.core.reporting import Annotation
from tracecube.sending.config import SkyPortalSettings
from tracecube.sending.http import Refused, Unanswered, Unauthorised
from tracecube.sending.skyportal import SkyPortal, Upload

TEXT = "# OBJECT: ZTF21abcdefg\n4000.0 2.000e-16 2.000e-17\n4025.6 3.000e-16 2.500e-17\n"
POST = "POST /api/spectrum/ascii"
LIST = "GET /api/sources/ZTF21abcdefg/spectra"


def upload(**more: Any) -> Upload:
    usual = {"object": "ZTF21abcdefg", "filename": "spec.txt", "text": TEXT, "observed_at": "2021-04-21T05:00:00.000"}
    return Upload(**{**usual, "instrument_id": 2, "columns": (0, 1, 2), "group_ids": (3, 4), **more})


class Patient:
    """A client that waits no time, and remembers how long it would have."""

    def __init__(self, settings: SkyPortalSettings) -> None:
        self.waited: list[float] = []
        self.portal = SkyPortal(settings, wait=self.waited.append)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.portal, name)


@pytest.fixture
def client(survey) -> Patient:
    return Patient(survey)


def test_a_spectrum_arrives_with_all_that_belongs_to_it(portal, client):
    done = client.put_spectrum(upload(followup_request_id=9))
    assert (done.remote, done.was_there) == ("41", False)
    assert portal.sent == [
        {
            "obj_id": "ZTF21abcdefg", "instrument_id": 2, "observed_at": "2021-04-21T05:00:00.000", "group_ids": [3, 4],
            "followup_request_id": 9, "filename": "spec.txt", "ascii": TEXT, "wave_column": 0, "flux_column": 1,
            "fluxerr_column": 2,
        }
    ]  # fmt: skip
    assert portal.spectra["ZTF21abcdefg"][0]["errors"] == [2e-17, 2.5e-17]
    assert "followup_request_id" not in upload().payload()


@pytest.mark.parametrize("keeps_text", [True, False])
def test_what_the_server_has_is_not_sent_again(portal, client, keeps_text):
    portal.keeps_text = keeps_text
    client.put_spectrum(upload())
    again = client.put_spectrum(upload())
    assert (again.remote, again.was_there) == ("41", True)
    assert portal.count(POST) == 1


def test_what_is_said_above_the_samples_makes_no_other_spectrum(portal, client):
    client.put_spectrum(upload())
    assert client.put_spectrum(upload(text=TEXT.replace("OBJECT", "CLSTYPE: Ia\n# OBJECT"))).was_there
    assert portal.count(POST) == 1


def test_another_spectrum_of_the_same_object_is_sent(portal, client):
    portal.keeps_text = False
    client.put_spectrum(upload())
    client.put_spectrum(upload(text=TEXT.replace("3.000e-16", "3.100e-16")))
    client.put_spectrum(upload(filename="other.txt"))
    assert portal.count(POST) == 3


def test_a_server_that_fails_twice_gets_it_at_the_third_try(portal, client):
    portal.faults = [500, 503]
    assert client.put_spectrum(upload()).remote == "41"
    assert client.waited == [1.0, 2.0]
    assert (portal.count(POST), len(portal.sent)) == (3, 1)


def test_what_was_taken_without_an_answer_is_found_and_not_sent_again(portal, client):
    portal.faults = ["drop"]
    done = client.put_spectrum(upload())
    assert (done.remote, done.was_there) == ("41", False)
    assert (portal.count(POST), portal.count(LIST)) == (1, 2)


def test_a_timeout_after_taking_is_found_as_well(portal, survey):
    portal.faults = ["hang"]
    done = Patient(survey.model_copy(update={"timeout": 0.3})).put_spectrum(upload())
    assert done.remote == "41"
    assert portal.count(POST) == 1


def test_a_last_attempt_that_was_taken_counts(portal, client):
    portal.faults = [500, 500, 500, "drop"]
    assert client.put_spectrum(upload()).remote == "41"
    assert portal.count(POST) == 4


def test_a_server_that_never_answers_is_given_up(portal, client):
    portal.faults = [500] * 9
    with pytest.raises(Unanswered, match="500 Internal Server Error: it broke"):
        client.put_spectrum(upload())
    assert portal.count(POST) == 4
    assert client.waited == [1.0, 2.0, 4.0]


def test_a_server_that_asks_to_wait_is_waited_for(portal, client):
    portal.faults = [429]
    client.put_spectrum(upload())
    assert client.waited == [7.0]


@pytest.mark.parametrize("status", [400, 403, 404, 302])
def test_a_refusal_is_not_argued_with(portal, client, status):
    portal.faults = [status, status]
    with pytest.raises(Refused, match=str(status)):
        client.put_spectrum(upload())
    assert portal.count(POST) == 1
    assert client.waited == []


def test_a_wrong_token_ends_it_and_is_not_told(portal, client, survey):
    portal.token = "another"
    with pytest.raises(Unauthorised) as failure:
        client.put_spectrum(upload())
    assert "401" in str(failure.value)
    assert "[token]" in str(failure.value)
    assert "0c1d" not in f"{failure.value} {failure.value!r} {survey!r} {client.server!r}"


def test_without_a_token_nothing_is_asked(portal, survey):
    with pytest.raises(MissingInput, match="no token"):
        SkyPortal(survey.model_copy(update={"token": None})).put_spectrum(upload())
    assert portal.asked == []


def test_an_object_that_the_server_does_not_know_is_refused(client):
    with pytest.raises(Refused, match=r"Invalid object ID\."):
        client.put_spectrum(upload(object="ZTFunknown"))


def test_nobody_there_is_told_after_all_attempts(survey):
    client = Patient(survey.model_copy(update={"url": "http://127.0.0.1:9"}))
    with pytest.raises(Unanswered, match=r"no answer .*refused"):
        client.put_spectrum(upload())
    assert client.waited == [1.0, 2.0, 4.0]


def test_annotations_are_set_once_and_changed_when_they_change(portal, client):
    route = "POST /api/spectra/41/annotations"
    assert client.put_annotation("41", Annotation("sedm:S2N", {"median": 5.0})).remote == "100"
    assert client.put_annotation("41", Annotation("sedm:S2N", {"median": 5.0})).was_there
    assert portal.count(route) == 1
    assert client.put_annotation("41", Annotation("sedm:S2N", {"median": 6.0})).remote == "100"
    assert portal.annotations["41"][0]["data"] == {"median": 6.0}
    assert client.put_annotation("41", Annotation("sedm:SNID", {"match": "Ia-norm"})).remote == "101"
    assert portal.count(route) == 2


def test_the_values_of_an_annotation_may_come_back_as_text(portal, client):
    portal.annotations["41"] = [{"id": 5, "origin": "sedm:S2N", "data": {"median": "5.00", "match": "Ia"}}]
    assert client.put_annotation("41", Annotation("sedm:S2N", {"median": 5.0, "match": "Ia"})).was_there


def test_an_annotation_that_was_taken_without_an_answer_is_found(portal, client):
    portal.fails, portal.faults = "POST /api/spectra/41/annotations", ["drop", 500]
    assert client.put_annotation("41", Annotation("sedm:S2N", {"median": 5.0})).remote == "100"
    assert len(portal.annotations["41"]) == 1


def test_the_page_of_an_object(client, portal):
    assert client.page("ZTF21abcdefg") == f"{portal.url}/source/ZTF21abcdefg"
