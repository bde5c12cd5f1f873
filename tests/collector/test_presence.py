"""Who is there, whose word counts, and why a router was away."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.collector.build import BOOT, RUN, T0, Registered, opened, sample, unreadable
from titik_collector.ingest.batch import BatchWriter
from titik_collector.ingest.caps import Caps
from titik_collector.live.presence import DOUBT_MS, MISSED_AFTER_MS, SILENT_AFTER_MS, Presence
from titik_collector.received import Arrived, StatusReceived
from titik_collector.store.database import StoreError
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec
from titik_wire.messages import Status

OTHER_RUN = "0" * 16
OTHER_BOOT = "0" * 8


OLDER, NEWER, MODEL = "OpenWrt 24.10.0", "OpenWrt 24.10.4", "Cudy WR3000"
ABOUT: tuple[str, str | None, str | None] = ("0.1.0", MODEL, OLDER)  # version, model, firmware


def reported(
    state: str,
    at_s: int,
    run: str = RUN,
    connection: int = 1,
    boot: str = BOOT,
    about: tuple[str, str | None, str | None] = ABOUT,
) -> StatusReceived:
    status = Status("tirosa-1", state, run, connection, boot, *about)  # type: ignore[arg-type]
    return StatusReceived(status, T0 + at_s * 1000)


def live(at_s: int) -> Arrived:
    return Arrived(sample(1), b"", True, T0 + at_s * 1000)


def record(db: SqliteDatabase, *items: StatusReceived | Arrived) -> Presence:
    presence = Presence(db)
    for item in items:
        presence.record([(1, item)])
    return presence


def outages(db: SqliteDatabase) -> list[tuple[int, int | None, str]]:
    return [
        ((start - T0) // 1000, None if end is None else (end - T0) // 1000, cause)
        for start, end, cause in db.execute("SELECT from_ms, to_ms, cause FROM outage")
    ]


def test_online_until_it_says_otherwise(tmp_path: Path) -> None:
    """A clean stop is offline at once."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(5))
        assert "online" == presence.state(1).state
        presence.record([(1, reported("stopping", 9))])
        assert "offline" == presence.state(1).state


@pytest.mark.parametrize(
    "late",
    [
        reported("offline", 20, connection=1),  # an older connection's will
        reported("offline", 20, run=OTHER_RUN, connection=9),  # an older run's will
    ],
)
def test_an_older_word_never_overrules_a_newer(tmp_path: Path, late: StatusReceived) -> None:
    """A delayed will arrives after the router is back."""
    with opened(tmp_path / "db") as db:
        presence = record(
            db, reported("online", 0, connection=1), reported("online", 10, connection=2)
        )
        presence.record([(1, late)])

        assert "online" == presence.state(1).state


CAUSES: list[tuple[Sequence[StatusReceived | Arrived], str]] = [
    ([reported("offline", 60), reported("online", 90, OTHER_RUN, 1, OTHER_BOOT)], "power cut"),
    ([reported("stopping", 60), reported("online", 90, OTHER_RUN, 1, OTHER_BOOT)], "reboot"),
    ([reported("offline", 60), reported("online", 90, connection=2)], "uplink lost"),
    ([reported("offline", 60), reported("online", 90, OTHER_RUN)], "agent crash"),
    ([reported("stopping", 60), reported("online", 90, OTHER_RUN)], "agent restart"),
]


def booted(version: str, model: str | None, firmware: str | None) -> StatusReceived:
    return reported("online", 90, OTHER_RUN, 1, OTHER_BOOT, (version, model, firmware))


CAUSES += [
    ([reported("stopping", 60), booted("0.1.0", MODEL, NEWER)], "firmware upgrade"),
    ([reported("offline", 60), booted("0.1.0", MODEL, NEWER)], "firmware upgrade"),
    ([reported("stopping", 60), booted("0.2.0", MODEL, OLDER)], "firmware upgrade"),
    ([reported("stopping", 60), booted("0.1.0", MODEL, None)], "reboot"),  # it could not be read
    ([reported("offline", 60), booted("0.1.0", "Other", NEWER)], "power cut"),
    (
        [reported("stopping", 60), reported("online", 90, OTHER_RUN, about=("2", MODEL, OLDER))],
        "agent restart",
    ),  # the device went on
]


