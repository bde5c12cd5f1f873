"""Answers a city's question: runs the agent's own `check` in a child, and adds the log's end.

Rule: the child has a deadline, and its memory goes with it. The thread that waits for it holds up
neither samples nor the connection.
Rule: one at a time, and at most one a minute, whoever asks.
Rule: no line leaves but through `Concealing`, and no half line: half an address looks like none.
"""

import logging
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

from titik_agent.limits import MAX_CHECK_OUTPUT
from titik_agent.looking.concealing import Concealing
from titik_wire.codec import encode
from titik_wire.errors import WireError
from titik_wire.fleet_messages import Question, RouterReply
from titik_wire.limits import MAX_CHECKS

log = logging.getLogger(__name__)

EVERY_S: Final = 60.0  # between two checks
DEADLINE_S: Final = 45.0  # of a check; the city gives up after a minute
REFUSE_S: Final = 10.0  # between two refusals: who asks in a storm gets few of them
_FEWER = 5  # lines of the log are left out at a time, where an answer is too long


class Looker:
    """One router's answers. `wake` is called, from any thread, when there is one to `take`."""

    def __init__(
        self,
        router: str,
        command: Sequence[str],
        log_lines: Callable[[], Sequence[str]],
        own_lines: Callable[[], Sequence[str]],
        concealing: Concealing,
        wake: Callable[[], None],
        *,
        deadline_s: float = DEADLINE_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`command` checks; `own_lines` is what this process knows better than a child."""
        self._router = router
        self._command = command
        self._log_lines = log_lines
        self._own_lines = own_lines
        self._concealing = concealing
        self._wake = wake
        self._deadline_s = deadline_s
        self._monotonic = monotonic
        self._replies: list[RouterReply] = []
        self._id = ""  # of the question that was taken last
        self._may_at = self._refuse_at = 0.0
        self._is_looking = False
        self._child: int | None = None

    def ask(self, question: Question) -> None:
        """Begin to look; what the broker sends twice is one question."""
        now = self._monotonic()
        if question.id == self._id:
            return
        if self._is_looking:
            self._refuse(question, now, "it is looking already, at an earlier question")
        elif now < self._may_at:
            wait_s = self._may_at - now
            self._refuse(question, now, f"it looks once a minute; ask in {wait_s:.0f} s")
        else:
            self._id, self._may_at, self._is_looking = question.id, now + EVERY_S, True
            thread = threading.Thread(
                target=self._look, args=(question.id,), name="look", daemon=True
            )
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                self._is_looking = False
                self._reply(RouterReply(self._router, question.id, refused=f"no look: {error}"))

    def take(self) -> RouterReply | None:
        """An answer that is to be sent, and fits a message; None: there is none yet."""
        return self._replies.pop(0) if self._replies else None

    def close(self) -> None:
        """End a check that goes on."""
        child = self._child
        if child is not None:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)

    def _refuse(self, question: Question, now: float, why: str) -> None:
        if now >= self._refuse_at:
            self._refuse_at = now + REFUSE_S
            self._reply(RouterReply(self._router, question.id, refused=why))

    def _look(self, asked: str) -> None:
        try:
            checks = [*self._own_lines(), *self._check()][:MAX_CHECKS]
            reply = RouterReply(
                self._router,
                asked,
                tuple([self._concealing.line(one) for one in checks]),
                tuple([self._concealing.line(one) for one in self._log_lines()]),
            )
        except Exception:
            log.exception("a bug ended a look")
            reply = RouterReply(self._router, asked, refused="error in the agent, see its log")
        self._is_looking = False
        self._reply(reply)

    def _reply(self, reply: RouterReply) -> None:
        self._replies.append(_fitting(reply))
        self._wake()

    def _check(self) -> list[str]:
        """Its lines, and one more where it did not end as it should."""
        reader, writer = os.pipe2(os.O_CLOEXEC)
        try:
            child = _spawn(self._command, writer)
        except OSError as error:
            os.close(reader)
            return [f"FAIL  check: cannot be started: {error.strerror}"]
        finally:
            os.close(writer)
        self._child = child
        _die_first(child)
        with open(reader, "rb", buffering=0) as output:
            lines, why = self._output(output.fileno())
        if why is not None:
            with suppress(OSError):
                os.kill(child, signal.SIGKILL)
        status = 0
        with suppress(ChildProcessError):  # who started us lets children go unasked
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self._child = None
        if why is None and status not in (0, 1):
            why = f"it ended with status {status}"
        return lines if why is None else [*lines, f"FAIL  check: {why}"]

    def _output(self, descriptor: int) -> tuple[list[str], str | None]:
        """What the child printed until it ended; and why it is to be ended, if it is."""
        until, text, why = time.monotonic() + self._deadline_s, b"", None
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while True:
            left_s = until - time.monotonic()
            if left_s <= 0:
                why = f"it did not end within {self._deadline_s:.0f} s"
                break
            if not poll.poll(left_s * 1000):
                continue
            read = os.read(descriptor, 4096)
            if not read:
                break
            text += read
            if len(text) > MAX_CHECK_OUTPUT:
                why = "it prints too much"
                break
        whole = text.rpartition(b"\n")[0].decode("utf-8", "replace")
        return [one for one in whole.split("\n") if one], why


def _spawn(command: Sequence[str], output: int) -> int:
    """A child that reads nothing and writes to `output` alone."""
    return os.posix_spawn(
        command[0],
        [*command],
        {**os.environ, "PYTHONUNBUFFERED": "1"},  # so that a deadline leaves what was printed
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_DUP2, output, 1),
            (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
        ],
    )


def _die_first(child: int) -> None:
    """Where memory runs out while it loads, the kernel ends it and not the agent."""
    with suppress(OSError), open(f"/proc/{child}/oom_score_adj", "w", encoding="ascii") as file:
        file.write("1000")


def _fitting(reply: RouterReply) -> RouterReply:
    """Without the oldest lines of the log where it is too long for a message."""
    for log_lines in _shorter(reply.log):
        shorter = replace(reply, log=log_lines)
        with suppress(WireError):
            encode(shorter)
            return shorter
    return RouterReply(reply.router, reply.id, refused="its answer is too long")


def _shorter(lines: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    while lines:
        yield lines
        lines = lines[_FEWER:]
    yield ()
