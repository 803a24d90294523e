"""Mail: it goes out or surely not, and the one case between is told apart."""

from __future__ import annotations

import email
import email.policy
from email.message import EmailMessage

import pytest

from tracecube.core.errors import BadData, MissingInput
from tracecube.sending.mail import Mailed, NotMailed, send_mail


def mail(*to: str, text: str = "a line\n.with a dot\n..and two\n") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "Sedm <sedm@here>", ", ".join(to), "Nacht für Nacht"
    message.set_content(text)
    return message


def sent(message: EmailMessage, settings) -> tuple[Mailed, list[float], int]:
    waited: list[float] = []
    begun: list[int] = []
    done = send_mail(message, settings, before=lambda: begun.append(1), wait=waited.append)
    return done, waited, len(begun)


def test_a_mail_arrives_as_it_was_written(post):
    done, waited, begun = sent(mail("A <a@there>", "b@there"), post.settings())
    assert (done.sure, done.refused, waited, begun) == (True, {}, [], 1)
    [raw] = post.mails
    arrived = email.message_from_bytes(raw, policy=email.policy.default)
    assert arrived["Subject"] == "Nacht für Nacht"
    assert arrived.get_content().replace("\r\n", "\n") == "a line\n.with a dot\n..and two\n"
    assert post.lines[1].lower().startswith("mail from:<sedm@here>")
    assert [line for line in post.lines if line.lower().startswith("rcpt")] == [
        "rcpt TO:<a@there>",
        "rcpt TO:<b@there>",
    ]


def test_what_goes_over_the_line_is_plain_ascii(post):
    sent(mail("a@there", text="Größe\n"), post.settings())
    post.mails[0].decode("ascii")
    arrived = email.message_from_bytes(post.mails[0], policy=email.policy.default)
    assert arrived.get_content().split() == ["Größe"]


def test_the_connection_is_made_safe_before_the_password_goes_over_it(post, certificate, password):
    post.certificate = certificate
    safe = post.settings(security="starttls", user="sedm", password=password, ca_file=certificate)
    assert sent(mail("a@there"), safe)[0].sure
    assert post.users == ["sedm"]
    assert post.lines.index("STARTTLS") < next(i for i, line in enumerate(post.lines) if line.startswith("AUTH"))


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(post, certificate, password):
    post.certificate = certificate
    with pytest.raises(NotMailed, match="no safe connection"):
        sent(mail("a@there"), post.settings(security="starttls", user="sedm", password=password))
    assert post.users == []


def test_a_server_that_cannot_be_made_safe_gets_no_password(post, password):
    with pytest.raises(NotMailed, match="STARTTLS extension not supported"):
        sent(mail("a@there"), post.settings(security="starttls", user="sedm", password=password))
    assert post.users == []


def test_a_wrong_password_is_told_once_and_not_shown(post):
    with pytest.raises(NotMailed) as failure:
        sent(mail("a@there"), post.settings(user="sedm", password="coffee"))
    assert "does not let sedm in (535 wrong password)" in str(failure.value)
    assert "coffee" not in str(failure.value)
    assert len(post.users) == 1


def test_a_user_without_a_password_is_told(post):
    with pytest.raises(MissingInput, match="no password for sedm"):
        sent(mail("a@there"), post.settings(user="sedm"))


def test_a_mail_for_nobody_is_told(post):
    with pytest.raises(BadData, match="for nobody"):
        sent(mail(), post.settings())


def test_one_recipient_that_is_refused_does_not_keep_it_from_the_others(post):
    post.answers["RCPT"] = ["550 no such user"]
    done, _, _ = sent(mail("a@there", "b@there"), post.settings())
    assert done.sure
    assert done.refused == {"a@there": "550 no such user"}
    assert len(post.mails) == 1


def test_without_recipients_left_it_does_not_go_out(post):
    post.answers["RCPT"] = ["550 no such user", "551 not here"]
    with pytest.raises(NotMailed, match=r"refuses all recipients .a@there: 550 no such user; b@there: 551"):
        sent(mail("a@there", "b@there"), post.settings())
    assert post.mails == []


@pytest.mark.parametrize(
    ("verb", "answer"), [("MAIL", "451 later"), ("RCPT", "450 later"), ("DATA", "421 later"), ("EHLO", "drop")]
)
def test_what_may_go_later_is_tried_again(post, verb, answer):
    post.answers[verb] = [answer]
    done, waited, begun = sent(mail("a@there"), post.settings())
    assert (done.sure, waited, begun, len(post.mails)) == (True, [2.0], 1, 1)


def test_a_text_that_the_server_will_not_have_did_not_go_out(post):
    post.answers["TEXT"] = ["554 looks like spam"]
    with pytest.raises(NotMailed, match=r"will not have the mail .554 looks like spam"):
        sent(mail("a@there"), post.settings())


def test_a_text_that_may_go_later_is_tried_again(post):
    post.answers["TEXT"] = ["451 try again"]
    done, waited, begun = sent(mail("a@there"), post.settings())
    assert (done.sure, waited, begun, len(post.mails)) == (True, [2.0], 2, 1)


def test_a_connection_that_breaks_after_the_text_is_unclear_and_not_tried_again(post):
    post.answers["TEXT"] = ["drop"]
    done, waited, _ = sent(mail("a@there"), post.settings())
    assert (done.sure, waited, len(post.mails)) == (False, [], 1)
    assert "no answer after the text" in done.remark


def test_a_server_that_keeps_silent_after_the_text_is_unclear(post):
    post.answers["TEXT"] = ["hang"]
    assert not sent(mail("a@there"), post.settings(timeout=0.3))[0].sure


def test_nobody_there_is_told(post):
    with pytest.raises(NotMailed, match="localhost:9: cannot be reached"):
        sent(mail("a@there"), post.settings(port=9))
