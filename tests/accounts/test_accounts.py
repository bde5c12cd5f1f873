"""Users, sessions and tokens over a real desk."""

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from titik_collector.accounts import forgetting, sessions, tokens, users
from titik_collector.accounts.audit import Actor
from titik_collector.accounts.hashing import (
    hash_password,
    hash_secret,
    is_password,
    new_password,
    new_secret,
)
from titik_collector.accounts.sessions import IDLE_MS, LONGEST_MS
from titik_collector.accounts.users import AccountError
from titik_collector.config.store_table import Store
from titik_collector.limits import MAX_SESSIONS
from titik_collector.store import desk_accounts, desk_audit, desk_opening
from titik_collector.store.database import Database, StoreError
from titik_collector.store.desk_accounts import Account

T0 = 1_795_000_000_000
HOUR_MS = 3_600_000
ROOT = Actor("root", None, T0)
BUDI = Account("budi", None, "operator", None, None, T0)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Database]:
    """One with budi in it."""
    with desk_opening.opened(Store(path=tmp_path / "titik.db")) as db:
        users.add(db, BUDI, ROOT)
        yield db


def later(ms: int) -> Actor:
    """The same, at another time."""
    return ROOT._replace(now_ms=T0 + ms)


def test_a_password_is_kept_as_the_specification_has_it() -> None:
    """scrypt with n=2^15, r=8, p=1, and a salt of its own each time."""
    one, other = hash_password("a good password"), hash_password("a good password")
    assert one.startswith("scrypt:32768:8:1:")
    assert one != other
    assert is_password("a good password", one)
    assert is_password("a good password", other)
    assert not is_password("a good passwore", one)
    assert "good" not in one


def test_what_is_drawn_is_long_enough() -> None:
    """256 bits of a session, 100 of a password."""
    assert 43 == len(new_secret())
    assert 23 == len(new_password())
    assert len({new_password() for _ in range(100)}) == len({new_secret() for _ in range(100)})


def test_a_session_ends_when_it_is_idle(desk: Database) -> None:
    """A look keeps it alive."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    assert sessions.find(desk, secret, T0 + IDLE_MS - 1) is not None  # seen then
    assert sessions.find(desk, secret, T0 + 2 * IDLE_MS - 2) is not None
    assert sessions.find(desk, secret, T0 + 3 * IDLE_MS - 2) is None


def test_a_session_ends_when_it_is_old(desk: Database) -> None:
    """However often it was seen."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    for hours in range(0, 30 * 24, 6):
        assert sessions.find(desk, secret, T0 + hours * HOUR_MS) is not None
    assert sessions.find(desk, secret, T0 + LONGEST_MS) is None


def test_a_session_opens_a_desk_that_cannot_be_written(desk: Database) -> None:
    """A full disk keeps nobody out who is logged in."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    desk.execute("PRAGMA query_only = 1")
    assert BUDI == sessions.find(desk, secret, T0 + HOUR_MS)


def test_the_secret_of_a_session_is_not_on_the_desk(desk: Database) -> None:
    """Whoever reads the file logs in with nothing of it."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    ((kept,),) = desk.execute("SELECT secret_hash FROM session")
    assert hash_secret(secret) == kept
    assert secret.encode() not in kept
    assert sessions.find(desk, kept.hex(), T0) is None


def test_a_new_session_ends_the_one_of_the_same_browser(desk: Database) -> None:
    """And only as many as people have browsers stay."""
    first = sessions.begin(desk, BUDI, None, ROOT)
    second = sessions.begin(desk, BUDI, first, ROOT)
    assert sessions.find(desk, first, T0) is None
    assert sessions.find(desk, second, T0) is not None
    many = [sessions.begin(desk, BUDI, None, later(n)) for n in range(1, MAX_SESSIONS + 1)]
    assert sessions.find(desk, second, T0) is None
    assert all(sessions.find(desk, one, T0) for one in many)


@pytest.mark.parametrize(
    "changed",
    [BUDI._replace(password="other"), BUDI._replace(role="viewer"), BUDI._replace(end_ms=T0)],
)
def test_who_may_do_less_is_logged_out(desk: Database, changed: Account) -> None:
    """Another password, another role, the end."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    users.change(desk, changed, ROOT)
    assert sessions.find(desk, secret, T0) is None


def test_who_is_removed_is_logged_out_and_stays_out(desk: Database) -> None:
    """Also when a user of the same name is added."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    users.remove(desk, "budi", ROOT)
    users.add(desk, BUDI, ROOT)
    assert sessions.find(desk, secret, T0) is None


