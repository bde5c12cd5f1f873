"""The job that upgrades routers in waves, with routers that take what they are wished."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.build import T0, opened, sample
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import RolloutOrder
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.desk import posting, rollouts
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.live.presence import Presence
from titik_collector.queries import rollout_status
from titik_collector.received import Arrived
from titik_collector.registry.registry import Registry
from titik_collector.screens import rollout_screen
from titik_collector.store import desk_opening, registry_rows, rollout_rows, settings, wishes
from titik_collector.store.database import Database
from titik_collector.store.registry_rows import PlacedRouter
from titik_collector.wishes.rollout_job import LastSeen, RolloutJob
from titik_collector.wishes.waves import Bounds
from titik_collector.wording import when
from titik_wire import codec
from titik_wire.fleet_messages import Outcome, RouterUpgrade, Running
from titik_wire.instant import MINUTE_MS

OLD, NEW, BAD = "0.1.0", "0.2.0", "0.3.0"
NAMES = [f"r{number:02}" for number in range(40)]
RUN = "9f2c41d07be35a68"


@dataclasses.dataclass
class SimpleRouter:
    """A router with its package manager: it takes what it is wished, and goes back from BAD."""

    is_online: bool = True
    version: str = OLD
    heard_ms: int = T0
    answered: int = 0  # the revision


class SimpleCity:
    """Forty routers at two sites; each eighth has a tag."""

    def __init__(self, db: Database, folder: Path) -> None:
        text = '[city]\nname = "kupang"\ntitle = "Kupang"\ntimezone = "Asia/Makassar"\n'
        text += '[store]\npath = "titik.db"\n'
        text += '[[site]]\nname = "a"\ntitle = "A"\n[[site]]\nname = "b"\ntitle = "B"\n'
        for number, name in enumerate(NAMES):
            text += f'[[router]]\nname = "{name}"\nsite = "{"ab"[number % 2]}"\n'
            text += 'tags = ["lte"]\n' if number % 8 == 0 else ""
        self.file = folder / "titik.toml"
        self.file.write_text(text)
        self.config: Config = model.load(self.file)
        self.db = db
        self.now_ms = T0
        self.order: RolloutOrder | None = None
        ids = registry_rows.routers(db)
        self.placed = [
            PlacedRouter(ids[one.name].id, one.name, one.site) for one in self.config.router
        ]
        self.routers = {one.id: SimpleRouter() for one in self.placed}
        self.changed: set[int] = set()
        self.looks = 0
        self.hears = True
        self.job = self.collector()

    def collector(self) -> RolloutJob:
        """One that has just been started."""
        return RolloutJob(
            self.db,
            lambda _: self.order,
            lambda: self.placed,
            self.look,
            self.changed.update,
            lambda: self.now_ms,
            lambda: self.hears,
            self.config,
            Bounds(settle_ms=MINUTE_MS),
        )

    def look(self, router_id: int, _: int) -> LastSeen:
        """As the collector knows it."""
        self.looks += 1
        one = self.routers[router_id]
        return LastSeen(one.is_online, one.version, "A", "24.10", True, one.heard_ms)

    def begin(self, version: str, **more: object) -> None:
        """Somebody orders it."""
        number = 1 if self.order is None else self.order.number + 1
        wanted = RolloutOrder(number, version, "city", "", 4, 25, "ani", self.now_ms)
        self.order = wanted._replace(**more)  # type: ignore[arg-type]

    def run(self, minutes: int) -> None:
        """The collector looks, and routers do what they are wished, minute by minute."""
        for _ in range(minutes):
            if self.job.due(0):
                self.job.step(0)
            self.now_ms += MINUTE_MS
            self.obey()

    def obey(self) -> None:
        """Each router that is online takes its wish."""
        for wish in wishes.all_of(self.db, "upgrade"):
            router, wished = self.routers[wish.router_id], wish.message
            if not router.is_online:
                continue
            router.heard_ms = self.now_ms
            if not isinstance(wished, RouterUpgrade) or wish.revision == router.answered:
                continue
            router.answered = wish.revision
            if wished.version != BAD:
                router.version = wished.version
                continue
            outcome = Outcome(wish.revision, "rolled-back", "no ack in 300 s")
            report = Running(wish.router, RUN, router.version, upgrade=outcome)
            with self.db.transaction():
                wishes.hear(self.db, wish.router_id, report, self.now_ms)

    def running(self, version: str) -> int:
        """How many run it."""
        return sum(one.version == version for one in self.routers.values())

    def wished(self) -> int:
        """How many are wished a version now."""
        return sum(one.body is not None for one in wishes.all_of(self.db, "upgrade"))

    def state(self) -> str:
        """Of the upgrade."""
        row = rollout_rows.read(self.db)
        assert row is not None
        return row.state

    def shown(self) -> str:
        """As `titik fleet` prints it."""
        found = rollout_status.look(self.db, "kupang")
        return "\n".join(rollout_screen.lines(found, self.config.city.timezone))


@pytest.fixture
def city(tmp_path: Path) -> Iterator[SimpleCity]:
    """All of them run OLD."""
    with opened(tmp_path / "titik.db", NAMES) as db:
        yield SimpleCity(db, tmp_path)


def test_a_good_version_goes_through_in_waves(city: SimpleCity) -> None:
    """First the canaries, then a quarter at a time, each after the one before."""
    city.begin(NEW)
    found = []
    for _ in range(30):
        city.run(1)
        if city.running(NEW) not in found:
            found.append(city.running(NEW))
    assert [4, 14, 24, 34, 40] == found
    assert ("over", 0) == (city.state(), city.wished())
    assert "upgrade to 0.2.0 is over\n" in city.shown()
    assert "  canaries      4 of 4 run it\n" in city.shown()


def test_it_says_when_the_next_wave_may_begin(city: SimpleCity) -> None:
    """So it does not seem to hang. With the last wave, or while it is paused, nothing follows."""
    city.begin(NEW)
    city.job.step(0)
    assert "the next wave begins 5 minutes after the last router of this one" in city.shown()
    city.run(1)
    city.job.step(0)
    shown = when.show(city.now_ms + 5 * MINUTE_MS, city.config.city.timezone)
    assert f"\n  the next wave may begin {shown}, 5 minutes after" in city.shown()
    assert city.order is not None
    city.order = city.order._replace(state="paused")
    city.job.step(0)
    assert "the next wave" not in city.shown()
    city.order = city.order._replace(state="runs", resumes=1)
    city.run(30)
    assert "the next wave" not in city.shown()


def test_a_bad_version_stops_at_the_canaries(
    city: SimpleCity, caplog: pytest.LogCaptureFixture
) -> None:
    """It is wished of nobody any more, and the reason is the router's own."""
    city.begin(BAD)
    city.run(20)
    assert "titik fleet shows which and why" in caplog.text
    assert ("halted", 0, 40) == (city.state(), city.wished(), city.running(OLD))
    row = rollout_rows.read(city.db)
    assert row is not None
    assert 4 == row.failed
    assert 36 == sum(one.asked_ms is None for one in rollout_rows.routers(city.db))
    assert "upgrade to 0.3.0 halted by itself" in city.shown()
    assert "\n  titik fleet resume: go on; what failed until now is accepted\n" in city.shown()
    assert "\n  titik fleet stop: end it; routers that run the version keep it\n" in city.shown()
    assert "  r00: rolled back (no ack in 300 s), since " in city.shown()
    assert city.order is not None
    city.order = city.order._replace(state="paused")
    city.job.step(0)
    assert ("halted", 1) == (city.state(), caplog.text.count("upgrade halts"))


