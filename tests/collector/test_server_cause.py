"""Outages that are the server's fault though the collector heard all the time."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.collector.build import T0, Registered, opened, sample
from titik_collector.ingest.batch import BatchWriter
from titik_collector.live.server_cause import ServerCause, verdict
from titik_collector.received import Arrived
from titik_collector.store import kept_messages
from titik_collector.store.database import Database
from titik_collector.store.kept_messages import SampleKey
from titik_collector.store.sqlite import SqliteDatabase
from titik_wire import codec
from titik_wire.messages import Net, Reach, Sample

ROUTERS = ("tirosa-1", "tirosa-2", "tirosa-3")
FINE, GONE, OFF = "fine", "gone", "off"  # what a router's tests of the internet say
AWAY = range(10, 21)  # seqs of samples that were taken during the outage
FROM_MS, TO_MS = T0 + 9 * 30_000 + 500, T0 + 21 * 30_000


class Named(Registered):
    """Three routers."""

    def router_id(self, name: str) -> int | None:
        return ROUTERS.index(name) + 1


def taken(router: str, internet: str, seqs: Sequence[int] = range(8, 23)) -> list[Sample]:
    """A sample every 30 s and a round of tests every minute."""
    run = f"{ROUTERS.index(router):016x}"
    found = []
    for seq in seqs:
        rounds = seq // 2
        answers = internet == FINE or seq not in AWAY
        reach = Reach(tcp_ms=20.0 if answers else None, tcp_failures=0, attempts=rounds)
        quiet = (Net("wan", "uplink", True, "wan/3", seq, seq),)
        found.append(
            sample(
                seq, router=router, run=run, boot=f"b{ROUTERS.index(router)}", net=quiet,
                reach=None if internet == OFF else reach,
            )
        )  # fmt: skip
    return found


def judged(
    db: SqliteDatabase, internets: Sequence[str], away: Sequence[int] | None = None
) -> list[str]:
    """The causes after these routers were away together, and reported this of their internet."""
    store = BatchWriter(db, Named())
    for router, internet in zip(ROUTERS, internets, strict=True):
        samples = taken(router, internet)
        store.save([Arrived(one, codec.encode(one), False, one.taken_at) for one in samples])
        number = ROUTERS.index(router) + 1
        db.execute(
            "INSERT INTO presence (router_id, state, said, since_ms, heard_ms)"
            " VALUES (:router, 'online', 'online', :at, :at) ON CONFLICT (router_id) DO UPDATE"
            " SET state = 'online', said = 'online', since_ms = :at, heard_ms = :at",
            {"router": number, "at": TO_MS},
        )
        if away is None or number in away:
            db.execute(
                "INSERT INTO outage (router_id, from_ms, to_ms, cause)"
                " VALUES (?, ?, ?, 'uplink lost')",
                (number, FROM_MS, TO_MS + number * 1000),
            )
    judge(db)
    return [cause for (cause,) in db.execute("SELECT cause FROM outage ORDER BY router_id")]


def judge(db: SqliteDatabase) -> None:
    """Until it has nothing more to do."""
    job = ServerCause(db, lambda: TO_MS + 60_000, time.monotonic)
    assert job.due(time.monotonic())
    while job.due(time.monotonic()):
        job.step(0.0)


LOST, SERVER = "uplink lost", "server"
CASES = [
    ((FINE, FINE, FINE), [SERVER] * 3),
    ((FINE, OFF, OFF), [SERVER] * 3),  # one is enough, if none speaks against it
    ((FINE, FINE, GONE), [SERVER, SERVER, LOST]),  # that one's own line was cut too
    ((FINE, GONE, GONE), [LOST] * 3),
    ((OFF, OFF, OFF), [LOST] * 3),  # nobody knows
]


@pytest.mark.parametrize(("internets", "causes"), CASES)
def test_what_routers_spooled_shows_whose_fault_it_was(
    tmp_path: Path, internets: Sequence[str], causes: list[str]
) -> None:
    """Most went together, and came back in the same run."""
    with opened(tmp_path / "db", ROUTERS) as db:
        assert causes == judged(db, internets)


def test_few_routers_that_go_have_lost_their_uplink(tmp_path: Path) -> None:
    """The others reached the server all the time, so it was there."""
    with opened(tmp_path / "db", ROUTERS) as db:
        assert [LOST] == judged(db, (FINE, FINE, FINE), away=(1,))


def test_a_fault_of_the_server_is_one_event_with_its_evidence(tmp_path: Path) -> None:
    """And in no router's outage."""
    with opened(tmp_path / "db", ROUTERS) as db:
        judged(db, (FINE, FINE, OFF))
        assert [(FROM_MS, TO_MS + 3000, "line")] == db.execute(
            "SELECT from_ms, to_ms, what FROM server_outage"
        ).fetchall()
        assert [] == db.execute("SELECT * FROM v_outage").fetchall()
        ((evidence,),) = set(db.execute("SELECT evidence FROM outage"))
        assert (
            "3 of 3 routers went within 0 s and came back in the same run;"
            " the internet was fine at 2 of them, and gone at 0"
        ) == evidence


def test_a_later_look_finds_the_same(tmp_path: Path) -> None:
    """And adds who came back in the meantime to the same event."""
    with opened(tmp_path / "db", ROUTERS) as db:
        assert [SERVER] * 2 == judged(db, (FINE, FINE, FINE), away=(1, 2))
        db.execute(
            "INSERT INTO outage (router_id, from_ms, to_ms, cause) VALUES (3, ?, ?, 'uplink lost')",
            (FROM_MS - 1000, TO_MS + 50_000),
        )
        judge(db)
        assert [(FROM_MS - 1000, TO_MS + 50_000)] == db.execute(
            "SELECT from_ms, to_ms FROM server_outage"
        ).fetchall()
        assert {("server",)} == set(db.execute("SELECT cause FROM outage"))


def test_visitors_who_use_the_internet_prove_it() -> None:
    """Where no tests are configured; a router's own broadcasts are no proof."""

    def received(seq: int, bytes_: int) -> Sample:
        return sample(seq, net=(Net("wan", "uplink", True, "wan/3", bytes_, 0),))

    busy = verdict(received(1, 0), [received(2, 300_001)])
    quiet = verdict(received(1, 0), [received(2, 300_000)])
    assert ("fine", "unknown") == (busy.internet, quiet.internet)


def test_a_round_of_before_the_outage_proves_nothing() -> None:
    """Its answer is repeated by every sample until the next round."""
    output = Reach(tcp_ms=20.0, tcp_failures=0, attempts=7)
    before, *during = (sample(seq, reach=output, net=()) for seq in (1, 2, 3))
    assert "unknown" == verdict(before, during).internet


def test_a_router_whose_samples_cannot_be_read_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A bug leaves out its evidence, and nobody else's."""
    read = kept_messages.sample

    def fail(db: Database, router: str, key: SampleKey) -> Sample | None:
        if router == "tirosa-1":
            raise KeyError(router)
        return read(db, router, key)

    monkeypatch.setattr(kept_messages, "sample", fail)
    with opened(tmp_path / "db", ROUTERS) as db:
        assert [SERVER] * 3 == judged(db, (GONE, FINE, FINE))
    assert ["a bug stops the evidence of an outage router=tirosa-1"] == [
        one.getMessage() for one in caplog.records
    ]
