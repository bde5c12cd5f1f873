"""`titik notify test`: a message on its way, step by step, with the remedy where it ends."""

from collections.abc import Iterator
from typing import NamedTuple

from titik_collector.alerts.alert import AlertSubject, Message, Notification
from titik_collector.config.model import Config
from titik_collector.config.receiver_tables import Receiver
from titik_collector.languages.language import language
from titik_collector.notify import choosing, composing
from titik_collector.notify.channel import Channel
from titik_collector.notify.choosing import Choice, Waiting
from titik_collector.notify.composed import Composed
from titik_collector.notify.composing import Writing
from titik_collector.notify.undelivered import STEPS, Step, Undelivered


class StepResult(NamedTuple):
    """One step."""

    step: Step
    problem: str | None = None  # None: it succeeded
    remedy: str = ""


def walk(about: Composed, channel: Channel) -> Iterator[StepResult]:
    """Send a test message; the steps as far as it came."""
    yield StepResult("config")
    passed: list[Step] = []
    failure = None
    try:
        channel.deliver(about, passed.append)
    except Undelivered as error:
        failure = error
    yield from (StepResult(step) for step in STEPS if step in passed)
    if failure is not None:
        yield StepResult(failure.step, failure.reason, failure.remedy)


def message(settings: Config, receiver: Receiver, now_ms: int) -> Composed:
    """What is sent."""
    about = Notification(
        number=now_ms,
        incident=None,
        receiver=receiver.name,
        made_ms=now_ms,
        due_ms=now_ms,
        message=Message(
            what="test",
            kind="site-offline",
            severity="info",
            subject=AlertSubject("city", settings.city.name),
            title=settings.city.title,
            from_ms=now_ms,
        ),
    )
    writing = Writing(
        language=language(receiver.language or settings.web.language),
        zone=settings.city.timezone,
        city=settings.city.name,
        url=settings.web.url,
    )
    one = Waiting(choosing.key_of("own", about), about, 0, now_ms)
    return composing.compose(Choice("single", (one,)), writing, now_ms)
