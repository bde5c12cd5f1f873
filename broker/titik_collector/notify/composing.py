"""From facts to the words of a receiver: pure, for a phone.

Rule: what, where and since when stand first, then the cause, and at most so many places.
"""

from dataclasses import dataclass, replace
from zoneinfo import ZoneInfo

from titik_collector.alerts.alert import Member, Message
from titik_collector.languages.language import Language
from titik_collector.limits import MAX_HEADLINE, MAX_LINES
from titik_collector.notify import words
from titik_collector.notify.choosing import ALONE, MERGED_MS, Choice, Waiting
from titik_collector.notify.composed import Composed, MailPdf
from titik_collector.reports.report_mail import ReportMail

LATE_MS = MERGED_MS  # from then on a message says that it is late
_SIGNS = {"critical": "🔴", "warning": "🟠", "info": "🔵"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Writing:
    """Who reads it, and what is known of the city."""

    language: Language
    zone: ZoneInfo
    city: str
    url: str | None = None  # of the page


def compose(choice: Choice, writing: Writing, now_ms: int) -> Composed:
    """The message of a choice."""
    if choice.form == "more":
        return _counted(choice, writing, now_ms)
    one = choice.head
    message = one.notification.message
    if message.what == "digest":
        lines, rows, last = _digest(message, writing, now_ms)
    elif message.what == "test":
        say = writing.language.say
        title = say(words.TEST).format(where=message.title)
        lines, rows, last = (title, say(words.TEST_MORE)), (), ()
    else:
        first = headline(message, writing, now_ms, one.notification.due_ms)
        lines = (first, *_details(message, writing))
        rows, last = _members(message, writing, now_ms)
    return _composed(one, writing, now_ms, (lines, rows, (*last, *_notes(message, writing))))


def compose_report(
    one: Waiting, mail: ReportMail, pdf: bytes | None, writing: Writing, now_ms: int
) -> Composed:
    """The message with the report of a month."""
    made = _composed(one, writing, now_ms, ((mail.subject, *mail.lines), mail.rows, mail.last))
    return replace(made, link=mail.link, pdf=None if pdf is None else MailPdf(mail.file, pdf))


Parts = tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[str, ...]]


def _composed(one: Waiting, writing: Writing, now_ms: int, parts: Parts) -> Composed:
    about, lang = one.notification, writing.language
    message, (lines, rows, last) = about.message, parts
    url, number = writing.url, about.incident
    link = url if url is None or number is None else f"{url}/alerts/{number}"
    is_to_ack = url is not None and number is not None and message.what != "resolved"
    return Composed(
        key=one.key,
        incident=number,
        thread=_thread(one),
        city=writing.city,
        receiver=about.receiver,
        message=message,
        subject=_cut(lines[0]),
        lines=lines,
        rows=rows,
        last=last,
        link=link,
        ack_url=f"{url}/api/v1/acks" if is_to_ack else None,
        language=lang.code,
        at_ms=now_ms,
        since=lang.iso(message.from_ms, writing.zone),
        until=None if message.to_ms is None else lang.iso(message.to_ms, writing.zone),
    )


def _thread(one: Waiting) -> str | None:
    about = one.notification
    if about.incident is not None:
        return f"incident-{about.incident}"
    if about.message.what in ALONE:
        return None
    return f"{about.message.kind}-{about.message.from_ms:x}"


def headline(message: Message, writing: Writing, now_ms: int, due_ms: int) -> str:
    """One line that says it all."""
    say = writing.language.say
    text = _sentence(message, writing, now_ms)
    if message.what in words.BEFORE:
        text = say(words.BEFORE[message.what]).format(text=text)
    elif message.reopened and message.what == "firing":
        text = say(words.AGAIN).format(text=text)
    text = f"{'🟢' if message.what == 'resolved' else _SIGNS[message.severity]} {text}"
    if now_ms - due_ms > LATE_MS:
        length = writing.language.length((now_ms - due_ms) / 1000)
        text = say(words.LATE).format(text=text, length=length)
    return text


def _sentence(message: Message, writing: Writing, now_ms: int) -> str:
    lang, known = writing.language, words.of(message.kind, message.subject)
    end_ms = message.to_ms or now_ms
    template = known.resolved if message.what == "resolved" else known.firing
    if message.kind == "group-outage" and message.what != "resolved" and message.of_places:
        template = words.OF_GROUP
    return lang.say(template).format(
        where=message.title,
        since=_at(message.from_ms, writing, now_ms),
        end=_at(end_ms, writing, now_ms),
        length=lang.length_in_words((end_ms - message.from_ms) / 1000),
        down=lang.count(message.places or len(message.members)),
        places=lang.count(message.of_places),
    )