@pytest.mark.parametrize(("items", "cause"), CAUSES)
def test_the_return_shows_the_cause(
    tmp_path: Path, items: Sequence[StatusReceived | Arrived], cause: str
) -> None:
    """Boot, run and the last word distinguish a power cut from a lost uplink."""
    with opened(tmp_path / "db") as db:
        record(db, reported("online", 0), live(30), *items)

        assert [(30, 90, cause)] == outages(db)


def test_a_crash_too_short_for_the_will_is_seen_by_the_new_run(tmp_path: Path) -> None:
    """The will waits 30 s, and a new connection cancels it."""
    with opened(tmp_path / "db") as db:
        record(db, reported("online", 0), live(30), reported("online", 35, OTHER_RUN))

        assert [(30, 35, "agent crash")] == outages(db)


def test_silent_is_not_offline(tmp_path: Path) -> None:
    """Connected without samples is silence; only a long one is an outage."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(1))
        presence.tick(T0 + 1000 + SILENT_AFTER_MS + 1, [1])
        assert "silent" == presence.state(1).state
        assert [] == outages(db)
        presence.tick(T0 + 1000 + MISSED_AFTER_MS + 1, [1])
        assert "offline" == presence.state(1).state
        presence.record([(1, reported("online", 2000)), (1, live(2001))])
        assert "online" == presence.state(1).state


def test_a_sample_before_the_first_word_is_no_run_to_be_missed(tmp_path: Path) -> None:
    """`titik-agent check` sends one; the agent that starts after it comes back from nothing."""
    with opened(tmp_path / "db") as db:
        record(db, live(1), reported("online", 3, run=OTHER_RUN))
        assert [] == outages(db)


def test_the_first_word_ends_an_outage_that_was_only_missed(tmp_path: Path) -> None:
    """A check's sample, and the agent half an hour later: it is not away for ever."""
    with opened(tmp_path / "db") as db:
        presence = record(db, live(1))
        for after_ms in (SILENT_AFTER_MS, MISSED_AFTER_MS):
            presence.tick(T0 + 1001 + after_ms, [1])
        presence.record([(1, reported("online", 2000))])
        assert [2000] == [end for _, end, _ in outages(db)]


def test_a_check_between_two_runs_is_no_outage_of_its_own(tmp_path: Path) -> None:
    """The agent was stopped for it: one outage, from the goodbye to the return."""
    with opened(tmp_path / "db") as db:
        record(
            db,
            reported("online", 0),
            live(5),
            reported("stopping", 9),
            live(12),
            reported("online", 15, run=OTHER_RUN),
        )
        assert [(5, 15, "agent restart")] == outages(db)


def test_a_sample_ends_silence(tmp_path: Path) -> None:
    """It is heard again."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(1))
        presence.tick(T0 + 1000 + SILENT_AFTER_MS + 1, [1])
        presence.record([(1, live(300))])

        assert "online" == presence.state(1).state


def test_a_retained_sample_does_not_raise_the_dead(tmp_path: Path) -> None:
    """After a collector's start the broker gives the last sample of a router that is off."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), reported("offline", 60), live(100))

        assert "offline" == presence.state(1).state


def test_what_was_known_outlives_the_collector(tmp_path: Path) -> None:
    """A restart forgets nothing."""
    with opened(tmp_path / "db") as db:
        record(db, reported("online", 0), live(30), reported("offline", 60))

        assert ("offline", RUN) == (Presence(db).state(1).state, Presence(db).state(1).run)


