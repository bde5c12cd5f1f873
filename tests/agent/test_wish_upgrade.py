"""A wish for a version: what leaves the agent for root's helper, and what is reported of it."""

import os
from pathlib import Path

import pytest

from tests.agent.test_publisher import RUN, World
from titik_agent.wishes.upgrade import AGAIN_S, LOOK_S, NO_HELPER, NOT_THERE, UpgradeHandler
from titik_wire import __version__, topics
from titik_wire.codec import encode
from titik_wire.fleet_messages import RouterReply, RouterUpgrade, Running
from titik_wire.messages import Ack, AckedRun


class Desk:
    """Who publishes what a handler reports; its clock is turned by the test."""

    router = "r1"

    def __init__(self) -> None:
        self.now = 0.0
        self.changes = 0

    def monotonic(self) -> float:
        return self.now

    def wall_ms(self) -> int:
        return 1_800_000_000_000

    def newest_seq(self) -> int:
        return 0

    def is_collected(self) -> bool:
        return True

    def changed(self) -> None:
        self.changes += 1

    def answer(self, reply: RouterReply) -> None:
        raise AssertionError(reply)

    def wake(self) -> None:
        raise AssertionError


class Helped:
    """An agent whose helper listens, as far as the test lets it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        os.mkfifo(directory / "wish")
        self.pipe = os.open(directory / "wish", os.O_RDONLY | os.O_NONBLOCK)
        self.handler = UpgradeHandler(Desk(), str(directory))

    def wish(self, revision: int, version: str = "9.0-r1") -> None:
        self.handler.received(RouterUpgrade("r1", revision, version))

    def step(self, now: float) -> float:
        """At that time; when to call again."""
        return self.handler.step(now)

    def heard(self) -> bytes:
        """By the helper, since the last look."""
        try:
            return os.read(self.pipe, 4096)
        except BlockingIOError:
            return b""

    def writes(self, line: str) -> None:
        """The helper writes what it does."""
        (self.directory / "status").write_text(line)

    def became(self) -> tuple[int, str, str | None]:
        """Revision, state and reason as they are published."""
        outcome = self.handler.report(Running("r1", RUN, __version__)).upgrade
        assert outcome is not None
        return outcome.revision, outcome.state, outcome.reason


@pytest.fixture
def helped(tmp_path: Path) -> Helped:
    return Helped(tmp_path)


def test_two_words_leave_the_agent_once(helped: Helped) -> None:
    """The same wish comes again at each connection; what the helper does is looked at."""
    helped.wish(7)
    assert LOOK_S == helped.step(0.0)
    assert b"7 9.0-r1\n" == helped.heard()
    assert (7, "trying", None) == helped.became()
    helped.wish(7)
    helped.step(10.0)
    assert b"" == helped.heard()
    helped.writes("7 refused 9.0-r1 no room on flash: 900 kB are needed, 700 kB are free\n")
    helped.step(15.0)
    assert "refused" == helped.became()[1]
    assert "no room on flash: 900 kB are needed, 700 kB are free" == helped.became()[2]
    helped.wish(8)
    helped.step(20.0)
    assert b"8 9.0-r1\n" == helped.heard()


def test_the_new_agent_reports_how_it_ends(helped: Helped) -> None:
    """It hands nothing over: its helper already tries."""
    helped.writes("7 trying 9.0-r1 \n")
    helped.wish(7)
    assert LOOK_S == helped.step(0.0)
    assert (7, "trying", None) == helped.became()
    helped.writes("7 applied 9.0-r1 \n")
    helped.step(5.0)
    assert (7, "applied", None) == helped.became()
    assert b"" == helped.heard()


@pytest.mark.parametrize(("revision", "version", "heard"), [
    (7, "9.0", b""), (3, "9.0-r1", b""), (8, "9.0-r1", b"8 9.0-r1\n"), (3, "9.1", b"3 9.1\n"),
])  # fmt: skip
def test_what_came_back_is_tried_again_with_a_higher_revision(
    helped: Helped, revision: int, version: str, heard: bytes
) -> None:
    """Or if it is another version, as a restored city counts from lower ones."""
    helped.writes("7 rolled-back 9.0-r1 no ack within 900 s\n")
    helped.wish(revision, version)
    helped.step(0.0)
    assert heard == helped.heard()
    expected = ("trying", None) if heard else ("rolled-back", "no ack within 900 s")
    assert (revision, *expected) == helped.became()


def test_a_revision_may_mean_another_version(helped: Helped) -> None:
    """The city's store was restored: what is reported of one version is not another's."""
    helped.writes("7 applied 8.0-r1 \n")
    helped.wish(7)
    helped.step(0.0)
    assert (b"7 9.0-r1\n", (7, "trying", None)) == (helped.heard(), helped.became())
    helped.wish(7, "9.0-r2")
    helped.step(1.0)
    assert b"7 9.0-r2\n" == helped.heard()
    helped.writes("7 applied 9.0-r2 \n")
    helped.step(10.0)
    assert (7, "applied", None) == helped.became()


def test_a_candidate_is_no_release(helped: Helped) -> None:
    """The helper adds -r1 to it too, and what it says of that is reported."""
    helped.wish(7, "9.0-rc1")
    helped.writes("7 refused 9.0-rc1-r1 the feed has no 9.0-rc1-r1\n")
    helped.step(0.0)
    assert (7, "refused", "the feed has no 9.0-rc1-r1") == helped.became()


@pytest.mark.parametrize(
    "version", ["-rf", "9 http://evil", "9;sh", "$(sh)", "../9", "9\n8 9", "v9"]
)
def test_what_is_no_version_goes_nowhere(helped: Helped, version: str) -> None:
    """The helper would pass it over; it does not even hear it."""
    helped.wish(7, version)
    helped.step(0.0)
    assert b"" == helped.heard()
    assert (7, "refused", "it is no version of a package") == helped.became()


def test_a_helper_that_does_not_run_is_named(
    helped: Helped, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked again later, and nothing waits for it."""
    os.close(helped.pipe)
    helped.wish(7)
    helped.step(0.0)
    assert (7, "refused", NOT_THERE) == helped.became()
    assert "upgrade not handed over version=9.0-r1" in caplog.text
    helped.pipe = os.open(helped.directory / "wish", os.O_RDONLY | os.O_NONBLOCK)
    helped.step(AGAIN_S)
    assert b"7 9.0-r1\n" == helped.heard()


