"""`titik router check --all`: a few routers at a time, over a real store and a real desk."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.collector.build import T0, opened
from titik_collector.accounts.audit import Actor
from titik_collector.commands.city_look import AT_ONCE, CityLook, LookOutcome
from titik_collector.commands.router import router
from titik_collector.commands.router_check import age, lines_of, summary
from titik_collector.config.store_table import Store
from titik_collector.desk import posting, questions
from titik_collector.desk.checks import DeskError
from titik_collector.limits import MAX_OPEN_QUESTIONS
from titik_collector.queries import looks
from titik_collector.queries.looks import PATIENCE_MS, WORDS
from titik_collector.store import desk_audit, desk_opening, presence_rows, router_answers
from titik_collector.store.database import Database
from titik_collector.store.presence_rows import PresenceRow
from titik_collector.store.router_answers import Why
from titik_wire.fleet_messages import RouterReply

NAMES = [f"r-{number:03}" for number in range(100)]
OFFLINE, NEVER_HEARD = 1, 2  # how many of the last ones
ONLINE = NAMES[: -OFFLINE - NEVER_HEARD]


class Town:
    """Routers that answer as the test lets them."""

    def __init__(self, db: Database, desk: Database) -> None:
        self.db, self.desk, self.now_ms = db, desk, T0
        states = dict.fromkeys(range(1, len(ONLINE) + 1), PresenceRow("online"))
        states[len(ONLINE) + 1] = PresenceRow("offline")
        with db.transaction():
            presence_rows.write(db, states)
        self.many = CityLook(db, desk, NAMES, T0)

    def step(self, later_ms: int = 0) -> list[LookOutcome]:
        """The command's next look."""
        self.now_ms += later_ms
        return self.many.step(self.actor)

    @property
    def actor(self) -> Actor:
        return Actor("budi", None, self.now_ms)

    def asked(self) -> dict[str, str]:
        """Questions that the store has no answer to, by router; in order."""
        ended = router_answers.ended(self.db)
        posted = posting.read(self.desk, self.now_ms).questions
        return {one.router: one.id for one in posted if one.id not in ended}

    def end(self, name: str, *checks: str, why: Why | None = None, refused: str = "") -> None:
        """The collector has what became of the router's question."""
        question, router_id = self.asked()[name], NAMES.index(name) + 1
        reply = RouterReply(name, question, checks, (), refused or None)
        with self.db.transaction():
            router_answers.begin(self.db, router_id, question, self.now_ms)
            router_answers.end(self.db, router_id, question, self.now_ms, why or reply)


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    """A hundred routers; three of them are not there."""
    place = Store(path=tmp_path / "titik.db")
    with opened(tmp_path / "titik.db", NAMES) as db, closing(desk_opening.open_desk(place)) as desk:
        yield Town(db, desk)


def test_a_few_are_asked_at_a_time_until_all_have_answered(town: Town) -> None:
    """Who is over makes room for the next at once; who is offline is never asked."""
    offline = NAMES[-OFFLINE - NEVER_HEARD :]
    most, found = 0, []
    town.step()
    while not town.many.is_over:
        asked = town.asked()
        most = max(most, len(asked))
        for name in list(asked)[:7]:
            town.end(name, "ok    dns")
        found += town.step(1000)

    assert [LookOutcome(one, "offline") for one in offline] == town.many.offline
    assert ([LookOutcome(one, "works") for one in ONLINE], AT_ONCE) == (sorted(found), most)
    assert len(ONLINE) == len(desk_audit.newest(town.desk, 1000)) == town.many.asked
    assert [] == town.many.left()


def test_what_became_of_each_is_a_line_and_counts_at_the_end(town: Town) -> None:
    """The names of those that work are left out there."""
    town.step()
    town.end("r-000", "ok    dns", "ok    login")
    town.end("r-001", "ok    dns", "FAIL  tcp: no route", "FAIL  tls: untried")
    town.end("r-002", refused="it looks once a minute; ask in 9 s")
    town.end("r-003", why="silent")
    town.end("r-004", why="offline")
    found = town.step(1000)

    assert [
        "r-000: works",
        "r-001: 2 bad lines",
        "  FAIL  tcp: no route",
        "  FAIL  tls: untried",
        "r-002: refused: it looks once a minute; ask in 9 s",
        "r-003: did not answer",
        "r-004: offline",
    ] == [line for one in found for line in lines_of(one)]
    *first, unanswered, unasked = summary([*town.many.offline, *found, *town.many.left()], None)
    assert [
        "",
        "works: 1 of 100",
        "bad lines: 1 of 100 (r-001)",
        "refused: 1 of 100 (r-002)",
        "did not answer: 1 of 100 (r-003)",
        "offline: 4 of 100 (r-097, r-098, r-099, r-004)",
    ] == first
    assert unanswered.startswith("no answer yet: 40 of 100 (r-005, r-006, ")
    assert (True, True) == (unanswered.endswith("r-024, ...)"), unasked.startswith("not asked: 52"))