def _at(at_ms: int, writing: Writing, now_ms: int) -> str:
    clock = writing.language.time_or_day(at_ms, now_ms, writing.zone)
    return f"{clock} {writing.language.zone(at_ms, writing.zone)}"


def _details(message: Message, writing: Writing) -> tuple[str, ...]:
    """Why, how many it concerns, who handles it, and what to do."""
    lang, found = writing.language, list[str]()
    if message.cause is not None:
        found.append(lang.say(words.CAUSE).format(cause=lang.say(message.cause)))
    elif message.kind in ("site-offline", "group-outage") and message.what != "resolved":
        found.append(lang.say(words.NO_CAUSE))
    before = [one.clients_before for one in message.members if one.clients_before is not None]
    if before and message.what != "resolved":
        found.append(lang.many(*words.VISITORS, sum(before)))
    if message.kind == "hot" and message.value is not None:
        found.append(lang.say(words.VALUE_HOT).format(value=lang.count(message.value, 1)))
    if message.acked_by is not None and message.what != "resolved":
        found.append(lang.say(words.HANDLED).format(name=message.acked_by))
    advice = words.of(message.kind, message.subject).advice
    if advice is not None and message.what != "resolved":
        found.append(lang.say(advice).format(name=message.subject.name))
    return tuple(found)


def _notes(message: Message, writing: Writing) -> tuple[str, ...]:
    """A message of another version may have others."""
    return tuple([writing.language.say(words.NOTES.get(one, one)) for one in message.notes])


def _members(
    message: Message, writing: Writing, now_ms: int
) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Where several are concerned, each with its length and cause; the rest as a number."""
    if len(message.members) <= 1 and (message.places or 0) <= 1:
        return (), ()
    rows = tuple([(one.title, _row(one, writing, now_ms)) for one in message.members[:MAX_LINES]])
    hidden = max(message.places or 0, len(message.members)) - len(rows)
    return rows, (writing.language.many(*words.HIDDEN, hidden),) if hidden > 0 else ()


def _row(one: Member, writing: Writing, now_ms: int) -> str:
    lang = writing.language
    parts = [lang.length(((one.to_ms or now_ms) - one.from_ms) / 1000)]
    if one.kind is not None:
        parts.insert(0, lang.say(words.of(one.kind, one.subject).short))
    if one.cause is not None:
        parts.append(lang.say(one.cause))
    if one.kind is not None and one.to_ms is not None:
        parts.append(lang.say(words.OVER))
    return ", ".join(parts)


def _digest(message: Message, writing: Writing, now_ms: int) -> Parts:
    """How the city is, also if it is well: that no digest comes shows that none can."""
    lang = writing.language
    up = None if message.value is None else round(message.value)
    number = message.places or len(message.members)
    open_ = sum(one.to_ms is None for one in message.members)
    is_well = not open_ and up == message.of_places
    template = words.ALL_WELL if is_well else words.NOT_ALL
    text = lang.say(template).format(up=lang.count(up), places=lang.count(message.of_places))
    lines = [f"{'✅' if is_well else '🟠'} {message.title}: {text}"]
    if number:
        lines.append(lang.many(*words.SINCE_DIGEST, number))
    if open_:
        lines.append(lang.many(*words.GO_ON, open_))
    rows = tuple([(one.title, _row(one, writing, now_ms)) for one in message.members[:MAX_LINES]])
    hidden = number - len(rows)
    return tuple(lines), rows, (lang.many(*words.HIDDEN, hidden),) if hidden > 0 else ()


def _counted(choice: Choice, writing: Writing, now_ms: int) -> Composed:
    """One message for all that are above what a receiver gets in an hour."""
    lang = writing.language
    heads = [
        headline(one.notification.message, writing, now_ms, now_ms) for one in choice.of[:MAX_LINES]
    ]
    hidden = len(choice.of) - len(heads)
    last = (lang.many(*words.HIDDEN, hidden),) if hidden > 0 else ()
    rows = tuple([(one, "") for one in heads])
    lines = (f"🟠 {lang.many(*words.MORE, len(choice.of))}",)
    made = _composed(choice.head, writing, now_ms, (lines, rows, last))
    return replace(made, incident=None, thread=None, link=writing.url, ack_url=None)


def _cut(text: str) -> str:
    return text if len(text) <= MAX_HEADLINE else text[: MAX_HEADLINE - 1] + "…"
