"""The collector looks for alerts, writes what people get, and publishes what is wrong now."""

import os
import pickle
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.collector.alert_city import PARK, AlertCity, history_of, places
from tests.collector.build import T0, opened
from tests.collector.killed_alerting import Look, Recorded, retained
from tests.project.sources import ROOT
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Acknowledgement, DeskFacts, Silence
from titik_collector.alerts.facts import LiveFacts
from titik_collector.live import alert_topics, alerting
from titik_collector.store import alert_rows, beat_rows
from titik_collector.store.beat_rows import Beat
from titik_collector.store.database import Database, StoreError
from titik_collector.store.sqlite import open_writer

OFFLINE = "titik/v1/alert/site/park/site-offline"


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """An empty store."""
    with opened(tmp_path / "titik.db", ()) as empty:
        yield empty


@pytest.fixture
def city(tmp_path: Path, db: Database) -> AlertCity:
    """A park with one router, which has been online for a while."""
    made = AlertCity(tmp_path, db)
    made.goes_online("park-1")
    made.waits(60)
    return made


def test_a_place_that_falls_is_an_incident_a_topic_and_a_message(city: AlertCity) -> None:
    """After five minutes without its router; the topic says what and since when."""
    fell_ms = city.now_ms
    city.goes_offline("park-1")
    city.waits(4 * 60)
    assert ([], {}) == (city.incidents(), city.topics)
    city.waits(2 * 60 + 30)
    assert [("site-offline", "park", "critical", True)] == city.incidents()
    assert [("firing", "site-offline", "park")] == city.inbox()
    (topic,) = city.topics
    found = city.topics[topic]
    assert OFFLINE == topic
    assert ("firing", "critical", True, False, False) == (
        *(found.state, found.severity, found.known, found.acked, found.silenced),
    )
    assert ("Taman: mati", "Taman: offline") == (found.title_id, found.title_en)
    assert fell_ms - 30_000 <= found.began <= fell_ms < found.since


def test_what_is_over_is_resolved_and_its_topic_cleared(city: AlertCity) -> None:
    """Its topic says first that it is recovering."""
    city.goes_offline("park-1")
    city.waits(8 * 60)
    city.goes_online("park-1")
    city.waits(60)
    assert "recovering" == city.topics[OFFLINE].state
    city.waits(14 * 60)
    assert {} == city.topics
    assert [("site-offline", "park", "critical", False)] == city.incidents()
    assert ["firing", "resolved"] == [one[0] for one in city.inbox()]
    assert ["inactive"] == [one.phase for one in alert_rows.read(city.db)]


@pytest.mark.sqlite
def test_each_look_leaves_a_beat(city: AlertCity) -> None:
    """Whoever watches the collector sees it."""
    assert Beat(city.now_ms) == beat_rows.read(city.db, beat_rows.COLLECTOR)


def play(city: AlertCity, between: Callable[[], object]) -> list[object]:
    """Hours with a short outage, a long one, a wide one and one that goes on; all rows at the end.

    `between`: done before each look.
    """

    def waits(seconds: int) -> None:
        for _ in range(seconds // 5):
            city.passes(5)
            between()
            city.look()

    routers = ("park-1", *(f"p{n}-1" for n in range(6)))
    city.goes_online(*routers)
    waits(120)
    city.goes_offline("park-1")
    waits(120)
    city.goes_online("park-1")
    waits(300)
    city.goes_offline("p0-1", "p1-1")
    waits(60)
    city.goes_offline("p2-1", "p3-1", "p4-1", "p5-1")
    waits(900)
    city.goes_online(*routers[1:4])
    city.desk = DeskFacts(acks=(Acknowledgement(1, "budi", city.now_ms, city.now_ms + 10**8),))
    waits(1200)
    city.goes_online(*routers[4:])
    waits(900)
    city.goes_offline("park-1")
    waits(600)
    return city.history()


@pytest.mark.sqlite
@pytest.mark.thorough
def test_restarts_between_looks_leave_the_same_rows(tmp_path: Path, db: Database) -> None:
    """What a look knows of the looks before it is in the store, and in nothing else."""
    text = PARK + places(6)
    expected = play(AlertCity(tmp_path, db, text), lambda: None)
    assert all(expected)
    for table in ("notification", "alert_event", "alert", "incident", "setting", "presence"):
        db.execute(f"DELETE FROM {table}")
    db.execute("DELETE FROM outage")
    (tmp_path / "again").mkdir()
    city = AlertCity(tmp_path / "again", db, text)

    def forgets() -> None:
        city.parts.alerting._book = None

    assert [len(one) for one in expected] == [len(one) for one in play(city, forgets)]  # type: ignore[arg-type]
    assert expected == city.history()


@pytest.mark.sqlite
@pytest.mark.thorough
def test_a_collector_that_is_killed_at_any_statement_leaves_the_same_rows_and_topics(
    tmp_path: Path, db: Database
) -> None:
    """No message twice and none missing, wherever SIGKILL meets it."""
    city = AlertCity(tmp_path, db, PARK + places(6))
    recorded = Recorded(city.parts.alerting._settings, [])
    gather = city.parts.facts.gather

    def record(now_ms: int) -> LiveFacts:
        recorded.looks.append(Look(gather(now_ms), city.desk))
        return recorded.looks[-1].live

    city.parts.alerting._facts = record
    expected = play(city, lambda: None)
    (tmp_path / "looks").write_bytes(pickle.dumps(recorded))
    rand = random.Random(7)
    kills = 0
    while run_killed(tmp_path, rand.randrange(1, 3000)) != 0:
        kills += 1
    assert kills > 3
    with closing(open_writer(tmp_path / "killed.db")) as killed:
        assert expected == history_of(killed)
    assert city.topics.keys() == retained(tmp_path / "broker").keys()


def run_killed(folder: Path, statements: int) -> int:
    """The exit code of a collector that dies at a statement, or ends well before."""
    names = [str(folder / one) for one in ("looks", "killed.db", "broker")]
    code = subprocess.run(
        [sys.executable, "-m", "tests.collector.killed_alerting", *names, str(statements)],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'broker'}:{ROOT / 'agent'}"},
        cwd=ROOT,
        check=False,
    ).returncode
    assert code in (0, -signal.SIGKILL)
    return code


