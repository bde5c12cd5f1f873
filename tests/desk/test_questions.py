"""Questions to routers over a real desk, on both engines."""

import pytest

from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.desk import posting, questions
from titik_collector.desk.checks import DeskError
from titik_collector.desk.posting import QUESTION_MS
from titik_collector.desk.questions import AGAIN_MS
from titik_collector.limits import MAX_OPEN_QUESTIONS
from titik_collector.store import desk_audit
from titik_collector.store.database import Database

T0 = 1_795_000_000_000
BUDI = Actor("budi", "203.0.113.5", T0)


def audited(desk: Database) -> list[tuple[str, str, str]]:
    """Who did what to what, the oldest first."""
    return [(one.actor, one.action, one.subject) for one in desk_audit.newest(desk, 99)]


def test_two_who_ask_at_once_wait_for_one_answer(desk: Database) -> None:
    """A router looks once a minute, so the second question would be refused there; both count."""
    first = questions.ask(desk, "tirosa-1", BUDI)
    second = questions.ask(desk, "tirosa-1", Actor("ina", None, T0 + AGAIN_MS - 1))
    other = questions.ask(desk, "tirosa-2", BUDI)
    third = questions.ask(desk, "tirosa-1", BUDI._replace(now_ms=T0 + AGAIN_MS))

    assert AskedQuestion("tirosa-1", first.id, "budi", T0) == first == second
    assert 3 == len({first.id, other.id, third.id})
    assert [16, 16, 16] == [len(one.id) for one in (first, other, third)]
    assert ["budi tirosa-1", "ina tirosa-1", "budi tirosa-2", "budi tirosa-1"] == [
        f"{actor} {subject}" for actor, _, subject in audited(desk)
    ]
    assert {"router asked to check itself"} == {action for _, action, _ in audited(desk)}


def test_a_question_is_posted_for_a_while(desk: Database) -> None:
    """The newest of each router, by when it was asked."""
    questions.ask(desk, "tirosa-1", BUDI)
    other = questions.ask(desk, "tirosa-2", BUDI._replace(now_ms=T0 + 1))
    again = questions.ask(desk, "tirosa-1", BUDI._replace(now_ms=T0 + AGAIN_MS))

    assert (other, again) == posting.read(desk, T0 + QUESTION_MS).questions
    assert (again,) == posting.read(desk, T0 + QUESTION_MS + 2).questions
    assert () == posting.read(desk, T0 + AGAIN_MS + QUESTION_MS + 1).questions


def test_not_every_router_of_a_city_is_asked_at_once(in_file: Database) -> None:
    """A script that loops is refused, and what is refused is not audited."""
    for number in range(MAX_OPEN_QUESTIONS):
        questions.ask(in_file, f"tirosa-{number}", BUDI)
    with pytest.raises(DeskError, match="wait a minute"):
        questions.ask(in_file, "more", BUDI)
    questions.ask(in_file, "more", BUDI._replace(now_ms=T0 + AGAIN_MS + 1))

    assert MAX_OPEN_QUESTIONS + 1 == len(audited(in_file))
