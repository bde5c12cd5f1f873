"""An Alertmanager gets an incident as one alert, which goes on until Titik ends it.

Rule: the labels say which alert it is. They are those of `TitikAlert` in deploy/prometheus, with
the city and the incident.
Rule: an alert ends by itself an hour after Titik last posted it. So a server that restarts ends
none, and one that is gone leaves none for ever.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from titik_collector.alerts.planning import STILL_WRONG
from titik_collector.config.receiver_tables import Receiver
from titik_collector.notify import http_call
from titik_collector.notify.composed import Composed
from titik_collector.notify.http_call import DEADLINE_S, HttpCall
from titik_collector.notify.undelivered import Passed, nothing
from titik_collector.notify.webhook import read_url
from titik_wire.instant import HOUR_MS, MINUTE_MS, to_text

NAME = "TitikAlert"
ENDS_MS = HOUR_MS  # after it was last posted
TEST_ENDS_MS = 5 * MINUTE_MS


class PostedAlert(NamedTuple):
    """One alert as it is posted."""

    about: Composed
    ends_ms: int  # in the past: it is over


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    """The way to one Alertmanager."""

    url: str | None
    url_file: Path | None
    ca_file: Path | None
    deadline_s: float = DEADLINE_S

    @classmethod
    def of(cls, receiver: Receiver) -> "AlertmanagerChannel":
        """As it is configured."""
        return cls(receiver.url, receiver.url_file, receiver.ca_file)

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Post what this message says; Undelivered if it is not taken."""
        ends_ms = ends_of(one)
        self.post([] if ends_ms is None else [PostedAlert(one, ends_ms)], passed)

    def post(self, alerts: Sequence[PostedAlert], passed: Passed = nothing) -> None:
        """Post all of these in one request; none: it only sees whether it would be taken."""
        url = self.url or read_url(self.url_file)
        passed("secret")
        call = HttpCall(
            "POST",
            f"{url.rstrip('/')}/api/v2/alerts",
            "url or url_file",
            {"Content-Type": "application/json"},
            payload(alerts),
            self.ca_file,
        )
        http_call.send(call, self.deadline_s, passed)


def ends_of(one: Composed) -> int | None:
    """When the alert of a message ends; None: it is about no alert, as the summary of a day."""
    message = one.message
    if message.what in STILL_WRONG:
        return one.at_ms + ENDS_MS
    if message.what == "resolved":
        return message.to_ms or one.at_ms
    return one.at_ms + TEST_ENDS_MS if message.what == "test" else None


def payload(alerts: Sequence[PostedAlert]) -> bytes:
    """What `/api/v2/alerts` takes."""
    return json.dumps([_alert(*one) for one in alerts], ensure_ascii=False).encode()


def _alert(about: Composed, ends_ms: int) -> dict[str, object]:
    message = about.message
    labels = {
        "alertname": NAME,
        "city": about.city,
        "kind": message.kind,
        "scope": message.subject.scope,
        "subject": message.subject.name,
        "severity": message.severity,
    }
    if about.incident is not None:
        labels["incident"] = str(about.incident)
    if message.what == "test":
        labels["alertname"] = "TitikTest"
    annotations = {"summary": about.subject, "title": message.title, "description": about.text}
    if message.cause is not None:
        annotations["cause"] = message.cause
    found: dict[str, object] = {
        "labels": labels,
        "annotations": annotations,
        "startsAt": to_text(message.from_ms),
        "endsAt": to_text(max(ends_ms, message.from_ms)),
    }
    return found if about.link is None else found | {"generatorURL": about.link}