@pytest.mark.parametrize("why", ["not offered", "not taken"])
def test_what_concerns_all_ends_it(town: Town, why: str) -> None:
    """The rest are not asked: a broker with older rights, or a collector that does not run."""
    town.step()
    if why == "not offered":
        town.end("r-000", why="not offered")
        town.step()
    found = town.step(PATIENCE_MS)

    assert (True, AT_ONCE, WORDS[why]) == (town.many.is_over, town.many.asked, town.many.why)
    assert {"not asked"} == {one.result for one in found}
    assert ONLINE[AT_ONCE:] == [one.router for one in town.many.left()]


def test_one_question_that_is_lost_ends_nothing(town: Town) -> None:
    """A collector that starts again may miss one."""
    town.step()
    for name in list(town.asked())[1:]:
        town.end(name, "ok    dns")
    town.step(1000)
    lost = town.step(PATIENCE_MS - 1000)

    assert LookOutcome("r-000", "not asked") in lost
    assert (None, False) == (town.many.why, town.many.is_over)


def test_whoever_asks_one_router_gets_through_meanwhile(town: Town) -> None:
    """What is over counts no more, so a city of thousands holds nobody up."""
    for _ in range(2):
        town.step(1000)
        for name in list(town.asked()):
            town.end(name, "ok    dns")
    town.step(1000)
    ended, is_open = router_answers.ended(town.db), len(town.asked())
    for number in range(MAX_OPEN_QUESTIONS - is_open):
        questions.ask(town.desk, f"other-{number}", town.actor, ended)
    with pytest.raises(DeskError, match="wait a minute"):
        questions.ask(town.desk, "more", town.actor, ended)

    assert (len(ONLINE), len(ONLINE) - 2 * AT_ONCE) == (town.many.asked, is_open)


def test_it_ends_though_others_ask_without_end(town: Town) -> None:
    """Their questions leave it no room."""
    for number in range(MAX_OPEN_QUESTIONS):
        questions.ask(town.desk, f"other-{number}", town.actor)
    town.step()
    for _ in range(4):
        town.now_ms += PATIENCE_MS
        for number in range(MAX_OPEN_QUESTIONS):
            questions.ask(town.desk, f"other-{number}", town.actor)
        town.step()

    assert (True, 0, "Others ask too many routers.") == (
        town.many.is_over, town.many.asked, town.many.why,
    )  # fmt: skip
    assert not town.many.all_work([])


def test_a_city_works_if_each_router_does(town: Town) -> None:
    """Whose answer is awaited, and who was not asked yet, does not count as one that works."""
    found: list[LookOutcome] = []
    were_good = []
    town.step()
    while not town.many.is_over:
        were_good.append(town.many.all_work(found))
        for name in town.asked():
            town.end(name, "ok    dns")
        found += town.step(1000)

    assert ([False] * len(were_good), True) == (were_good, town.many.all_work(found))
    assert not town.many.all_work([*found, *town.many.offline])


@pytest.mark.parametrize("which", [("--site", "empty"), ("--all",)])
def test_where_there_is_no_router_nothing_works(tmp_path: Path, which: tuple[str, ...]) -> None:
    """A site that has none yet; a script is not to read it as one that works."""
    file = tmp_path / "titik.toml"
    file.write_text("""\
[city]
name = "kupang"
title = "Kupang"
timezone = "Asia/Makassar"
[store]
path = "titik.db"
[[site]]
name = "empty"
title = "Empty"
""")
    with opened(tmp_path / "titik.db", []):
        done = CliRunner().invoke(router, ["check", *which, "--config", str(file)])

    expected = f"Error: {file}: router: there is none to ask; see: titik router list\n"
    assert (1, expected) == (done.exit_code, done.output)


def test_an_answer_of_before_is_not_taken_for_a_new_one(town: Town) -> None:
    """Who repaired something and asks within the minute would take it for what is so now."""
    first = questions.ask(town.desk, "r-000", town.actor)
    town.now_ms += 4000
    town.end("r-000", "FAIL  dns: no answer")
    found = looks.look(town.db, first, town.now_ms)
    town.now_ms += 20_000
    (again,) = questions.ask_some(town.desk, ["r-000"], town.actor, router_answers.ended(town.db))
    town.step()

    assert (first, 1) == (again, town.many.old)
    assert None is age(found, town.actor._replace(now_ms=first.at_ms))
    behind = found._replace(ended_ms=first.at_ms - 3000)  # by the collector's clock
    assert None is age(behind, town.actor._replace(now_ms=first.at_ms))
    assert (
        "this answer is 20 s old; the router looks once a minute, ask again in 41 s\n"
        == age(found, town.actor)
    )  # fmt: skip
    by_another = age(found, Actor("ina", None, town.now_ms))
    assert by_another is not None
    assert by_another.startswith("this answer is 20 s old (budi asked); ")
