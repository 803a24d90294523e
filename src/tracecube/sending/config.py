"""Settings of what leaves the machine: where to, as whom, and with which secret.

One TOML file, ``~/.config/tracecube/config.toml`` or what ``TRACECUBE_CONFIG`` names. A secret in it asks for a file
that nobody else can read; the environment may hold the secrets instead.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from email.utils import getaddresses
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from tracecube.core.errors import BadData, MissingInput

__all__ = [
    "CONFIG",
    "PASSWORD",
    "TOKEN",
    "WEBHOOK",
    "Configuration",
    "SkyPortalSettings",
    "SlackSettings",
    "SmtpSettings",
    "is_address",
    "load",
    "survey_of",
]

CONFIG, TOKEN, PASSWORD = "TRACECUBE_CONFIG", "TRACECUBE_SKYPORTAL_TOKEN", "TRACECUBE_SMTP_PASSWORD"
WEBHOOK = "TRACECUBE_SLACK_WEBHOOK"
"""Environment variables: the file, and the secrets that stand over those of the file."""

_SECRETS = (("skyportal", "token", TOKEN), ("smtp", "password", PASSWORD), ("slack", "webhook", WEBHOOK))
_OTHERS = 0o077  # bits of a file's mode that let others in
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_FIRST, _LAST = 1, 65535
_HALVES = 2  # of an address

Seconds = Annotated[float, Field(gt=0.0, le=600.0)]
Attempts = Annotated[int, Field(ge=1, le=20)]


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SmtpSettings(_Section):
    """The server that takes mail.

    Parameters
    ----------
    host : str
    security : {"starttls", "tls", "none"}
        None: only to this machine itself when there is a password.
    port : int
        Usually left out: 587, 465 or 25 by ``security``.
    user, password
        Left out where the server asks for none.
    sender : str
        Card From; ``from`` in the file.
    to : tuple of str
        Who gets the summary.
    ca_file : path
        Certificates to trust in place of the system's.
    timeout : float, second
    attempts : int
        While the server cannot be reached or asks to come again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    host: str
    security: Literal["starttls", "tls", "none"] = "starttls"
    port: int | None = Field(default=None, ge=_FIRST, le=_LAST)
    user: str | None = None
    password: SecretStr | None = None
    sender: str = Field(alias="from")
    to: tuple[str, ...] = ()
    ca_file: Path | None = None
    timeout: Seconds = 30.0
    attempts: Attempts = 3

    @field_validator("sender", "to")
    @classmethod
    def _addresses_are_some(cls, value: str | tuple[str, ...]) -> str | tuple[str, ...]:
        wrong = [one for one in ([value] if isinstance(value, str) else value) if not is_address(one)]
        if wrong:
            raise ValueError(f"no address: {', '.join(map(repr, wrong))}")
        return value

    @model_validator(mode="after")
    def _secret_is_safe(self) -> Self:
        if self.password is not None and self.security == "none" and self.host not in _LOOPBACK:
            raise ValueError('a password would travel in the clear: set security = "starttls" or "tls"')
        return self

    @property
    def at_port(self) -> int:
        """The port, that of the kind of security where none is given."""
        return self.port or _PORTS[self.security]