def test_samples_end_an_outage_that_was_only_missed(tmp_path: Path) -> None:
    """Its own last word is still `online`, so no other status will come."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(1))
        for after_ms in (SILENT_AFTER_MS, MISSED_AFTER_MS):
            presence.tick(T0 + 1000 + after_ms + 1, [1])
        presence.record([(1, live(2000))])

        assert "online" == presence.state(1).state
        assert [(1, 2000, "unknown")] == outages(db)


def test_nobody_is_missed_while_the_collector_is_deaf(tmp_path: Path) -> None:
    """A broker that was away for an hour is not a city that was."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(1))
        listening_ms = T0 + 3_600_000
        for after_ms in (1, 5000, SILENT_AFTER_MS):
            presence.tick(listening_ms + after_ms, [1], listening_ms)
        assert "online" == presence.state(1).state

        presence.tick(listening_ms + SILENT_AFTER_MS + 1, [1], listening_ms)
        assert "silent" == presence.state(1).state


def test_a_word_sent_again_is_no_life(tmp_path: Path) -> None:
    """The broker repeats the retained `online` whenever the collector connects."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(1))
        for after_ms in (SILENT_AFTER_MS, MISSED_AFTER_MS):
            presence.tick(T0 + 1000 + after_ms + 1, [1])
        presence.record([(1, reported("online", 2000))])

        assert "offline" == presence.state(1).state
        assert [(1, None, "unknown")] == outages(db)


def test_a_sample_sent_again_is_no_life(tmp_path: Path) -> None:
    """So does the retained sample; it was stored before."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        store.save([live(at_s)._replace(payload=b"{}") for at_s in (0, 900)])

        assert T0 == presence.state(1).heard_ms


def test_a_sample_over_a_cap_is_life(tmp_path: Path) -> None:
    """It gets no row, but its router sent it now."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        saved = BatchWriter(db, Registered(), Caps(runs=0), presence).save([live(0)])

        assert (0, 1) == (saved.stored, saved.capped)
        assert T0 == presence.state(1).heard_ms


def test_a_failed_batch_takes_back_no_change_before_it(tmp_path: Path) -> None:
    """The change is committed and has yet to be published to engineers."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0))
        presence.forget()

        assert {1} == presence.take_changed()


def broker_died(
    db: SqliteDatabase, *items: StatusReceived | Arrived, since_s: int = 60
) -> Presence:
    """The router reports for a minute, then the broker is gone until 100; what comes then."""
    presence = record(db, reported("online", 0), live(30), *items)
    presence.doubt(T0 + since_s * 1000, T0 + 100_000, broker=True)
    return presence


def test_a_will_of_the_broker_that_died_is_no_outage(tmp_path: Path) -> None:
    """A broker that ends publishes every will, and the routers come back to the next one."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        presence.record([(1, reported("offline", 101))])
        assert "unknown" == presence.state(1).state
        presence.record([(1, reported("online", 140, connection=2))])
        assert ("online", []) == (presence.state(1).state, outages(db))


def test_a_will_published_as_the_broker_ended_is_taken_back(tmp_path: Path) -> None:
    """It is the last thing that was heard of that broker."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db, reported("offline", 59))
        assert ("unknown", []) == (presence.state(1).state, outages(db))
        presence.record([(1, reported("offline", 101)), (1, reported("online", 140, connection=2))])
        assert ("online", []) == (presence.state(1).state, outages(db))


def test_who_does_not_come_back_to_the_broker_is_away_since_then(tmp_path: Path) -> None:
    """It had the time for it; of the time before nobody knows."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        presence.record([(1, reported("offline", 101))])
        presence.tick(T0 + 100_000 + DOUBT_MS - 1, [1], T0 + 100_000)
        assert ("unknown", []) == (presence.state(1).state, outages(db))
        presence.tick(T0 + 100_000 + DOUBT_MS, [1], T0 + 100_000)
        assert ("offline", [(100, None, "unknown")]) == (presence.state(1).state, outages(db))


def test_an_outage_before_the_broker_died_goes_on(tmp_path: Path) -> None:
    """The router was away, and still is."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db, reported("offline", 40))
        presence.record([(1, reported("offline", 101)), (1, reported("online", 140, connection=2))])
        assert [(30, 140, "uplink lost")] == outages(db)


