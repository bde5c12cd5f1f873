"""What a router answers when its city looks at it."""

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.until import until
from titik_agent.limits import MAX_LOG_TAIL, MAX_LOOKED
from titik_agent.looking.concealing import HIDDEN, Concealing
from titik_agent.looking.log_tail import LogTail
from titik_agent.looking.looker import EVERY_S, REFUSE_S, Looker
from titik_wire.codec import encode
from titik_wire.fleet_messages import Question, RouterReply
from titik_wire.limits import MAX_LOG_LINES, MAX_PAYLOAD

GOOD = "print('ok    config: router a'); print('ok    dns: mq.example is 192.0.2.1')"
HANGS = "print('ok    config: router a'); import time; time.sleep(600)"


class Asked:
    """A looker whose child is a small program, and a clock that the test moves."""

    def __init__(
        self, program: str = GOOD, log_lines: Sequence[str] = (), deadline_s: float = 60.0
    ) -> None:
        self.now = 1000.0
        self.woken = threading.Event()
        self.looker = Looker(
            "a",
            [sys.executable, "-c", program],
            lambda: log_lines,
            lambda: ["ok    agent: connected"],
            Concealing(),
            self.woken.set,
            deadline_s=deadline_s,
            monotonic=lambda: self.now,
        )

    def ask(self, number: int) -> None:
        self.looker.ask(Question("a", f"{number:016x}", "check"))

    def child(self) -> int:
        """The process that checks, once there is one."""
        until(lambda: self.looker._child is None, False)
        assert self.looker._child is not None
        return self.looker._child

    def reply(self) -> RouterReply:
        """The next answer."""
        found: list[RouterReply] = []

        def came() -> bool:
            one = self.looker.take()
            found.extend([] if one is None else [one])
            return bool(found)

        until(came, True)
        return found[0]


def test_an_answer_has_the_lines_of_the_check_and_the_log() -> None:
    """What the agent itself knows comes first; whoever publishes it is woken."""
    asked = Asked(log_lines=["11-29T23:03:07Z INFO titik_agent: broker connected"])
    asked.ask(1)
    reply = asked.reply()

    assert asked.woken.is_set()
    assert (
        "0000000000000001",
        ("ok    agent: connected", "ok    config: router a", "ok    dns: mq.example is 192.0.2.1"),
        ("11-29T23:03:07Z INFO titik_agent: broker connected",),
        None,
    ) == (reply.id, reply.checks, reply.log, reply.refused)


@pytest.mark.thorough
def test_a_check_that_hangs_is_ended() -> None:
    """What it printed until then is in the answer, and no process stays."""
    asked = Asked(HANGS, deadline_s=6.0)
    asked.ask(1)
    child = asked.child()
    reply = asked.reply()

    assert "FAIL  check: it did not end within 6 s" == reply.checks[-1]
    assert "ok    config: router a" in reply.checks
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


@pytest.mark.parametrize(
    ("program", "line"),
    [
        ("import os; os._exit(7)", "FAIL  check: it ended with status 7"),
        ("import os; os.kill(os.getpid(), 9)", "FAIL  check: it ended with status -9"),
        ("while True: print('x' * 1000)", "FAIL  check: it prints too much"),
    ],
)
@pytest.mark.thorough
def test_a_check_that_ends_otherwise_is_a_line(program: str, line: str) -> None:
    """Such as one that the kernel ends because memory is short."""
    asked = Asked(program)
    asked.ask(1)

    assert line == asked.reply().checks[-1][: len(line)]


def test_a_check_that_cannot_start_is_a_line() -> None:
    """The log comes all the same."""
    asked = Asked(log_lines=["a line"])
    asked.looker._command = ["/nowhere/python3"]
    asked.ask(1)
    reply = asked.reply()

    assert "FAIL  check: cannot be started: No such file or directory" == reply.checks[-1]
    assert ("a line",) == reply.log