def test_a_restart_of_the_collector_goes_on_where_it_was(city: SimpleCity) -> None:
    """As another collector does that takes the store over: nobody is asked twice."""
    city.begin(NEW)
    for _ in range(30):
        city.job = city.collector()
        city.run(1)
    assert 40 == city.running(NEW)
    assert {1} == {one.revision for one in wishes.all_of(city.db, "upgrade")}


def test_a_router_that_is_away_gets_it_when_it_is_back(city: SimpleCity) -> None:
    """The others do not wait for it; it is not wished before, so a halt would spare it too."""
    away = [city.routers[one.id] for one in city.placed[:6]]
    for one in away:
        one.is_online = False
    city.begin(NEW)
    city.run(30)
    assert ("over", 34, 0) == (city.state(), city.running(NEW), city.wished())
    assert "is over, but for routers that are away" in city.shown()
    assert "  r03: away; it is asked once it is online" in city.shown()
    for one in away:
        one.is_online = True
    city.run(3)
    assert (40, "over") == (city.running(NEW), city.state())


def test_a_router_that_is_not_heard_again_stops_a_wave_of_canaries(
    city: SimpleCity, caplog: pytest.LogCaptureFixture
) -> None:
    """After a while; it may come back, and somebody may let it go on then."""
    city.begin(NEW)
    city.job.step(0)
    asked = next(one for one in rollout_rows.routers(city.db) if one.asked_ms is not None)
    city.routers[asked.router_id].is_online = False
    city.run(30)
    assert "too many routers failed version=0.2.0 failed=1" in caplog.text
    assert ("halted", 3) == (city.state(), city.running(NEW))
    assert "not heard since it was asked" in city.shown()
    assert city.order is not None
    city.order = city.order._replace(resumes=1)
    city.run(40)
    assert ("over", 39) == (city.state(), city.running(NEW))


