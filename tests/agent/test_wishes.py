"""What the city wishes of a router: heard, applied, reported and taken back; clocks we turn."""

import json
import logging
import random
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.agent.test_publisher import RUN, World
from tests.agent.test_sampler import FakeClock
from tests.until import until
from titik_agent import assemble, config
from titik_agent.config import ConfigError, Reach
from titik_agent.sampling.sampler import Sampler
from titik_agent.sampling.schedule import RETIMED_S, Schedule
from titik_agent.sources.reach import ReachSource, Targets
from titik_agent.wishes.dispatch import Dispatch
from titik_agent.wishes.kept_settings import KeptSettings, SettingsMark, in_words
from titik_agent.wishes.levers import AgentSetup, Levers
from titik_agent.wishes.settings import DIED, SettingsHandler, SettingsPace, over
from titik_agent.wishes.wish_handler import BUG, WishDesk, WishHandler
from titik_wire import topics
from titik_wire.codec import decode, encode
from titik_wire.fleet_messages import (
    InForce,
    Outcome,
    Question,
    RouterReply,
    RouterSettings,
    RouterUpgrade,
    Running,
)

SETTINGS, RUNNING = topics.settings("r1"), topics.running("r1")
FILE = AgentSetup(30, Reach(("one.example:443",), ("*.example",), 60))
PACE = SettingsPace()


class Probed:
    """A source of the probe's section, and nothing else."""

    name = field = "probe"

    def read(self) -> None:
        return None


class Wished(World):
    """A router whose reach opens nothing, for its rounds are not made."""

    def __init__(self, directory: Path | None = None, boot: str = "b00d", **changes: Any) -> None:
        super().__init__(**changes)
        self.clock = FakeClock()
        self.clock.monotonic = lambda: self.now  # type: ignore[method-assign]
        self.reached: list[Reach] = []
        self.level: list[int] = []
        self.directory = None if directory is None else str(directory)
        self.boot = boot
        self.schedule = Schedule(30, self.now, random.Random(1))
        self.sampler = Sampler("r1", RUN, self.clock, self.spool, (Probed(),), rss_bytes=int)
        self.loads = 0
        self.publisher.wishes.load = self._load

    def _load(self) -> Dispatch:
        self.loads += 1
        return Dispatch(self.publisher.wishes, self.clock, self._handler)

    def _handler(self, kind: str, desk: WishDesk) -> WishHandler | None:
        if kind == "request":
            return Asked(desk)
        if kind != "settings":
            return None
        levers = Levers(
            FILE,
            self.schedule,
            self.sampler,
            self.publisher,
            self._reach,
            log_from=self.level.append,
        )
        return SettingsHandler(desk, levers, KeptSettings(self.directory, "r1"), self.boot)

    def _reach(self, wanted: Reach, _: ReachSource | None) -> ReachSource | None:
        if "bad..name" in wanted.names:
            raise ConfigError("reach.names: 'bad..name' is no name")
        self.reached.append(wanted)
        return None

    def wish(self, revision: int, **keys: Any) -> None:
        """The broker sends settings."""
        self.publisher.received(SETTINGS, encode(RouterSettings("r1", revision, **keys)))

    def running(self) -> list[Running]:
        """What was published on `running` since the last look."""
        found = [decode(topic, text) for topic, text, _ in self.link.sent if topic == RUNNING]
        self.link.sent = [one if one[0] != RUNNING else ("", b"", True) for one in self.link.sent]
        return [one for one in found if isinstance(one, Running)]

    def running_now(self) -> Running:
        """As it was published last."""
        running = self.publisher.wishes.running
        assert running is not None
        return running

    def became(self) -> tuple[str, int, str | None]:
        """State, revision and reason of the settings, as they were published last."""
        self.puback()
        found = self.running_now().settings
        assert found is not None
        return found.state, found.revision, found.reason


class Asked(WishHandler):
    """Answers each question at once, and fails at the one of zeros."""

    def received(self, message: Question) -> None:
        if message.id == "0" * 16:
            raise KeyError("a bug")
        self.desk.answer(RouterReply(message.router, message.id, ("ok",)))


