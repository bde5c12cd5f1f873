"""Why there is no connection, in words: one table, and the keys of whoever reads it."""

from collections.abc import Callable

import pytest

from titik_mqtt import failures
from titik_mqtt.endpoint import Endpoint
from titik_mqtt.failures import LinkDown, Remedies


class Advised(Remedies):
    """A half with a key for everything."""

    machine = "this box"
    dns = "check a.host"
    refused = "check a.port"
    timeout = "check a.line"
    silence = "check a.wire"
    credentials = "check a.password"
    permission = "check a.name"


Make = Callable[[type[Remedies]], LinkDown]
REFUSED, TIMEOUT = ConnectionRefusedError(111, "refused"), TimeoutError()


def refused(code: int, remedies: type[Remedies]) -> LinkDown:
    """By CONNACK."""
    return failures.refused("login", code, remedies, "b:1")


CASES: list[tuple[Make, str, str, str]] = [
    (lambda of: failures.no_address("b", OSError("x"), of), "no address for b", " (x)", "a.host"),
    (lambda of: failures.unreachable("b:1", REFUSED, of), "nothing listens at b:1", "", "a.port"),
    (lambda of: failures.unreachable("b:1", TIMEOUT, of), "no answer from b:1", "", "a.line"),
    (lambda of: failures.silent(90, of), "no answer from the broker for 90 s", "", "a.wire"),
    (lambda of: refused(0x86, of), "b:1: wrong user name or password", " (0x86)", "a.password"),
    (lambda of: refused(0x87, of), "b:1: not authorized", " (0x87)", "a.name"),
]


@pytest.mark.parametrize(("make", "what", "end", "key"), CASES)
def test_what_failed_is_one_text_and_the_advice_is_each_halfs(
    make: Make, what: str, end: str, key: str
) -> None:
    """Without advice the text ends where the failure is stated."""
    assert (f"{what}{end}", f"{what}: check {key}{end}") == (
        make(Remedies).reason,
        make(Advised).reason,
    )


def test_a_ban_names_who_is_banned() -> None:
    """The half's own machine."""
    assert "the broker has banned this box (0x8A)" == failures.reason(0x8A, Advised)


@pytest.mark.parametrize(("code", "slow"), [(0x88, False), (0x86, True), (0, False), (0xEE, False)])
def test_what_only_a_person_can_mend_is_tried_slowly(code: int, slow: bool) -> None:
    """An unknown code passes like a broker that is busy."""
    assert slow == failures.refused("login", code, Remedies, "b:1").slow


def test_a_link_that_is_down_was_lost_unless_it_says_where_it_ended() -> None:
    """Most failures come after the connection stood."""
    down = LinkDown("cut")
    assert ("lost", "cut", "cut") == (down.step, down.reason, str(down))


def test_an_endpoint_shows_no_password() -> None:
    """Whatever logs it."""
    assert "secret" not in f"{Endpoint('b', 1, 'r1', 'secret')!r}"