def test_nobody_is_asked_while_it_is_paused(city: SimpleCity) -> None:
    """Who was asked goes on."""
    city.begin(NEW)
    city.job.step(0)
    assert city.order is not None
    city.order = city.order._replace(state="paused")
    city.run(30)
    assert ("paused", 4) == (city.state(), city.running(NEW))
    city.order = city.order._replace(state="runs", resumes=1)
    city.run(30)
    assert ("over", 40) == (city.state(), city.running(NEW))


def test_nobody_begins_after_it_was_stopped(city: SimpleCity) -> None:
    """What was wished and not begun is withdrawn; who runs it keeps it."""
    city.begin(NEW)
    city.run(2)
    for one in city.routers.values():
        one.is_online = one.version == NEW
    city.run(1)
    for one in city.routers.values():
        one.is_online = True
    city.job.step(0)
    assert city.order is not None
    city.order = city.order._replace(state="stopped")
    city.job.step(0)
    count = city.running(NEW)
    city.run(10)
    assert ("stopped", 0, count) == (city.state(), city.wished(), city.running(NEW))
    assert count < 40


def test_a_tag_or_a_site_is_a_part_of_the_city(city: SimpleCity) -> None:
    """The others are in no wave. A later order takes the place of the one before."""
    city.begin(NEW, scope="tag", name="lte")
    city.run(20)
    assert (5, "over") == (city.running(NEW), city.state())
    city.begin(NEW, scope="site", name="a")
    city.run(30)
    assert (20, "over") == (city.running(NEW), city.state())


def test_a_mended_version_follows_a_bad_one(
    city: SimpleCity, caplog: pytest.LogCaptureFixture
) -> None:
    """Its wish has a higher revision, so routers that went back take it."""
    city.begin(BAD)
    city.run(20)
    caplog.clear()
    city.begin(NEW)
    for _ in range(3):  # what they reported of the one before is no answer
        city.job.step(0)
        city.now_ms += MINUTE_MS
    assert "runs" == city.state()
    city.obey()
    city.run(30)
    assert (40, "over") == (city.running(NEW), city.state())


def test_nothing_is_decided_while_the_collector_does_not_hear(city: SimpleCity) -> None:
    """Its broker is away: that no router is heard is no router's fault."""
    city.hears = False
    city.begin(NEW)
    city.run(3)
    assert rollout_rows.read(city.db) is None


def test_an_order_that_was_stopped_at_once_is_not_begun(city: SimpleCity) -> None:
    """Nor is one that was paused at once asked of anybody."""
    city.begin(NEW, state="stopped")
    city.run(3)
    assert rollout_rows.read(city.db) is None
    city.begin(NEW, state="paused")
    city.run(3)
    assert ("paused", 0) == (city.state(), city.wished())


