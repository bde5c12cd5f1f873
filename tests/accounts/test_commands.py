"""`titik web user`, `token` and `audit`, as an operator types them."""

import re
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.test_router_command import TEXT
from titik_collector.accounts.hashing import is_password
from titik_collector.cli import titik
from titik_collector.config import model
from titik_collector.store import desk_accounts, desk_opening
from titik_collector.store.desk_accounts import Account

PASSWORD = "correct horse battery"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A city without a desk."""
    file = tmp_path / "titik.toml"
    file.write_text(TEXT)
    return file


def says(file: Path, *words: str, typed: str = "", status: int = 0) -> str:
    """What `titik web WORDS` prints, with what is typed at its prompts."""
    done = CliRunner().invoke(titik, ["web", *words, "--config", str(file)], input=typed)
    assert status == done.exit_code, done.output
    return done.output


def account(file: Path, name: str = "budi") -> Account:
    """As it is on the desk."""
    with desk_opening.opened(model.load(file).page_store) as db:
        found = desk_accounts.find(db, name)
    assert found is not None
    return found


def test_a_user_is_added_with_what_is_typed(file: Path) -> None:
    """Twice, unseen; the last day ends at the city's midnight."""
    words = ("--role", "operator", "--language", "id", "--until", "2027-12-31")
    output = says(file, "user", "add", "budi", *words, typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert "budi may look at http://127.0.0.1:8088/ as operator" in output
    assert PASSWORD not in output
    made, zone = account(file), model.load(file).city.timezone
    assert ("operator", "id") == (made.role, made.language)
    assert is_password(PASSWORD, made.password or "")
    assert datetime(2028, 1, 1, tzinfo=zone).timestamp() * 1000 == made.end_ms
    assert "budi  operator  id  until 2027-12-31\n" == says(file, "user", "list")


def test_a_drawn_password_is_shown_once(file: Path) -> None:
    """And is the one that opens."""
    output = says(file, "user", "add", "budi", "--generate")
    (drawn,) = re.findall(r"password, shown once: ([a-z2-9-]{23})\n", output)
    assert is_password(drawn, account(file).password or "")
    assert drawn not in says(file, "user", "list") + says(file, "audit")


def test_a_password_changes_and_is_asked_for(file: Path) -> None:
    """It never stands on the command line."""
    says(file, "user", "add", "budi", "--generate")
    before = account(file)
    says(file, "user", "password", "budi", typed=f"{PASSWORD}\n{PASSWORD}\n")
    assert before.password != account(file).password
    assert "unexpected extra argument" in says(file, "user", "password", "budi", PASSWORD, status=2)


def test_a_short_password_is_refused(file: Path) -> None:
    """And nobody is added."""
    output = says(file, "user", "add", "budi", typed="short\nshort\n", status=1)
    assert "the password has to have 10 to 200 characters" in output
    assert "" == says(file, "user", "list")


def test_role_language_and_last_day_change(file: Path) -> None:
    """What is not given stays."""
    says(file, "user", "add", "budi", "--generate", "--until", "2020-01-01")
    assert "budi  viewer  until 2020-01-01  has ended\n" == says(file, "user", "list")
    says(file, "user", "change", "budi", "--role", "operator", "--until", "never")
    assert "budi  operator\n" == says(file, "user", "list")
    says(file, "user", "change", "budi", "--language", "en")
    assert "budi  operator  en\n" == says(file, "user", "list")
    assert "write it as 2027-12-31" in says(
        file, "user", "change", "budi", "--until", "31.12.2027", status=2
    )


def test_a_user_of_a_proxy_has_no_password(file: Path) -> None:
    """Nobody logs in with an empty one."""
    says(file, "user", "add", "ina@kupang.go.id", "--by-proxy")
    assert account(file, "ina@kupang.go.id").password is None
    assert "ina@kupang.go.id  viewer  by proxy\n" == says(file, "user", "list")


def test_tokens_come_and_go(file: Path) -> None:
    """The secret is shown once."""
    output = says(file, "token", "add", "wall")
    (secret,) = re.findall(r"token, shown once: (\S{43})\n", output)
    listed = says(file, "token", "list")
    assert listed.startswith("wall  viewer  since ")
    assert secret not in listed
    says(file, "token", "revoke", "wall")
    assert "" == says(file, "token", "list")
    assert "there is no such token" in says(file, "token", "revoke", "wall", status=1)


def test_the_audit_lists_the_newest_last(file: Path) -> None:
    """Who, from where, what."""
    says(file, "user", "add", "budi", "--generate")
    says(file, "user", "remove", "budi")
    lines = says(file, "audit").splitlines()
    assert [True, True] == ["  command  " in line for line in lines]
    assert lines[0].endswith("user added  budi (viewer)")
    assert lines[1].endswith("user removed  budi")
    assert lines[1:] == says(file, "audit", "--last", "1").splitlines()


def test_the_configuration_stands_after_the_command(file: Path) -> None:
    """Else it would be that of the page, and the users another city's."""
    words = ["web", "--config", str(file), "user", "list"]
    done = CliRunner().invoke(titik, words)
    assert (2, True) == (done.exit_code, "write --config after the command" in done.output)
