"""What the city wishes of a router: revisions, what it reports, and what is at the broker."""

import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from rich.console import Console

from tests.collector.build import RUN, T0, Registered, opened
from tests.collector.test_registry import HEAD, city
from titik_collector.broker_link.inbox import ReceivedMessage
from titik_collector.config import model
from titik_collector.config.model import Config
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.items import to_item
from titik_collector.ingest.saved import Saved
from titik_collector.queries import status, status_json
from titik_collector.queries.server_warnings import Server
from titik_collector.queries.settings_status import (
    ANSWERS_MS,
    SettingsOutcomes,
    SettingsStatus,
    shown,
)
from titik_collector.registry.sync import sync
from titik_collector.screens import status_detail
from titik_collector.store import settings, wishes
from titik_collector.store.database import Database
from titik_collector.wishes.wish_publishing import AT_ONCE, WishPublishing
from titik_wire import codec, topics
from titik_wire.fleet_messages import (
    InForce,
    Outcome,
    RouterReply,
    RouterSettings,
    RouterUpgrade,
    Running,
)

NAME: Final = "tirosa-1"
FAST = RouterSettings(NAME, 1, interval_s=10)
SLOW = RouterSettings(NAME, 1, interval_s=60)


class Broker:
    """An outbox: what is retained, by topic, and how much came."""

    def __init__(self) -> None:
        self.retained: dict[str, bytes] = {}
        self.count = 0

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        assert retain
        self.count += 1
        self.retained.pop(topic, None)
        if payload:
            self.retained[topic] = payload

    def flush(self) -> None:
        """Nothing waits."""

    def interval_s(self, name: str = NAME) -> tuple[int, int | None]:
        """The revision of a router's settings, and its interval."""
        topic = topics.settings(name)
        message = codec.decode(topic, self.retained[topic])
        assert isinstance(message, RouterSettings)
        return message.revision, message.interval_s


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A store with one router, whose id is 1."""
    with opened(tmp_path / "titik.db") as one:
        yield one


def wish(db: Database, wished: RouterSettings, now_ms: int = T0) -> bool:
    """In a transaction of its own."""
    with db.transaction():
        return wishes.wish(db, 1, wished, now_ms)


def report(revision: int, **more: object) -> Running:
    """Settings of this revision are applied."""
    outcome = Outcome(revision, "applied")
    whole = Running(NAME, RUN, "0.1.0", settings=outcome, in_force=InForce(10))
    return dataclasses.replace(whole, **more)  # type: ignore[arg-type]


def hear(db: Database, *messages: Running | RouterReply) -> Saved:
    """As they come from the broker, all in one batch."""
    items = [
        to_item(ReceivedMessage(topic, codec.encode(one), (1, 1)), T0)
        for one in messages
        for topic in [topics.running(NAME) if isinstance(one, Running) else topics.answer(NAME)]
    ]
    return BatchWriter(db, Registered()).save(items)


def publish(job: WishPublishing) -> None:
    """All that is due."""
    while job.due(0):
        job.step(0)


def test_a_revision_rises_with_a_change_and_with_nothing_else(db: Database) -> None:
    """Whatever revision the message has; a wish that was withdrawn and comes back is another."""
    found = []
    for wished in (FAST, dataclasses.replace(FAST, revision=7), SLOW, None, None, SLOW):
        if wished is None:
            with db.transaction():
                changed = wishes.withdraw(db, 1, "settings", T0)
        else:
            changed = wish(db, wished)
        (now,) = wishes.all_of(db, "settings")
        found.append((changed, now.revision, now.message is None))
    assert [
        (True, 1, False),
        (False, 1, False),
        (True, 2, False),
        (True, 2, True),
        (False, 2, True),
        (True, 3, False),
    ] == found


def test_what_a_router_reports_is_kept_with_when_it_first_came(db: Database) -> None:
    """A broker delivers what is retained again with each connect."""
    with db.transaction():
        wishes.hear(db, 1, report(1), T0)
    with db.transaction():
        wishes.hear(db, 1, report(1), T0 + 5000)
    assert wishes.RouterRunning(1, NAME, report(1), T0) == wishes.running(db, 1)
    assert [report(1)] == [one.running for one in wishes.all_running(db)]


def test_reports_and_answers_come_with_a_batch(db: Database) -> None:
    """A report is in the store, and whoever asked gets the answer."""
    reply = RouterReply(NAME, RUN, checks=("broker: ok",))
    saved = hear(db, report(1), reply)
    assert ([(1, report(1))], [(1, reply)]) == (saved.running, saved.replies)
    assert wishes.running(db, 1) is not None
    assert 0 == saved.malformed + saved.capped + saved.unregistered


def test_a_router_that_knows_more_than_the_store_gets_a_higher_revision(db: Database) -> None:
    """A backup was brought back: it would else take the next wishes for old ones."""
    wish(db, FAST)
    outbox = Broker()
    job = WishPublishing(db, outbox, lambda: True)
    saved = hear(db, report(5))
    job.changed(saved.wishes)
    publish(job)
    assert (6, 10) == outbox.interval_s()
    assert set() == hear(db, report(6)).wishes
    lost = hear(db, report(6, upgrade=Outcome(3, "refused")))  # the store never knew that wish
    assert {1} == lost.wishes
    with db.transaction():
        wishes.wish(db, 1, RouterUpgrade(NAME, 1, "0.2.0"), T0)
    assert [6, 5] == [one.revision for one in wishes.of_routers(db, [1])]


def test_settings_without_a_key_end_when_the_router_has_its_own_again(db: Database) -> None:
    """A router that was away must hear that they ended, so their topic is not simply cleared."""
    outbox = Broker()
    job = WishPublishing(db, outbox, lambda: True)
    wish(db, FAST)
    wish(db, RouterSettings(NAME, 1))
    assert set() == hear(db, report(1)).wishes
    job.begin()
    publish(job)
    assert (2, None) == outbox.interval_s()
    job.changed(hear(db, report(2)).wishes)
    publish(job)
    assert {} == outbox.retained


def test_after_a_connect_all_wishes_are_at_the_broker_in_several_steps(tmp_path: Path) -> None:
    """However many routers there are, a step is of a few."""
    names = [f"r-{number:02}" for number in range(2 * AT_ONCE + 5)]
    with opened(tmp_path / "titik.db", names) as db:
        with db.transaction():
            many = ((n + 1, RouterSettings(name, 1, interval_s=30)) for n, name in enumerate(names))
            wishes.wish_all(db, many, T0)
            wishes.withdraw(db, 1, "settings", T0)
        outbox = Broker()
        outbox.retained = {topics.settings(names[0]): b"of before"}
        job = WishPublishing(db, outbox, lambda: True)
        job.begin()
        counts = []
        while job.due(0):
            job.step(0)
            counts.append(outbox.count)
    assert [AT_ONCE, 2 * AT_ONCE, 2 * AT_ONCE + 5] == counts
    assert [topics.settings(name) for name in names[1:]] == list(outbox.retained)


def test_a_broker_that_offers_no_wishes_is_sent_none(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    """They wait until it does, and the log has the remedy."""
    wish(db, FAST)
    outbox, offered = Broker(), False
    job = WishPublishing(db, outbox, lambda: offered)
    job.begin()
    publish(job)
    assert (0, 0) == (outbox.count, settings.number(db, "wishes_offered"))
    assert "titik broker init" in caplog.text
    offered = True  # somebody gave it the rights
    publish(job)
    assert ((1, 10), 1) == (outbox.interval_s(), settings.number(db, "wishes_offered"))


def test_a_removed_router_loses_its_wishes_and_its_revisions_never_fall(db: Database) -> None:
    """Nor does it get old ones when it is added again."""
    with db.transaction():
        wishes.wish(db, 1, SLOW, T0)
        wishes.hear(db, 1, report(1), T0)
    sync(db, city("x"), T0)
    sync(db, city("x", **{NAME: "x"}), T0)
    assert [None] == [one.message for one in wishes.all_of(db, "settings")]
    assert wishes.running(db, 1) is None
    wish(db, SLOW)
    assert [2] == [one.revision for one in wishes.all_of(db, "settings")]


def of_file(settings_tables: str, *routers: str) -> Config:
    """A city whose routers stand at x, with these tables."""
    text = HEAD + '[[site]]\nname = "x"\ntitle = "X"\n'
    text += "".join(f'[[router]]\nname = "{name}"\nsite = "x"\n' for name in routers or (NAME,))
    return model.parse(f"{text}{settings_tables}".encode(), Path("titik.toml"))


def test_an_edit_of_the_file_is_another_wish_of_those_that_it_concerns(db: Database) -> None:
    """A router that gets what it had keeps its revision; no table at all wishes nothing."""
    assert () == sync(db, of_file(""), T0).wished
    tables = (
        "[[settings]]\nall = true\ninterval_s = {}\n[[settings]]\nrouter = '{}'\nprobe = true\n"
    )
    both = (NAME, "b")
    assert both == sync(db, of_file(tables.format(60, NAME), *both), T0).wished
    assert () == sync(db, of_file(tables.format(60, NAME), *both), T0).wished
    assert ("b",) == sync(db, of_file(tables.format(60, "b"), *both), T0).wished[1:]
    assert both == sync(db, of_file("", *both), T0).wished
    found = {one.router: one.message for one in wishes.all_of(db, "settings")}
    assert {name: RouterSettings(name, 3) for name in both} == found


def look(db: Database, after_ms: int = 1000, is_online: bool = True) -> SettingsStatus | None:
    """What is shown of the router, so long after the wish."""
    return SettingsOutcomes(db).of(NAME, is_online, T0 + after_ms)


def test_what_is_shown_of_a_wish_is_what_the_router_made_of_it(db: Database) -> None:
    """Before it answers it waits; one that never answers does not offer it."""
    assert look(db) is None
    wish(db, FAST)
    assert SettingsStatus(FAST, T0, "waiting", None, None) == look(db)
    assert "not offered" == getattr(look(db, ANSWERS_MS), "state", None)
    assert "waiting" == getattr(look(db, ANSWERS_MS, is_online=False), "state", None)
    hear(db, report(1))
    assert SettingsStatus(FAST, T0, "applied", None, InForce(10)) == look(db)
    wish(db, SLOW)
    assert "waiting" == getattr(look(db, ANSWERS_MS), "state", None)
    hear(db, report(2, settings=Outcome(2, "rolled-back", "no ack")))
    slow = dataclasses.replace(SLOW, revision=2)
    assert SettingsStatus(slow, T0, "rolled-back", "no ack", InForce(10)) == look(db)
    with db.transaction():
        settings.keep(db, "wishes_offered", 0)
    wish(db, FAST)
    assert "not offered" == getattr(look(db), "state", None)


def test_settings_are_shown_as_the_command_takes_them() -> None:
    """Of a wish, and of what is in force."""
    wished = RouterSettings(NAME, 1, interval_s=60, reach_targets=("a:1", "b:2"), reach_names=())
    assert "interval_s=60 reach_targets=a:1,b:2 reach_names=none" == shown(wished)
    assert "interval_s=10 reach_targets=none reach_names=none probe=true" == shown(
        InForce(10, probe=True)
    )


def test_the_status_of_a_router_has_its_settings(db: Database) -> None:
    """On the screen and for programs."""
    wish(db, FAST)
    hear(db, report(1, settings=Outcome(1, "refused", "reach: too often")))
    city = status.gather(db, "kupang", T0 + 5000)
    (router,) = city.routers()
    console = Console(file=io.StringIO(), width=100)
    console.print(status_detail.render(city, router, None))
    assert isinstance(console.file, io.StringIO)
    screen = console.file.getvalue()
    assert "interval_s=10" in screen
    assert "refused: reach: too often" in screen
    document = status_json.document(city, Server(None, (), None), router)["router"]["settings"]
    assert ("refused", {"interval_s": 10}) == (document["state"], document["wish"])
