"""`[[receiver]]`, `[[rota]]`, `[smtp]` and `[heartbeat]`: what they give, and what errors say."""

from datetime import UTC, datetime

import pytest

from tests.collector.test_config import LEAST, error, parse

SMTP = '[smtp]\nhost = "mail.example"\nsender = "titik@kupang.go.id"\n'
IT = '[[receiver]]\nname = "it"\ntype = "email"\nto = "it@kupang.go.id"\n'
ROTA = '[[rota]]\nname = "on-call"\nreceivers = ["it"]\nsince = 2026-11-23\n'


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_a_mail_server_has_the_usual_port_of_its_security(security: str, port: int) -> None:
    """So most files need no port."""
    one = parse(LEAST + SMTP + f'security = "{security}"')
    assert (port, "titik@kupang.go.id") == (one.smtp.real_port, one.smtp.sender)


def test_a_rota_begins_on_a_monday_of_the_city() -> None:
    """At its midnight."""
    one = parse(LEAST + SMTP + IT + ROTA)
    began = datetime.fromtimestamp(one.monday_ms(one.rota[0]) / 1000, UTC)
    assert datetime(2026, 11, 22, 16, tzinfo=UTC) == began


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (IT, "receiver[0] (it).type: is e-mail, and no mail server is named; give [smtp] host"),
        (SMTP + IT.replace("to =", "url ="), "url: is no http:// or https:// address; allowed"),
        (SMTP + '[[receiver]]\nname = "it"\ntype = "email"\n', "to: is missing; give an e-mail"),
        (SMTP + IT + 'url = "https://a.b"', "url: is of no use with email; allowed with email: to"),
        (SMTP + IT + IT, "receiver[1].name: it is there twice; give each its own name"),
        (SMTP + IT + ROTA.replace("on-call", "it"), "rota[0].name: it is there twice"),
        (SMTP + IT + ROTA.replace('"it"]', '"ti"]'), "there is no receiver ti; allowed: it"),
        (SMTP + IT + ROTA.replace('["it"]', "[]"), "receivers: has nobody; give at least one"),
        (SMTP + IT + ROTA.replace("-23", "-24"), "since: 2026-11-24 is no Monday; a week begins"),
        ('[[receiver]]\nname = "a"\ntype = "sms"', 'type: "sms" is none of them; allowed: `"em'),
        ('[[receiver]]\nname = "a"\ntype = "webhook"', "url_file: is missing; give url or url_"),
        ('[[receiver]]\nname = "a"\ntype = "apprise"', "url_file: is missing; give a path"),
        ('[smtp]\nhost = "m"', "smtp.sender: is missing; give an e-mail address"),
        (SMTP + 'user = "u"', "smtp.password_file: is missing; give user and password_file"),
        (
            SMTP + 'security = "none"\nuser = "u"\npassword_file = "p"',
            'smtp.security: "none" sends the password of smtp.user readable; give "starttls"',
        ),
        ('[smtp]\nhost = "m"\nsender = "a b@c"', "a b@c is no address of one mailbox"),
        ('[heartbeat]\nurl = "https://a.b/c"\nurl_file = "f"', "heartbeat.url_file: is given, and"),
        ('[heartbeat]\nurl = "https://u:p@a.b/c"', "has a user or password in it"),
    ],
)
def test_an_error_names_the_key_and_what_to_do(text: str, expected: str) -> None:
    """Before anything is sent."""
    assert expected in error(LEAST + text)


def test_a_mail_server_on_this_machine_needs_no_tls() -> None:
    """A relay of its own has the connection to the outside."""
    local = SMTP.replace("mail.example", "localhost")
    one = parse(LEAST + local + 'security = "none"\nuser = "u"\npassword_file = "p"')
    assert ("none", 25) == (one.smtp.security, one.smtp.real_port)