def test_a_router_looks_once_a_minute() -> None:
    """A hostile broker asks as often as it likes; even refusals are few."""
    asked = Asked()
    asked.ask(1)
    asked.reply()
    asked.now += 15.0
    for number in range(2, 40):
        asked.ask(number)
    refused = asked.reply()
    more = asked.looker.take()
    asked.now += REFUSE_S
    asked.ask(50)
    again = asked.reply()
    asked.now += EVERY_S
    asked.ask(60)

    assert ("it looks once a minute; ask in 45 s", None) == (refused.refused, more)
    assert "it looks once a minute; ask in 35 s" == again.refused
    assert (None, 3) == ((last := asked.reply()).refused, len(last.checks))


@pytest.mark.thorough
def test_a_router_looks_once_at_a_time() -> None:
    """A clock apart, the second of two is refused; the same question twice is one."""
    asked = Asked(HANGS)
    asked.ask(1)
    asked.child()
    asked.now += EVERY_S
    asked.ask(1)
    asked.ask(2)
    second = asked.reply()
    asked.looker.close()
    first = asked.reply()

    assert "it is looking already, at an earlier question" == second.refused
    assert ("0000000000000001", True) == (first.id, "status -9" in first.checks[-1])


def test_an_answer_fits_a_message() -> None:
    """Of a log whose lines are long the oldest are left out."""
    log_lines = [f"{number} {'é' * 230}" for number in range(MAX_LOG_LINES)]
    asked = Asked(log_lines=log_lines)
    asked.ask(1)
    reply = asked.reply()

    assert log_lines[-1] == reply.log[-1]
    assert 0 < len(reply.log) < MAX_LOG_LINES
    assert MAX_PAYLOAD * 3 // 4 < len(encode(reply)) <= MAX_PAYLOAD


def logged(*messages: str) -> LogTail:
    """A tail that has these."""
    tail = LogTail()
    log = logging.Logger("titik_agent.x")
    log.addHandler(tail)
    for message in messages:
        log.info(message)
    return tail


def test_the_newest_lines_of_a_log_are_kept() -> None:
    """With the time, in UTC, and the level."""
    lines = logged(*(f"line {number}" for number in range(200))).lines()

    assert MAX_LOG_LINES == len(lines)
    assert ("INFO titik_agent.x: line 150", "INFO titik_agent.x: line 199") == (
        lines[0].partition(" ")[2], lines[-1].partition(" ")[2],
    )  # fmt: skip
    at = lines[0].partition(" ")[0]
    assert time.strptime(f"2026-{at}", "%Y-%m-%dT%H:%M:%SZ")
    assert [] == LogTail().lines()


def test_a_log_takes_little_memory() -> None:
    """Whatever is logged, and a line that is cut is no half line."""
    tail = logged(*("x\n" * 500 for _ in range(200)))

    assert MAX_LOG_TAIL // 2 < len(tail._kept) <= MAX_LOG_TAIL
    assert {"INFO titik_agent.x"} == {
        line.partition(" ")[2].partition(":")[0] for line in tail.lines()
    }


ADDRESSES = (
    "02:1c:42:9e:07:b5", "02-1c-42-9e-07-b5", "021c429e07b5", "021c.429e.07b5", "198.51.100.77",
    "2001:db8:1:2:3:4:5:6", "fe80::21c:42ff:fe9e:7b5", "::ffff:198.51.100.77",
)  # fmt: skip


@pytest.mark.parametrize("before", [" ", " from=", " st", ":"])
@pytest.mark.parametrize("address", ADDRESSES)
def test_no_part_of_an_address_outlives_the_cut(address: str, before: str) -> None:
    """Wherever in it a line is cut, and whatever stands before it."""
    for length in range(MAX_LOOKED - 90, MAX_LOOKED):
        (kept,) = logged(f"{'x' * length}{before}{address}, gone").lines()
        line = Concealing().line(kept.partition(" ")[2])  # without its time
        assert [] == [one for one in parts(address) if one in line], line


def parts(address: str) -> list[str]:
    """What of an address somebody could use: any five characters of it."""
    return [address[at : at + 5] for at in range(len(address) - 4)]


def test_half_a_line_of_a_check_does_not_leave() -> None:
    """It was ended in the middle of an address."""
    asked = Asked(
        "import os; os.write(1, b'ok    a\\nFAIL  02:1c:42:9e:0'); os.kill(os.getpid(), 9)"
    )
    asked.ask(1)
    expected = ("ok    agent: connected", "ok    a", "FAIL  check: it ended with status -9")
    assert expected == asked.reply().checks


