"""Why a message did not arrive, at which step, and whether to try again."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Literal

Step = Literal["config", "secret", "dns", "tcp", "tls", "login", "send"]
STEPS: tuple[Step, ...] = ("config", "secret", "dns", "tcp", "tls", "login", "send")
Passed = Callable[[Step], None]  # is called when a step has succeeded
LONGEST_ASKED_S = 3600.0  # a receiver that asks for more patience is tried each hour


class Undelivered(Exception):
    """One try failed; the text has no secret in it."""

    def __init__(
        self,
        step: Step,
        reason: str,
        *,
        is_permanent: bool = False,
        remedy: str = "",
        wait_s: float | None = None,
    ) -> None:
        super().__init__(reason)
        self.step = step
        self.reason = reason
        self.is_permanent = is_permanent  # trying the same again is of no use
        self.remedy = remedy
        self.wait_s = wait_s  # what the receiver asked for


def nothing(_step: Step) -> None:
    """Nobody watches the steps."""


def of_status(status: int, reason: str, retry_after: str | None) -> Undelivered:
    """What an HTTP status other than 2xx says about trying again."""
    what = f"it answered {status} {reason}".strip()
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        return Undelivered("send", what, wait_s=asked_wait_s(retry_after))
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        remedy = "check the address and secret_file; the other end does not accept them"
        return Undelivered("login", what, is_permanent=True, remedy=remedy)
    if 300 <= status < 400:
        remedy = "give the address that it leads to; a message is not sent on"
        return Undelivered("send", what, is_permanent=True, remedy=remedy)
    remedy = "check the address; the other end does not take what Titik sends there"
    return Undelivered("send", what, is_permanent=True, remedy=remedy)


def asked_wait_s(retry_after: str | None) -> float | None:
    """Seconds of a `Retry-After`; a date is not looked at, because few send one."""
    if retry_after is None or not retry_after.strip().isdecimal() or len(retry_after) > 9:
        return None
    return min(LONGEST_ASKED_S, float(retry_after))
