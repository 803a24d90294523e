"""Settings: one file, secrets that stay secret, errors that say what to correct."""

from __future__ import annotations

from pathlib import Path

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.sending.config import Configuration, load

GOOD = """
[smtp]
host = "mail.example.org"
user = "sedm"
password = "tea time"
from = "sedm@example.org"
to = ["team@example.org"]

[skyportal]
url = "https://fritz.science/"
token = "0c1d-very-secret"
group_ids = [1, 2]
followup_requests = { ZTF21abcdefg = 5 }
"""


def written(folder: Path, text: str, mode: int = 0o600) -> dict[str, str]:
    path = folder / "c.toml"
    path.write_text(text)
    path.chmod(mode)
    return {"TRACECUBE_CONFIG": str(path)}


def test_the_file_is_read_and_its_secrets_are_not_shown(tmp_path):
    found = load(written(tmp_path, GOOD), tmp_path)
    assert found.for_mail().at_port == 587
    assert found.for_mail().to == ("team@example.org",)
    assert found.for_survey().url == "https://fritz.science"
    assert found.for_survey().followup_requests == {"ZTF21abcdefg": 5}
    shown = f"{found!r} {found} {found.model_dump_json()}"
    assert "tea time" not in shown
    assert "0c1d" not in shown


def test_the_usual_place_is_in_the_home(tmp_path):
    folder = tmp_path / ".config" / "tracecube"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(GOOD)
    (folder / "config.toml").chmod(0o600)
    assert load({}, tmp_path).for_mail().host == "mail.example.org"


def test_without_a_file_there_is_nothing_and_it_is_said_what_to_add(tmp_path):
    found = load({}, tmp_path)
    assert found == Configuration(file=tmp_path / ".config/tracecube/config.toml")
    with pytest.raises(MissingInput, match=r"no section \[smtp\]"):
        found.for_mail()
    with pytest.raises(MissingInput, match=r"no section \[skyportal\]"):
        found.for_survey()
    with pytest.raises(MissingInput, match="TRACECUBE_CONFIG names it"):
        load({"TRACECUBE_CONFIG": str(tmp_path / "none")}, tmp_path)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_secret_that_others_can_read_is_refused(tmp_path, mode):
    with pytest.raises(BadData, match=r"others can read the secrets in it .try: chmod 600"):
        load(written(tmp_path, GOOD, mode), tmp_path)


def test_a_file_without_secrets_may_be_seen_by_all(tmp_path):
    text = '[skyportal]\nurl = "https://fritz.science"\n'
    environment = written(tmp_path, text, 0o644) | {"TRACECUBE_SKYPORTAL_TOKEN": "abc", "TRACECUBE_SMTP_PASSWORD": "x"}
    found = load(environment, tmp_path)
    token = found.for_survey().token
    assert token is not None
    assert token.get_secret_value() == "abc"
    assert found.smtp is None


def test_the_environment_stands_over_the_file(tmp_path):
    found = load(written(tmp_path, GOOD) | {"TRACECUBE_SMTP_PASSWORD": "coffee"}, tmp_path)
    password = found.for_mail().password
    assert password is not None
    assert password.get_secret_value() == "coffee"


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('[smtp]\nhost = "h"', "smtp.from: Field required"),
        ('[smtp]\nhost = "h"\nfrom = "f@g"\ncolour = 1', "smtp.colour: Extra inputs are not permitted"),
        ('[smtp]\nhost = "h"\nfrom = "f@g"\nsecurity = "some"', "smtp.security"),
        ('[smtp]\nhost = "h"\nfrom = "f@g"\nsecurity = "none"\npassword = "p"', "travel in the clear"),
        ('[smtp]\nhost = "h"\nfrom = "nobody"', "smtp.from: Value error, no address: 'nobody'"),
        ('[smtp]\nhost = "h"\nfrom = "a@b"\nto = ["c@d", "e"]', "smtp.to: Value error, no address: 'e'"),
        ('[skyportal]\nurl = "http://fritz.science"\ntoken = "0c1d"', "travel in the clear: use https"),
        ('[skyportal]\nurl = "fritz.science"\ntoken = "0c1d"', "an address such as"),
        ('[skyportal]\nurl = "https://a"\ninstrument_id = 0', "skyportal.instrument_id"),
        ("[skyportal", "not TOML"),
        ("[mail]", "mail: Extra inputs"),
    ],
)
def test_what_is_wrong_is_told_without_the_secrets(tmp_path, entry, said):
    with pytest.raises(BadData) as failure:
        load(written(tmp_path, entry), tmp_path)
    assert said in str(failure.value)
    assert "c.toml" in str(failure.value)
    assert "0c1d" not in str(failure.value)


def test_a_file_that_cannot_be_read_is_told(tmp_path):
    (tmp_path / "c.toml").write_bytes(b'[smtp]\nhost = "\xff"')
    with pytest.raises(BadData, match="not TOML"):
        load({"TRACECUBE_CONFIG": str(tmp_path / "c.toml")}, tmp_path)