def test_a_clean_stop_is_never_doubted(tmp_path: Path) -> None:
    """The router reported it itself."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        presence.record([(1, reported("stopping", 101))])
        assert "offline" == presence.state(1).state


def test_a_router_that_came_back_is_not_doubted(tmp_path: Path) -> None:
    """A second absence is its own."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        presence.record([(1, reported("online", 110, connection=2)), (1, live(115))])
        presence.record([(1, reported("offline", 150, connection=2))])
        assert [(115, None, "unknown")] == outages(db)


def test_a_power_cut_while_the_broker_was_away_is_one(tmp_path: Path) -> None:
    """The boot is another; how long it was away before is not known."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        presence.record([(1, reported("online", 140, OTHER_RUN, 1, OTHER_BOOT))])
        assert [(100, 140, "power cut")] == outages(db)


def test_a_restart_of_the_collector_doubts_only_who_was_not_heard(tmp_path: Path) -> None:
    """The broker lived, and its words are true; but the machine may have been restarted whole."""
    with opened(tmp_path / "db", ("tirosa-1", "tirosa-2")) as db:
        presence = record(db, reported("online", 0))
        presence.record([(2, reported("online", 0))])
        presence.doubt(T0 + 60_000, T0 + 100_000, broker=False)
        presence.record([(1, live(110))])
        presence.record([(1, reported("offline", 150)), (2, reported("offline", 150))])
        assert ["offline", "unknown"] == [presence.state(one).state for one in (1, 2)]


def test_who_is_quiet_after_the_broker_came_back_is_unknown_first(tmp_path: Path) -> None:
    """A broker that was killed publishes no will; its routers look for it for minutes."""
    with opened(tmp_path / "db") as db:
        presence = broker_died(db)
        states = []
        for after_ms in (0, SILENT_AFTER_MS + 1, DOUBT_MS):
            presence.tick(T0 + 100_000 + after_ms, [1], T0 + 100_000)
            states.append(presence.state(1).state)
        assert ["online", "unknown", "silent"] == states


def test_a_store_that_failed_doubts_nobody(tmp_path: Path) -> None:
    """The broker kept every word; but nobody is missed for the time of the failure."""
    with opened(tmp_path / "db") as db:
        presence = record(db, reported("online", 0), live(30))
        presence.resume(T0 + 100_000)
        presence.record([(1, reported("offline", 101))])
        assert [(100, None, "unknown")] == outages(db)


def test_an_older_run_that_a_broker_retains_is_not_there_again(tmp_path: Path) -> None:
    """A broker brought back from a backup says it; the dead router stays dead."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        other = sample(1, run=OTHER_RUN, boot=OTHER_BOOT)
        for item in (
            reported("online", 0),
            live(5),
            reported("online", 90, OTHER_RUN, 1, OTHER_BOOT),
            Arrived(other, codec.encode(other), True, T0 + 95_000),
            reported("offline", 300, OTHER_RUN, 1, OTHER_BOOT),
        ):
            store.save([item])
        before = presence.state(1), outages(db)
        store.save([reported("online", 9000)])
        assert before == (presence.state(1), outages(db))
        assert (OTHER_RUN, "offline") == (presence.state(1).run, presence.state(1).state)


def test_a_run_that_connects_again_is_there(tmp_path: Path) -> None:
    """Its twin of the same name was heard meanwhile."""
    with opened(tmp_path / "db") as db:
        presence = Presence(db)
        store = BatchWriter(db, Registered(), presence=presence)
        for item in (
            reported("online", 0),
            live(5),
            reported("online", 90, OTHER_RUN),
            reported("online", 95, connection=2),
        ):
            store.save([item])
        assert (RUN, 2) == (presence.state(1).run, presence.state(1).connection)


def test_a_state_that_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    """And no sample writes it over: all that was known of the router stays."""
    with opened(tmp_path / "db") as db:
        before = record(db, reported("online", 0), live(1)).state(1)
        presence = Presence(db)  # another start
        with unreadable(db, "presence"), pytest.raises(StoreError):
            presence.state(1)
        presence.record([(1, live(31))])

        assert before._replace(heard_ms=T0 + 31_000) == Presence(db).state(1)
