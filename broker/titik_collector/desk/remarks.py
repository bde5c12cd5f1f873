"""Remarks: what people write about an incident, for those who read it later."""

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.desk.checks import DeskError, lines
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_REMARK, MAX_REMARKS
from titik_collector.store import desk_remarks
from titik_collector.store.database import Database
from titik_collector.store.desk_remarks import Remark
from titik_collector.wording.sentence import Sentence


def add(db: Database, incident: int, text: str, actor: Actor) -> Remark:
    """DeskError if it is empty or too long, or the incident has too many."""
    remark = Remark(incident, actor.name, actor.now_ms, lines(text, MAX_REMARK))
    if not remark.text:
        raise DeskError(marked("a remark has a text"))
    with db.transaction():
        if len(desk_remarks.of_incident(db, incident)) >= MAX_REMARKS:
            many = marked("incident {incident} has {most} remarks, which is the most")
            raise DeskError(Sentence(many, incident=str(incident), most=MAX_REMARKS))
        desk_remarks.add(db, remark)
        audit.record(db, actor, "remark added", str(incident))
    return remark
