"""People's questions to routers: sent once, and what becomes of each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.collector.build import T0, opened
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.store import presence_rows, router_answers
from titik_collector.store.database import Database, StoreError
from titik_collector.store.presence_rows import PresenceRow
from titik_collector.wishes.asking import GIVE_UP_MS, LATE_MS, Asking
from titik_wire import codec, topics
from titik_wire.fleet_messages import Question, RouterReply

NAME: Final = "tirosa-1"
FIRST, SECOND = (f"{number:016x}" for number in (1, 2))


class City:
    """The job over a store, with what people asked and what the broker was sent."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.now_ms = T0
        self.asked: list[AskedQuestion] = []
        self.sent: list[tuple[str, bytes, bool]] = []
        self.offline = False
        self.offers = self.connected = True
        self.begin()

    def begin(self) -> None:
        """A collector starts."""
        self.asking = Asking(
            self.db, self, lambda _: self.asked, {NAME: 1}.get, lambda _: self.offline,
            lambda: self.offers, lambda: self.now_ms, lambda: self.connected,
        )  # fmt: skip

    def publish(self, topic: str, payload: bytes, retain: bool) -> None:
        self.sent.append((topic, payload, retain))

    def flush(self) -> None:
        """Nothing waits."""

    def ask(self, question: str, name: str = NAME) -> None:
        """Somebody asks, and the job looks."""
        self.asked.append(AskedQuestion(name, question, "budi", self.now_ms))
        self.step()

    def step(self, later_ms: int = 0) -> None:
        """The job's next turn."""
        self.now_ms += later_ms
        if self.asking.due(0.0):
            self.asking.step(0.0)

    def reply(self, question: str, *checks: str) -> RouterReply:
        """The router answers."""
        reply = RouterReply(NAME, question, checks, ("a line",))
        self.asking.replied(1, reply)
        return reply

    def found(self) -> tuple[str, object]:
        """The question that the store knows, and what became of it; None: it is awaited."""
        row = router_answers.of_router(self.db, NAME)
        assert row is not None
        assert (row.ended_ms is None) == (row.why is None and row.reply is None)
        return row.question, row.why or row.reply


@pytest.fixture
def a_city(tmp_path: Path) -> Iterator[City]:
    """With one router."""
    with opened(tmp_path / "titik.db") as db:
        yield City(db)


def test_a_question_is_sent_once_and_its_answer_is_kept(a_city: City) -> None:
    """Not retained: a router that comes back later would answer to nobody."""
    a_city.ask(FIRST)
    awaited = a_city.found()
    a_city.step(1000)
    reply = a_city.reply(FIRST, "ok    dns")
    a_city.step(GIVE_UP_MS)

    ((topic, payload, retain),) = a_city.sent
    assert (topics.request(NAME), Question(NAME, FIRST, "check"), False) == (
        topic, codec.decode(topic, payload), retain,
    )  # fmt: skip
    assert ((FIRST, None), (FIRST, reply)) == (awaited, a_city.found())


def test_a_collector_that_starts_again_asks_no_second_time(a_city: City) -> None:
    """What it sent before is awaited still."""
    a_city.ask(FIRST)
    a_city.begin()
    a_city.step(1000)
    reply = a_city.reply(FIRST)
    a_city.begin()
    a_city.step(1000)

    assert (1, (FIRST, reply)) == (len(a_city.sent), a_city.found())


@pytest.mark.sqlite("a pragma makes its writes fail")
def test_a_question_outlives_a_store_that_fails(a_city: City) -> None:
    """It is taken when the store has it, and not before."""
    a_city.db.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreError):
        a_city.ask(FIRST)
    assert [] == a_city.sent
    a_city.db.execute("PRAGMA query_only = OFF")
    a_city.step(1000)
    assert (1, (FIRST, None)) == (len(a_city.sent), a_city.found())


def test_a_router_that_does_not_answer_is_given_up(a_city: City) -> None:
    """A later answer changes nothing; the next question is sent."""
    a_city.ask(FIRST)
    a_city.step(GIVE_UP_MS - 1)
    awaited = a_city.found()
    a_city.step(1)
    given_up = a_city.found()
    a_city.reply(FIRST)

    assert ((FIRST, None), (FIRST, "silent"), (FIRST, "silent")) == (
        awaited, given_up, a_city.found(),
    )  # fmt: skip
    a_city.ask(SECOND)
    assert ((SECOND, None), 2) == (a_city.found(), len(a_city.sent))


@pytest.mark.parametrize(
    ("missing", "why"), [({"offline": True}, "offline"), ({"offers": False}, "not offered")]
)
def test_a_question_that_cannot_be_sent_ends_at_once(
    a_city: City, missing: dict[str, bool], why: str
) -> None:
    """Nobody waits a minute for what is known."""
    vars(a_city).update(missing)
    a_city.ask(FIRST)

    assert ((FIRST, why), []) == (a_city.found(), a_city.sent)


def test_who_asks_many_sees_which_questions_are_over(a_city: City) -> None:
    """By their ids; and a router that was never heard, or is offline, is none to ask."""
    a_city.ask(FIRST)
    before = router_answers.ended(a_city.db)
    a_city.reply(FIRST)
    states: list[frozenset[str]] = [presence_rows.reachable(a_city.db)]
    for state in ("offline", "unknown", "online"):
        with a_city.db.transaction():
            presence_rows.write(a_city.db, {1: PresenceRow(state)})
        states.append(presence_rows.reachable(a_city.db))

    assert ([], [FIRST]) == ([*before], [*router_answers.ended(a_city.db)])
    assert [[], [], [NAME], [NAME]] == [[*one] for one in states]


def test_a_router_is_asked_one_thing_at_a_time(a_city: City) -> None:
    """The second waits for the answer to the first."""
    a_city.ask(FIRST)
    a_city.ask(SECOND)
    one = len(a_city.sent)
    a_city.reply(FIRST)
    a_city.step(1)

    assert (1, 2, (SECOND, None)) == (one, len(a_city.sent), a_city.found())


def test_what_nobody_asked_for_is_left_out(a_city: City) -> None:
    """A hostile router writes nothing into the store but the answer to a question of ours."""
    a_city.reply(FIRST)
    unasked = router_answers.of_router(a_city.db, NAME)
    a_city.ask(FIRST)
    a_city.reply(SECOND)
    awaited = a_city.found()
    reply = a_city.reply(FIRST, "ok    one")
    a_city.reply(FIRST, "ok    two")

    assert (None, (FIRST, None), (FIRST, reply)) == (unasked, awaited, a_city.found())


def test_a_question_of_long_ago_is_not_sent(a_city: City) -> None:
    """Nor while there is no broker, or of a router that the city does not have."""
    a_city.connected = False
    a_city.ask(FIRST)
    a_city.connected = True
    a_city.step(LATE_MS)
    a_city.ask(SECOND, "other")

    assert ([], None) == (a_city.sent, router_answers.of_router(a_city.db, NAME))