def test_a_look_that_the_store_refuses_leaves_nothing_and_is_made_again(
    city: AlertCity, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of it is never there: what is sent and what is known are one."""
    city.goes_offline("park-1")
    city.waits(5 * 60)
    before = city.history()

    def full(*_: object) -> None:
        raise StoreError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(beat_rows, "write", full)  # the last of a look
        city.passes(60)
        with pytest.raises(StoreError):
            city.look()
    assert before == city.history()
    city.waits(120)
    assert [("firing", "site-offline", "park")] == city.inbox()


@pytest.mark.sqlite
def test_a_bug_in_a_rule_stops_no_other_job(
    city: AlertCity, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the beat stands still until it is mended."""

    def bug(*_: object) -> None:
        raise ZeroDivisionError

    beat = beat_rows.read(city.db, beat_rows.COLLECTOR)
    assert beat is not None
    with monkeypatch.context() as patch:
        patch.setattr(alerting, "evaluate", bug)
        city.parts.jobs.run(idle=True)
        city.parts.jobs.run(idle=True)
    assert ["a bug stops a job, it is tried again after 60 s"] == [
        one.getMessage() for one in caplog.records if one.exc_info
    ]
    assert beat == beat_rows.read(city.db, beat_rows.COLLECTOR)


@pytest.mark.sqlite
def test_acknowledged_and_silenced_stand_in_the_topic(city: AlertCity) -> None:
    """For a wall display that shows who handles what."""
    city.goes_offline("park-1")
    city.waits(7 * 60)
    until_ms = city.now_ms + 10**8
    city.desk = DeskFacts(
        acks=(Acknowledgement(1, "budi", city.now_ms, until_ms),),
        silences=(Silence(1, AlertSubject("site", "park"), None, T0, until_ms, "budi", "x"),),
    )
    city.waits(5)
    found = city.topics[OFFLINE]
    assert (True, True) == (found.acked, found.silenced)


@pytest.mark.sqlite
def test_a_connect_publishes_what_fires_and_clears_what_is_over(city: AlertCity) -> None:
    """The broker may have lost the one, and a collector that was killed left the other."""
    city.goes_offline("park-1")
    city.waits(8 * 60)
    city.goes_online("park-1")
    city.waits(20 * 60)
    left = dict.fromkeys([OFFLINE])
    city.topics = left  # type: ignore[assignment]
    city.start()
    city.waits(5)
    assert {} == city.topics
    city.goes_offline("park-1")
    city.waits(8 * 60)
    city.topics.clear()
    city.connects()
    city.waits(5)
    assert [OFFLINE] == list(city.topics)


@pytest.mark.sqlite
def test_switched_off_nobody_gets_a_message(tmp_path: Path, db: Database) -> None:
    """The beat goes on, and says why nothing fires."""
    city = AlertCity(tmp_path, db, PARK + "[alerts]\non = false\n")
    city.goes_online("park-1")
    city.waits(60)
    city.goes_offline("park-1")
    city.waits(20 * 60)
    assert ([], [], {}) == (city.incidents(), city.inbox(), city.topics)
    beat = Beat(city.now_ms, "[alerts] on = false: no rule is looked at")
    assert beat == beat_rows.read(city.db, beat_rows.COLLECTOR)


@pytest.mark.sqlite
def test_an_edit_of_the_rules_counts_at_the_next_look(city: AlertCity) -> None:
    """Without a restart."""
    city.file.write_text(city.file.read_text() + '[[alert]]\nkind = "site-offline"\non = false\n')
    for _ in range(2):
        city.parts.reload.step(0)
    city.goes_offline("park-1")
    city.waits(20 * 60)
    assert [] == city.incidents()


@pytest.mark.sqlite
def test_an_outage_of_a_provider_is_the_topic_of_the_city(tmp_path: Path, db: Database) -> None:
    """Its name is no part of a topic, so it stands in the title."""
    city = AlertCity(tmp_path, db, PARK + places(6))
    routers = [f"p{n}-1" for n in range(6)]
    city.goes_online("park-1", *routers)
    city.waits(60)
    city.goes_offline(*routers)
    city.waits(10 * 60)
    found = city.topics["titik/v1/alert/city/kupang/group-outage"]
    assert ("critical", "Telkom: mati") == (found.severity, found.title_id)


@pytest.mark.sqlite
def test_a_long_name_leaves_room_for_what_is_wrong() -> None:
    """And a title is one line."""
    assert f"{'x' * 290}: offline"[-12:] == alert_topics._title("x" * 400, "offline")[-12:]
    assert 300 == len(alert_topics._title("x" * 400, "offline"))
    assert "a?b: offline" == alert_topics._title("a\nb", "offline")