class SkyPortalSettings(_Section):
    """A SkyPortal server such as Fritz.

    Parameters
    ----------
    url : str
        Address; https, but for this machine itself.
    token : str
        Of a user or bot who may upload data and annotate.
    instrument_id : int
        Number of the instrument on this server, where it is not a known one.
    group_ids : tuple of int
        Groups that see what is sent.
    programs : mapping of str to tuple of int
        Further groups that see what was observed for a program, by the program's name.
    followup_requests : mapping of str to int
        Number of the request that an object was observed for.
    timeout : float, second
    attempts : int
        While the server cannot be reached, fails or asks to come again.
    """

    url: str
    token: SecretStr | None = None
    instrument_id: int | None = Field(default=None, ge=1)
    group_ids: tuple[int, ...] = ()
    programs: Mapping[str, tuple[int, ...]] = Field(default_factory=dict)
    followup_requests: Mapping[str, int] = Field(default_factory=dict)
    timeout: Seconds = 60.0
    attempts: Attempts = 5

    @field_validator("token")
    @classmethod
    def _printable(cls, token: SecretStr | None) -> SecretStr | None:
        """What goes into a header: a line break in it would be told, with the token, by who refuses it."""
        if token is None:
            return None
        plain = token.get_secret_value().strip()
        if not plain or not (plain.isascii() and plain.isprintable()):
            raise ValueError("no token: printable ASCII is needed")
        return SecretStr(plain)

    @field_validator("url")
    @classmethod
    def _address_is_safe(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query or parts.username:
            raise ValueError("an address such as https://fritz.science is needed")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("a token would travel in the clear: use https")
        return value.rstrip("/")

    @property
    def hostname(self) -> str:
        """Name of the server."""
        return urlsplit(self.url).hostname or ""


class SlackSettings(_Section):
    """A channel of Slack, or of what takes the same messages (Mattermost), by its incoming webhook.

    Parameters
    ----------
    webhook : str
        Address that the server gave for the channel; who knows it can write there, so it is a secret.
    pages : str, optional
        Address under which others see the folder ``report``: for links to pages and pictures.
    timeout : float, second
    attempts : int
        While the server cannot be reached or asks to come again.
    """

    webhook: SecretStr | None = None
    pages: str | None = None
    timeout: Seconds = 30.0
    attempts: Attempts = 3

    @field_validator("webhook")
    @classmethod
    def _goes_one_way(cls, webhook: SecretStr | None) -> SecretStr | None:
        if webhook is None:
            return None
        plain = webhook.get_secret_value().strip()
        parts = urlsplit(plain)
        clean = plain.isascii() and plain.isprintable() and not any(one.isspace() for one in plain)
        if parts.scheme not in {"http", "https"} or not clean or not _can_be_called(parts):
            raise ValueError("an address such as https://hooks.slack.com/services/... is needed")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise ValueError("the address of a channel would travel in the clear: use https")
        return SecretStr(plain)

    @field_validator("pages")
    @classmethod
    def _pages_are_somewhere(cls, value: str | None) -> str | None:
        if value is not None and urlsplit(value).scheme not in {"http", "https"}:
            raise ValueError("an address such as https://observatory.example.org/redux/report is needed")
        return None if value is None else value.rstrip("/")


def _can_be_called(parts: SplitResult) -> bool:
    """Whether host and port are such that a connection can be tried; the standard library finds out but then."""
    try:
        return bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:  # no number, or a name with an empty or too long part
        return False


def is_address(text: str) -> bool:
    r"""Whether a text is one mail address, with or without a name.

    Examples
    --------
    >>> [is_address(text) for text in ("a@b.org", "A B <a@b.org>", "a", "a@b.org, c@d.org", "a@b.org\nBcc: c@d.org")]
    [True, True, False, False, False]
    """
    found = getaddresses([text])
    at = [part for part in found[0][1].split("@") if part] if len(found) == 1 else []
    return len(at) == _HALVES and text.isprintable() and text.isascii()


class Configuration(_Section):
    """All sections of the file; None where one is not there."""

    smtp: SmtpSettings | None = None
    skyportal: SkyPortalSettings | None = None
    slack: SlackSettings | None = None
    file: Path = Field(default=Path(), exclude=True)

    def for_mail(self) -> SmtpSettings:
        """Return the section that mail needs.

        Raises
        ------
        MissingInput
            It is not there.
        """
        if self.smtp is None:
            hint = 'add [smtp] with host = "...", from = "...", to = ["..."]'
            raise MissingInput(f"{self.file}: no section [smtp], so mail cannot be sent", hint=hint)
        return self.smtp

    def for_survey(self) -> SkyPortalSettings:
        """Return the section that uploads need.

        Raises
        ------
        MissingInput
            It is not there.
        """
        if self.skyportal is None:
            hint = 'add [skyportal] with url = "https://..."'
            raise MissingInput(f"{self.file}: no section [skyportal], so there is no server to send to", hint=hint)
        return self.skyportal


def load(environment: Mapping[str, str], home: Path) -> Configuration:
    """Read the settings.

    Parameters
    ----------
    environment : mapping
        Environment variables.
    home : Path
        Home of the user.

    Raises
    ------
    MissingInput
        The file that the environment names is not there.
    BadData
        It is no TOML, has unknown or wrong entries, or a secret that others can read.
    """
    named = environment.get(CONFIG)
    path = Path(named).expanduser() if named else home / ".config" / "tracecube" / "config.toml"
    if named and not path.is_file():
        raise MissingInput(f"{path}: no such file ({CONFIG} names it)", hint=f"make it, or unset {CONFIG}")
    content = _read(path) if path.is_file() else {}
    for section, entry, variable in _SECRETS:
        given = environment.get(variable)
        if given and isinstance(content.get(section), dict):
            content[section][entry] = given
    try:
        return Configuration.model_validate({**content, "file": path})
    except ValidationError as error:
        said = "; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        raise BadData(f"{path}: {said}", hint="correct these entries") from None


def survey_of(environment: Mapping[str, str], home: Path) -> str | None:
    """Return the address of the survey's server, None where none is configured, or the settings cannot be read."""
    try:
        settings = load(environment, home).skyportal
    except (BadData, MissingInput):
        return None
    return settings.url if settings else None


def _read(path: Path) -> dict[str, Any]:
    """Read the file, and see to it that its secrets are secret."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = tomllib.load(file)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise BadData(f"{path}: not TOML ({error})", hint="correct it there") from error
    except OSError as error:
        raise BadData(f"{path}: cannot be read ({error.strerror})", hint="correct its rights") from error
    secret = any(isinstance(content.get(one), dict) and entry in content[one] for one, entry, _ in _SECRETS)
    if secret and mode & _OTHERS:
        raise BadData(f"{path}: others can read the secrets in it", hint=f"chmod 600 {path}")
    return content
