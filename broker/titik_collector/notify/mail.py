"""A message as e-mail: plain text, the same as simple HTML, and headers that make a thread.

Rule: there is no picture in it, because many programs do not show them.
Rule: every try of a message has the same Message-ID, so that a double can be seen as one.
"""

import html
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as POLICY
from email.utils import format_datetime

from titik_collector.notify.composed import Composed

_HTML = """\
<!doctype html>
<html lang="{language}"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{subject}</title></head>
<body style="font:16px/1.4 sans-serif;max-width:40em;margin:0;padding:8px">
<p style="font-size:18px"><strong>{first}</strong></p>
{others}{table}{last}{link}</body></html>
"""
_CELL = '<td style="padding:4px 8px 4px 0;vertical-align:top">'


def build(one: Composed, to: str, sender: str, city_title: str) -> EmailMessage:
    """The whole message."""
    made = EmailMessage(policy=POLICY)
    made["From"] = Address(city_title, addr_spec=sender)
    made["To"] = Address(addr_spec=to)
    made["Subject"] = one.subject
    made["Date"] = format_datetime(datetime.fromtimestamp(one.at_ms / 1000, UTC))
    made["Message-ID"] = message_id(one)
    if one.thread is not None:
        # The head of the thread is the incident, which is no message itself.
        made["References"] = made["In-Reply-To"] = thread_id(one)
    made["Auto-Submitted"] = "auto-generated"  # so that nobody's holiday answers
    made["X-Titik-Notification"] = one.key.id
    made.set_content(one.text, cte="quoted-printable")
    made.add_alternative(as_html(one), subtype="html", cte="quoted-printable")
    if one.pdf is not None:
        content, name = one.pdf.content, one.pdf.name
        made.add_attachment(content, maintype="application", subtype="pdf", filename=name)
    return made


def message_id(one: Composed) -> str:
    """The same at each try."""
    return f"<{one.key.id}.{one.receiver}@{one.city}>"


def thread_id(one: Composed) -> str:
    """Of its incident and receiver."""
    return f"<{one.thread}.{one.receiver}@{one.city}>"


def as_html(one: Composed) -> str:
    """The same words."""
    first, *others = one.lines or (one.subject,)
    rows = "".join(
        f"<tr>{_CELL}{_escaped(name)}</td>{_CELL}{_escaped(what)}</td></tr>\n"
        for name, what in one.rows
    )
    table = f'<table style="border-collapse:collapse">\n{rows}</table>\n' if rows else ""
    link = f'<p><a href="{_escaped(one.link)}">{_escaped(one.link)}</a></p>\n' if one.link else ""
    return _HTML.format(
        language=one.language,
        subject=_escaped(one.subject),
        first=_escaped(first),
        others=_paragraphs(others),
        table=table,
        last=_paragraphs(one.last),
        link=link,
    )


def _paragraphs(lines: tuple[str, ...] | list[str]) -> str:
    return "".join(f"<p>{_escaped(line)}</p>\n" for line in lines)


def _escaped(text: str) -> str:
    return html.escape(text)
