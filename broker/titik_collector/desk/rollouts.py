"""Upgrades of routers in waves: somebody orders one, holds it up, lets it go on, or ends it.

Rule: one at a time. What was ended by hand is not begun again; another is ordered.
"""

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.desk_facts import OrderState, RolloutOrder
from titik_collector.desk.checks import DeskError
from titik_collector.languages.codes import marked
from titik_collector.store import desk_rollouts
from titik_collector.store.database import Database
from titik_collector.wording.sentence import Sentence


def order(db: Database, wanted: RolloutOrder, actor: Actor, ended: int | None) -> RolloutOrder:
    """A new one; DeskError while one goes on. `ended`: the number of one that is over or halted."""
    with db.transaction():
        before = desk_rollouts.newest(db)
        if before is not None and before.state != "stopped" and before.number != ended:
            goes_on = marked(
                "the upgrade to {version} goes on; see: titik fleet; end it first: titik fleet stop"
            )
            raise DeskError(Sentence(goes_on, version=before.version))
        made = wanted._replace(actor=actor.name, at_ms=actor.now_ms)
        made = made._replace(number=desk_rollouts.add(db, made))
        audit.record(db, actor, "upgrade ordered", _text(made))
    return made


def pause(db: Database, actor: Actor) -> RolloutOrder:
    """No other router is asked; those that were go on."""
    return _set(db, "paused", "upgrade paused", actor)


def resume(db: Database, actor: Actor) -> RolloutOrder:
    """It goes on, also where it halted by itself: what failed until now is accepted."""
    return _set(db, "runs", "upgrade resumed", actor)


def stop(db: Database, actor: Actor) -> RolloutOrder:
    """It ends: who has not begun yet keeps the version that it has."""
    return _set(db, "stopped", "upgrade stopped", actor)


def _set(db: Database, state: OrderState, action: str, actor: Actor) -> RolloutOrder:
    with db.transaction():
        one = desk_rollouts.newest(db)
        if one is None or one.state == "stopped":
            raise DeskError(marked("no upgrade goes on; begin one: titik fleet upgrade VERSION"))
        resumes = one.resumes + (state == "runs")
        desk_rollouts.set_state(db, one.number, state, resumes)
        audit.record(db, actor, action, _text(one))
    return one._replace(state=state, resumes=resumes)


def _text(one: RolloutOrder) -> str:
    where = one.scope if one.scope == "city" else f"{one.scope}/{one.name}"
    return f"{one.number} {one.version} {where}"
