"""Questions to routers: somebody wants a router to look at itself, now.

Rule: one at a time for each router, and one a minute. Who asks sooner waits for the same answer.
Rule: a bounded number is open at once; one that is over makes room for the next.
Rule: each asking is audited, whoever asked before.
"""

import os
from collections.abc import Collection, Sequence

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import AskedQuestion
from titik_collector.desk.checks import DeskError
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_OPEN_QUESTIONS
from titik_collector.store import desk_questions
from titik_collector.store.database import Database
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import DAY_MS, MINUTE_MS

ACTION = "router asked to check itself"
AGAIN_MS = MINUTE_MS + 5000  # a router looks once a minute; its clock and ours may differ a little


def ask(
    db: Database, router: str, actor: Actor, ended: Collection[str] = frozenset()
) -> AskedQuestion:
    """The question, which may be an earlier one's; DeskError if too many routers are asked."""
    asked = ask_some(db, [router], actor, ended)
    if not asked:
        many = marked("{most} routers are asked already; wait a minute")
        raise DeskError(Sentence(many, most=MAX_OPEN_QUESTIONS))
    return asked[0]


def again_ms(asked: AskedQuestion, now_ms: int) -> int:
    """How long whoever asks gets this question's answer."""
    passed_ms = now_ms - asked.at_ms
    return AGAIN_MS - passed_ms if 0 <= passed_ms < AGAIN_MS else 0


def ask_some(
    db: Database, routers: Sequence[str], actor: Actor, ended: Collection[str]
) -> list[AskedQuestion]:
    """The questions to the first of them, in order, as far as there is room.

    `ended`: the ids of questions that are over, as the store has them. An unknown one is open.
    """
    now_ms = actor.now_ms
    asked = []
    with db.transaction():
        recent = {one.router: one for one in desk_questions.since(db, now_ms - AGAIN_MS)}
        number = sum(one.id not in ended for one in recent.values())
        desk_questions.forget(db, now_ms - DAY_MS)
        for router in routers:
            one = recent.get(router)
            if one is None or not again_ms(one, now_ms):
                if number >= MAX_OPEN_QUESTIONS:
                    break
                one = AskedQuestion(router, os.urandom(8).hex(), actor.name, now_ms)
                desk_questions.put(db, one)
                number += 1
            audit.record(db, actor, ACTION, router)
            asked.append(one)
    return asked