def test_a_line_that_is_none_is_none(helped: Helped) -> None:
    """As a file that was written half would be."""
    for line in ("", "7", "x trying 9.0-r1", "7 done 9.0-r1 x", "\0" * 99):
        helped.writes(line)
        helped.wish(7)
        helped.step(0.0)
        assert (7, "trying", None) == helped.became()


def test_without_a_feed_it_is_done_by_hand() -> None:
    """As on Debian; the version that runs is there already."""
    handler = UpgradeHandler(Desk(), None)
    for version, state, reason in (
        ("9.0-r1", "refused", NO_HELPER), (f"{__version__}-r1", "applied", None),
    ):  # fmt: skip
        handler.received(RouterUpgrade("r1", 7, version))
        assert handler.outcome is not None
        assert (state, reason) == (handler.outcome.state, handler.outcome.reason)


def test_the_first_ack_of_a_run_is_shown_once() -> None:
    """That is what a new version has to show."""
    world = World()
    acks: list[float] = []
    world.publisher.first_ack = lambda: acks.append(world.now)
    world.connect()
    world.puback()
    assert [] == acks
    for upto, many in ((0, 0), (1, 1), (2, 1)):
        ack = Ack("r1", (AckedRun(RUN, upto),))
        world.publisher.received(topics.ack("r1"), encode(ack))
        assert many == len(acks)
