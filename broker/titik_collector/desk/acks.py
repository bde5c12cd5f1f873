"""Acknowledgements: somebody handles an incident, so nobody else is asked to."""

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import Incident
from titik_collector.alerts.desk_facts import Acknowledgement
from titik_collector.desk.checks import DeskError, plain
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_ACKS, MAX_NOTE
from titik_collector.store import desk_acks
from titik_collector.store.database import Database
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import DAY_MS

ACK_MS = DAY_MS  # or until the incident is resolved


def check_open(incident: Incident) -> None:
    """DeskError if it is over: nobody waits to be asked.

    So it is while its end waits to be sent: should it come again, somebody must hear of it.
    """
    if incident.resolved_ms is not None:
        over = marked("incident {incident} is over; write a remark")
        raise DeskError(Sentence(over, incident=str(incident.number)))


def acknowledge(db: Database, incident: int, note: str, actor: Actor) -> Acknowledgement:
    """The newest one counts; DeskError if the note is too long, or there are too many."""
    now_ms = actor.now_ms
    ack = Acknowledgement(incident, actor.name, now_ms, now_ms + ACK_MS, plain(note, MAX_NOTE))
    with db.transaction():
        if len(desk_acks.of_incident(db, incident)) >= MAX_ACKS:
            many = marked("incident {incident} was acknowledged {most} times; write a remark")
            raise DeskError(Sentence(many, incident=str(incident), most=MAX_ACKS))
        desk_acks.add(db, ack)
        audit.record(db, actor, "incident acknowledged", str(incident))
    return ack
