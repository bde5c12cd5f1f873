"""Silences: no message about some alerts for a while."""

from titik_collector.accounts import audit
from titik_collector.accounts.audit import Actor
from titik_collector.alerts.alert import AlertSubject
from titik_collector.alerts.desk_facts import Silence
from titik_collector.desk.checks import DeskError, check_kind, check_subject, plain
from titik_collector.languages.codes import marked
from titik_collector.limits import MAX_NOTE, MAX_SILENCE_DAYS, MAX_SILENCES
from titik_collector.store import desk_silences
from titik_collector.store.database import Database
from titik_collector.wording.sentence import Sentence
from titik_wire.instant import DAY_MS


def silence(
    db: Database,
    subject: AlertSubject,
    kind: str | None,
    until_ms: int,
    reason: str,
    actor: Actor,
) -> int:
    """From now on; its number. DeskError if it has no reason, or ends too late."""
    check_subject(subject)
    check_kind(kind)
    reason = plain(reason, MAX_NOTE)
    if not reason:
        raise DeskError(marked("a silence needs a reason, for whoever finds it later"))
    if until_ms <= actor.now_ms:
        raise DeskError(marked("a silence ends after now; use a later time"))
    if until_ms > actor.now_ms + MAX_SILENCE_DAYS * DAY_MS:
        late = marked("a silence lasts at most {days} days; use an earlier end")
        raise DeskError(Sentence(late, days=MAX_SILENCE_DAYS))
    one = Silence(0, subject, kind, actor.now_ms, until_ms, actor.name, reason)
    with db.transaction():
        if len(desk_silences.not_over(db, actor.now_ms)) >= MAX_SILENCES:
            many = marked("there are {most} silences; end those that nobody needs")
            raise DeskError(Sentence(many, most=MAX_SILENCES))
        number = desk_silences.add(db, one)
        audit.record(db, actor, "silence added", f"{number} {text(subject, kind)}")
    return number


def end(db: Database, number: int, actor: Actor) -> None:
    """From now on there are messages again; DeskError if there is none, or it is over."""
    with db.transaction():
        row = desk_silences.find(db, number)
        if row is None:
            none = marked("{number}: there is no such silence; titik silence list")
            raise DeskError(Sentence(none, number=str(number)))
        if row.end_ms <= actor.now_ms:
            over = marked("silence {number} is over already")
            raise DeskError(Sentence(over, number=str(number)))
        desk_silences.end(db, number, actor.now_ms, actor.name)
        of = text(row.silence.subject, row.silence.kind)
        audit.record(db, actor, "silence ended", f"{number} {of}")


def text(subject: AlertSubject, kind: str | None) -> str:
    """As it is typed: `scope[/name][/kind]`."""
    return "/".join(one for one in (*subject, kind) if one)