def test_another_language_logs_nobody_out(desk: Database) -> None:
    """Nor does a later end."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    users.change(desk, BUDI._replace(language="en", end_ms=T0 + 1), ROOT)
    assert sessions.find(desk, secret, T0) is not None


def test_a_token_looks_until_it_is_revoked(desk: Database) -> None:
    """Its secret is not on the desk."""
    secret = tokens.add(desk, "wall", "viewer", ROOT)
    found = tokens.find(desk, secret)
    assert found is not None
    assert ("wall", "viewer") == (found.name, found.role)
    assert tokens.find(desk, found.secret_hash.hex()) is None
    tokens.revoke(desk, "wall", ROOT)
    assert tokens.find(desk, secret) is None


def test_every_change_is_in_the_audit_and_in_the_log(
    desk: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """Who, from where, what; no secret."""
    caplog.set_level(logging.INFO, "titik_collector.accounts")
    browser = Actor("budi", "203.0.113.5", T0)
    secret = sessions.begin(desk, BUDI, None, browser)
    sessions.end(desk, secret, browser)
    token = tokens.add(desk, "wall", "viewer", ROOT)
    tokens.revoke(desk, "wall", ROOT)
    users.change(desk, BUDI._replace(password="hash"), ROOT)
    users.remove(desk, "budi", ROOT)
    rows = desk_audit.newest(desk, 99)
    assert [
        ("root", None, "user added", "budi (operator)"),
        ("budi", "203.0.113.5", "logged in", "budi"),
        ("budi", "203.0.113.5", "logged out", "budi"),
        ("root", None, "token added", "wall (viewer)"),
        ("root", None, "token revoked", "wall"),
        ("root", None, "user changed", "budi (password)"),
        ("root", None, "user removed", "budi"),
    ] == [row[1:] for row in rows]
    assert len(rows) - 1 == len(caplog.messages)
    assert "logged in actor=budi address=203.0.113.5 subject=budi" in caplog.messages
    assert not [one for one in caplog.messages if secret in one or token in one]


def test_the_audit_is_kept_as_long_as_the_configuration_has_it(desk: Database) -> None:
    """Not a day less."""
    day_ms = 86_400_000
    tokens.add(desk, "wall", "viewer", Actor("root", None, day_ms))
    forgetting.forget(desk, (1 + 365) * day_ms, 365)
    assert "wall (viewer)" in [row.subject for row in desk_audit.newest(desk, 9)]
    forgetting.forget(desk, (1 + 366) * day_ms, 365)
    assert "wall (viewer)" not in [row.subject for row in desk_audit.newest(desk, 9)]


def test_a_login_by_a_clock_that_is_ahead_deletes_nothing(desk: Database) -> None:
    """Neither the audit nor a session."""
    secret = sessions.begin(desk, BUDI, None, ROOT)
    sessions.begin(desk, BUDI, None, later(400 * 24 * HOUR_MS))
    assert sessions.find(desk, secret, T0) is not None
    assert 3 == len(desk_audit.newest(desk, 9))


def test_what_the_database_still_keeps_is_an_error(desk: Database) -> None:
    """Its clock may be behind ours; sessions end all the same."""
    now_ms = round(time.time() * 1000)
    tokens.add(desk, "wall", "viewer", Actor("root", None, now_ms))
    sessions.begin(desk, BUDI, None, ROOT)
    with pytest.raises(StoreError, match="audit"):
        forgetting.forget(desk, now_ms + 31 * 86_400_000, 30)
    assert [(0,)] == desk.execute("SELECT count(*) FROM session")
    assert "wall (viewer)" in [row.subject for row in desk_audit.newest(desk, 9)]


def test_sessions_that_are_over_leave_the_desk(desk: Database) -> None:
    """Not before that."""
    sessions.begin(desk, BUDI, None, ROOT)
    for at_ms, left in ((T0 + IDLE_MS, 1), (T0 + IDLE_MS + 1, 0)):
        forgetting.forget(desk, at_ms, 365)
        assert [(left,)] == desk.execute("SELECT count(*) FROM session")


@pytest.mark.parametrize("name", ["", "Budi", "a b", "-x", "budi:x", "a" * 65, "ä", "x\n"])
def test_a_name_that_a_line_could_not_hold_is_refused(desk: Database, name: str) -> None:
    """Of users and of tokens."""
    with pytest.raises(AccountError, match="allowed: a name of 1 to 64"):
        users.add(desk, BUDI._replace(name=name), ROOT)
    with pytest.raises(AccountError, match="allowed: a name of 1 to 64"):
        tokens.add(desk, name, "viewer", ROOT)


def test_what_is_there_or_not_there_is_an_error_with_the_remedy(desk: Database) -> None:
    """One line for the operator."""
    with pytest.raises(AccountError, match="titik web user change"):
        users.add(desk, BUDI, ROOT)
    with pytest.raises(AccountError, match="titik web user list"):
        users.remove(desk, "nobody", ROOT)
    tokens.add(desk, "wall", "viewer", ROOT)
    with pytest.raises(AccountError, match="titik web token revoke wall"):
        tokens.add(desk, "wall", "viewer", ROOT)
    with pytest.raises(AccountError, match="titik web token list"):
        tokens.revoke(desk, "nothing", ROOT)
    assert 1 == len(desk_accounts.all_of(desk))