def test_where_no_thread_can_start_the_next_question_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Memory is short for a moment."""
    asked = Asked()

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        asked.ask(1)
    assert "no look: can't start new thread" == asked.reply().refused
    asked.now += EVERY_S
    asked.ask(2)
    assert None is asked.reply().refused


def test_the_kernel_ends_a_check_before_the_agent() -> None:
    """Also while it still loads, and says nothing of it itself."""
    asked = Asked(HANGS)
    asked.ask(1)
    score = Path(f"/proc/{asked.child()}/oom_score_adj")
    assert "1000\n" == until(score.read_text, "1000\n")
    asked.looker.close()
    asked.reply()


def test_a_line_that_cannot_be_worded_disturbs_nobody(capsys: pytest.CaptureFixture[str]) -> None:
    """Its logger goes on; the bug is printed, as by any other handler."""
    tail = LogTail()
    tail.handle(logging.LogRecord("a", logging.INFO, "", 0, "%d samples", ("no",), None))
    assert ([], True) == (tail.lines(), "%d samples" in capsys.readouterr().err)


def test_of_an_error_the_kind_is_kept() -> None:
    """Its words may quote what a device answered."""
    tail = LogTail()
    log = logging.Logger("titik_agent.x")
    log.addHandler(tail)
    try:
        raise KeyError("02:00:00:00:00:01")
    except KeyError:
        log.exception("a bug")

    assert ["a bug (KeyError)"] == [line.partition(": ")[2] for line in tail.lines()]


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("station 02:aB:00:00:00:01, gone", "station [hidden], gone"),
        ("id 01:02:ab:00:00:00:01", "id [hidden]"),
        ("station 02-ab-00-00-00-01", "station [hidden]"),
        ("station 02ab00000001", "station [hidden]"),
        ("station 02ab.0000.0001", "station [hidden]"),
        ("client 0102ab00000001", "client [hidden]"),
        ("duid 0003000102ab00000001", "duid [hidden]"),
        ("duid 000100012c3d4e5f02ab00000001", "duid [hidden]"),
        ("sta02:ab:00:00:00:01and", "sta[hidden]and"),
        ("from 198.51.100.7:68", "from [hidden]:68"),
        ("from fe80::1%br-lan", "from [hidden]%br-lan"),
        ("from [2001:db8::7]:443", "from [[hidden]]:443"),
        ("from 2001:db8:1:2:3:4:5:6", "from [hidden]"),
        ("from ::ffff:198.51.100.7", "from [hidden]"),
        ("11-29T23:03:07Z run=9f2c41d07be35a68", "11-29T23:03:07Z run=9f2c41d07be35a68"),
        ("ok    dns: mq.example is 192.0.2.1", "ok    dns: mq.example is 192.0.2.1"),
        ("ok    settings: change 7 of the city counts over this file: reach_targets=192.0.2.1:443",)
        * 2,
        (
            "--    settings: change 7 of the city was taken back: 192.0.2.1",
            "--    settings: change 7 of the city was taken back: [hidden]",
        ),
        ("tcp: 203.0.113.9 port 8883", "tcp: 203.0.113.9 port 8883"),
        ("version 0.2.0 of 24.10.4", "version 0.2.0 of 24.10.4"),
        ("cannot open /etc/titik/router.key: s3cret", "cannot open [hidden]: [hidden]"),
        ("a\x1b[31m\x00b\u202e", "a [31m b "),
    ],
)
def test_a_line_has_no_address_and_no_secret(text: str, seen: str) -> None:
    """What the settings name stays: the broker, here at an address of its own."""
    concealing = Concealing(["203.0.113.9"], ["/etc/titik/router.key", "s3cret", ""])

    assert seen == concealing.line(text)


def test_of_a_long_line_the_begin_is_read() -> None:
    """The search takes the square of its length."""
    assert f"{HIDDEN} " * 26 + HIDDEN[:6] == Concealing().line("02:ab:00:00:00:01 " * 1_000_000)
    assert f"{HIDDEN}:" == Concealing().line("02:" * 10_000 + "01 end")