class Unreportable(WishHandler):
    """Has a bug."""

    def report(self, running: Running) -> Running:
        raise ValueError(running.router)


@pytest.fixture
def world() -> Wished:
    """One that is connected, with a collector online."""
    world = Wished()
    world.connect()
    world.puback()
    return world


def test_asks_for_the_four_topics_as_what_a_broker_may_not_offer(world: Wished) -> None:
    """The ack and the collectors stay what it needs."""
    assert [
        (topics.ack("r1"), topics.ALL_COLLECTORS, SETTINGS, topics.certificate("r1"),
         topics.upgrade("r1"), topics.request("r1"))
    ] == world.link.subscriptions  # fmt: skip


def test_without_a_wish_nothing_is_loaded_and_nothing_is_published(world: Wished) -> None:
    """An empty message clears what was never there."""
    world.publisher.received(SETTINGS, b"")
    world.later(120)
    assert (0, []) == (world.loads, world.running())


def test_a_wish_is_applied_at_once_and_reported(world: Wished) -> None:
    """It is on trial until a sample that was published since has its ack."""
    world.wish(3, interval_s=60, log_level="debug")
    (running,) = world.running()
    assert Outcome(3, "trying", since=world.clock.wall_ms()) == running.settings
    assert (
        InForce(60, ("one.example:443",), ("*.example",), 60, True, None, "debug")
        == running.in_force
    )
    assert [logging.DEBUG] == world.level
    world.puback()
    world.take(1)
    world.publisher.step()
    world.puback()
    world.ack(1)
    assert ("applied", 3, None) == world.became()


def test_the_next_sample_comes_soon_and_then_at_the_new_interval(world: Wished) -> None:
    """An hour that was to pass is not waited for."""
    world.wish(1, interval_s=3600)
    assert world.schedule.wait_s(world.now) <= RETIMED_S
    world.schedule.take(world.now + RETIMED_S)
    assert world.schedule.wait_s(world.now + RETIMED_S) > 3500


def test_what_is_wished_comes_again_at_each_connection(world: Wished) -> None:
    """It is applied once, and `running` is published again, as the broker may have lost it."""
    world.wish(1, interval_s=60)
    assert 1 == len(world.running())
    world.cut()
    world.connect()
    world.puback()
    assert 1 == len(world.running())
    world.wish(1, interval_s=60)
    world.puback()
    assert ([], 1) == (world.running(), world.loads)


def test_a_broker_that_refuses_running_keeps_the_link(world: Wished) -> None:
    """It is tried again after minutes, without a busy loop in between."""
    world.wish(1, interval_s=60)
    world.puback("not authorized (0x87)")
    assert 1 == len(world.running())
    world.publisher.step()
    assert world.publisher.rest_s() > 0.5
    world.later(200)
    assert [] == world.running()
    world.later(60)
    assert 1 == len(world.running())