def test_what_an_earlier_order_wished_is_wished_no_longer(city: SimpleCity) -> None:
    """Also of routers that the later one leaves out."""
    city.begin(NEW)
    city.job.step(0)
    assert 4 == city.wished()
    city.begin("0.2.1", scope="site", name="b")
    city.job.step(0)
    wished = [one.message for one in wishes.all_of(city.db, "upgrade") if one.body]
    assert ["0.2.1"] * 4 == [getattr(one, "version", None) for one in wished]


def test_runs_of_before_are_known_when_a_router_is_asked(city: SimpleCity) -> None:
    """Restarts of the hour before are not the version's."""
    store = BatchWriter(
        city.db, Registry(city.db, "kupang"), Caps(1_000_000, 1000), Presence(city.db)
    )
    for number, minutes in enumerate((90, 30, 20, 10)):
        taken_at = T0 - minutes * MINUTE_MS
        one = sample(1, router="r00", run=f"{number:016x}", boot=f"{number:016x}")
        one = dataclasses.replace(one, taken_at=taken_at)
        store.save([Arrived(one, codec.encode(one), True, taken_at)])
    city.begin(NEW)
    city.job.step(0)
    first = next(one for one in rollout_rows.routers(city.db) if one.asked_ms is not None)
    assert (4, 2) == (first.runs, first.restarts)


def test_who_failed_is_named_whatever_is_ordered_later(
    city: SimpleCity, caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason: after it went on, after it was stopped, and in the waves of the next one."""
    city.begin(BAD)
    city.run(20)
    assert 1 == caplog.text.count("upgrade halts")
    assert city.order is not None
    city.order = city.order._replace(resumes=1)
    city.job.step(0)
    assert "  r00: rolled back (no ack in 300 s), since " in city.shown()
    assert "canaries      0 of 4 run it, 4 failed\n" in city.shown()
    city.order = city.order._replace(state="stopped")
    city.job.step(0)
    assert "upgrade to 0.3.0 was stopped" in city.shown()
    assert "  r00: rolled back (no ack in 300 s), since " in city.shown()
    for one in city.routers.values():
        one.is_online = False
    city.begin(NEW)
    city.job.step(0)
    assert "r00: away (0.3.0: rolled back, no ack in 300 s)" in city.shown()
    found = rollout_status.look(city.db, "kupang")
    assert found is not None
    assert (("away", 40),) == found.counts()
    for one in city.routers.values():
        one.is_online = True
    city.run(40)
    assert ("over", 40) == (city.state(), city.running(NEW))
    assert "no ack" not in city.shown()


def test_an_upgrade_that_is_over_is_looked_at_once_a_minute(city: SimpleCity) -> None:
    """A look asks for every router; an order is taken at once still."""
    city.begin(NEW)
    city.run(30)
    assert "over" == city.state()
    city.looks = 0
    for _ in range(24):
        city.job.step(0)
        city.now_ms += 5000
    assert 2 * 40 == city.looks
    city.begin(BAD)
    city.job.step(0)
    assert 4 == city.wished()


def test_an_order_that_is_older_than_the_store_is_left_out(
    city: SimpleCity, caplog: pytest.LogCaptureFixture
) -> None:
    """It was over long ago, perhaps: a wiped store does not know. The next order counts."""
    city.begin(NEW)
    with city.db.transaction():
        settings.keep(city.db, "collected_ms", city.now_ms + 1)
    city.run(3)
    assert rollout_rows.read(city.db) is None
    assert 1 == caplog.text.count("an upgrade was ordered before this store began")
    assert "titik fleet stop" in caplog.text
    city.begin(NEW)
    city.run(30)
    assert 40 == city.running(NEW)


def test_an_order_is_the_newest_of_the_desk(city: SimpleCity) -> None:
    """A second one follows when the first is over."""
    actor = Actor("ani", None, T0)
    wanted = RolloutOrder(0, NEW, "city", "", 5, 20, "", 0)
    with desk_opening.opened(city.config.page_store) as desk:
        first = rollouts.order(desk, wanted, actor, None)
        second = rollouts.order(desk, wanted, actor, first.number)
        assert (1, 2) == (first.number, second.number)
        assert second == posting.read(desk, T0).rollout