def test_what_waits_for_a_puback_makes_no_busy_loop(world: Wished) -> None:
    """Also on a topic that was refused before."""
    world.wish(1, interval_s=60)
    world.puback("not authorized (0x87)")
    world.later(300)
    world.wish(2, interval_s=90)
    assert 90 == world.running()[-1].in_force.interval_s  # type: ignore[union-attr]
    world.wish(3, probe=False)
    world.now += PACE.apply_s
    world.publisher.step()
    world.take(1)
    world.publisher.step()
    assert [] == world.running()
    assert world.publisher.rest_s() > 0.5
    world.puback()
    assert 1 == len(world.running())


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"[]", b"{}", b"[" * 5000, b'{"v":1,"router":"r1","revision":0}', b" " * 40000],
)
def test_a_malformed_wish_changes_nothing_and_is_logged_once(
    world: Wished, payload: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """However often it comes."""
    for _ in range(100):
        world.publisher.received(SETTINGS, payload)
        world.puback()
    assert 1 == len(caplog.records)
    assert ([], []) == (world.running(), world.level)


@pytest.mark.parametrize(
    "keys", [{"interval_s": 1}, {"reach_targets": ["a:1"] * 5}, {"log_level": "trace"}]
)
def test_a_wish_outside_the_contract_is_refused(
    world: Wished, keys: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """What the router runs with is as before."""
    wish = {"v": 1, "router": "r1", "revision": 5, **keys}
    world.publisher.received(SETTINGS, json.dumps(wish).encode())
    assert ("refused", 5) == world.became()[:2]
    assert FILE.interval_s == world.running()[0].in_force.interval_s  # type: ignore[union-attr]
    assert 1 == len(caplog.records)


def test_a_wish_of_a_kind_that_is_not_offered_is_ignored(world: Wished) -> None:
    """An agent of this version has no handler for it."""
    wish = b'{"v":1,"router":"r1","revision":1,"version":"2.0"}'
    world.publisher.received(topics.upgrade("r1"), wish)
    assert [] == world.running()


def test_a_bug_in_a_handler_costs_the_wish_alone(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection goes on, and so do other questions."""
    for one in ("0", "0", "1"):
        asked = Question("r1", one * 16, "check")
        world.publisher.received(topics.request("r1"), encode(asked))
    reply = RouterReply("r1", "1" * 16, ("ok",))
    assert (topics.answer("r1"), encode(reply), False) == world.link.sent[-1]
    assert 1 == len(caplog.records)


def worked(world: Wished, seq: int) -> None:
    """A sample is published, and a collector acknowledges it."""
    world.take(seq)
    world.publisher.step()
    world.puback()
    world.ack(seq)
    world.publisher.step()
    world.puback()


def test_what_a_wish_leaves_out_is_as_the_file_says(world: Wished) -> None:
    """Also when an earlier wish had it."""
    world.wish(1, interval_s=60, compress=False)
    worked(world, 1)
    world.later(PACE.apply_s)
    world.wish(2, probe=False)
    worked(world, 2)
    found = world.running()[-1].in_force
    assert InForce(30, ("one.example:443",), ("*.example",), 60, False, None, "info") == found
    assert () == world.sampler.sources


def test_an_empty_message_brings_the_file_back(world: Wished) -> None:
    """`running` speaks of no settings then."""
    world.wish(1, interval_s=60, probe=False)
    worked(world, 1)
    world.later(PACE.apply_s)
    world.publisher.received(SETTINGS, b"")
    world.puback()
    assert (None, None) == (world.running()[-1].settings, world.running_now().in_force)
    assert 1 == len(world.sampler.sources)


def test_a_wish_that_was_cleared_meanwhile_does_not_come(world: Wished) -> None:
    """A broker sends what it retains at once, so a minute without it is long enough."""
    world.wish(1, probe=False)
    worked(world, 1)
    world.cut()
    world.connect()
    world.later(PACE.withdrawn_s - 1)
    assert "applied" == world.became()[0]
    world.later(2)
    assert (None, 1) == (world.running_now().settings, len(world.sampler.sources))


def test_a_wish_that_the_broker_lost_stays_until_a_collector_is_there(world: Wished) -> None:
    """It publishes all wishes again, so what does not come then is none any more."""
    world.wish(1, probe=False)
    worked(world, 1)
    world.cut()
    world.connect(collecting=False)
    world.later(10 * PACE.withdrawn_s)
    assert "applied" == world.became()[0]
    world.collector("c1", True)
    world.later(PACE.withdrawn_s - 1)
    assert "applied" == world.became()[0]
    world.later(2)
    assert None is world.running_now().settings


def test_a_bug_in_what_applies_settings_is_reported(
    world: Wished, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The connection goes on, and the next wish is taken."""
    monkeypatch.setattr(world.schedule, "retime", {}.__getitem__)
    world.wish(1, interval_s=60)
    assert ("refused", 1, BUG) == world.became()
    monkeypatch.undo()
    world.later(PACE.apply_s)
    world.wish(2, interval_s=60)
    assert ("trying", 2, None) == world.became()
    assert 1 == len(caplog.records)


def test_wishes_are_applied_at_a_pace(world: Wished) -> None:
    """However many come, the newest counts."""
    for revision in range(1, 500):
        world.wish(revision, interval_s=5 + revision)
    assert 6 == world.running_now().in_force.interval_s  # type: ignore[union-attr]
    world.later(PACE.apply_s)
    assert 504 == world.running_now().in_force.interval_s  # type: ignore[union-attr]
    assert 2 == len(world.level)


def test_targets_of_the_city_are_asked_once_a_minute_at_most(world: Wished) -> None:
    """The file's pace is for the file's own targets."""
    fast = FILE._replace(reach=Reach((), (), 5))
    assert 60 == over(fast, RouterSettings("r1", 1, reach_targets=("a:1",))).reach.every_s
    assert 5 == over(fast, RouterSettings("r1", 1, probe=False)).reach.every_s
    world.wish(1, reach_targets=("a:1", "b:2"), reach_names=())
    assert [Reach(("a:1", "b:2"), (), 60)] == world.reached


def test_what_cannot_be_done_is_reported_and_the_rest_applied(world: Wished) -> None:
    """A name that no host can have is left out of no sample: reach is as it was."""
    world.wish(1, interval_s=60, reach_names=("bad..name",))
    state, _, reason = world.became()
    assert "refused" == state
    assert "reach is left as it was" in str(reason)
    found = world.running_now().in_force
    assert InForce(60, ("one.example:443",), ("*.example",), 60, True, None, "info") == found


def test_packing_without_an_ack_is_rolled_back_and_not_tried_again(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """Until the number rises: whoever mended the collector wishes it once more."""
    world.wish(1, interval_s=60)
    worked(world, 1)
    world.later(PACE.apply_s)
    world.wish(2, compress=True)
    world.take(2)
    world.later(PACE.trial_s - 1)
    assert ("trying", 2, None) == world.became()
    world.later(2)
    assert ("rolled-back", 2, "no ack in 180 s") == world.became()
    found = world.running_now().in_force
    assert found is not None
    assert (60, None, None) == (found.interval_s, found.compress, world.publisher.compress)
    for _ in range(3):
        world.wish(2, compress=True)
        world.later(PACE.apply_s)
        assert ("rolled-back", None) == (world.became()[0], world.publisher.compress)
    world.wish(3, compress=True)
    assert ("trying", True) == (world.became()[0], world.publisher.compress)
    worked(world, 3)
    assert ("applied", 3, None) == world.became()
    assert ["settings rolled back revision=2 reason=no ack in 180 s"] == [
        one.getMessage() for one in caplog.records if one.levelno >= logging.WARNING
    ]


def test_a_trial_takes_no_time_without_a_collector(world: Wished) -> None:
    """Nobody could acknowledge anything."""
    world.collector("c1", False)
    world.wish(1, compress=True)
    world.later(10 * PACE.trial_s)
    assert "trying" == world.became()[0]


def test_connections_that_end_before_an_ack_end_a_trial(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """A broker may drop who packs; the clock alone would begin again each time."""
    world.wish(1, compress=True)
    for _ in range(PACE.trial_lives):
        world.publisher.step()
        world.cut()
        world.connect()
    assert ("rolled-back", 1, "3 connections ended without an ack") == world.became()
    assert 1 == len(caplog.records)


def test_another_change_meanwhile_takes_no_clock_away(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """What was never shown to work is still on trial."""
    world.wish(1, compress=True)
    world.later(PACE.apply_s)
    world.wish(2, compress=True, interval_s=60)
    world.later(PACE.trial_s + PACE.apply_s)
    assert ("rolled-back", 2) == world.became()[:2]
    assert 1 == len(caplog.records)


def test_an_ack_of_a_sample_from_before_proves_nothing(world: Wished) -> None:
    """It may have waited in the broker, and was not packed."""
    world.take(1)
    world.publisher.step()
    world.puback()
    world.wish(1, compress=True)
    world.ack(1)
    assert "trying" == world.became()[0]
    worked(world, 2)
    assert "applied" == world.became()[0]


def test_the_same_settings_under_another_number_are_not_applied_again(world: Wished) -> None:
    """A store that was restored counts from lower ones; the report has the new number."""
    world.wish(7, interval_s=60)
    worked(world, 1)
    world.later(PACE.apply_s)
    world.wish(2, interval_s=60)
    assert (("applied", 2, None), 1) == (world.became(), len(world.level))


def test_other_settings_under_a_lower_number_are_the_wish(world: Wished) -> None:
    """What the broker retains counts."""
    world.wish(7, interval_s=60)
    worked(world, 1)
    world.later(PACE.apply_s)
    world.wish(2, interval_s=90)
    assert ("trying", 2, None) == world.became()


def test_what_was_rolled_back_stays_so_under_a_lower_number(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """And its number rises from there."""
    world.wish(7, compress=True)
    world.later(PACE.trial_s + 1)
    world.wish(2, compress=True)
    assert ("rolled-back", 2) == world.became()[:2]
    world.wish(3, compress=True)
    assert ("trying", 3) == world.became()[:2]
    assert 1 == len(caplog.records)


def test_settings_under_which_the_agent_died_are_rolled_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Over any number of restarts, until the number rises."""
    before = Wished(tmp_path)
    before.connect()
    before.wish(4, interval_s=60)
    for _ in range(3):
        after = Wished(tmp_path)
        after.connect()
        after.wish(4, interval_s=60)
        assert ("rolled-back", 4, DIED) == after.became()
        assert 30 == after.running_now().in_force.interval_s  # type: ignore[union-attr]
    after.wish(5, interval_s=60)
    worked(after, 1)
    assert ("applied", 5, None) == after.became()
    assert [f"settings rolled back revision=4 reason={DIED}"] == [
        one.getMessage() for one in caplog.records
    ]


@pytest.mark.parametrize("end", ["stopped", "worked", "other boot"])
def test_what_did_no_harm_is_tried_again_after_a_restart(tmp_path: Path, end: str) -> None:
    """An operator's stop, a death later on, and a power cut say nothing of the settings."""
    before = Wished(tmp_path)
    before.connect()
    before.wish(4, interval_s=60)
    if end == "stopped":
        before.publisher.wishes.close()
    if end == "worked":
        worked(before, 1)
    after = Wished(tmp_path, boot="b01d" if end == "other boot" else "b00d")
    after.connect()
    after.wish(4, interval_s=60)
    assert "trying" == after.became()[0]


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff\n\xff", b"{}\n{}", b'{"state":"trying"}\n{"v":1}', b"[" * 9000, b"1\n2", None],
)
def test_a_damaged_mark_is_none(tmp_path: Path, content: bytes | None) -> None:
    """Whatever is in its place, settings are tried."""
    if content is None:
        (tmp_path / "settings").mkdir()
    else:
        (tmp_path / "settings").write_bytes(content)
    world = Wished(tmp_path)
    world.connect()
    world.wish(4, interval_s=60)
    assert "trying" == world.became()[0]


def test_a_refused_wish_leaves_what_is_in_force(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """Its number is reported as refused, and an ack of the others does not hide that."""
    world.wish(1, interval_s=60)
    world.publisher.received(SETTINGS, b'{"v":1,"router":"r1","revision":2,"interval_s":0}')
    worked(world, 1)
    assert ("refused", 2) == world.became()[:2]
    assert 60 == world.running_now().in_force.interval_s  # type: ignore[union-attr]
    assert 1 == len(caplog.records)


def test_check_shows_that_settings_from_a_distance_count() -> None:
    """Whoever stands before the router wonders why its file does not."""
    wish = RouterSettings("r1", 7, interval_s=60, reach_targets=("a:1", "b:2"), compress=False)
    found = [
        in_words(SettingsMark("applied", wish, "b00d")),
        in_words(SettingsMark("trying", RouterSettings("r1", 7), "b00d")),
        in_words(SettingsMark("rolled-back", wish, "b00d", "no ack in 180 s")),
    ]
    change = "settings: change 7 of the city"
    keys = "interval_s=60 reach_targets=a:1,b:2 compress=false"
    assert [
        f"ok    {change} counts over this file: {keys}",
        f"ok    {change} is on trial over this file: nothing in it",
        f"--    {change} was taken back: no ack in 180 s",
    ] == found


def test_check_reads_what_the_agent_noted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Beside the spool that the file names; without a wish there is no line."""
    file = tmp_path / "agent.toml"
    file.write_text(
        'router = "r1"\n[broker]\nhost = "127.0.0.1"\nport = 1\n[sources]\nhostapd = "off"\n'
        f'[spool]\ndirectory = "{tmp_path}"\n'
    )
    shown = []
    for wish in (None, RouterSettings("r1", 7, interval_s=60)):
        if wish is not None:
            KeptSettings(str(tmp_path), "r1").write(SettingsMark("applied", wish, "b00d"))
        assemble.check_all(str(file), None, None)
        shown.append(
            [one for one in capsys.readouterr().out.splitlines() if "settings: change" in one]
        )
    line = "ok    settings: change 7 of the city counts over this file: interval_s=60"
    assert [[], [line]] == shown


def test_other_targets_end_the_thread_of_the_ones_before_and_count_on() -> None:
    """`failures` and `attempts` only grow in a run, and no thread is left."""
    with socket.create_server(("127.0.0.1", 0)) as host:
        there = f"127.0.0.1:{host.getsockname()[1]}"
        others = set(threading.enumerate())
        first = made(Reach((there,)))
        first.start()
        assert until(lambda: reached(first), 1) == 1
        world = Wished()
        sampler = Sampler("r1", RUN, world.clock, world.spool, (Probed(), first), rss_bytes=int)
        now = AgentSetup(30, Reach((there,)))
        levers = Levers(now, world.schedule, sampler, world.publisher, reaching)
        levers.move(now._replace(reach=Reach((there, there))))
        second = sampler.sources[-1]
        assert isinstance(second, ReachSource)
        assert until(lambda: reached(second), 2) == 2
        assert 1 == reaching_threads(others)
        levers.move(now._replace(reach=Reach()))
        assert (0, 1) == (reaching_threads(others), len(sampler.sources))
        levers.move(now)
        third = sampler.sources[-1]
        assert isinstance(third, ReachSource)
        assert until(lambda: reached(third), 3) == 3
        third.close()


def reaching(wanted: Reach, after: ReachSource | None = None) -> ReachSource | None:
    """As an agent makes it."""
    return made(wanted, after) if wanted.targets else None


def made(wanted: Reach, after: ReachSource | None = None) -> ReachSource:
    """One that asks for no name."""
    targets = Targets(wanted.names, config.targets(wanted))
    return ReachSource(targets, wanted.every_s, after=after)


def reached(source: ReachSource) -> int:
    """Rounds so far."""
    found = source.read()
    return 0 if found is None else found.attempts or 0


def test_a_wish_that_cannot_be_loaded_costs_no_connection(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """It is retained, so each connection would end by it; with memory again it is applied."""
    load = world.publisher.wishes.load

    def short() -> Dispatch:
        raise MemoryError

    world.publisher.wishes.load = short
    world.wish(1, interval_s=60)
    world.wish(2, interval_s=60)
    assert 1 == len([one for one in caplog.records if one.levelno == logging.ERROR])
    world.publisher.wishes.load = load
    world.wish(3, interval_s=60)
    assert ("trying", 3, None) == world.became()


def test_a_handler_that_cannot_be_made_costs_no_connection(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """Another kind of wish is handled as before."""
    world.wish(1, interval_s=60)
    wish = encode(RouterUpgrade("r1", 1, "1.0-r1"))

    def broken(_: str, __: WishDesk) -> WishHandler | None:
        raise ImportError("half a package")

    dispatch = world.publisher.wishes.wishes
    assert isinstance(dispatch, Dispatch)
    dispatch._make = broken
    world.publisher.received(topics.upgrade("r1"), wish)
    assert "half a package" in caplog.text
    assert ("trying", 1, None) == world.became()


def test_a_bug_in_a_report_costs_no_connection(
    world: Wished, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are reported."""
    world.wish(1, interval_s=60)
    dispatch = world.publisher.wishes.wishes
    assert isinstance(dispatch, Dispatch)
    dispatch._handlers["upgrade"] = Unreportable(dispatch)
    dispatch.changed()
    world.publisher.step()
    assert ("trying", 1, None) == world.became()
    assert "a bug spoiled a wish kind=upgrade" in caplog.text


def reaching_threads(others: set[threading.Thread]) -> int:
    """Those that began since; the others end as they like."""
    return sum(one.name == "reach" for one in set(threading.enumerate()) - others)
